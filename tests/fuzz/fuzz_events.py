"""The stream of a recorder or of the interposer.

Input: a stream, or, where it begins with 0, the payload of a single frame.
"""

from __future__ import annotations

import zlib

from fuzz.analysis_of import analyse
from fuzz.bounds import Violation
from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.events import (
    FRAME_HEADER,
    FRAME_MAGIC,
    WIRE_VERSION,
    Event,
    decode_stream,
    encode_frame,
)
from pytest_ptreetime.recording.recording import Recording


def one_input(data: bytes) -> None:
    stream = data
    if data[:1] == b"\0":
        stream = FRAME_HEADER.pack(FRAME_MAGIC, WIRE_VERSION, len(data) - 1) + data[1:]
    events: list[Event] = []
    try:
        for frame in decode_stream(stream, "input"):
            events += frame
    except FileUnreadable:
        pass  # what came before the damage is used
    if [event for frame in decode_stream(encode_frame(events), "again") for event in frame] != events:
        raise Violation("events do not come back from a frame")
    analyse(Recording(events, incomplete_reason="cut"), zlib.crc32(data))
