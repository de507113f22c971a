"""The blocks of a recording's file, whatever is in them. Numbers are little-endian::

    0                 8         10
    +-----------------+---------+---------+---------+-- ... --+-----------+
    | 89 PTREC 0D 0A  | version | block H | block   | block   | block Z   |
    +-----------------+---------+---------+---------+-- ... --+-----------+

    block:  kind 1 byte | stored length u32 | raw length u32 | crc32 u32 of the fields before and the payload | payload

A payload is compressed by zlib. H is a MessagePack map of what is known of the run, C many events as columns
(event_columns.py), E an array of events as in events.py (O: as in original.py), Z the number of blocks before it;
nothing follows Z.

A small file can't make its reader use much memory: H states the number of events and the sum of raw lengths, which are
compared with the file's length before anything but H is unpacked, and no block may go beyond them, or expand by more
than RAW_PER_BYTE. What would is stored as it is.

Version history of the file format:

1. the first: no blocks C, and H states no sizes.
2. (0.1.0) blocks C, half as large.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.event_columns import CELLS_PER_BYTE, EVENTS_PER_BYTE, ColumnsEncoder
from pytest_ptreetime.recording.events import Event
from pytest_ptreetime.system.host import HostFacts

__all__ = ["FILE_VERSION", "MAGIC", "Block", "Header", "blocks_of_columns", "blocks_of_rows", "file_of", "read_header"]

FILE_VERSION = 2
MAGIC = b"\x89PTREC\r\n"
EVENTS_PER_BLOCK = 65_536  # as columns
ROWS_PER_BLOCK = 16_384
BLOCK_LIMIT_BYTES = 1 << 28  # of a raw payload: a reader's memory is bounded by it, an event has at most 2 MiB
RAW_PER_BYTE = 64  # a payload's expansion; that of real builds is 3 to 30
RAW_ALWAYS = 4096  # a payload's bytes that need not be compared with anything
RAW_ALWAYS_IN_VERSION_1 = 1 << 22  # its writer stored an argument of 2 MiB of one letter in 2 KiB
SHORTEST_EVENT_BYTES = 4  # of a row

_VERSION = struct.Struct("<H")
_BLOCK = struct.Struct("<cIII")
_BLOCK_BEFORE_CHECKSUM = struct.Struct("<cII")
_encoder = msgspec.msgpack.Encoder()


class Header(msgspec.Struct, omit_defaults=True):
    """Block H. Strings that come from outside are bytes: MessagePack's strings must be UTF-8.

    ``events`` and ``raw_bytes`` are sums over the blocks behind it.
    """

    tracer: str | None = None
    command: list[bytes] = []
    host: HostFacts | None = None
    incomplete_reason: bytes | None = None
    versions: dict[str, str] = {}
    events: int = 0
    raw_bytes: int = 0


class Block(NamedTuple):
    """One block: where it begins, its payload, and what that takes in the file."""

    position: int
    kind: bytes
    raw: bytes
    stored_bytes: int


_header_decoder = msgspec.msgpack.Decoder(Header)


def file_of(header: Header, encoded: Sequence[tuple[bytes, int]], events: int) -> Iterator[bytes]:
    """The parts of a file. ``encoded`` are the blocks after H, each with its raw length, of ``events`` events."""
    header.events, header.raw_bytes = events, sum(raw for _, raw in encoded)
    yield MAGIC + _VERSION.pack(FILE_VERSION)
    yield _stored(b"H", _encoder.encode(header))[0]
    for stored, _ in encoded:
        yield stored
    yield _stored(b"Z", _encoder.encode(1 + len(encoded)))[0]


def blocks_of_columns(events: Iterable[Event]) -> Iterator[tuple[bytes, int]]:
    """Blocks C of ``events``, each with its raw length; blocks E of what columns don't suit."""
    columns = ColumnsEncoder()
    left = iter(events)
    while part := list(islice(left, EVENTS_PER_BLOCK)):
        encoded = columns.encode(part)
        if encoded is not None and len(encoded[0]) <= BLOCK_LIMIT_BYTES:
            raw, cells = encoded
            stored, length = _stored(b"C", raw)
            if len(part) <= EVENTS_PER_BYTE * len(stored) and cells <= CELLS_PER_BYTE * len(stored):
                yield stored, length
                continue
        columns.forget()
        yield from blocks_of_rows(b"E", part, _encoder.encode)


def blocks_of_rows(kind: bytes, rows: Sequence[Any], encode: Callable[[Any], bytes]) -> Iterator[tuple[bytes, int]]:
    """Blocks of ``kind``, E or O, each with its raw length."""
    waiting = [rows[i : i + ROWS_PER_BLOCK] for i in range(0, len(rows), ROWS_PER_BLOCK)]
    waiting.reverse()
    while waiting:
        events = waiting.pop()
        raw = encode(events)
        if len(raw) > BLOCK_LIMIT_BYTES and len(events) > 1:
            half = len(events) // 2
            waiting += [events[half:], events[:half]]
            continue
        yield _stored(kind, raw)


def _stored(kind: bytes, raw: bytes) -> tuple[bytes, int]:
    payload = zlib.compress(raw, 6)
    if len(raw) > _most_raw(len(payload)):
        payload = zlib.compress(raw, 0)
    checksum = zlib.crc32(payload, zlib.crc32(_BLOCK_BEFORE_CHECKSUM.pack(kind, len(payload), len(raw))))
    return _BLOCK.pack(kind, len(payload), len(raw), checksum) + payload, len(raw)


def _most_raw(stored_bytes: int) -> int:
    return RAW_ALWAYS + RAW_PER_BYTE * stored_bytes


def read_header(data: bytes, source: str) -> tuple[int, Header, Iterator[Block]]:
    """Version, header and the blocks after it, up to and including Z, which must be the end of the file.

    :raises FileUnreadable: the data are truncated, damaged, of another version, or would expand to too much; the
        iterator raises it too.
    """
    begin = len(MAGIC) + _VERSION.size
    if len(data) < begin:
        raise FileUnreadable(f"{source}: truncated at byte {len(data)}, in the version: record the build again")
    (version,) = _VERSION.unpack_from(data, len(MAGIC))
    if not 1 <= version <= FILE_VERSION:
        raise FileUnreadable(
            f"{source}: recording format {version} (byte {len(MAGIC)}), this version of pytest-ptreetime reads "
            f"1 to {FILE_VERSION}: upgrade it"
        )
    blocks = _blocks(memoryview(data), begin, source, RAW_ALWAYS if version > 1 else RAW_ALWAYS_IN_VERSION_1)
    first = next(blocks)
    try:
        if first.kind != b"H":
            raise FileUnreadable(f"{source}: damaged at byte {begin}: block 0 can't be {first.kind!r}")
        header = _header_decoder.decode(first.raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FileUnreadable(f"{source}: damaged block at byte {begin}: {error}") from None
    if version == 1:
        header.events = ROWS_PER_BLOCK + EVENTS_PER_BYTE * len(data)  # at most: it states no number
        return version, header, blocks
    most = len(data) * (RAW_PER_BYTE + RAW_ALWAYS // _BLOCK.size)
    if not 0 <= header.raw_bytes <= most or not 0 <= header.events <= most // SHORTEST_EVENT_BYTES:
        raise FileUnreadable(
            f"{source}: damaged at byte {begin}: {header.events} events of {header.raw_bytes} bytes are too much for "
            f"a file of {len(data)} bytes"
        )
    return version, header, _within(header, blocks, source)


def _within(header: Header, blocks: Iterator[Block], source: str) -> Iterator[Block]:
    left = header.raw_bytes
    for block in blocks:
        if block.kind != b"Z":
            left -= len(block.raw)
        elif left:
            raise FileUnreadable(f"{source}: damaged at byte {block.position}: {left} bytes are missing")
        if left < 0:
            raise FileUnreadable(f"{source}: damaged block at byte {block.position}: more than the header states")
        yield block


def _blocks(data: memoryview, position: int, source: str, always: int) -> Iterator[Block]:
    """Every block. A raw payload may have ``always`` bytes, however short it is in the file."""
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
        if raw_length > min(BLOCK_LIMIT_BYTES, always + RAW_PER_BYTE * stored_length):
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
        yield Block(position, kind, raw, end - position)
        position = end
