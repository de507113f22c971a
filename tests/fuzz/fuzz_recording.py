"""A recording's file.

Input: a file, or, where it begins with 0, what its blocks hold: for each the kind (1 byte), the length (2 bytes,
little-endian) and the payload. They get compression and check sums here, where no fuzzer would find them. Events that
are not in order, which no file has, are analysed as a tracer's.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import suppress

from fuzz.analysis_of import analyse
from fuzz.recording_file import file_of
from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.events import Event, decode_frame
from pytest_ptreetime.recording.recording import Recording


def one_input(data: bytes) -> None:
    blocks = list(_blocks_in(data[1:])) if data[:1] == b"\0" else []
    try:
        recording = Recording.from_bytes(file_of([*blocks, (b"Z", b"")]) if blocks else data, "input")
        _ = recording.events
    except FileUnreadable:
        events: list[Event] = []
        for kind, raw in blocks:
            if kind == b"E":
                with suppress(ValueError):
                    events += decode_frame(raw)
        recording = Recording(events)
    analyse(recording, zlib.crc32(data))


def _blocks_in(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(data):
        end = position + 3 + int.from_bytes(data[position + 1 : position + 3], "little")
        yield data[position : position + 1], data[position + 3 : end]
        position = end
