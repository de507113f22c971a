from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.events import Create, Exit, Start, UserSpawn
from pytest_ptreetime.recording.original import OriginalRecording
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tree.process_tree import ProcessTree

TARGET = 100
Raw = dict[str, Any]


def event(ts: int, kind: str, **fields: Any) -> Raw:
    return {"ts": ts, "evt": f"{kind:<14}", **fields}


def user(ts: int, kind: str, pid: int, parent: int, *, used: int = 0, args: list[str] | None = None) -> Raw:
    fields: Raw = {"pid": pid, "parent": parent, "utime": [used // 10**6, used % 10**6], "stime": [0, used // 2]}
    return event(ts, kind, **fields, **({} if args is None else {"args": args}))


def create(ts: int, pid: int, parent: int = TARGET) -> Raw:
    return event(ts, "proc:::create", pid=pid, parent=parent)


def ended(ts: int, pid: int, name: str, parent: int = TARGET) -> Raw:
    return event(ts, "proc:::exit", pid=pid, parent=parent, name=name)


def content(*events: Raw, target_exit: int = 1000, command: Any = ("make",)) -> bytes:
    whole = [
        event(0, "START", target=TARGET), *events, ended(target_exit, TARGET, "sh", 1), event(target_exit + 1, "END"),
    ]  # fmt: skip
    return json.dumps({"command": command, "events": whole}).encode()


def load(*events: Raw, **options: Any) -> ProcessTree:
    return Recording.from_bytes(content(*events, **options), "x.json").tree()


def rows(tree: ProcessTree) -> dict[str, list[float]]:
    """The original's aggregate: nodes without an end, and what is below them, do not count; unknown is 0."""
    table: dict[str, list[float]] = defaultdict(lambda: [0.0] * 6)
    stack = [tree.root]
    while stack:
        node = stack.pop()
        if node.exit_ns is None:
            continue
        row = table[f"{node.name} @ {node.depth}"]
        for column, value in enumerate([node.wall, node.user, node.sys, node.startlag, node.exitlag, 1]):
            row[column] += value or 0
        stack.extend(node.children)
    return table


class Arithmetic:
    """The original's numbers, restated from what it is known to do, in its own units."""

    def __init__(self, events: list[Raw]) -> None:
        self.nodes: dict[int, Raw] = {}
        self.now: dict[int, int] = {}
        self.args: dict[int, list[list[str]]] = defaultdict(list)
        ordered = sorted(events, key=lambda one: int(one["ts"]))
        self.target = ordered[0]["target"]
        self.root = self._new(self.target, start=ordered[0]["ts"])
        for one in ordered[1:-1]:
            self._take(one, one["evt"].strip())

    def _new(self, pid: int, start: int | None = None) -> int:
        self.now[pid] = number = len(self.nodes)
        self.nodes[number] = {"start": start, "children": [], "args": None, "name": None}
        return number

    def _current(self, pid: int) -> int:
        return self.now[pid] if pid in self.now else self._new(pid)

    def _take(self, one: Raw, kind: str) -> None:
        pid, ts = one["pid"], one["ts"]
        parent, number = self._current(one["parent"]), self._current(pid)
        node = self.nodes[number]
        if kind == "proc:::create":
            node["start"] = ts
            waiting = self.args[one["parent"]]
            self._name(node, waiting.pop(0) if waiting else None)
            self.nodes[parent]["children"].append(number)
        elif kind == "user startup":
            node["startup"] = ts
        elif kind == "user spawn":
            self.args[pid].append(one["args"])
        elif kind == "user exit":
            node.update(user_exit=ts, used=(one["utime"], one["stime"]))
        elif kind == "user exec":
            if node["args"] is not None:
                node.update(exit=ts, user_exit=ts, used=(one["utime"], one["stime"]))
                number = self._new(pid, start=ts)
                node = self.nodes[number]
                self.nodes[parent]["children"].append(number)
            self._name(node, one["args"])
        else:
            node.update(exit=ts, name=one["name"])
            del self.now[pid]

    def _name(self, node: Raw, args: list[str] | None) -> None:
        node["args"] = args
        if args is not None:
            node["name"] = args[0].split("/")[-1]

    def rows(self) -> dict[str, list[float]]:
        table: dict[str, list[float]] = defaultdict(lambda: [0.0] * 6)
        stack = [(self.root, 0)]
        while stack:
            number, depth = stack.pop()
            node = self.nodes[number]
            if node["start"] is None or node.get("exit") is None:
                continue
            user_time, system_time = node.get("used", ([0, 0], [0, 0]))
            row = table[f"{node['name']} @ {depth}"]
            for column, value in enumerate(
                [
                    (node["exit"] - node["start"]) / 1e6,
                    user_time[0] + user_time[1] / 1e6,
                    system_time[0] + system_time[1] / 1e6,
                    (node["startup"] - node["start"]) / 1e6 if "startup" in node else 0,
                    (node["exit"] - node["user_exit"]) / 1e6 if "user_exit" in node else 0,
                    1,
                ]
            ):
                row[column] += value
            stack.extend((child, depth + 1) for child in node["children"])
        return table


@st.composite
def logs(draw: st.DrawFn) -> list[Raw]:
    """Any history that the tools could have logged, strays, forks, spawns, re-execs and survivors included."""
    events: list[Raw] = []
    alive, parents, free = [TARGET], {TARGET: 1}, list(range(200, 208))
    ts = 0
    for _ in range(draw(st.integers(0, 40))):
        ts += draw(st.integers(1, 3))
        pid = draw(st.sampled_from(alive))
        action = draw(st.sampled_from(["fork", "spawn", "spawn", "startup", "exec", "user exit", "exit", "stray"]))
        if action in ("fork", "spawn") and free:
            child = free.pop(0)
            if action == "spawn" and pid != TARGET:
                events.append(user(ts, "user spawn", pid, parents[pid], args=[f"/bin/p{child}", "-x"]))
                ts += 1
            events.append(create(ts, child, pid))
            alive.append(child)
            parents[child] = pid
        elif action == "stray":
            events.append(ended(ts, 900 + draw(st.integers(0, 3)), "stray", draw(st.sampled_from([1, TARGET]))))
        elif pid != TARGET and action in ("startup", "user exit"):
            events.append(user(ts, "user startup" if action == "startup" else action, pid, parents[pid], used=ts))
        elif pid != TARGET and action == "exec":
            events.append(user(ts, "user exec", pid, parents[pid], used=ts, args=[f"/bin/e{ts}"]))
        elif pid != TARGET and action == "exit":
            events.append(ended(ts, pid, f"n{pid % 3}", parents[pid]))
            alive.remove(pid)
            free.append(pid)
            for child in alive:
                if parents.get(child) == pid:
                    parents[child] = 1
    return [event(0, "START", target=TARGET), *events, ended(ts + 1, TARGET, "sh", 1), event(ts + 2, "END")]


@given(logs(), st.booleans())
def test_numbers_are_those_of_the_original(events: list[Raw], as_log: bool) -> None:
    if as_log:
        data = b"".join(b"PTREETIME " + json.dumps(one).encode() + b"\n" for one in reversed(events))
        events = events[::-1]
    else:
        data = json.dumps({"command": ["x"], "events": events}).encode()
    ours, theirs = rows(Recording.from_bytes(data).tree()), Arithmetic(events).rows()
    assert {key: pytest.approx(row, abs=1e-9) for key, row in theirs.items()} == ours


def test_tree_has_walls_times_lags_and_names() -> None:
    tree = load(
        create(10, 1), user(12, "user exec", 1, TARGET, args=["/bin/gcc", "a.c"]), user(15, "user startup", 1, TARGET),
        user(40, "user exit", 1, TARGET, used=3_500_000), ended(50, 1, "clang"),
    )  # fmt: skip
    (gcc,) = tree.root.children
    assert (gcc.name, gcc.args) == ("clang", ["/bin/gcc", "a.c"])
    assert gcc.wall == pytest.approx(40e-6)
    assert (gcc.user, gcc.sys) == (3.5, 1.75)
    assert gcc.startlag == pytest.approx(5e-6)
    assert gcc.exitlag == pytest.approx(10e-6)
    assert tree.wall == pytest.approx(1e-3)
    assert tree.complete, tree.incomplete_reason


def test_second_exec_is_a_new_sibling_with_the_cumulative_times_of_the_process() -> None:
    tree = load(
        create(10, 1), user(11, "user exec", 1, TARGET, args=["sh"]),
        user(20, "user exec", 1, TARGET, used=100, args=["gcc"]), user(30, "user exit", 1, TARGET, used=300),
        ended(31, 1, "gcc"),
    )  # fmt: skip
    shell, gcc = tree.root.children
    assert (shell.name, shell.exitlag) == ("sh", 0)
    assert shell.wall == pytest.approx(10e-6)
    assert [shell.user, gcc.user] == pytest.approx([100e-6, 300e-6])
    assert gcc.previous_image is shell


def test_concurrent_spawns_keep_their_own_command_lines() -> None:
    tree = load(
        user(1, "user spawn", 7, TARGET, args=["one"]), create(2, 7), user(3, "user spawn", 7, TARGET, args=["two"]),
        user(4, "user spawn", 7, TARGET, args=["three"]), create(5, 8, 7), create(6, 9, 7), ended(7, 8, "x", 7),
        ended(8, 9, "x", 7), ended(9, 7, "swiftc"),
    )  # fmt: skip
    assert [node.args for node in tree.root.children[0].children] == [["one"], ["two"]]


def test_stray_exit_is_counted_and_left_out() -> None:
    tree = load(ended(5, 77, "launchd", 1), ended(6, 78, "stray", TARGET))
    assert len(tree) == 1
    assert tree.completeness.foreign_exits == 2


def test_process_without_an_end_makes_the_tree_incomplete() -> None:
    tree = load(create(10, 1))
    assert tree.incomplete_reason is not None
    assert "1 process has no end" in tree.incomplete_reason


def test_log_without_end_is_incomplete_and_not_refused() -> None:
    data = json.dumps({"command": [], "events": [event(0, "START", target=1)]}).encode()
    assert "END is missing" in (Recording.from_bytes(data).tree().incomplete_reason or "")


def test_recording_that_is_saved_keeps_its_numbers(tmp_path: Path) -> None:
    before = Recording.from_bytes(content(create(10, 1), create(12, 2, 1), ended(13, 2, "as", 1), ended(20, 1, "cc")))
    before.save(tmp_path / "a.ptree")
    after = Recording.load(tmp_path / "a.ptree")
    assert isinstance(after, OriginalRecording)
    assert rows(after.tree()) == rows(before.tree())
    assert after.command == ["make"]
    assert after.started == before.started == 0


def test_events_are_shown_in_our_vocabulary() -> None:
    shown = Recording.from_bytes(
        content(user(1, "user spawn", 7, TARGET, args=["x", "\u00e9"]), create(2, 8, 7))
    ).events
    assert Counter(type(one) for one in shown) == {
        Start: 1, UserSpawn: 1, Create: 1, Exit: 1, type(shown[-1]): 1,
    }  # fmt: skip
    assert shown[1] == UserSpawn(1000, 7, TARGET, 0, 0, b"x", [b"x", "\u00e9".encode()])


def test_arguments_with_control_characters_and_wild_bytes_are_read() -> None:
    spawn = user(1, "user spawn", TARGET, 1, args=["PLACE"])
    data = content(spawn, create(2, 8), ended(3, 8, "cc")).replace(b"PLACE", b"a\tb\x01\xff")
    before = Recording.from_bytes(data)
    assert before.tree().root.children[0].args == ["a\tb\x01\udcff"]
    after = Recording.from_bytes(before.to_bytes())
    assert after.tree().root.children[0].args == ["a\tb\x01\udcff"]
    assert after.events == before.events


def test_arguments_with_lone_surrogates_are_read_and_saved() -> None:
    data = content(user(1, "user spawn", TARGET, 1, args=["\ud800\udcff"]), create(2, 8), command=["\ud800"])
    before = Recording.from_bytes(data)
    assert Recording.from_bytes(before.to_bytes()).events == before.events


MIXED_LOG = rb"""
PTREETIME { "ts" : 1511111111000000, "evt" : "START         ", "target" : 400 }
PTREETIME { "ts" : 1511111111900000, "evt" : "proc:::exit   ", "pid" : 402, "parent" : 401, "name" : "clang" }
PTREETIME { "ts" : 1511111111100000, "evt" : "proc:::create ", "pid" : 401, "parent" : 400 }
PTREETIME { "ts" : 1511111111950000, "evt" : "proc:::exit   ", "pid" : 401, "parent" : 400, "name" : "make" }
PTREETIME { "ts" : 1511111111300000, "evt" : "proc:::create ", "pid" : 402, "parent" : 401 }
PTREETIME { "ts" : 1511111111990000, "evt" : "proc:::exit   ", "pid" : 400, "parent" : 1, "name" : "sh" }
PTREETIME { "ts" : 1511111111999000, "evt" : "END           " }
PTREETIME { "ts" : 1511111111890000, "evt" : "user exit     ", "pid" : 402, "parent" : 401, "utime" : [0, 400000], "stime" : [0, 20000] }
PTREETIME { "ts" : 1511111111110000, "evt" : "user exec     ", "pid" : 401, "parent" : 400, "utime" : [0, 10], "stime" : [0, 0], "args" : ["make", "CFLAGS=-DX=\"1\"", "all"] }
PTREETIME { "ts" : 1511111111290000, "evt" : "user spawn    ", "pid" : 401, "parent" : 400, "utime" : [0, 90], "stime" : [0, 10], "args" : ["clang", "-c", "..."] }
clang: warning: this is what a build says
PTREETIME { "ts" : 1511111111320000, "evt" : "user startup  ", "pid" : 402, "parent" : 401, "utime" : [0, 0], "stime" : [0, 0] }
"""  # noqa: E501  the lines are as long as the original printed them


def test_logs_of_dtrace_and_of_the_library_when_mixed_out_of_order_give_one_tree() -> None:
    tree = Recording.from_bytes(MIXED_LOG, "old.log").tree()
    assert tree.incomplete_reason == "1 node has no arguments"  # the root: a log has no command
    (make,) = tree.root.children
    (clang,) = make.children
    assert make.args == ["make", 'CFLAGS=-DX="1"', "all"]
    assert clang.args == ["clang", "-c", "..."]
    assert clang.wall == pytest.approx(0.6)
    assert (clang.user, clang.sys) == (0.4, 0.02)
    assert clang.startlag == pytest.approx(0.02)
    assert clang.exitlag == pytest.approx(0.01)
    assert tree.wall == pytest.approx(0.99)


def test_raw_log_with_other_lines_and_failures_of_the_library_is_read() -> None:
    lines = [b"", b"dtrace: 3 drops on CPU 1"]
    lines += [b"PTREETIME " + json.dumps(one).encode() for one in (event(0, "START", target=1), event(9, "END"))]
    lines.insert(3, b'PTREETIME { "ts" : 5, "error" : \'unable to open\', "errno" : 13 }')
    tree = Recording.from_bytes(b"\n".join(lines), "x.log").tree()
    assert "could not write" in (tree.incomplete_reason or "")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "byte 1"),
        (b'{"events": [], "command": "x"}', "no START"),
        (b'{"events": {}}', 'no list of "events"'),
        (b'{"traceEvents": []}', "no START|no list"),
        (b'{"events": [7]}', 'event 0 is not an event: it has no "evt"'),
        (b'{"events": [{"evt": "proc:::jump", "ts": 1}]}', "event 0 is of an unknown kind, 'proc:::jump'"),
        (b'{"events": [{"evt": "END"}]}', "event 0 .END. is invalid.*ts"),
        (b'{"events": [{"evt": "END", "ts": "1"}]}', "is invalid"),
        (b'{"events": [{"evt": "END", "ts": true}]}', "is invalid"),
        (b'{"events": [{"evt": "END", "ts": 1.5}]}', "is invalid"),
        (b'{"events": [{"evt": "END", "ts": NaN}]}', "NaN is not a number"),
        (b'{"events": [{"evt": "END", "ts": 9999999999999999999999}]}', "is invalid"),
        (b'{"events": [' + b"[" * 100_000, "x.json"),
        (b'PTREETIME {"ts": 1,\n', "byte 0: not JSON"),
        (b"PTREETIME 7\n", "byte 0 is not an event"),
    ],
)
def test_odd_input_is_one_error_with_its_place(data: bytes, said: str) -> None:
    with pytest.raises(FileUnreadable, match=said):
        Recording.from_bytes(data, "x.json")


def test_file_truncated_anywhere_is_refused() -> None:
    data = content(create(10, 1), user(12, "user exec", 1, TARGET, args=["/bin/gcc"]), ended(20, 1, "cc"))
    for length in range(len(data)):
        with pytest.raises(FileUnreadable):
            Recording.from_bytes(data[:length])


@given(st.data())
def test_contradictory_events_give_a_tree_or_our_error(data: st.DataObject) -> None:
    pids = st.sampled_from([TARGET, 1, 2, 3])
    kinds = st.sampled_from(["proc:::create", "proc:::exit", "user startup", "user exec", "user spawn", "user exit"])
    events = [event(0, "START", target=TARGET)]
    for kind, ts, pid, parent in data.draw(st.lists(st.tuples(kinds, st.integers(0, 9), pids, pids), max_size=30)):
        if kind == "proc:::create":
            events.append(create(ts, pid, parent))
        elif kind == "proc:::exit":
            events.append(ended(ts, pid, "x", parent))
        else:
            events.append(user(ts, kind, pid, parent, args=[] if kind in ("user exec", "user spawn") else None))
    tree = Recording.from_bytes(json.dumps({"events": events}).encode()).tree()
    assert len({id(node) for node in tree}) == len(tree)
    for node in tree:
        assert node.key
        assert node.parent is None or node in node.parent.children
    tree.critical_path()
