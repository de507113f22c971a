"""A recording's file.

Input: a file, or, where it begins with 0, what its blocks hold: for each the kind (1 byte), the length (2 bytes,
little-endian) and the payload. They get compression, checksums and the header's sums here, where no fuzzer would find
them. Where it begins with 1, likewise, as version 1 of the format.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import msgspec

from fuzz.analysis_of import analyse
from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.file import MAGIC, Header
from pytest_ptreetime.recording.recording import Recording

_BLOCK = struct.Struct("<cIII")
_CHECKED = struct.Struct("<cII")


def one_input(data: bytes) -> None:
    file = _file_of(data[1:], 2 - data[0]) if data[:1] in (b"\0", b"\1") else data
    try:
        recording = Recording.from_bytes(file, "input")
    except FileUnreadable:
        return
    analyse(recording, zlib.crc32(data))


def _file_of(data: bytes, version: int) -> bytes:
    blocks: list[tuple[bytes, bytes]] = []
    position = 0
    while position < len(data):
        kind = data[position : position + 1]
        end = position + 3 + int.from_bytes(data[position + 1 : position + 3], "little")
        blocks.append((kind, data[position + 3 : end]))
        position = end
    if version == 2 and blocks and blocks[0][0] == b"H":
        blocks[0] = (b"H", _with_sums(blocks))
    return (
        MAGIC
        + version.to_bytes(2, "little")
        + b"".join(_block(kind, raw) for kind, raw in blocks)
        + _block(b"Z", b"\xcd" + len(blocks).to_bytes(2, "big"))
    )


def _with_sums(blocks: list[tuple[bytes, bytes]]) -> bytes:
    try:
        header = msgspec.msgpack.decode(blocks[0][1], type=Header)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return blocks[0][1]
    header.raw_bytes = sum(len(raw) for _, raw in blocks[1:])
    header.events = sum(_events_in(raw) for _, raw in blocks[1:])
    return msgspec.msgpack.encode(header)


def _events_in(raw: bytes) -> int:
    try:
        decoded: Any = msgspec.msgpack.decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return 0
    if not isinstance(decoded, list):
        return 0
    return len(decoded[0]) if decoded and isinstance(decoded[0], bytes) else len(decoded)


def _block(kind: bytes, raw: bytes) -> bytes:
    stored = zlib.compress(raw, 1 if len(raw) > 4096 else 0)
    checksum = zlib.crc32(stored, zlib.crc32(_CHECKED.pack(kind, len(stored), len(raw))))
    return _BLOCK.pack(kind, len(stored), len(raw), checksum) + stored
