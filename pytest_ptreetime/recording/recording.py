"""A recording: the events of one run, with what is known of the run, and its file.

The file (file.py) is written beside its place, synchronised and renamed (system/atomic_write.py), readable by its
owner only: arguments may hold secrets.

The files and logs of swift-llbuild's ``ptreetime`` are read too; see original.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.event_order import in_order
from pytest_ptreetime.recording.events import WIRE_VERSION, Event, Start, date
from pytest_ptreetime.recording.file import (
    FILE_VERSION,
    MAGIC,
    Header,
    StoredEvents,
    parts_of_file,
    read_file_parts,
)
from pytest_ptreetime.system.atomic_write import replace_file
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.system.host import HostFacts
from pytest_ptreetime.system.regular_file import read_file

if TYPE_CHECKING:
    from pytest_ptreetime.tracers import Capture
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["FILE_VERSION", "MAGIC", "Recording"]


class Recording:
    """The events of one run of ``command``, in any order; a file has them in order (event_order.py).

    ``incomplete_reason`` is what the tracer knows to be missing besides what the events say. ``versions`` are those of
    the software that made the recording.
    """

    def __init__(
        self,
        events: Sequence[Event] | StoredEvents,
        *,
        host: HostFacts | None = None,
        tracer: str | None = None,
        command: Sequence[str] = (),
        incomplete_reason: str | None = None,
        versions: dict[str, str] | None = None,
    ) -> None:
        self._events = events if isinstance(events, StoredEvents) else list(events)
        self.host = host
        self.tracer = tracer
        self.command = list(command)
        self.incomplete_reason = incomplete_reason
        self.versions = dict(versions or {})

    @classmethod
    def from_capture(
        cls, capture: Capture, *, command: Sequence[str], tracer: str, host: HostFacts | None = None
    ) -> Recording:
        """What a tracer brought back."""
        return Recording(
            capture.events,
            host=host,
            tracer=tracer,
            command=command,
            incomplete_reason=capture.incomplete_reason,
            versions={"wire": str(WIRE_VERSION)},
        )

    @property
    def events(self) -> list[Event]:
        """What happened; times are CLOCK_MONOTONIC nanoseconds. Those of a file are made when they are asked for.

        :raises FileUnreadable: a block of the file does not hold events.
        """
        if not isinstance(self._events, list):
            with without_collector():
                self._events = list(self._events)
        return self._events

    @property
    def started(self) -> float | None:
        """When it began, in seconds since the epoch; None where START is missing."""
        return next((date(event.realtime_ns) for event in self._events if isinstance(event, Start)), None)

    def tree(self) -> ProcessTree:
        """The process tree, built anew at each call.

        :raises RecordingFailed: there are no events of any process.
        :raises FileUnreadable: a block of the file does not hold events.
        """
        from pytest_ptreetime.tree.process_tree import build_tree

        return build_tree(
            self._in_order(),
            are_in_order=True,
            host=self.host,
            tracer=self.tracer,
            command=self.command,
            incomplete_reason=self.incomplete_reason,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to ``path``, as a whole or not at all.

        :raises OSError: the directory is missing or can't be written, or the disk is full.
        """
        replace_file(Path(path), self._parts_of_file(), mode=0o600)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a file that :meth:`save` wrote, or one of swift-llbuild's ``ptreetime``.

        :raises FileUnreadable: there is no such file, it is something else, truncated, damaged, or of a newer version;
            the message names the file and the byte.
        """
        try:
            data = read_file(path)
        except OSError as error:
            raise FileUnreadable(f"can't read the recording {os.fspath(path)}: {error.strerror or error}") from None
        return cls.from_bytes(data, os.fspath(path))

    def to_bytes(self) -> bytes:
        """The content of the file that :meth:`save` writes."""
        return b"".join(self._parts_of_file())

    @classmethod
    def from_bytes(cls, data: bytes, source: str = "recording") -> Recording:
        """The reverse of :meth:`to_bytes`; reads everything that :meth:`load` does.

        :param source: what the data is called in an error.
        :raises FileUnreadable: as :meth:`load`.
        """
        from pytest_ptreetime.recording.original import is_original, read_original

        with without_collector():
            if data.startswith(MAGIC):
                return _read(data, source)
            if is_original(data):
                return read_original(data, source)
        if MAGIC.startswith(data):
            raise FileUnreadable(f"{source}: truncated at byte {len(data)}: nothing was recorded")
        raise FileUnreadable(f"{source}: not a recording (byte 0): neither this package's format nor swift-llbuild's")

    def _in_order(self) -> Iterable[Event]:
        return in_order(self._events) if isinstance(self._events, list) else self._events

    def _parts_of_file(self) -> Iterator[bytes]:
        header = Header(
            tracer=self.tracer,
            command=[as_bytes(word) for word in self.command],
            host=self.host,
            incomplete_reason=None if self.incomplete_reason is None else as_bytes(self.incomplete_reason),
            versions=self.versions,
        )
        return parts_of_file(header, self._in_order())


def as_bytes(text: str) -> bytes:
    """``os.fsencode`` that takes any string, also one with a lone surrogate that stands for no byte."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _read(data: bytes, source: str) -> Recording:
    header, events = read_file_parts(data, source)
    return Recording(
        events,
        host=header.host,
        tracer=header.tracer,
        command=[os.fsdecode(word) for word in header.command],
        incomplete_reason=None if header.incomplete_reason is None else os.fsdecode(header.incomplete_reason),
        versions=header.versions,
    )
