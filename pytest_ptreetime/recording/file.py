"""A recording's file: the events of the wire (events.py) in compressed blocks. Numbers are little-endian::

    0                 8         10
    +-----------------+---------+---------+---------+-- ... --+-----------+
    | 89 PTREC 0D 0A  | version | block H | block E | block E | block Z   |
    +-----------------+---------+---------+---------+-- ... --+-----------+

    block:  kind, 1 byte | length of the payload u32 | CRC-32 of the file up to here and of the payload u32 | payload

A payload is MessagePack, compressed by zlib: of H a map of what is known of the run, of E an array of events in order
(event_order.py). That of Z is empty, and nothing follows it. A check sum covers all that comes before it, so blocks
can't be missing or change places.

A file is written and read a block at a time. A small one can't make its reader use much memory: a payload expands at
most by RAW_PER_BYTE; one that compresses better is padded with zeros.

A field may be added at the end of an event's, or to H, with a default: an older file lacks it. The version counts up
then, and a file that is newer than its reader is refused, because the reader would leave something out.

Version history of the file format:

3. (0.1.0) the first that was released.
"""

from __future__ import annotations

import operator
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.events import Event, decode_frame
from pytest_ptreetime.system.host import HostFacts

__all__ = ["FILE_VERSION", "MAGIC", "Header", "StoredEvents", "parts_of_file", "read_file_parts"]

FILE_VERSION = 3
MAGIC = b"\x89PTREC\r\n"
BLOCK_BYTES = 1 << 18  # of events, before they are compressed; zlib looks back 32 KiB
RAW_PER_BYTE = 32  # a payload's expansion; that of real builds is 4

_VERSION = struct.Struct("<H")
_FIELDS = struct.Struct("<cI")
_CHECK_SUM = struct.Struct("<I")
_time = operator.attrgetter("time_ns")
_encoder = msgspec.msgpack.Encoder()


class Header(msgspec.Struct, omit_defaults=True):
    """Block H. Strings that come from outside are bytes: MessagePack's strings must be UTF-8."""

    tracer: str | None = None
    command: list[bytes] = []
    host: HostFacts | None = None
    incomplete_reason: bytes | None = None
    versions: dict[str, str] = {}


_header_decoder = msgspec.msgpack.Decoder(Header)


class StoredEvents:
    """The events of a file, in order. Each iteration unpacks them anew, a block at a time.

    :raises FileUnreadable: while they are unpacked, where a block does not hold what it should.
    """

    def __init__(self, source: str, blocks: list[tuple[int, memoryview]]) -> None:
        self._source = source
        self._blocks = blocks

    def __iter__(self) -> Iterator[Event]:
        return chain.from_iterable(self._unpacked())

    def _unpacked(self) -> Iterator[list[Event]]:
        before: list[int] = []
        for position, payload in self._blocks:
            try:
                events = decode_frame(_expanded(payload))
            except ValueError as error:
                raise _damaged(self._source, position, str(error)) from None
            times = [*before, *map(_time, events)]
            if times != sorted(times):  # which sees at once that they are in order
                raise _damaged(self._source, position, "its events are not in order")
            before = times[-1:]
            yield events


def parts_of_file(header: Header, events: Iterable[Event]) -> Iterator[bytes]:
    """A file, piece by piece.

    :param events: in order.
    :raises OverflowError: a number needs more than 64 bits.
    """
    begin = MAGIC + _VERSION.pack(FILE_VERSION)
    yield begin
    check_sum = zlib.crc32(begin)
    for kind, raw in chain([(b"H", _encoder.encode(header))], _blocks_of(events), [(b"Z", b"")]):
        payload = zlib.compress(raw).ljust(-(-len(raw) // RAW_PER_BYTE), b"\0")
        fields = _FIELDS.pack(kind, len(payload))
        check_sum = zlib.crc32(payload, zlib.crc32(fields, check_sum))
        yield fields + _CHECK_SUM.pack(check_sum) + payload


def _blocks_of(events: Iterable[Event]) -> Iterator[tuple[bytes, bytes]]:
    rows, count = bytearray(), 0
    for event in events:
        _encoder.encode_into(event, rows, -1)
        count += 1
        if len(rows) >= BLOCK_BYTES:
            yield b"E", _array(rows, count)
            rows, count = bytearray(), 0
    if count:
        yield b"E", _array(rows, count)


def _array(elements: bytes | bytearray, count: int) -> bytes:
    """A MessagePack array of what is encoded already."""
    return b"\xdd" + count.to_bytes(4, "big") + elements


def read_file_parts(data: bytes, source: str) -> tuple[Header, StoredEvents]:
    """The header and the events of a file, of which every check sum is right.

    :param source: what the file is called in an error.
    :raises FileUnreadable: it is truncated, damaged, or of another version.
    """
    begin = len(MAGIC) + _VERSION.size
    if len(data) < begin:
        raise FileUnreadable(f"{source}: truncated at byte {len(data)}, in the version: record the build again")
    (version,) = _VERSION.unpack_from(data, len(MAGIC))
    if version > FILE_VERSION:
        raise FileUnreadable(
            f"{source}: recording format {version} (byte {len(MAGIC)}) is newer than {FILE_VERSION}, which this "
            "pytest-ptreetime reads: update pytest-ptreetime"
        )
    if version < FILE_VERSION:
        raise FileUnreadable(
            f"{source}: recording format {version} (byte {len(MAGIC)}) is from before the first release: "
            "record the build again"
        )
    (_, _, first), *blocks = _blocks(memoryview(data), begin, source)
    try:
        header = _header_decoder.decode(_expanded(first))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _damaged(source, begin, str(error)) from None
    return header, StoredEvents(source, [(position, payload) for position, _, payload in blocks[:-1]])


def _blocks(data: memoryview, position: int, source: str) -> Iterator[tuple[int, bytes, memoryview]]:
    """Every block's position, kind and payload, up to Z, which must be the end of the file."""
    expected: tuple[bytes, ...] = (b"H",)
    check_sum = zlib.crc32(data[:position])
    while expected:
        begin = position + _FIELDS.size + _CHECK_SUM.size
        if begin > len(data):
            raise FileUnreadable(f"{source}: truncated at byte {len(data)}: a block was to begin at byte {position}")
        kind, length = _FIELDS.unpack_from(data, position)
        end = begin + length
        if end > len(data):
            raise FileUnreadable(f"{source}: truncated at byte {len(data)}, in the block at byte {position}")
        fields = data[position : position + _FIELDS.size]
        check_sum = zlib.crc32(data[begin:end], zlib.crc32(fields, check_sum))
        if _CHECK_SUM.unpack_from(data, position + _FIELDS.size) != (check_sum,):
            raise _damaged(source, position, "its check sum is wrong")
        if kind not in expected:
            raise _damaged(source, position, f"it can't be {kind!r}")
        yield position, kind, data[begin:end]
        expected = () if kind == b"Z" else (b"E", b"Z")
        position = end
    if position != len(data):
        raise FileUnreadable(f"{source}: damaged at byte {position}: something follows the end of the recording")


def _expanded(payload: memoryview) -> bytes:
    """What was compressed.

    :raises ValueError: it can't be.
    """
    most = RAW_PER_BYTE * len(payload)
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(payload, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(raw) > most:
        raise ValueError(f"{len(payload)} bytes expand to too much")
    if not unpacker.eof:
        raise ValueError("its end is missing")
    return raw


def _damaged(source: str, position: int, what: str) -> FileUnreadable:
    return FileUnreadable(f"{source}: damaged block at byte {position}: {what}")
