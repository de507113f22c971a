"""Reading a stream of events (recording/events.py) while its writer still adds to it."""

from __future__ import annotations

import os

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.events import FRAME_HEADER, FRAME_MAGIC, Event, decode_stream

__all__ = ["GrowingStream"]

CHUNK_BYTES = 1 << 20


class GrowingStream:
    """What is new in the file behind ``descriptor``, which stays its owner's. Each byte is read once.

    A frame that is not there as a whole yet is left for the next time. A stream that makes no sense has no news any
    more: to say what is wrong with it is left to those who read it at its end.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0
        self._rest = b""
        self._damaged = False

    def news(self) -> list[Event]:
        """The events that have come since the last call."""
        events: list[Event] = []
        while not self._damaged:
            chunk = os.pread(self._descriptor, CHUNK_BYTES, self._position)
            if not chunk:
                break
            self._position += len(chunk)
            data = self._rest + chunk
            whole = self._whole_frames(data)
            try:
                for frame in decode_stream(memoryview(data)[:whole], "the growing stream"):
                    events += frame
            except FileUnreadable:
                self._damaged = True
            self._rest = data[whole:]
        return events

    def _whole_frames(self, data: bytes) -> int:
        """The size of the complete frames at the beginning of ``data``."""
        position = 0
        while position + FRAME_HEADER.size <= len(data):
            magic, _, length = FRAME_HEADER.unpack_from(data, position)
            if magic != FRAME_MAGIC:
                self._damaged = True
                break
            end = position + FRAME_HEADER.size + length
            if end > len(data):
                break
            position = end
        return position
