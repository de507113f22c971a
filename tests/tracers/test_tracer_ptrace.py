"""What is special to the ptrace tracer: what ends without it, what it can't do, and what it says then."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from trap_programs import DEADLINE_SECONDS, SKIPPED, Programs, assert_lawful, eventually, is_dead, record
from working_tracers import working

from pytest_ptreetime.errors import NativeHelperMissing, RecordingFailed, TracerUnavailable
from pytest_ptreetime.tracers import Command, recorder_process
from pytest_ptreetime.tracers.launch import launched
from pytest_ptreetime.tracers.ptrace import PtraceTracer
from pytest_ptreetime.tracers.recorder_process import RecorderProcess


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def tracer() -> Iterator[PtraceTracer]:
    with working(PtraceTracer()) as made:
        yield made


def status_of(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


# The recorder's death


def busy_until(directory: Path) -> list[str]:
    """A build that starts processes until ``go`` is there, and writes ``finished`` then."""
    script = f"cd {directory}; touch started; until [ -e go ]; do /bin/true; done; touch finished"
    return ["/bin/sh", "-c", script]


def test_build_goes_on_when_the_recorder_is_killed(tracer: PtraceTracer, tmp_path: Path) -> None:
    recorder = tracer._recorder
    assert recorder is not None

    def kill_recorder() -> None:
        eventually((tmp_path / "started").exists)
        time.sleep(0.5)  # longer than the recorder keeps events to itself
        os.kill(recorder.pid, signal.SIGKILL)
        (tmp_path / "go").touch()

    killer = threading.Thread(target=kill_recorder)
    killer.start()
    run = record(tracer, busy_until(tmp_path))
    killer.join()
    assert (tmp_path / "finished").exists()
    assert run.capture.incomplete_reason == "the recorder died: it was killed by SIGKILL"
    assert not run.tree.complete
    assert_lawful(record(tracer, ["/bin/true"]))  # a new one is started


def test_recorder_that_dies_before_it_has_told_anything_is_an_error(tracer: PtraceTracer, tmp_path: Path) -> None:
    recorder = tracer._recorder
    assert recorder is not None
    script = f"kill -9 {recorder.pid}; touch {tmp_path}/finished"
    with pytest.raises(RecordingFailed, match="SIGKILL"):
        tracer.record(Command(args=["/bin/sh", "-c", script], interpose=False))
    assert (tmp_path / "finished").exists()


def test_build_goes_on_when_its_measurer_is_killed(tracer: PtraceTracer, tmp_path: Path) -> None:
    tracer.close()
    script = (
        "import sys; from pytest_ptreetime.tracers import Command; from pytest_ptreetime.tracers.ptrace import *;"
        "PtraceTracer().record(Command(args=sys.argv[1:], interpose=False))"
    )
    with subprocess.Popen([sys.executable, "-c", script, *busy_until(tmp_path)]) as measurer:
        eventually((tmp_path / "started").exists)
        measurer.kill()
    (tmp_path / "go").touch()
    eventually((tmp_path / "finished").exists)


def test_recorder_holds_no_files_of_processes_that_are_gone(tracer: PtraceTracer, programs: Programs) -> None:
    recorder = tracer._recorder
    assert recorder is not None
    descriptors = Path(f"/proc/{recorder.pid}/fd")
    assert_lawful(record(tracer, ["/bin/true"]))
    before = len(list(descriptors.iterdir()))
    run = record(tracer, [programs.path("fork-bomb"), "9"])  # more than it holds files of
    assert_lawful(run)
    assert all(node.max_rss_bytes for node in run.tree)
    assert len(list(descriptors.iterdir())) == before


# Survivors


def test_survivor_in_vfork_is_let_go_of_when_it_can_be(tracer: PtraceTracer, programs: Programs) -> None:
    run = record(tracer, [programs.path("vfork-survivor")])
    assert_lawful(run)
    assert run.alive() == 2
    parent, child = run.facts["parent"], run.facts["child"]
    assert "TracerPid:\t0" in status_of(child)
    os.kill(child, signal.SIGKILL)
    eventually(lambda: is_dead(parent))


def test_survivor_that_is_stopped_stays_stopped_until_it_is_continued(
    tracer: PtraceTracer, programs: Programs, tmp_path: Path
) -> None:
    run = record(tracer, [programs.path("stopped-survivor"), str(tmp_path / "continued")])
    assert_lawful(run)
    child = run.facts["child"]
    assert "State:\tT (stopped)" in status_of(child)
    assert "TracerPid:\t0" in status_of(child)
    assert not (tmp_path / "continued").exists()
    os.kill(child, signal.SIGCONT)
    eventually((tmp_path / "continued").exists)


# Interrupts


def test_ctrl_c_at_a_terminal_reaches_the_build_and_not_the_recorder(tracer: PtraceTracer) -> None:
    tracer.close()
    script = """
import sys
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.ptrace import PtraceTracer
build = "trap 'sleep 0.1; exit 3' INT; echo rea''dy; while :; do sleep 0.05; done"
tracer = PtraceTracer()
capture = tracer.record(Command(args=["/bin/sh", "-c", build], interpose=False))
print("result", capture.returncode, capture.interrupted, type(capture.events[-1]).__name__, capture.incomplete_reason)
tracer.close()
"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])
    output = b""
    pressed = False
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the terminal's other end is closed: the script has ended
            break
        output += part
        if b"ready" in output and not pressed:
            os.write(terminal, b"\x03")
            pressed = True
    os.close(terminal)
    os.waitpid(pid, 0)
    assert b"result 3 True End None" in output, output


def test_second_ctrl_c_ends_a_build_that_ignores_it(tracer: PtraceTracer, tmp_path: Path) -> None:
    def press() -> None:
        eventually((tmp_path / "started").exists)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)  # two signals that come together are one

    presser = threading.Thread(target=press)
    presser.start()
    script = f"trap '' INT; touch {tmp_path}/started; sleep 1000; true"
    run = record(tracer, ["/bin/sh", "-c", script], returncode=-9)
    presser.join()
    assert run.capture.interrupted
    assert_lawful(run)


# Reasons


def available_in(prefix: list[str]) -> str:
    script = "from pytest_ptreetime.tracers.ptrace import PtraceTracer as T; t = T(); print(t.available()); t.close()"
    done = subprocess.run([*prefix, sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == SKIPPED:
        pytest.skip(f"{prefix[0]} is not allowed here")
    return done.stdout.strip()


def test_seccomp_profile_that_forbids_ptrace_is_a_reason(programs: Programs) -> None:
    reason = available_in([programs.path("forbid-ptrace")])
    assert reason == "a seccomp profile forbids ptrace: in a container, run it with --cap-add=SYS_PTRACE"


def test_session_that_is_traced_itself_is_a_reason() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    reason = available_in(["strace", "-f", "-o", "/dev/null"])
    assert "is traced already, by process" in reason


def test_command_that_is_traced_already_is_a_reason(tracer: PtraceTracer) -> None:
    other = RecorderProcess("ptrace")
    with launched(Command(args=["/bin/true"], interpose=False)) as child:
        os.close(other.record(child.pid))
        recorder = tracer._recorder
        assert recorder is not None
        with pytest.raises(TracerUnavailable, match=f"already traced, by process {other.pid}"):
            recorder.record(child.pid)
        child.open_gate()
        assert other.receive(DEADLINE_SECONDS) == "done"
        assert child.process.wait() == 0
    other.close()
    assert_lawful(record(tracer, ["/bin/true"]))


def test_count_answered_after_a_recording_was_done_is_not_taken_for_the_next_ones_answer(tracer: PtraceTracer) -> None:
    assert_lawful(record(tracer, ["/bin/true"]))
    recorder = tracer._recorder
    assert recorder is not None
    recorder.send("count")  # what a progress line's tick does when the recorder's `done` is on its way
    assert_lawful(record(tracer, ["/bin/true"]))


def test_missing_recorder_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Path:
        raise NativeHelperMissing(f"the native helper {name} is missing")

    monkeypatch.setattr(recorder_process, "helper", missing)
    assert str(PtraceTracer().available()) == "the native helper ptreetime-recorder is missing"


def test_recorder_keeps_the_scheduling_policy_that_it_was_started_with() -> None:
    """Among real-time processes an ordinary recorder would not be run before the build sleeps."""
    script = (
        "import os; from pytest_ptreetime.tracers.recorder_process import RecorderProcess as P;"
        "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0));"
        "recorder = P('ptrace'); print(os.sched_getscheduler(recorder.pid) == os.SCHED_BATCH); recorder.close()"
    )
    assert subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=True).stdout == b"True\n"


def test_mode_that_was_not_built_is_a_reason() -> None:
    with pytest.raises(TracerUnavailable, match="built without it"):
        RecorderProcess("teleprinter")


def test_events_that_cannot_be_written_are_an_error(tracer: PtraceTracer) -> None:
    recorder = tracer._recorder
    assert recorder is not None
    full = os.open("/dev/full", os.O_RDWR)
    with launched(Command(args=["/bin/true"], interpose=False)) as child:
        socket.send_fds(recorder.socket, [f"record {child.pid}".encode()], [full])
        os.close(full)
        assert recorder.receive(DEADLINE_SECONDS) == "ready"
        child.open_gate()
        assert recorder.receive(DEADLINE_SECONDS) == "error can't write events: No space left on device"
        assert child.process.wait() == 0
    assert_lawful(record(tracer, ["/bin/true"]))


def test_no_privilege_is_needed() -> None:
    """Where the tests run as root: without a single capability, which leaves it what any user has."""
    script = """
import sys
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.ptrace import PtraceTracer
tracer = PtraceTracer()
print(tracer.available(), tracer.record(Command(args=["/bin/sh", "-c", "/bin/true; true"], interpose=False)).returncode)
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")])
tracer.close()
"""
    prefix = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("nothing here can take root's capabilities away")
        prefix = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    done = subprocess.run([*prefix, sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "None 0\n['0000000000000000']\n"
