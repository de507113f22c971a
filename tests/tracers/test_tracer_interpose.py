"""The tracer that has the interposer alone: what it infers, and what it does with real programs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from interposed_runs import compiled, compiler
from working_tracers import working

from pytest_ptreetime.errors import CommandFailed
from pytest_ptreetime.recording.events import (
    Create,
    End,
    Event,
    Exec,
    Exit,
    Lost,
    Start,
    Usage,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
)
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.inferred_events import Inferred, Root, infer_events
from pytest_ptreetime.tracers.interpose import PARTIAL, InterposeTracer
from pytest_ptreetime.tracers.proc_members import end_members, kill_if_the_same, members, processes
from pytest_ptreetime.tracers.ptrace import PtraceTracer
from pytest_ptreetime.tree.node import ProcessNode
from pytest_ptreetime.tree.process_tree import ProcessTree, build_tree

ROOT = Root(Start(100, 10, 0), b"/gate", [b"make", b"all"], b"/src", ended_ns=9000, status=0)


# What follows from the user events


def startup(time_ns: int, pid: int, parent: int, *args: bytes, cpu_ns: int = 0, exe: bytes = b"/bin/x") -> UserStartup:
    return UserStartup(time_ns, pid, parent, cpu_ns, 0, exe, list(args), b"/src")


def exec_call(time_ns: int, pid: int, parent: int, path: bytes, *args: bytes, cpu_ns: int = 0) -> UserExec:
    return UserExec(time_ns, pid, parent, cpu_ns, 0, path, list(args))


def spawn_call(time_ns: int, pid: int, path: bytes, *args: bytes, child: int | None = None) -> UserSpawn:
    return UserSpawn(time_ns, pid, 1, 0, 0, path, list(args), child)


def end_call(time_ns: int, pid: int, parent: int, status: int | None = 0, cpu_ns: int = 0) -> UserExit:
    return UserExit(time_ns, pid, parent, cpu_ns, 0, status)


MAKE: list[Event] = [
    startup(110, 10, 1, b"gate", exe=b"/gate"),
    exec_call(120, 10, 1, b"make", b"make", b"all", cpu_ns=5),
    startup(130, 10, 1, b"make", b"all", exe=b"/usr/bin/make"),
]


def infer(*events: Event) -> Inferred:
    return infer_events([*MAKE, *events], ROOT)


def of_pid(inferred: Inferred, pid: int) -> list[Event]:
    events = [event for event in inferred.events if getattr(event, "pid", None) == pid]
    return sorted(events, key=lambda event: event.time_ns)


def test_root_begins_with_its_exec_after_the_gate() -> None:
    inferred = infer(end_call(8000, 10, 1, 0, cpu_ns=70))
    assert inferred.events[0] == ROOT.start
    assert of_pid(inferred, 10) == [
        Exec(120, 10, b"make", b"/usr/bin/make", [b"make", b"all"], b"/src", Usage(5, 5, 0)),
        UserStartup(130, 10, 1, 0, 0),
        UserExit(8000, 10, 1, 70, 0, 0),
        Exit(9000, 10, 0, usage=Usage(70, 70, 0)),
    ]


def test_static_root_is_what_the_command_said() -> None:
    inferred = infer_events([], ROOT)
    assert of_pid(inferred, 10) == [
        Exec(100, 10, b"make", None, [b"make", b"all"], b"/src"),
        Exit(9000, 10, 0),
    ]


def test_spawned_child_is_created_when_the_call_was_made() -> None:
    inferred = infer(
        spawn_call(200, 10, b"/bin/cc", b"cc", child=20),
        startup(210, 20, 10, b"cc", exe=b"/bin/gcc"),
        end_call(300, 20, 10, 3, cpu_ns=50),
    )
    assert of_pid(inferred, 20) == [
        Create(200, 20, 10),
        Exec(200, 20, b"cc", b"/bin/gcc", [b"cc"], b"/src"),
        UserStartup(210, 20, 10, 0, 0),
        Exit(300, 20, 3 << 8, usage=Usage(50, 50, 0)),
    ]


def test_spawned_child_that_never_starts_up_is_a_node_without_an_end() -> None:
    inferred = infer(spawn_call(200, 10, b"/bin/busybox", b"cp", b"a", child=20))
    assert of_pid(inferred, 20) == [
        Create(200, 20, 10),
        Exec(200, 20, b"busybox", b"/bin/busybox", [b"cp", b"a"], None),
    ]
    assert inferred.endless == {20}


def test_exec_after_a_fork_ends_the_image_before() -> None:
    inferred = infer(
        Create(200, 20, 10),
        exec_call(220, 20, 10, b"/bin/sh", b"sh", cpu_ns=2),
        startup(230, 20, 10, b"sh"),
        exec_call(240, 20, 10, b"/bin/true", b"true", cpu_ns=9),
        startup(250, 20, 10, b"true", exe=b"/bin/true"),
        end_call(260, 20, 10, None),
    )
    assert [event for event in of_pid(inferred, 20) if isinstance(event, Exec | Exit)] == [
        Exec(220, 20, b"sh", b"/bin/x", [b"sh"], b"/src", Usage(2, 2, 0)),
        Exec(240, 20, b"true", b"/bin/true", [b"true"], b"/src", Usage(9, 9, 0)),
        Exit(260, 20, None, usage=Usage(0, 0, 0)),
    ]


def test_exec_of_a_static_program_is_the_last_that_is_known() -> None:
    inferred = infer(Create(200, 20, 10), exec_call(220, 20, 10, b"tool", b"tool", b"-x"))
    assert of_pid(inferred, 20)[-1] == Exec(220, 20, b"tool", None, [b"tool", b"-x"], None, Usage(0, 0, 0))
    assert inferred.endless == {20}


@pytest.mark.parametrize(
    "after",
    [
        end_call(240, 20, 10, 127),
        Create(240, 30, 20),
        spawn_call(240, 20, b"/bin/ls", b"ls", child=30),
    ],
)
def test_exec_that_is_followed_by_anything_else_has_failed(after: Event) -> None:
    inferred = infer(Create(200, 20, 10), exec_call(220, 20, 10, b"/nowhere", b"a"), after)
    assert not [event for event in of_pid(inferred, 20) if isinstance(event, Exec)]


def test_vforked_child_begins_with_its_first_exec_call() -> None:
    inferred = infer(
        exec_call(220, 20, 10, b"/opt/bin/cc", b"cc"),
        exec_call(225, 20, 10, b"/bin/cc", b"cc"),
        startup(230, 20, 10, b"cc"),
    )
    assert [type(event) for event in of_pid(inferred, 20)] == [Create, Exec, UserStartup]
    assert of_pid(inferred, 20)[0] == Create(220, 20, 10)


def test_child_of_nothing_known_goes_under_the_root_and_has_no_startlag() -> None:
    inferred = infer(startup(230, 20, 777, b"cc"))
    assert of_pid(inferred, 20) == [
        Create(230, 20, 10),
        Exec(230, 20, b"x", b"/bin/x", [b"cc"], b"/src"),
    ]


def test_shell_of_system_is_found_by_its_command() -> None:
    inferred = infer(
        spawn_call(200, 10, b"/bin/sh", b"sh", b"-c", b"one"),
        spawn_call(205, 10, b"/bin/sh", b"sh", b"-c", b"two"),
        startup(230, 21, 10, b"sh", b"-c", b"--", b"two"),
        startup(235, 20, 10, b"sh", b"-c", b"one"),
    )
    assert of_pid(inferred, 20)[0] == Create(200, 20, 10)
    assert of_pid(inferred, 21)[0] == Create(205, 21, 10)
    assert inferred.unseen_shells == 0


def test_shell_that_is_never_seen_is_counted() -> None:
    assert infer(spawn_call(200, 10, b"/bin/sh", b"sh", b"-c", b"one")).unseen_shells == 1


def test_forked_child_without_exec_ends_with_its_exit_call() -> None:
    inferred = infer(Create(200, 20, 10), end_call(250, 20, 10, 4, cpu_ns=3))
    assert of_pid(inferred, 20) == [Create(200, 20, 10), Exit(250, 20, 4 << 8, usage=Usage(3, 3, 0))]


def test_pid_that_is_used_again_is_another_process() -> None:
    inferred = infer(
        Create(200, 20, 10),
        end_call(250, 20, 10),
        Create(300, 20, 10),
        end_call(350, 20, 10),
        startup(400, 20, 10, b"third"),
    )
    assert [event.time_ns for event in of_pid(inferred, 20) if isinstance(event, Create)] == [200, 300, 400]
    assert [event.time_ns for event in of_pid(inferred, 20) if isinstance(event, Exit)] == [250, 350]


def test_order_of_the_log_means_nothing() -> None:
    events: list[Event] = [
        *MAKE,
        spawn_call(200, 10, b"/bin/cc", b"cc", child=20),
        startup(210, 20, 10, b"cc"),
        end_call(300, 20, 10, 3),
    ]
    assert infer_events(events[::-1], ROOT) == infer_events(events, ROOT)


def test_damage_of_the_log_stays_known() -> None:
    assert Lost(1, 1, "damaged") in infer(Lost(1, 1, "damaged")).events


# Real programs


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traced")


@pytest.fixture
def tracer() -> InterposeTracer:
    with working(InterposeTracer()) as made:
        return made


def tree_of(tracer: InterposeTracer | PtraceTracer, *args: str | Path, **options: Any) -> ProcessTree:
    command = Command(args=[str(arg) for arg in args], stdin=subprocess.DEVNULL, **options)
    capture = tracer.record(command)
    return build_tree(capture.events, incomplete_reason=capture.incomplete_reason)


def the(tree: ProcessTree, name: str) -> ProcessNode:
    (node,) = tree.find(name=name)
    return node


def test_pipeline_of_a_shell_is_a_tree_with_times_and_statuses(tracer: InterposeTracer, tmp_path: Path) -> None:
    script = "echo a b | tr ' ' '_' | wc -c; (exit 3); exec env true"
    tree = tree_of(tracer, "sh", "-c", script, cwd=str(tmp_path), stdout=subprocess.DEVNULL)
    root = tree.root
    assert (root.name, root.args, root.exit_code) == ("sh", ["sh", "-c", script], 0)
    assert root.cwd == str(tmp_path)
    images = [node.args for node in tree if node.pid == root.pid]
    assert images == [["sh", "-c", script], ["env", "true"], ["true"]]
    for name in ("tr", "wc"):
        node = the(tree, name)
        assert node.parent is root
        assert node.exit_code == 0
        assert node.startlag is not None
        assert node.startlag > 0
        assert node.exitlag is None
        assert node.wall is not None
        assert node.cpu is not None
    assert 3 in [node.exit_code for node in root.children]
    assert root.exitlag is not None
    assert not any(node.still_running for node in tree)


def test_every_recording_says_that_it_is_partial(tracer: InterposeTracer) -> None:
    capture = tracer.record(Command(args=["true"]))
    assert capture.incomplete_reason == PARTIAL
    assert not build_tree(capture.events, incomplete_reason=capture.incomplete_reason).complete


def test_compiler_run_has_the_processes_that_ptrace_sees(tracer: InterposeTracer, tmp_path: Path) -> None:
    ptrace = PtraceTracer()
    reason = ptrace.available()
    if reason is not None:
        pytest.skip(f"no witness: {reason}")
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    command = [compiler("gcc"), "-save-temps", "a.c", "-o", "a"]  # temporary files of constant names
    try:
        expected = tree_of(ptrace, *command, cwd=str(tmp_path))
    finally:
        ptrace.close()
    tree = tree_of(tracer, *command, cwd=str(tmp_path))

    def programs(of: ProcessTree) -> Counter[tuple[str, str | None, int | None]]:
        return Counter(
            (node.name, node.exe, node.exit_code) for node in of if node.args and "plugin" not in " ".join(node.args)
        )

    assert programs(tree) == programs(expected)
    assert [(node.name, node.depth) for node in tree] == [(node.name, node.depth) for node in expected]


def test_static_program_is_known_from_the_call_that_started_it(tracer: InterposeTracer, directory: Path) -> None:
    static = compiled(directory, "interposer_guest", "-static", name="static_guest")
    spawner = compiled(directory, "interposer_exec")
    capture = tracer.record(
        Command(args=[str(spawner), "posix_spawn", str(static), "its name", "nothing"], stdout=subprocess.DEVNULL)
    )
    tree = build_tree(capture.events, incomplete_reason=capture.incomplete_reason)
    node = the(tree, "static_guest")
    assert node.args == ["its name", "nothing"]
    assert (node.wall, node.cpu, node.startlag, node.exit_code) == (None, None, None, None)
    assert not node.still_running
    assert capture.incomplete_reason == f"{PARTIAL}; 1 process has an end that it did not see"


def test_static_command_is_a_tree_of_its_own(tracer: InterposeTracer, directory: Path) -> None:
    static = compiled(directory, "interposer_guest", "-static", name="static_guest")
    tree = tree_of(tracer, static)
    assert len(tree) == 1
    assert (tree.root.args, tree.root.exit_code, tree.root.startlag) == ([str(static)], 0, None)
    assert tree.root.wall is not None


def test_return_code_is_that_of_the_command(tracer: InterposeTracer) -> None:
    assert tracer.record(Command(args=["sh", "-c", "exit 5"])).returncode == 5
    capture = tracer.record(Command(args=["sh", "-c", "kill -9 $$"]))
    assert capture.returncode == -9
    assert build_tree(capture.events).root.signal == 9


def test_command_that_does_not_exist_is_an_error(tracer: InterposeTracer) -> None:
    with pytest.raises(CommandFailed, match="can't run /nonexistent/program"):
        tracer.record(Command(args=["/nonexistent/program"]))


def test_descendant_that_lives_on_is_left_alone_and_counted(tracer: InterposeTracer) -> None:
    reading, writing = os.pipe()
    try:
        # a shell gives its background commands no standard input but by another number
        command = Command(args=["sh", "-c", "exec 3<&0; cat <&3 & exit 0"], stdin=reading)
        capture = tracer.record(command)
        tree = build_tree(capture.events)
    finally:
        os.close(reading)
        os.close(writing)  # the end of cat
    assert [event.alive for event in capture.events if isinstance(event, End)] == [1]
    (left,) = tree.root.children
    assert left.still_running
    assert tree.root.exit_code == 0


def test_timeout_ends_the_whole_tree_daemons_included(tracer: InterposeTracer) -> None:
    if shutil.which("setsid") is None:
        pytest.skip("setsid is not installed")
    script = "(setsid sleep 1000 &); sleep 1000 & sleep 1000"
    capture = tracer.record(Command(args=["sh", "-c", script], timeout=0.5))
    assert capture.timed_out
    assert capture.returncode == -signal.SIGKILL
    sleepers = {event.pid for event in capture.events if isinstance(event, Exec) and event.name == b"sleep"}
    assert len(sleepers) == 3
    assert not [pid for pid in sleepers if Path(f"/proc/{pid}/cmdline").exists() and alive(pid)]
    assert [event.alive for event in capture.events if isinstance(event, End)] == [0]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in b"ZX"
    except OSError:
        return False


def test_progress_tells_the_number_of_programs(tracer: InterposeTracer) -> None:
    reading, writing = os.pipe()
    told: list[int] = []

    def on_progress(count: int) -> None:
        told.append(count)
        if len(told) == 2:
            os.close(writing)  # the command ends

    with os.fdopen(reading, "rb") as stdin:
        tracer.record(Command(args=["sh", "-c", "true & env true; read line"], stdin=stdin, on_progress=on_progress))
    assert told[0] <= told[1]
    assert told[1] >= 3


def test_interrupt_is_the_builds_and_its_recording_is_kept(tracer: InterposeTracer) -> None:
    reading, writing = os.pipe()

    def on_progress(count: int) -> None:
        os.close(writing)  # as if the interrupt had ended the command
        raise KeyboardInterrupt

    with os.fdopen(reading, "rb") as stdin:
        capture = tracer.record(Command(args=["sh", "-c", "read line"], stdin=stdin, on_progress=on_progress))
    assert capture.interrupted
    assert not capture.timed_out


def test_interposer_can_not_be_left_out(tracer: InterposeTracer) -> None:
    tree = tree_of(tracer, "true", interpose=False)
    assert tree.root.startlag is not None


@pytest.mark.seconds
def test_two_recordings_at_once_do_not_mix(tracer: InterposeTracer) -> None:
    trees: dict[str, ProcessTree] = {}

    def record(name: str) -> None:
        trees[name] = tree_of(tracer, "sh", "-c", f"env env true {name}; env true {name}")

    threads = [threading.Thread(target=record, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, tree in trees.items():
        assert {node.args[-1] for node in tree if node is not tree.root and node.args} == {name}


# /proc


def test_members_are_found_by_their_environment_and_their_parents() -> None:
    script = "(exec sleep 1000) & env -i sleep 1000 & echo ready; wait"
    process = subprocess.Popen(["sh", "-c", script], env={**os.environ, "MARK": "me"}, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        found = members(b"MARK=me", process.pid)
        assert process.pid in found
        assert len(found) == 3
        assert os.getpid() not in found
    finally:
        left = end_members(b"MARK=me", process.pid, 10)
        process.communicate()
    assert left == set()
    assert process.returncode == -signal.SIGKILL


def test_shells_do_not_see_that_their_commands_are_killed(tmp_path: Path) -> None:
    script = "sleep 1000; echo seen >>seen"
    nested = f"sh -c '{script}; :'; echo seen >>seen"
    for _ in range(20):
        with subprocess.Popen(["sh", "-c", nested], cwd=tmp_path) as process:
            while len(members(None, process.pid)) < 3:
                time.sleep(0.001)
            assert end_members(None, process.pid, 10) == set()
    assert not (tmp_path / "seen").exists()


def test_process_that_has_the_number_of_one_that_was_looked_at_is_not_killed_for_it() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        (seen,) = [seen for seen in processes() if seen.pid == process.pid]
        assert kill_if_the_same(seen._replace(began=seen.began - 1))
        assert process.poll() is None
        assert kill_if_the_same(seen)
        assert process.wait(30) == -signal.SIGKILL
