from __future__ import annotations

import io
import re
from copy import deepcopy
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_sessions import BuildEvents, build, measurement, regressed_session, rounds, session

from pytest_ptreetime.decision.finding import CommandDifference, Remark
from pytest_ptreetime.keys.brief import brief
from pytest_ptreetime.recording.events import Usage
from pytest_ptreetime.reports import find_report
from pytest_ptreetime.reports.fitted_names import fitted, wrapped
from pytest_ptreetime.reports.process_tables import aggregate_table, costs, own_wall, top_table
from pytest_ptreetime.reports.results import SessionResult
from pytest_ptreetime.reports.terminal import failure_text, how_to_accept, properties, summary_text
from pytest_ptreetime.reports.tree_drawing import SORT_ORDERS, draw_tree
from pytest_ptreetime.settings import Settings
from pytest_ptreetime.system.untrusted_text import middle, shown
from pytest_ptreetime.tree.process_tree import ProcessTree

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.fixture(scope="module")
def regressed() -> SessionResult:
    return regressed_session()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_summary_never_goes_past_the_width(width: int, verbosity: int, regressed: SessionResult) -> None:
    text = summary_text(regressed, width=width, verbosity=verbosity)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 200])
def test_failure_names_the_cause_first_and_the_command_that_accepts_it(width: int, regressed: SessionResult) -> None:
    one = regressed.measurements[0]
    accept = how_to_accept(one, Settings(baseline=".ptreetime"), "tests/test_a b.py::test_x")
    text = failure_text(replace(one, accept=accept), width=width)
    lines = text.splitlines()
    assert lines[0].startswith("cc1 c.c: cpu +")
    assert lines[-1].strip() == "pytest --ptreetime-save-baseline 'tests/test_a b.py::test_x'"
    assert "95 % interval" in text
    assert "5 rounds against 5 stored sessions" in text.replace("\n  ", " ")
    assert max(map(len, lines)) <= width


def test_finding_takes_at_most_three_lines_whatever_explains_it(regressed: SessionResult) -> None:
    one = deepcopy(regressed.measurements[0])
    assert one.comparison is not None
    (cause,) = one.comparison.causes
    cause.key = cause.label = "cc1 " + "src/a_directory/another_one/" * 2 + "a_file_with_a_long_name.c"
    cause.alike, cause.cause = 12, CommandDifference((("-O2", "-O3"), ("gcc", "clang"), (None, "-DNDEBUG=1")), 3)
    cause.work = {"read_bytes": (1000.0, 9000.0), "reads": (3.0, 9.0)}
    for width in (80, 120, 200):
        finding = failure_text(one, width=width).split("\n(7 further")[0]
        assert len(finding.splitlines()) <= 3
        assert "a_file_with_a_long_name.c:" in finding
        assert "it reads 7.81 KiB more" in finding or width < 200


@pytest.mark.parametrize("width", [60, 80, 200])
def test_line_never_ends_inside_a_file_s_name_or_before_a_unit(width: int) -> None:
    name = "src/" + "a_long_directory/" * 9 + "name-of-a-file.c"
    lines = wrapped(
        [f"cc1 {name} used {number} ms, {number} %, {number} MiB" for number in range(10, 10**6, 997)], width
    )
    assert max(map(len, lines)) <= width
    assert sum("name-of-a-file.c" in line for line in lines) == len(range(10, 10**6, 997))
    assert not any(re.match(r" *(ms|%|MiB)", line) for line in lines)


def test_what_the_failure_has_told_is_not_repeated_in_the_summary(regressed: SessionResult) -> None:
    first, *others = regressed.measurements
    told = replace(regressed, measurements=[replace(first, told=True), *others])
    text = summary_text(told, width=80)
    assert "cc1 c.c" not in text
    assert "test_build.test_clean_build" in text
    assert text.endswith("2 compared: 1 regression, 1 ok; 1 not compared")
    verbose = summary_text(told, width=80, verbosity=1)
    assert "cc1 c.c: cpu" not in verbose
    assert "The end of the build waited for (the critical path): cc1 c.c" in verbose


@pytest.mark.parametrize("width", [60, 80])
def test_tree_in_little_room_cuts_no_file_s_name_and_no_group_s_longest(width: int) -> None:
    sources = [f"source/networking/transport/pool_{n}.c" for n in range(10, 90)]
    drawing = draw_tree(build(sources).tree(), width=width).splitlines()
    assert max(map(len, drawing)) <= width
    (group,) = (line for line in drawing if " cc1 x " in line)
    assert "most 110 ms)" in group
    for line in drawing:
        assert ".c" not in line or re.search(r"[/ ]pool_\d\d\.c", line), line


@pytest.mark.parametrize("name", ["as objects/module0/file42.o", "ninja/gcc/as[objects/module0/file42.o]"])
def test_name_in_little_room_loses_directories_before_its_program(name: str) -> None:
    assert fitted(name, 100) == name
    assert re.fullmatch(r"as(\[…/file42\.o\]| …/file42\.o)", fitted(name, 20))
    assert fitted(name, 12) == "as file42.o"
    assert fitted(name, 9) == "file42.o"


def test_narrow_summary_gives_up_figures_before_names_and_changes(regressed: SessionResult) -> None:
    head, _, first, *_ = summary_text(regressed, width=60).splitlines()
    assert head.split() == ["test", "verdict", "wall", "cpu"]
    assert first.split() == ["test_build.test_clean_build", "regression", "+17.1", "%", "+12.5", "%"]


def test_failure_of_an_interleaved_comparison_is_accepted_by_another_revision(regressed: SessionResult) -> None:
    interleaved = replace(regressed.measurements[0], baseline_rounds=rounds())
    (words,) = how_to_accept(interleaved, Settings(), "x")  # no command: comparing with HEAD would compare nothing
    assert "merge it" in words
    assert failure_text(replace(interleaved, accept=(words,))).endswith(words)
    for name in ("markdown", "html"):
        out = io.BytesIO()
        accepted = replace(interleaved, accept=(words,))
        find_report(name).render(replace(regressed, measurements=[accepted]), out)
        assert "merge it" in out.getvalue().decode()


def test_quiet_summary_leaves_out_what_needs_no_attention(regressed: SessionResult) -> None:
    text = summary_text(regressed, width=120, verbosity=-1)
    assert "test_clean_build" in text
    assert "test_nothing_changed" not in text
    assert text.endswith("2 compared: 1 regression, 1 ok; 1 not compared")
    assert summary_text(replace(regressed, measurements=[]), verbosity=-1) == "0 measured"


def test_summary_says_what_is_not_complete() -> None:
    recordings = [build(incomplete_reason="3 events were lost")]
    text = summary_text(session(measurement(now=recordings)), width=80)
    assert "not complete: 3 events were lost" in text
    assert "1 tree not complete" in text
    wide = summary_text(session(measurement(now=recordings)), width=160)
    assert wide.splitlines()[2].endswith(" no")


def test_colour_is_used_only_when_told(regressed: SessionResult) -> None:
    assert "\x1b[31mregression\x1b[0m" in summary_text(regressed, colour=True)
    assert "\x1b" not in summary_text(regressed) + failure_text(regressed.measurements[0], width=80)
    plain = re.sub("\x1b\\[[0-9;]*m", "", summary_text(regressed, colour=True))
    assert plain == summary_text(regressed)


def test_names_can_t_reach_the_terminal_as_anything_but_text(regressed: SessionResult) -> None:
    tree = regressed.measurements[2].tree
    everything = [
        summary_text(regressed, verbosity=1, width=200),
        draw_tree(tree, width=400, fold=False),
        aggregate_table([tree.root], width=400),
        top_table(tree, width=400),
    ]
    for text in everything:
        assert UNSAFE.search(text) is None
    assert "\\x1b[31m" in everything[1]
    assert "\\u202e" in everything[1]
    assert "\\xff" in everything[1]


@given(st.text(st.characters()))
def test_shown_text_is_one_printable_line_that_can_be_encoded(text: str) -> None:
    result = shown(text)
    result.encode()
    assert UNSAFE.search(result) is None
    assert len(result.splitlines()) <= 1
    assert shown(result) == result


@given(st.text(max_size=100), st.integers(1, 50))
def test_middle_keeps_the_width_and_both_ends(text: str, width: int) -> None:
    result = middle(text, width)
    assert (2 * width) // 3 <= len(result) <= width or result == text
    if width > 5 and len(text) > width:
        assert result[0] == text[0]
        assert result[-1] == text[-1]


def test_middle_leaves_a_file_s_name_whole_or_out() -> None:
    command = 'sh -c "gcc -O0 -c src/module0/file42.c -Isrc/include -o /dev/null"'
    assert middle(command, 45) == 'sh -c "gcc -O0 … -Isrc/include -o /dev/null"'
    assert middle("gcc -O0 -c source/transport/pool_42.c", 28) == "gcc -O0 -…/pool_42.c"


def tree_of(sources: int) -> ProcessTree:
    return build([f"{number}.c" for number in range(sources)]).tree()


def test_equal_siblings_are_folded_with_their_sums() -> None:
    tree = tree_of(212)
    drawing = draw_tree(tree, width=120)
    critical = {id(node) for node in tree.critical_path()}
    others = [node for node in tree.find(name="cc1") if id(node) not in critical]
    line = next(line for line in drawing.splitlines() if f"cc1 x {len(others)}" in line)
    assert float(line.split()[0]) == pytest.approx(sum(node.wall or 0 for node in others), abs=0.01)
    assert len(drawing.splitlines()) < 4 * len(critical) + 20


def test_dear_process_is_never_folded_away() -> None:
    sources = [f"{number}.c" for number in range(100)]
    tree = build(sources, slow={"41.c": 9.0}).tree()
    drawing = draw_tree(tree, width=120)
    assert any(line.rstrip().endswith("41.c -O2 -o /tmp/cc000041.s") for line in drawing.splitlines())
    assert re.search(r"cc1 x \d+ \(median 95 ms, most 110 ms\)", drawing)


def test_sort_by_cpu_is_by_what_everything_below_used() -> None:
    tree = build(["a.c", "b.c", "c.c"], slow={"b.c": 3.0}).tree()
    drawing = draw_tree(tree, sort="cpu", depth=1, fold=False, width=120).splitlines()
    assert "b.c" in drawing[2]


def test_node_in_a_failing_assertion_names_its_file() -> None:
    (node,) = build(["src/a.c"]).tree().find(name="cc1")
    assert repr(node) == f"<ProcessNode {node.pid} 'cc1 src/a.c', 0.0800 s, 0 children>"


def test_without_folding_every_process_has_its_line() -> None:
    tree = tree_of(10)
    assert len(draw_tree(tree, fold=False).splitlines()) == len(tree) + 1


def test_critical_path_is_marked_and_never_folded() -> None:
    tree = tree_of(30)
    marked = [line for line in draw_tree(tree, width=200).splitlines()[1:] if "* " in line]
    assert len(marked) == len(tree.critical_path())


@pytest.mark.parametrize("sort", sorted(SORT_ORDERS))
def test_siblings_are_drawn_in_the_order_asked_for(sort: str) -> None:
    tree = tree_of(5)
    drawing = draw_tree(tree, sort=sort, depth=1, fold=False, width=120).splitlines()[2:]
    walls = [float(line.split()[0]) for line in drawing if "more" not in line]
    if sort == "wall":
        assert walls == sorted(walls, reverse=True)
    assert len(walls) == len(tree.root.children)


def test_what_is_too_short_or_too_deep_is_counted() -> None:
    drawing = draw_tree(tree_of(6), min_time=0.1, depth=2, fold=False)
    assert "more" in drawing
    assert "cc1" not in drawing


@pytest.mark.seconds
def test_tree_of_ten_thousand_levels_is_drawn() -> None:
    events = BuildEvents()
    parent = 1000
    for level in range(10_000):
        parent = events.process(parent, [f"/bin/p{level}"], 1, 20_000 - level)
    tree = events.finished(20_010, Usage(cpu_ns=1)).tree()
    assert len(draw_tree(tree).splitlines()) == 10_002
    assert aggregate_table([tree.root]).count("\n") == 10_001 + 3


def test_aggregate_sums_by_name_and_depth_longest_first() -> None:
    tree = tree_of(6)
    lines = aggregate_table([tree.root], width=120).splitlines()
    assert lines[:2] == ["Aggregate Times", "---------------"]
    assert lines[2].split() == ["name", "wall", "user", "sys", "startlag", "exitlag", "count"]
    rows = {" ".join(line.split()[:3]): line.split()[3:] for line in lines[4:]}
    compiles = tree.find(name="cc1")
    assert float(rows["cc1 @ 3"][0]) == pytest.approx(sum(node.wall or 0 for node in compiles), abs=1e-3)
    assert rows["cc1 @ 3"][-1] == "6"
    walls = [float(row[0]) for row in rows.values()]
    assert walls == sorted(walls, reverse=True)


def test_costs_of_the_root_are_those_of_the_build() -> None:
    tree = tree_of(6)
    by_key = {cost.key: cost for cost in costs(tree)}
    assert by_key[tree.root.key].total_cpu == pytest.approx(tree.cpu)
    assert sum(cost.own_cpu or 0 for cost in by_key.values()) == pytest.approx(tree.cpu)
    assert by_key[tree.root.key].own_wall == own_wall(tree.root)


def test_own_wall_is_the_life_without_children() -> None:
    tree = tree_of(2)
    gcc = tree.find(name="gcc")[0]
    alone = (gcc.wall or 0) - sum(child.wall or 0 for child in gcc.children)
    assert own_wall(gcc) == pytest.approx(alone)


def test_junit_properties_have_the_verdict_and_the_cause(regressed: SessionResult) -> None:
    facts = dict(properties(regressed.measurements[0]))
    assert facts["ptreetime.verdict"] == "regression"
    assert str(facts["ptreetime.finding"]).startswith("cc1 c.c")
    assert facts["ptreetime.complete"] is True


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["gcc", "-I", "include", "-c", "-o", "build/lvm.o", "src/lvm.c"], "gcc src/lvm.c"),
        (["gcc", "-o", "build/lua", "build/lvm.o"], "gcc build/lua"),
        (["/usr/lib/gcc/cc1", "-quiet", "src/lvm.c", "-dumpbase", "lvm.c", "-o", "/tmp/x.s"], "cc1 src/lvm.c"),
        (["sh", "-c", "make all"], "sh make all"),
        (["make", "-j2"], "make"),
        (["make"], "make"),
        ([], "make"),
    ],
)
def test_brief_name_has_what_tells_a_process_from_its_like(args: list[str], expected: str) -> None:
    assert brief(expected.partition(" ")[0], args) == expected


@pytest.mark.parametrize("verdict", ["regression", "inconclusive"])
def test_what_could_have_been_found_is_said_once(verdict: Literal["regression", "inconclusive"]) -> None:
    told = regressed_session().measurements[0]
    comparison = told.comparison
    assert comparison is not None
    assert comparison.power is not None
    comparison.reasons.append(Remark("little-data"))
    comparison.verdict = verdict
    text = " ".join(failure_text(told, width=80).split())
    assert (text.count("have been found"), text.count("may have been missed")) == (0, 1), text
    out = io.BytesIO()
    find_report("html").render(session(told), out)
    assert (out.getvalue().count(b"have been found"), out.getvalue().count(b"may have been missed")) == (0, 1)
