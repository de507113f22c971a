"""What the tracers of the native recorder have in common: all but their name and how the recorder is started."""

from __future__ import annotations

import mmap
import os
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_ptreetime.errors import NativeHelperMissing, RecordingFailed, TracerUnavailable
from pytest_ptreetime.recording.events import Event, Exec
from pytest_ptreetime.tracers import Capture, Command
from pytest_ptreetime.tracers.growing_stream import GrowingStream
from pytest_ptreetime.tracers.launch import Launched, launched, read_events
from pytest_ptreetime.tracers.preload import LOGGING, MAILBOX, clock_needs_no_call
from pytest_ptreetime.tracers.recorder_process import RecorderGone, RecorderProcess

__all__ = ["NativeTracer"]

# How long the recorder may take to finish when the command is dead, or to end a whole tree that is to be killed.
FINISH_SECONDS = 30.0
PROGRESS_SECONDS = 0.25


class NativeTracer:
    """A tracer whose events come from ``ptreetime-recorder NAME``. The recorder is kept until :meth:`close`."""

    name: str
    recorder_prefix: Sequence[str] = ()
    count_failed_execs: bool = False
    #: Whether it has a use for the library that leaves word in a program's memory.
    reads_mailbox: bool = False

    def __init__(self) -> None:
        self._recorder: RecorderProcess | None = None

    def available(self) -> str | None:
        if sys.platform != "linux":
            return f"{self.name} needs Linux"
        try:
            self._started()
        except (TracerUnavailable, NativeHelperMissing) as error:
            return str(error)
        return None

    def _started(self) -> RecorderProcess:
        if self._recorder is None:
            self._recorder = RecorderProcess(self.name, prefix=self.recorder_prefix)
        return self._recorder

    def close(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def record(self, command: Command) -> Capture:
        recorder = self._started()
        try:
            with launched(command, interposer=self._library(command)) as child:
                child.allow_tracer(recorder.pid)
                events = recorder.record(child.pid, failed_execs=self.count_failed_execs)
                try:
                    child.open_gate()
                    outcome = _Wait(recorder, child, GrowingStream(events)).to_the_end()
                    return outcome.capture(_read(events), child)
                finally:
                    os.close(events)
        finally:
            # Whatever went wrong: a recorder that has not said how its recording ended is not used again.
            if not recorder.idle:
                self.close()

    def _library(self, command: Command) -> str | None:
        if command.interpose == "log":
            return LOGGING
        return MAILBOX if command.interpose and self.reads_mailbox and clock_needs_no_call() else None


@dataclass
class _Outcome:
    """How a recording ended, and what the recorder had to say about it."""

    interrupted: bool = False
    timed_out: bool = False
    failure: str | None = None  # the recorder gave up, and said why
    gone: str | None = None  # the recorder is no more

    def capture(self, recorded: list[Event], child: Launched) -> Capture:
        """The result.

        :raises RecordingFailed: there is none. The command has run to its end.
        """
        if self.failure is not None:
            raise RecordingFailed(f"the recorder failed: {self.failure}")
        if self.gone is not None and not any(isinstance(event, Exec) for event in recorded):
            raise RecordingFailed(f"the recorder died before it had recorded anything: {self.gone}")
        return Capture(
            events=recorded + child.interposer_events(),
            returncode=child.process.wait(),
            timed_out=self.timed_out,
            interrupted=self.interrupted,
            incomplete_reason=None if self.gone is None else f"the recorder died: {self.gone}",
        )


@dataclass
class _Wait:
    """Waiting for the command and for its recorder, asleep until one of them has something to tell."""

    recorder: RecorderProcess
    child: Launched
    stream: GrowingStream
    outcome: _Outcome = field(default_factory=_Outcome)
    deadline: float | None = None
    recorder_deadline: float | None = None  # the recorder has to be done by then
    ending: bool = False  # the whole tree is to be killed, by the recorder or without it
    next_count: float | None = None

    def to_the_end(self) -> _Outcome:
        """Return when the command is dead and nothing more will come from the recorder.

        A first KeyboardInterrupt is left to the build, which got its own from the terminal; a second one ends it; a
        third is raised.
        """
        if self.child.command.timeout is not None:
            self.deadline = time.monotonic() + self.child.command.timeout
        if self.child.command.on_progress is not None or self.child.command.on_events is not None:
            self.next_count = time.monotonic() + PROGRESS_SECONDS
        try:
            self._until_recorded_and_dead()
        except KeyboardInterrupt:
            self.outcome.interrupted = True
            try:
                self._until_recorded_and_dead()
            except KeyboardInterrupt:
                self._kill()
                self._until_recorded_and_dead()
        return self.outcome

    def _until_recorded_and_dead(self) -> None:
        self._until_recorded()
        self._until_dead()

    def _kill(self) -> None:
        self.ending = True
        if self.recorder.recording:
            self.recorder.send("kill")
            self.recorder_deadline = time.monotonic() + FINISH_SECONDS
        else:
            self.child.end_tree()

    def _until_recorded(self) -> None:
        if not self.recorder.recording:
            return
        process = os.pidfd_open(self.child.pid)
        try:
            while self.recorder.recording:
                ready = self._sleep([process, self.recorder.socket.fileno()])
                if self.recorder.socket.fileno() in ready:
                    self._hear()
                elif process in ready and self.recorder_deadline is None:
                    self.recorder_deadline = time.monotonic() + FINISH_SECONDS
        finally:
            os.close(process)

    def _sleep(self, descriptors: list[int]) -> list[int]:
        """The descriptors that are readable, after doing what a passing time asked for."""
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        if self.recorder_deadline is not None and len(descriptors) == 2:
            poll.unregister(descriptors[0])  # it is known to be dead, or will be
        times = [at for at in (self.deadline, self.recorder_deadline, self.next_count) if at is not None]
        wait_ms = None if not times else max(0.0, (min(times) - time.monotonic()) * 1000 + 1)
        ready = [descriptor for descriptor, _ in poll.poll(wait_ms)]
        now = time.monotonic()
        if self.deadline is not None and now >= self.deadline and not ready:
            self.deadline = None
            self.outcome.timed_out = True
            self._kill()
        if self.recorder_deadline is not None and now >= self.recorder_deadline and not ready:
            self._give_up(f"it was not done {FINISH_SECONDS:g} s after the command")
        if self.next_count is not None and now >= self.next_count:
            self.next_count = now + PROGRESS_SECONDS
            if self.child.command.on_events is not None:
                self.recorder.send("flush")
            self.recorder.send("count")
        return ready

    def _give_up(self, reason: str) -> None:
        self.recorder.recording = False
        self.outcome.gone = reason
        self.recorder_deadline = self.next_count = None
        self.recorder.close()
        if self.ending:
            self.child.end_tree()

    def _hear(self) -> None:
        try:
            word, _, rest = self.recorder.receive(None).partition(" ")
        except RecorderGone as error:
            self._give_up(str(error))
            return
        if word == "count":
            self._tell(int(rest.split()[0]))
        elif word in ("done", "error"):
            self.recorder.recording = False
            self.recorder_deadline = self.next_count = None
            self.outcome.failure = rest if word == "error" else None

    def _tell(self, processes: int) -> None:
        command = self.child.command
        if command.on_progress is not None:
            command.on_progress(processes)
        if command.on_events is not None:
            command.on_events(self.stream.news())

    def _until_dead(self) -> None:
        """The recorder has let go of the command: wait for the rest of its life, if it has any."""
        while self.child.process.poll() is None:
            try:
                process = os.pidfd_open(self.child.pid)
            except ProcessLookupError:
                continue
            try:
                self._sleep([process])
            finally:
                os.close(process)


def _read(events: int) -> list[Event]:
    if os.fstat(events).st_size == 0:
        return []
    with mmap.mmap(events, 0, access=mmap.ACCESS_READ) as memory, memoryview(memory) as view:
        return read_events(view, "the recorder's events")
