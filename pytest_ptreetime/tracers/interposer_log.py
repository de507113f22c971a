"""Following the interposer's log while the build runs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType

from pytest_ptreetime.recording.events import Event, Exit, UserStartup
from pytest_ptreetime.tracers.growing_stream import GrowingStream

__all__ = ["InterposerLog"]


class InterposerLog:
    """What is new in a log: of the dynamic programs of a build, the only ones that write there.

    ``programs`` counts their starts so far. Use it as a context manager.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._stream = GrowingStream(self._descriptor)
        self._living: set[int] = set()
        self.programs = 0

    def __enter__(self) -> InterposerLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def news(self) -> list[Event]:
        """The events since the last call, and an Exit for each process that is no more: not all tell of their end."""
        events = self._stream.news()
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
