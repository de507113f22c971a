"""The tracer for machines that forbid every other: a library in the build's own processes, and nothing else.

``libptreetime_interpose.so`` is loaded into the dynamic programs of the build. What they start, run and exit with is
theirs to tell; from that the other events are inferred (inferred_events.py). Every recording is partial:

* a static program, a set-user-id program and a program with a cleaned environment have no startup, no end and no times
  (the call that started one is seen when its parent was dynamic);
* a process that was killed, or that ended without calling exit, has no end;
* an end is the exit call, without what the kernel had to do after it;
* peak memory, run-queue delay, faults, switches and I/O are not known.

Needs no privilege, no ptrace, no /proc but for the timeout's end of the tree.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from pytest_ptreetime.errors import NativeHelperMissing
from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import End, Start
from pytest_ptreetime.tracers import Capture, Command, Unavailable
from pytest_ptreetime.tracers.inferred_events import Inferred, Root, infer_events
from pytest_ptreetime.tracers.interposer_log import FollowedLog
from pytest_ptreetime.tracers.launch import Launched, launched
from pytest_ptreetime.tracers.proc_members import members
from pytest_ptreetime.tracers.remedies import unavailable
from pytest_ptreetime.tracers.wait import Wait

__all__ = ["InterposeTracer"]

LIBRARY = "libptreetime_interpose.so"
PARTIAL = "only dynamically linked programs are seen by the interposer alone"

POLL_SECONDS = 0.002


class InterposeTracer:
    """Follows dynamic programs from inside."""

    name = "interpose"

    def available(self) -> Unavailable | None:
        if sys.platform != "linux":
            return Unavailable(f"{self.name} needs Linux")
        try:
            helper("ptreetime-gate")
            helper(LIBRARY)
        except NativeHelperMissing as error:
            return unavailable(error)
        return None

    def close(self) -> None:
        """Nothing is kept running."""

    def record(self, command: Command) -> Capture:
        with launched(command, interposer=LIBRARY) as child:
            start = Start(time.monotonic_ns(), child.pid, time.time_ns())
            child.open_gate()
            wait = _Wait(child)
            wait.to_the_end()
            return _capture(child, start, wait)


def _capture(child: Launched, start: Start, wait: _Wait) -> Capture:
    command, returncode = child.command, child.process.wait()
    root = Root(
        start=start,
        gate=os.fsencode(helper("ptreetime-gate").resolve()),
        args=[os.fsencode(arg) for arg in command.args],
        cwd=_directory(command.cwd),
        ended_ns=wait.ended_ns,
        status=-returncode if returncode < 0 else returncode << 8,
    )
    inferred = infer_events(child.interposer_events(alone=True), root)
    alive = len(inferred.endless & members(child.log_entry, child.pid))
    return Capture(
        events=[*inferred.events, End(root.ended_ns, alive)],
        returncode=returncode,
        timed_out=wait.timed_out,
        interrupted=wait.interrupted,
        incomplete_reason=_reason(inferred, alive),
    )


def _directory(cwd: str | None) -> bytes | None:
    """The command's directory; None where it has been deleted."""
    try:
        return os.fsencode(Path(cwd or ".").absolute())
    except FileNotFoundError:
        return None


def _reason(inferred: Inferred, alive: int) -> str:
    reasons = [PARTIAL]
    ends = len(inferred.endless) - alive
    if ends:
        reasons.append(f"{ends} {'process has' if ends == 1 else 'processes have'} an end that it did not see")
    shells = inferred.unseen_shells
    if shells:
        reasons.append(f"{shells} {'shell' if shells == 1 else 'shells'} of system or popen it did not see")
    return "; ".join(reasons)


class _Wait(Wait):
    """Waiting for the root's end."""

    ended_ns = 0
    _log: FollowedLog | None = None  # where somebody wants to see it grow

    def to_the_end(self) -> None:
        log = self.child.interposer_log
        with log.follow() if log is not None and self.next_progress is not None else nullcontext() as self._log:
            super().to_the_end()

    def until_ended(self) -> None:
        process = self.child.process
        try:
            descriptor = os.pidfd_open(process.pid)
        except OSError:  # a kernel before 5.3, or a sandbox
            while process.poll() is None:
                self.sleep([], until=time.monotonic() + POLL_SECONDS)
        else:
            try:
                while not self.sleep([descriptor]):
                    pass
            finally:
                os.close(descriptor)
        self.ended_ns = self.ended_ns or time.monotonic_ns()
        process.wait()

    def progress(self) -> None:
        if self._log is not None:
            events = self._log.read_new()
            self.tell(self._log.programs, events)
