"""Recordings' files out of blocks that no writer would make, with every check sum right."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

from pytest_ptreetime.recording.file import FILE_VERSION, MAGIC

__all__ = ["file_of"]


def file_of(blocks: Iterable[tuple[bytes, bytes]], *, compressed: bool = False) -> bytes:
    """A file of blocks, each a kind and what it holds.

    :param compressed: it is compressed already, or something else.
    """
    file = MAGIC + FILE_VERSION.to_bytes(2, "little")
    check_sum = zlib.crc32(file)
    for kind, content in blocks:
        payload = content if compressed else zlib.compress(content, 0)
        fields = struct.pack("<cI", kind, len(payload))
        check_sum = zlib.crc32(payload, zlib.crc32(fields, check_sum))
        file += fields + struct.pack("<I", check_sum) + payload
    return file
