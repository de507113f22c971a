"""dtrace while it runs: its two streams, and the wait for the command's end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pytest_ptreetime.tracers.dtrace_output import DtraceOutput, Record
from pytest_ptreetime.tracers.dtrace_probes import remove_probes_of_the_dead
from pytest_ptreetime.tracers.interposer_log import FollowedLog
from pytest_ptreetime.tracers.launch import Launched
from pytest_ptreetime.tracers.proc_members import Seen, end_members, kill_if_the_same, look
from pytest_ptreetime.tracers.wait import Wait

__all__ = ["DtraceProcess", "DtraceWait"]

START_SECONDS = 120.0  # compiling the script takes 5 to 20 s of a busy machine
FINISH_SECONDS = 120.0  # for what is in its buffers when the command is dead, and for its own end
CLOSING_CPU_SECONDS = 0.1  # used up since its last word: it tells no more
LEAVE_SECONDS = 2.0  # for it to see by itself that the command is dead
QUIET_SECONDS = 0.5  # several of the script's switchrate: what lives is known by then
END_SECONDS = 30.0
POLL_SECONDS = 0.02  # where a death can't be waited for
_HAS_PROC = Path("/proc/self/stat").exists()


class DtraceProcess:
    """A running dtrace. It has a session of its own: the Ctrl-C that ends the build must not end it."""

    def __init__(self, command: Sequence[str]) -> None:
        self._by_sudo = command[0] == "sudo"
        remove_probes_of_the_dead()  # of a run that was killed
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._read: dict[int, bytearray] = {}
        self._output, self._error = self.process.stdout.fileno(), self.process.stderr.fileno()
        self.open = {self._output, self._error}
        for descriptor in self.open:
            self._read[descriptor] = bytearray()
        self._cpu_at_last_word: float | None = None

    def output(self) -> bytes:
        """All records so far."""
        return bytes(self._read[self._output])

    def said(self) -> str:
        """All of its standard error so far."""
        return self._read[self._error].decode(errors="replace")

    def read(self, descriptor: int) -> None:
        """Take what is there, or the end of the stream."""
        data = os.read(descriptor, 1 << 20)
        self._read[descriptor] += data
        self._cpu_at_last_word = self._cpu_seconds()
        if not data:
            self.open.discard(descriptor)

    def _cpu_seconds(self) -> float | None:
        """The processor time that it has used; None where it is not told, or is that of sudo."""
        if sys.platform != "linux" or self._by_sudo:
            return None
        try:
            return time.clock_gettime((~self.process.pid << 3) | 2)  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
        except OSError:  # it is dead
            return None

    def has_told_all(self) -> bool:
        """Whether the last record is there, and it has been busy with something else since: with its own end."""
        before, now = self._cpu_at_last_word, self._cpu_seconds()
        if before is None or now is None or now - before < CLOSING_CPU_SECONDS:
            return False
        return any(record.word == "end" for record in DtraceOutput.parse(self.output()).records)

    def wait_until_live(self) -> Record | None:
        """The first record, when the probes are live; None where dtrace ended, or never came so far."""
        deadline = time.monotonic() + START_SECONDS
        while self.open and time.monotonic() < deadline:
            for descriptor in readable(self.open, deadline):
                self.read(descriptor)
            begin = DtraceOutput.parse(self.output()).begin
            if begin is not None:
                return begin
        return None

    def stop(self, number: int) -> None:
        """Send it a signal. One that sudo started belongs to root: it ends with the command all the same."""
        with contextlib.suppress(PermissionError, ProcessLookupError):
            self.process.send_signal(number)

    def close(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None and self.open:
            self.stop(signal.SIGTERM)
            try:
                self.process.wait(LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                self.stop(signal.SIGKILL)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(LEAVE_SECONDS)
        remove_probes_of_the_dead()


def readable(descriptors: set[int], until: float | None) -> list[int]:
    """Those with something to read, or none when ``until`` (time.monotonic) has come."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    wait_ms = None if until is None else max(0.0, (until - time.monotonic()) * 1000 + 1)
    return [descriptor for descriptor, _ in poll.poll(wait_ms)]


class DtraceWait(Wait):
    """Waiting for the command's end, and for dtrace's after it, reading meanwhile."""

    def __init__(self, dtrace: DtraceProcess, child: Launched) -> None:
        super().__init__(child)
        self.dtrace = dtrace
        self.broken: str | None = None
        self._log: FollowedLog | None = None

    def to_the_end(self) -> None:
        log = self.child.interposer_log
        seen = log is not None and self.child.command.on_events is not None
        with log.follow() if log is not None and seen else contextlib.nullcontext() as self._log:
            super().to_the_end()

    def until_ended(self) -> None:
        """Return when the command is dead and dtrace has said all."""
        try:
            process: int | None = os.pidfd_open(self.child.pid)
        except ProcessLookupError:
            return self._until_told()
        except (AttributeError, OSError):  # no Linux, or a kernel before 5.3
            process = None
        try:
            while not self._pass_time(process):
                pass
        finally:
            if process is not None:
                os.close(process)
        return self._until_told()

    def _pass_time(self, process: int | None) -> bool:
        """Sleep until something happens, do what has to be done; whether the command is dead."""
        end = () if process is None else (process,)
        until = None if end else time.monotonic() + POLL_SECONDS
        ready = self.sleep({*self.dtrace.open, *end}, until=until, telling=end)
        for descriptor in self.dtrace.open.intersection(ready):
            self.dtrace.read(descriptor)
        return process in ready if process is not None else self.child.process.poll() is not None

    def progress(self) -> None:
        """What dtrace says comes in pieces: the events to look at while it runs are the interposer's."""
        processes = 0
        if self.child.command.on_progress is not None:
            processes = DtraceOutput.parse(self.dtrace.output()).count_processes()
        self.tell(processes, [] if self._log is None else self._log.read_new())

    def _until_told(self) -> None:
        """Dtrace stops by itself when it sees the command's end; else it is told. Its own end is not waited for."""
        stopped_by_itself, killed = time.monotonic() + LEAVE_SECONDS, time.monotonic() + FINISH_SECONDS
        told = ended = False
        while self.dtrace.open and time.monotonic() < killed:
            for descriptor in readable(self.dtrace.open, min(killed, time.monotonic() + POLL_SECONDS)):
                self.dtrace.read(descriptor)
            if not told and time.monotonic() >= stopped_by_itself:
                told = True
                self.dtrace.stop(signal.SIGINT)
            if not ended and self.dtrace.has_told_all():
                ended = True
                self.dtrace.stop(signal.SIGKILL)
        if self.dtrace.open:
            self.broken = f"dtrace was not done {FINISH_SECONDS:g} s after the command"
        elif not self._saw_the_end():
            lines = self.dtrace.said().strip().splitlines()
            self.broken = f"dtrace stopped before the build did: {lines[-1] if lines else 'it said nothing'}"

    def _saw_the_end(self) -> bool:
        records = DtraceOutput.parse(self.dtrace.output()).records
        return any(record.word == "exit" and record.numbers[1] == self.child.pid for record in records)

    def end_tree(self) -> None:
        """Kill every process of the build. The root comes last, and stands still until then: dtrace ends with it."""
        deadline = time.monotonic() + END_SECONDS
        self._signal_root(signal.SIGSTOP)
        seen: dict[int, Seen | None] = {}
        while self.dtrace.open and time.monotonic() < deadline:
            self._read_for(QUIET_SECONDS)
            living = DtraceOutput.parse(self.dtrace.output()).living()
            # One that lived still after it had been looked at is the one that was looked at.
            for pid in living.intersection(seen):
                _kill(pid, seen[pid])
            if not living:
                break
            seen = {pid: look(pid) for pid in living}
        self._signal_root(signal.SIGKILL)
        if _HAS_PROC:
            end_members(self.child.log_entry, self.child.pid, END_SECONDS)

    def _signal_root(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self.child.process.send_signal(number)

    def _read_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.dtrace.open and time.monotonic() < until:
            for descriptor in readable(self.dtrace.open, until):
                self.dtrace.read(descriptor)


def _kill(pid: int, seen: Seen | None) -> None:
    """Kill the process that was seen; without /proc there is nothing to tell it by but its number."""
    if _HAS_PROC:
        if seen is not None:
            kill_if_the_same(seen)
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
