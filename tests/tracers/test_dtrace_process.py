"""Whom the tracer dtrace kills when a build has to end; a shell prints what dtrace would."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_ptreetime.tracers import Command, dtrace_process
from pytest_ptreetime.tracers.dtrace_process import DtraceProcess, DtraceWait
from pytest_ptreetime.tracers.launch import launched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are told apart by /proc")


def says(*steps: str) -> DtraceProcess:
    """One that has printed a record for each of the steps, or waited as a step says."""
    lines = [step if step.startswith(("sleep", "while")) else f"echo 'PTREETIME {step}'" for step in steps]
    return DtraceProcess(["sh", "-c", "; ".join(lines)])


def test_process_that_ended_before_it_was_looked_at_is_not_killed_whoever_has_its_number_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dtrace_process, "QUIET_SECONDS", 2.0)
    with (
        subprocess.Popen(["sleep", "100"]) as stranger,
        launched(Command(args=["sleep", "100"], stdout=subprocess.DEVNULL)) as build,
    ):
        build.open_gate()
        dtrace = says(f"create 1 {stranger.pid} {build.pid}", "sleep 2.4", f"exit 2 {stranger.pid} 0")
        while b"create" not in dtrace.output():
            dtrace.read(min(dtrace.open))
        DtraceWait(dtrace, build).end_tree()
        dtrace.close()
        assert build.process.wait(30) == -9
        assert stranger.poll() is None
        stranger.kill()


def test_process_that_lives_is_killed_with_its_build() -> None:
    with (
        subprocess.Popen(["sleep", "100"], start_new_session=True) as daemon,
        launched(Command(args=["sleep", "100"], stdout=subprocess.DEVNULL)) as build,
    ):
        build.open_gate()
        state = f"/proc/{daemon.pid}/stat"
        until_dead = f"while ! grep -q ') Z ' {state}; do sleep 0.05; done"
        dtrace = says(f"create 1 {daemon.pid} {build.pid}", until_dead, f"exit 2 {daemon.pid} 9")
        DtraceWait(dtrace, build).end_tree()
        dtrace.close()
        assert daemon.wait(30) == -9
        assert build.process.wait(30) == -9
