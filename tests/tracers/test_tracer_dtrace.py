"""The tracer dtrace on a real DTrace, against another witness; test_tracer_contract.py has what every tracer promises.

Most machines have no dtrace: `make test-dtrace` runs this in a root that has it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from trap_programs import Programs, record
from working_tracers import working

from pytest_ptreetime.recording.events import Lost
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tracers import Command, Tracer, Unavailable, builtin_tracers
from pytest_ptreetime.tracers.dtrace import DtraceTracer, script_command
from pytest_ptreetime.tracers.dtrace_process import DtraceProcess
from pytest_ptreetime.tree.process_tree import ProcessTree

WITNESSES = ["ptrace", "ebpf"]


@pytest.fixture(scope="module")
def tracer() -> DtraceTracer:
    with working(DtraceTracer()) as made:
        return made


@pytest.fixture(params=WITNESSES)
def witness(request: pytest.FixtureRequest, tracer: DtraceTracer) -> Iterator[Tracer]:
    with working(builtin_tracers()[request.param]()) as made:
        yield made


def write_project(directory: Path, sources: int) -> None:
    rules = [f"p{n}.o: p{n}.c\n\tgcc -O1 -c p{n}.c -o p{n}.o\n" for n in range(sources)]
    objects = " ".join(f"p{n}.o" for n in range(sources))
    (directory / "Makefile").write_text(f"all: {objects}\n\tgcc -shared {objects} -o all.so\n\n" + "\n".join(rules))
    for n in range(sources):
        (directory / f"p{n}.c").write_text(f"int p{n}(int x) {{ return x * {n}; }}\n")


def build(tracer: Tracer, directory: Path) -> ProcessTree:
    for built in [*directory.glob("*.o"), *directory.glob("*.so")]:
        built.unlink()
    capture = tracer.record(Command(args=["make", "-j2", "all"], cwd=str(directory)))
    assert capture.returncode == 0
    tree = Recording(events=capture.events, incomplete_reason=capture.incomplete_reason).tree()
    assert tree.complete, tree.incomplete_reason
    return tree


def shape(tree: ProcessTree) -> Counter[tuple[object, ...]]:
    """Every node without its times and temporary names."""
    return Counter(
        (
            node.depth,
            node.name,
            node.exe,
            node.cwd,
            node.exit_code,
            None if node.args is None else tuple(arg for arg in node.args if "/tmp/cc" not in arg),
            None if node.parent is None else node.parent.name,
        )
        for node in tree
    )


def test_real_build_when_recorded_by_another_tracer_is_the_same_tree(
    tracer: DtraceTracer, witness: Tracer, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    write_project(tmp_path, 30)
    ours, theirs = build(tracer, tmp_path), build(witness, tmp_path)
    assert len(ours) > 90
    assert shape(ours) == shape(theirs)
    assert None not in [node.cpu for node in ours]
    record_property("nodes", len(ours))
    for name in ("wall", "cpu", "user", "sys"):
        record_property(f"{name}_s", (getattr(ours, name), getattr(theirs, name)))


def test_program_without_the_interposer_has_its_arguments_where_they_are_sure(
    tracer: DtraceTracer, programs: Programs
) -> None:
    program = programs.path("nothing")
    sure = record(tracer, [program, "a", ""], interpose=False)
    assert sure.tree.root.args == [program, "a", ""]
    assert sure.tree.root.cpu is not None
    unsure = record(tracer, [program, "a b"], interpose=False)
    assert unsure.tree.root.args is None
    assert not unsure.tree.complete


def test_storm_beyond_the_buffers_is_whole_or_says_what_is_lost(tracer: DtraceTracer, programs: Programs) -> None:
    result = record(tracer, [programs.path("many-children"), "3000"], interpose=False)
    lost = sum(event.count for event in result.events if isinstance(event, Lost))
    assert len(result.tree) == 3001 or lost
    assert result.tree.complete == (lost == 0)


def test_recording_when_dtrace_has_told_all_does_not_wait_for_its_end(
    tracer: DtraceTracer, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[DtraceProcess] = []

    class Kept(DtraceProcess):
        def __init__(self, command: Sequence[str]) -> None:
            super().__init__(command)
            kept.append(self)

    monkeypatch.setattr("pytest_ptreetime.tracers.dtrace.DtraceProcess", Kept)
    result = record(tracer, [programs.path("vfork-exec")])
    assert result.tree.complete
    (dtrace,) = kept
    assert b"\nPTREETIME end " in dtrace.output()
    assert dtrace.process.returncode == -signal.SIGKILL
    assert not probes_of(dtrace.process.pid)


def probes_of(pid: int) -> list[str]:
    """Those that dtrace with this pid has in the kernel, on Linux."""
    return [line for line in probes_file().read_text().splitlines() if f":dt_{pid}_" in line]


def probes_file() -> Path:
    """What the kernel writes probes down in; skipped where there is none to write to."""
    file = Path("/sys/kernel/tracing/dynamic_events")
    if not os.access(file, os.W_OK):
        pytest.skip(f"{file} can't be written here")
    return file


def test_probes_of_a_dtrace_that_was_killed_are_removed_by_the_next_and_those_of_one_that_lives_are_not() -> None:
    file = probes_file()
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)  # opened by "w", it would lose them all
    with subprocess.Popen(["sleep", "100"]) as living, subprocess.Popen(["true"]) as dead:
        try:
            dead.wait()
            for pid in (living.pid, dead.pid):
                os.write(descriptor, f"p:dt_{pid}_dtrace/BEGIN {sys.executable}:0x1000\n".encode())
            DtraceProcess(["true"]).close()
            assert not probes_of(dead.pid)
            assert probes_of(living.pid)
        finally:
            os.close(descriptor)
            living.kill()
    DtraceProcess(["true"]).close()
    assert not probes_of(living.pid)


def test_build_goes_on_when_dtrace_is_killed_and_the_recording_says_so(tracer: DtraceTracer, tmp_path: Path) -> None:
    def kill(_: int) -> None:
        for child in Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == "dtrace\n":
                os.kill(int(child), signal.SIGKILL)

    script = f"/bin/true; sleep 1; echo done >{tmp_path}/done"
    result = record(tracer, ["/bin/sh", "-c", script], on_progress=kill)
    assert (tmp_path / "done").exists()
    assert "dtrace stopped before the build did" in (result.capture.incomplete_reason or "")
    assert not result.tree.complete


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


def test_tracer_when_there_is_no_dtrace_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr("pytest_ptreetime.tracers.dtrace._reasons", {})
    assert DtraceTracer().available() == Unavailable("there is no dtrace here")


def test_script_when_for_sudo_starts_dtrace_by_it_and_never_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name, **_: f"/bin/{name}")
    assert script_command(True, 5)[:4] == ["sudo", "-n", "--", "/bin/dtrace"]


@pytest.mark.parametrize(
    ("platform", "part", "pid_field"),
    [
        ("linux", "linux.d", "pr_pid"),
        ("darwin", "macos.d", "pr_pid"),
        ("freebsd14", "freebsd.d", "p_pid"),
        ("sunos5", "illumos.d", "pr_pid"),
    ],
)
def test_script_has_the_part_of_its_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, part: str, pid_field: str
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("shutil.which", lambda name, **_: f"/bin/{name}")
    command = script_command(True, 5)
    assert command[-3].endswith(f"/dtrace/{part}")
    assert command[-2:] == [pid_field, "5"]
