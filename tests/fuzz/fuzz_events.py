"""The stream of a recorder or of the interposer.

Input: a stream, or, where it begins with 0, the payload of a single frame.
"""

from __future__ import annotations

import os
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
from pytest_ptreetime.tracers.growing_stream import GrowingStream


def one_input(data: bytes) -> None:
    stream = data
    if data[:1] == b"\0":
        stream = FRAME_HEADER.pack(FRAME_MAGIC, WIRE_VERSION, len(data) - 1, zlib.adler32(data[1:])) + data[1:]
    events: list[Event] = []
    try:
        for frame in decode_stream(stream, "input"):
            events += frame
    except FileUnreadable:
        pass  # what came before the damage is used
    if (salvaged := _salvaged(stream))[: len(events)] != events:
        raise Violation("what is whole before the damage is not read where damage is skipped")
    events = salvaged
    if [event for frame in decode_stream(encode_frame(events), "again") for event in frame] != events:
        raise Violation("events do not come back from a frame")
    analyse(Recording(events, incomplete_reason="cut"), zlib.crc32(data))


def _salvaged(stream: bytes) -> list[Event]:
    """All that is whole, in two pieces."""
    descriptor = os.memfd_create("stream")
    try:
        growing = GrowingStream(descriptor)
        half = len(stream) // 2
        os.pwrite(descriptor, stream[:half], 0)
        events = growing.read_new()
        os.pwrite(descriptor, stream[half:], half)
        return events + growing.read_new(final=True)
    finally:
        os.close(descriptor)
