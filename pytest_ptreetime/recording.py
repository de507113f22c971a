"""A recording: the events of one run, with what is known of the run, and its file.

The file is written beside its place, synchronised and renamed (replace_file.py), readable by its owner only: arguments
may hold secrets. Numbers are little-endian::

    0                 8         10
    +-----------------+---------+---------+---------+-- ... --+-----------+
    | 89 PTREC 0D 0A  | version | block H | block E | block E | block Z   |
    +-----------------+---------+---------+---------+-- ... --+-----------+

    block:  kind 1 byte | stored length u32 | raw length u32 | crc32 u32 of the fields before and the payload | payload

A payload is compressed by zlib. H is a MessagePack map of what is known of the run, E an array of events as in
events.py (O: as in original.py), Z the number of blocks before it; nothing follows Z.

Version history of the file format:

1. (0.1.0) the first.

The files and logs of swift-llbuild's ``ptreetime`` are read too; see original.py.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_ptreetime.collector import without_collector
from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.events import WIRE_VERSION, Event, Start
from pytest_ptreetime.host import HostFacts
from pytest_ptreetime.replace_file import replace_file

if TYPE_CHECKING:
    from pytest_ptreetime.tracers import Capture
    from pytest_ptreetime.tree import ProcessTree

__all__ = ["FILE_VERSION", "Recording"]

FILE_VERSION = 1
MAGIC = b"\x89PTREC\r\n"
EVENT_BLOCK = b"E"
ORIGINAL_BLOCK = b"O"
EVENTS_PER_BLOCK = 16_384
BLOCK_LIMIT_BYTES = 1 << 28  # of a raw payload: a reader's memory is bounded by it, an event has at most 2 MiB

_VERSION = struct.Struct("<H")
_BLOCK = struct.Struct("<cIII")
_BLOCK_BEFORE_CHECKSUM = struct.Struct("<cII")
_encoder = msgspec.msgpack.Encoder()
_event_decoder = msgspec.msgpack.Decoder(list[Event])


class _Header(msgspec.Struct, omit_defaults=True):
    """Block H. Strings that come from outside are bytes: MessagePack's strings must be UTF-8."""

    tracer: str | None = None
    command: list[bytes] = []
    host: HostFacts | None = None
    incomplete_reason: bytes | None = None
    versions: dict[str, str] = {}


_header_decoder = msgspec.msgpack.Decoder(_Header)


class Recording:
    """The events of one run of ``command``, in any order.

    ``incomplete_reason`` is what the tracer knows to be missing besides what the events say. ``versions`` are those of
    the software that made the recording.
    """

    def __init__(
        self,
        events: Sequence[Event],
        *,
        host: HostFacts | None = None,
        tracer: str | None = None,
        command: Sequence[str] = (),
        incomplete_reason: str | None = None,
        versions: dict[str, str] | None = None,
    ) -> None:
        self._events = list(events)
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
        """What happened; times are CLOCK_MONOTONIC nanoseconds."""
        return self._events

    @property
    def started(self) -> float | None:
        """When it began, in seconds since the epoch; None where START is missing."""
        return next((event.realtime_ns / 1e9 for event in self.events if isinstance(event, Start)), None)

    def tree(self) -> ProcessTree:
        """The process tree, built anew at each call.

        :raises RecordingFailed: there are no events of any process.
        """
        from pytest_ptreetime.tree import build_tree

        return build_tree(
            self.events,
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
        """
        try:
            data = Path(path).read_bytes()
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
        from pytest_ptreetime.original import is_original, read_original

        with without_collector():
            if data.startswith(MAGIC):
                return _read(data, source)
            if is_original(data):
                return read_original(data, source)
        if MAGIC.startswith(data):
            raise FileUnreadable(f"{source}: truncated at byte {len(data)}: nothing was recorded")
        raise FileUnreadable(f"{source}: not a recording (byte 0): neither this package's format nor swift-llbuild's")

    def _event_blocks(self) -> tuple[bytes, Sequence[Any], Callable[[Any], bytes]]:
        """The kind of the blocks that hold the events, what to encode in them, and how."""
        return EVENT_BLOCK, self._events, _encoder.encode

    def _blocks(self) -> Iterator[bytes]:
        header = _Header(
            tracer=self.tracer,
            command=[as_bytes(word) for word in self.command],
            host=self.host,
            incomplete_reason=None if self.incomplete_reason is None else as_bytes(self.incomplete_reason),
            versions=self.versions,
        )
        yield MAGIC + _VERSION.pack(FILE_VERSION)
        yield _block(b"H", _encoder.encode(header))
        blocks = 1
        kind, everything, encode = self._event_blocks()
        waiting = [everything[i : i + EVENTS_PER_BLOCK] for i in range(0, len(everything), EVENTS_PER_BLOCK)]
        waiting.reverse()
        while waiting:
            events = waiting.pop()
            raw = encode(events)
            if len(raw) > BLOCK_LIMIT_BYTES and len(events) > 1:
                half = len(events) // 2
                waiting += [events[half:], events[:half]]
                continue
            yield _block(kind, raw)
            blocks += 1
        yield _block(b"Z", _encoder.encode(blocks))


def as_bytes(text: str) -> bytes:
    """``os.fsencode`` that takes any string, also one with a lone surrogate that stands for no byte."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _block(kind: bytes, raw: bytes) -> bytes:
    stored = zlib.compress(raw, 6)
    checksum = zlib.crc32(stored, zlib.crc32(_BLOCK_BEFORE_CHECKSUM.pack(kind, len(stored), len(raw))))
    return _BLOCK.pack(kind, len(stored), len(raw), checksum) + stored


def _read(data: bytes, source: str) -> Recording:
    from pytest_ptreetime.original import OriginalRecording, decode_block

    begin = len(MAGIC) + _VERSION.size
    if len(data) < begin:
        raise FileUnreadable(f"{source}: truncated at byte {len(data)}, in the version: record the build again")
    (version,) = _VERSION.unpack_from(data, len(MAGIC))
    if version != FILE_VERSION:
        raise FileUnreadable(
            f"{source}: recording format {version} (byte {len(MAGIC)}), this version of pytest-ptreetime reads "
            f"{FILE_VERSION}: upgrade it"
        )
    header = _Header()
    kinds = set()
    events: list[Any] = []
    for number, (position, kind, raw) in enumerate(_raw_blocks(memoryview(data), begin, source)):
        try:
            if kind == EVENT_BLOCK and number:
                events += _event_decoder.decode(raw)
            elif kind == ORIGINAL_BLOCK and number:
                events += decode_block(raw)
            elif kind == b"H" and not number:
                header = _header_decoder.decode(raw)
            elif kind != b"Z" or not number or msgspec.msgpack.decode(raw, type=int) != number:
                raise FileUnreadable(f"{source}: damaged at byte {position}: block {number} can't be {kind!r}")
        except (msgspec.MsgspecError, UnicodeError) as error:  # one block holds 16,384 events
            raise FileUnreadable(f"{source}: damaged block at byte {position}: {error}") from None
        kinds.add(kind)
    if kinds >= {EVENT_BLOCK, ORIGINAL_BLOCK}:
        raise FileUnreadable(f"{source}: damaged: it has events of two vocabularies")
    command = [os.fsdecode(word) for word in header.command]
    reason = None if header.incomplete_reason is None else os.fsdecode(header.incomplete_reason)
    if ORIGINAL_BLOCK in kinds:
        return OriginalRecording(events, command=command, incomplete_reason=reason, versions=header.versions)
    return Recording(
        events,
        host=header.host,
        tracer=header.tracer,
        command=command,
        incomplete_reason=reason,
        versions=header.versions,
    )


def _raw_blocks(data: memoryview, position: int, source: str) -> Iterator[tuple[int, bytes, bytes]]:
    """Position, kind and raw payload of each block up to and including Z, which must be the end of the file."""
    kind = b""
    while kind != b"Z":
        payload = position + _BLOCK.size
        if payload > len(data):
            raise FileUnreadable(f"{source}: truncated at byte {len(data)}: a block was to begin at byte {position}")
        kind, stored_length, raw_length, checksum = _BLOCK.unpack_from(data, position)
        end = payload + stored_length
        if end > len(data):
            raise FileUnreadable(f"{source}: truncated at byte {len(data)}, in the block at byte {position}")
        fields = data[position : position + _BLOCK_BEFORE_CHECKSUM.size]
        if zlib.crc32(data[payload:end], zlib.crc32(fields)) != checksum:
            raise FileUnreadable(f"{source}: damaged block at byte {position}: its checksum is wrong")
        if raw_length > BLOCK_LIMIT_BYTES:
            raise FileUnreadable(f"{source}: damaged block at byte {position}: {raw_length} bytes is too much")
        try:
            unpacker = zlib.decompressobj()
            raw = unpacker.decompress(data[payload:end], raw_length + 1)
        except zlib.error as error:
            raise FileUnreadable(f"{source}: damaged block at byte {position}: {error}") from None
        if len(raw) != raw_length or not unpacker.eof:
            raise FileUnreadable(f"{source}: damaged block at byte {position}: it is not {raw_length} bytes")
        if kind == b"Z" and end != len(data):
            raise FileUnreadable(f"{source}: damaged at byte {end}: something follows the end of the recording")
        yield position, kind, raw
        position = end
