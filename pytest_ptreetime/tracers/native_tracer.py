"""What the tracers of the native recorder have in common: all but their name and how the recorder is started."""

from __future__ import annotations

import mmap
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from pytest_ptreetime.errors import NativeHelperMissing, RecordingFailed, TracerUnavailable
from pytest_ptreetime.recording.events import Event, Exec
from pytest_ptreetime.tracers import Capture, Command, Unavailable
from pytest_ptreetime.tracers.growing_stream import GrowingStream
from pytest_ptreetime.tracers.launch import Launched, launched, read_events
from pytest_ptreetime.tracers.preload import LOGGING, MAILBOX, clock_needs_no_call
from pytest_ptreetime.tracers.recorder_process import RecorderGone, RecorderProcess
from pytest_ptreetime.tracers.remedies import unavailable
from pytest_ptreetime.tracers.wait import Wait

__all__ = ["NativeTracer"]

# How long the recorder may take to finish when the command is dead, or to end a whole tree that is to be killed.
FINISH_SECONDS = 30.0


class NativeTracer:
    """A tracer whose events come from ``ptreetime-recorder NAME``. The recorder is kept until :meth:`close`."""

    name: str
    recorder_prefix: Sequence[str] = ()
    count_failed_execs: bool = False
    #: Whether it has a use for the library that leaves word in a program's memory.
    reads_mailbox: bool = False

    def __init__(self) -> None:
        self._recorder: RecorderProcess | None = None

    def available(self) -> Unavailable | None:
        if sys.platform != "linux":
            return Unavailable(f"{self.name} needs Linux")
        try:
            self._started()
        except (TracerUnavailable, NativeHelperMissing) as error:
            return unavailable(error)
        return None

    def why_uncounted(self) -> str | None:
        """Why instructions are not counted here, None where they are.

        :raises TracerUnavailable: the tracer does not work here.
        :raises NativeHelperMissing: it was not built.
        """
        try:
            return self._started().why_uncounted()
        except RecorderGone as error:
            return f"the recorder is gone: {error}"

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
                events = recorder.record(child.pid, failed_execs=self.count_failed_execs, images=command.images)
                try:
                    child.open_gate()
                    wait = _Wait(recorder, child, GrowingStream(events))
                    wait.to_the_end()
                    return wait.capture(_read(events))
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


class _Wait(Wait):
    """Waiting for the command and for its recorder, asleep until one of them has something to tell."""

    def __init__(self, recorder: RecorderProcess, child: Launched, stream: GrowingStream) -> None:
        super().__init__(child)
        self.recorder = recorder
        self.stream = stream
        self.failure: str | None = None  # the recorder gave up, and said why
        self.gone: str | None = None  # the recorder is no more
        self._recorder_deadline: float | None = None  # the recorder has to be done by then
        self._ending = False  # the whole tree is to be killed, by the recorder or without it

    def capture(self, recorded: list[Event]) -> Capture:
        """The result.

        :raises RecordingFailed: there is none. The command has run to its end.
        """
        if self.failure is not None:
            raise RecordingFailed(f"the recorder failed: {self.failure}")
        if self.gone is not None and not any(isinstance(event, Exec) for event in recorded):
            raise RecordingFailed(f"the recorder died before it had recorded anything: {self.gone}")
        return Capture(
            events=recorded + self.child.interposer_events(),
            returncode=self.child.process.wait(),
            timed_out=self.timed_out,
            interrupted=self.interrupted,
            incomplete_reason=None if self.gone is None else f"the recorder died: {self.gone}",
            sees_connections=self.recorder.sees_connections,
        )

    def until_ended(self) -> None:
        """Return when the command is dead and nothing more will come from the recorder."""
        self._until_recorded()
        while self.child.process.poll() is None:  # the recorder has let go of it: the rest of its life, if it has any
            with suppress(ProcessLookupError), _pidfd(self.child.pid) as process:
                self.sleep([process])

    def end_tree(self) -> None:
        self._ending = True
        if self.recorder.recording:
            self.recorder.send("kill")
            self._recorder_deadline = time.monotonic() + FINISH_SECONDS
        else:
            self.child.end_tree()

    def progress(self) -> None:
        if self.child.command.on_events is not None:
            self.recorder.send("flush")
        self.recorder.send("count")

    def _until_recorded(self) -> None:
        if not self.recorder.recording:
            return
        socket = self.recorder.socket.fileno()
        with _pidfd(self.child.pid) as process:
            while self.recorder.recording:
                ending = self._recorder_deadline  # then the process is known to be dead, or will be
                ready = self.sleep([socket] if ending is not None else [process, socket], until=ending)
                if ending is not None and time.monotonic() >= ending and not ready:
                    self._give_up(f"it was not done {FINISH_SECONDS:g} s after the command")
                elif socket in ready:
                    self._hear()
                elif process in ready and self._recorder_deadline is None:
                    self._recorder_deadline = time.monotonic() + FINISH_SECONDS

    def _give_up(self, reason: str) -> None:
        self.recorder.recording = False
        self.gone = reason
        self._recorder_deadline = self.next_progress = None
        self.recorder.close()
        if self._ending:
            self.child.end_tree()

    def _hear(self) -> None:
        try:
            word, _, rest = self.recorder.receive(None).partition(" ")
        except RecorderGone as error:
            self._give_up(str(error))
            return
        if word == "count":
            self.tell(int(rest.split()[0]), self.stream.read_new() if self.child.command.on_events is not None else [])
        elif word in ("done", "error"):
            self.recorder.recording = False
            self._recorder_deadline = self.next_progress = None
            self.failure = rest if word == "error" else None


@contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(events: int) -> list[Event]:
    if os.fstat(events).st_size == 0:
        return []
    with mmap.mmap(events, 0, access=mmap.ACCESS_READ) as memory, memoryview(memory) as view:
        return read_events(view, "the recorder's events")
