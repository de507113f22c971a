"""Reading a stream of events (recording/events.py) while its writers still add to it, whatever else is in it.

The interposer's log is written by the build's own processes: a limit of its size or a full disk cuts a frame, a step
may write something else there, a hole costs it nothing. What is no frame is skipped up to the next one whose check sum
is right.
"""

from __future__ import annotations

import errno
import os
import zlib

from pytest_ptreetime.recording.events import FRAME_HEADER, FRAME_MARK, Event, decode_frame

__all__ = ["GrowingStream"]

CHUNK_BYTES = 1 << 20
# A frame holds arguments, of which the kernel allows 6 MiB, or what a recorder has collected for a moment.
MOST_FRAME_BYTES = 16 << 20
MOST_SEARCHED_BYTES = 256 << 20  # of check sums that turned out wrong: then the search is given up


class GrowingStream:
    """What is new in the file behind ``descriptor``, which stays its owner's. Each byte is read once.

    A frame that is not there as a whole yet is left for the next time.

    :param begin: the byte at which the stream begins.
    :param most_events: of more events the rest is not read. None: as many as there are.
    :param most_bytes: likewise, of bytes that are not in holes.

    ``damage`` counts the places where something else stood than a frame; ``cut_short`` says that there was too much.
    """

    def __init__(
        self, descriptor: int, *, begin: int = 0, most_events: int | None = None, most_bytes: int | None = None
    ) -> None:
        self._descriptor = descriptor
        self._position = begin
        self._rest = b""
        self._skipping = False
        self._searched_bytes = 0
        self._events_left = most_events
        self._bytes_left = most_bytes
        self.damage = 0
        self.cut_short = False

    def read_new(self, *, final: bool = False) -> list[Event]:
        """The events that have come since the last call.

        :param final: nothing will be added: what is there of a last frame is damage.
        """
        events: list[Event] = []
        while not self.cut_short and (chunk := self._chunk()):
            data = self._rest + chunk
            self._rest = data[self._take(data, events, final=False) :]
        if final and self._rest:
            data, self._rest = self._rest, b""
            self._take(data, events, final=True)
        return events

    def _chunk(self) -> bytes:
        """The next bytes, without the holes of the file."""
        try:
            data_begin = os.lseek(self._descriptor, self._position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole, if anything, up to the end
                return b""
            data_begin = self._position  # a file system that does not know
        if data_begin > self._position:
            self._damaged()
            self._rest = b""
            self._position = data_begin
        size = CHUNK_BYTES if self._bytes_left is None else min(CHUNK_BYTES, self._bytes_left)
        if size == 0:
            self.cut_short = True
            return b""
        chunk = os.pread(self._descriptor, size, self._position)
        self._position += len(chunk)
        if self._bytes_left is not None:
            self._bytes_left -= len(chunk)
        return chunk

    def _damaged(self) -> None:
        self.damage += not self._skipping
        self._skipping = True

    def _take(self, data: bytes, events: list[Event], *, final: bool) -> int:
        """Add the events of the whole frames in ``data``, and return how much of it is done with."""
        view, position = memoryview(data), 0
        while position < len(data) and not self.cut_short:
            if not data.startswith(FRAME_MARK, position):
                if FRAME_MARK.startswith(data[position:]) and not final:
                    return position
                self._damaged()
                found = data.find(FRAME_MARK, position)
                if found < 0:
                    return len(data) if final else max(position, len(data) - len(FRAME_MARK) + 1)
                position = found
            end = _end_of_frame(view, position)
            if end is None or end > len(data):
                if not final and (end is None or end - position <= MOST_FRAME_BYTES):
                    return position
                frame = None
            else:
                frame = self._frame(view, position, end)
            if frame is None:
                self._damaged()
                position += 1
            else:
                self._skipping = False
                self._add(frame, events)
                position = end or position
        return position if not self.cut_short else len(data)

    def _frame(self, view: memoryview, begin: int, end: int) -> list[Event] | None:
        """The events of the frame between ``begin`` and ``end``; None where it turns out not to be a frame."""
        payload = view[begin + FRAME_HEADER.size : end]
        *_, check_sum = FRAME_HEADER.unpack_from(view, begin)
        try:
            if zlib.adler32(payload) == check_sum:
                return decode_frame(payload)
        except ValueError:
            pass
        self._searched_bytes += len(payload)
        self.cut_short |= self._searched_bytes > MOST_SEARCHED_BYTES
        return None

    def _add(self, frame: list[Event], events: list[Event]) -> None:
        if self._events_left is not None:
            self.cut_short = len(frame) > self._events_left
            frame = frame[: self._events_left]
            self._events_left -= len(frame)
        events += frame


def _end_of_frame(view: memoryview, position: int) -> int | None:
    """Where the frame at ``position`` ends by its header; None where that is not there as a whole."""
    if position + FRAME_HEADER.size > len(view):
        return None
    *_, length, _ = FRAME_HEADER.unpack_from(view, position)
    return position + FRAME_HEADER.size + int(length)
