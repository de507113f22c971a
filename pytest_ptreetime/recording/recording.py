"""A recording: the events of one run, with what is known of the run, and its file.

The file (file.py) is written beside its place, synchronised and renamed (system/atomic_write.py), readable by its
owner only: arguments may hold secrets.

The files and logs of swift-llbuild's ``ptreetime`` are read too; see original.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.event_order import EventsInBlocks, ListedEvents
from pytest_ptreetime.recording.events import WIRE_VERSION, Event, Start, date
from pytest_ptreetime.recording.file import FILE_VERSION, MAGIC, Header, blocks_of_columns, file_of, read_header
from pytest_ptreetime.system.atomic_write import replace_file
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.system.host import HostFacts
from pytest_ptreetime.system.os_errors import refuse_without_room_for
from pytest_ptreetime.system.regular_file import read_file

if TYPE_CHECKING:
    from pytest_ptreetime.tracers import Capture
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["FILE_VERSION", "MAGIC", "Recording"]

_event_decoder = msgspec.msgpack.Decoder(list[Event])


class Recording:
    """The events of one run of ``command``, in any order.

    ``incomplete_reason`` is what the tracer knows to be missing besides what the events say. ``versions`` are those of
    the software that made the recording.
    """

    def __init__(
        self,
        events: Sequence[Event] | EventsInBlocks,
        *,
        host: HostFacts | None = None,
        tracer: str | None = None,
        command: Sequence[str] = (),
        incomplete_reason: str | None = None,
        versions: dict[str, str] | None = None,
    ) -> None:
        self._events = events if isinstance(events, EventsInBlocks) else list(events)
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
        """What happened; times are CLOCK_MONOTONIC nanoseconds. Those of a file are made when they are asked for."""
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
        """
        from pytest_ptreetime.tree.process_tree import build_tree

        return build_tree(
            self._events,
            host=self.host,
            tracer=self.tracer,
            command=self.command,
            incomplete_reason=self.incomplete_reason,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to ``path``, as a whole or not at all.

        :raises OSError: the directory is missing or can't be written, or the disk is full.
        """
        replace_file(Path(path), self._blocks(), mode=0o600)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a file that :meth:`save` wrote, or one of swift-llbuild's ``ptreetime``.

        :raises FileUnreadable: there is no such file, it is something else, truncated, damaged, or of a newer version;
            the message names the file and the byte.
        :raises MemoryError: a limit of address space leaves no room for numpy, which reads the columns of a file.
        """
        try:
            data = read_file(path)
        except OSError as error:
            raise FileUnreadable(f"can't read the recording {os.fspath(path)}: {error.strerror or error}") from None
        return cls.from_bytes(data, os.fspath(path))

    def to_bytes(self) -> bytes:
        """The content of the file that :meth:`save` writes."""
        return b"".join(self._blocks())

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

    def _event_blocks(self) -> tuple[list[tuple[bytes, int]], int]:
        """The blocks that hold the events, each with its raw length, and the number of events."""
        return list(blocks_of_columns(self._events)), len(self._events)

    def _blocks(self) -> Iterator[bytes]:
        header = Header(
            tracer=self.tracer,
            command=[as_bytes(word) for word in self.command],
            host=self.host,
            incomplete_reason=None if self.incomplete_reason is None else as_bytes(self.incomplete_reason),
            versions=self.versions,
        )
        with without_collector():
            blocks, events = self._event_blocks()
        return file_of(header, blocks, events)


def as_bytes(text: str) -> bytes:
    """``os.fsencode`` that takes any string, also one with a lone surrogate that stands for no byte."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _read(data: bytes, source: str) -> Recording:
    refuse_without_room_for("numpy")
    from pytest_ptreetime.recording.number_columns import ColumnsDamaged
    from pytest_ptreetime.recording.original import OriginalRecording, decode_block
    from pytest_ptreetime.recording.stored_events import ColumnsDecoder

    version, header, blocks = read_header(data, source)
    columns = ColumnsDecoder()
    kinds = set()
    events = EventsInBlocks()
    original_events: list[Any] = []
    for number, (position, kind, raw, stored_bytes) in enumerate(blocks, 1):
        try:
            if kind == b"C" and version > 1:
                events.append(columns.decode(raw, stored_bytes))
            elif kind == b"E":
                columns.forget()
                events.append(ListedEvents(_event_decoder.decode(raw)))
            elif kind == b"O":
                original_events += decode_block(raw)
            elif kind != b"Z" or msgspec.msgpack.decode(raw, type=int) != number:
                raise FileUnreadable(f"{source}: damaged at byte {position}: block {number} can't be {kind!r}")
        except (msgspec.MsgspecError, ColumnsDamaged, UnicodeError, RecursionError) as error:  # thousands in a block
            raise FileUnreadable(f"{source}: damaged block at byte {position}: {error}") from None
        read = len(events) + len(original_events)
        if read > header.events:
            raise FileUnreadable(f"{source}: damaged block at byte {position}: more events than the file can have")
        kinds.add(kind)
    if b"O" in kinds and kinds & {b"C", b"E"}:
        raise FileUnreadable(f"{source}: damaged: it has events of two vocabularies")
    if version > 1 and read != header.events:
        raise FileUnreadable(f"{source}: damaged: {read} events instead of {header.events}")
    command = [os.fsdecode(word) for word in header.command]
    reason = None if header.incomplete_reason is None else os.fsdecode(header.incomplete_reason)
    if b"O" in kinds:
        return OriginalRecording(original_events, command=command, incomplete_reason=reason, versions=header.versions)
    return Recording(
        events,
        host=header.host,
        tracer=header.tracer,
        command=command,
        incomplete_reason=reason,
        versions=header.versions,
    )
