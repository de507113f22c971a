"""A file or a log of swift-llbuild's ptreetime."""

from __future__ import annotations

import zlib

from fuzz.analysis_of import analyse
from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.original import is_original, read_original


def one_input(data: bytes) -> None:
    is_original(data)
    try:
        recording = read_original(data, "input")
    except FileUnreadable:
        return
    analyse(recording, zlib.crc32(data))
