"""The interposer's log: a file to which the build's own processes append their events.

A build can write there what it likes, cut it and delete it. So it begins with a few bytes that nobody can guess, it is
read up to a limit, and what is wrong with it is told.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pytest_ptreetime.recording.events import (
    Create,
    Event,
    Exit,
    Lost,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
)
from pytest_ptreetime.tracers.growing_stream import GrowingStream

__all__ = ["FollowedLog", "InterposerLog"]

BEGIN_BYTES = 16
MOST_EVENTS = 500_000  # four a program
MOST_BYTES = 256 << 20
PATH_BYTES = 1023  # PATH_CAPACITY in libptreetime/interposer/log.c, without the final NUL
# What the interposing libraries write.
_FROM_INSIDE = (UserStartup, UserExec, UserSpawn, UserExit)


@dataclass
class InterposerLog:
    """A log, open: what a build puts in the place of its file does not matter."""

    path: Path
    descriptor: int
    begin: bytes

    @classmethod
    @contextmanager
    def at(cls, path: Path) -> Iterator[InterposerLog]:
        """A new log, open in the block."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            begin = os.urandom(BEGIN_BYTES)
            os.write(descriptor, begin)
            yield cls(path, descriptor, begin)
        finally:
            os.close(descriptor)

    def follow(self) -> FollowedLog:
        """Read it while it grows."""
        return FollowedLog(self.path)

    def events(self, *, alone: bool) -> list[Event]:
        """What is in it now that the build has ended.

        :param alone: nobody else tells of the build: creations are taken from it too, and what is missing makes the
            tree incomplete. Otherwise it costs lags, and a few arguments.
        """
        stream = _stream(self.descriptor)
        wanted = (*_FROM_INSIDE, Create) if alone else _FROM_INSIDE
        # What the kernel's tracers see is not for a build to contradict.
        events = [event for event in stream.read_new(final=True) if isinstance(event, wanted)]
        now_ns = time.monotonic_ns()
        return [*events, *(Lost(now_ns, int(alone), what) for what in self._wrongs(stream))]

    def _wrongs(self, stream: GrowingStream) -> Iterator[str]:
        if len(os.fsencode(self.path)) > PATH_BYTES:
            yield (
                f"the interposer takes no log whose path has more than {PATH_BYTES} bytes: use a shorter TMPDIR than "
                f"one of {len(os.fsencode(self.path.parent.parent))} bytes"
            )
        if os.pread(self.descriptor, BEGIN_BYTES, 0) != self.begin:
            yield "the interposer's log was cut or written over while the command ran"
        elif stream.damage:
            yield (
                f"the interposer's log is damaged in {stream.damage} {'place' if stream.damage == 1 else 'places'}: a "
                "process could not write there as much as it wanted (ulimit -f, a full disk), or wrote something else"
            )
        if stream.cut_short:
            yield f"the interposer's log has more than {MOST_EVENTS:,} events, or more than can be read"
        if os.fstat(self.descriptor).st_nlink == 0:
            yield "the interposer's log was deleted while the command ran"


def _stream(descriptor: int) -> GrowingStream:
    return GrowingStream(descriptor, begin=BEGIN_BYTES, most_events=MOST_EVENTS, most_bytes=MOST_BYTES)


class FollowedLog:
    """What is new in a log: of the dynamic programs of a build, the only ones that write there.

    ``programs`` counts their starts so far. Use it as a context manager.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._stream = _stream(self._descriptor)
        self._living: set[int] = set()
        self.programs = 0

    def __enter__(self) -> FollowedLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def read_new(self) -> list[Event]:
        """The events since the last call, and an Exit for each process that is gone: not all report their own end."""
        events = self._stream.read_new()
        for event in events:
            if isinstance(event, UserStartup):
                self.programs += 1
                self._living.add(event.pid)
        gone = {pid for pid in self._living if not _exists(pid)}
        self._living -= gone
        now_ns = time.monotonic_ns()
        return [*events, *(Exit(now_ns, pid, None) for pid in gone)]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
