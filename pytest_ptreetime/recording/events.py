"""The events of a recording, and the stream that carries them from a tracer to the tree.

Every tracer writes the vocabulary of swift-llbuild's ``ptreetime`` (START, proc:::create, proc:::exit, user startup,
user exec, user spawn, user exit, END), extended by proc:::exec, LOST and OUTSIDE. One event is one MessagePack array
whose first element is the event's tag; fields that a tracer can't know are nil.

A stream is a sequence of frames. A frame is written by one ``write``, so frames of several writers may follow each
other in one file but are never mixed::

    0        2         3       4            8            12                       12 + length
    +--------+---------+-------+------------+------------+------------------------+
    | "PT"   | version | zero  | length     | Adler-32 of| MessagePack array of   |
    | 2 bytes| 1 byte  | 1 byte| uint32, LE | it, LE     | events, length bytes   |
    +--------+---------+-------+------------+------------+------------------------+

The first four bytes are the mark by which the next frame is found where a writer could write only a part of one.
The C side has its one definition in ``libptreetime/ptreetime_wire.h``; ``tests/recording/test_events.py`` parses what
a C program wrote with it.

Version history of the wire format:

1. (0.1.0) the first.

Times are nanoseconds of CLOCK_MONOTONIC. Strings that come from the traced processes are bytes: the kernel does not
promise UTF-8.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.system.untrusted_text import valid_unicode

__all__ = [
    "COMM_BYTES",
    "WIRE_VERSION",
    "Create",
    "End",
    "Event",
    "Exec",
    "Exit",
    "Lost",
    "Outside",
    "Start",
    "Usage",
    "UserExec",
    "UserExit",
    "UserSpawn",
    "UserStartup",
    "date",
    "decode_frame",
    "decode_stream",
    "encode_frame",
]

WIRE_VERSION = 1
COMM_BYTES = 15  # the kernel's TASK_COMM_LEN, 16, holds the final NUL too
FRAME_HEADER = struct.Struct("<2sBxII")
FRAME_MAGIC = b"PT"
FRAME_MARK = struct.pack("<2sBx", FRAME_MAGIC, WIRE_VERSION)
LATEST_DATE_NS = 2**34 * 10**9  # the year 2514: any time of 64 bits more is still in the calendar


class Usage(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """What a process has used since its creation, all threads included; an image's share is a difference of two.

    ``utime_ns`` and ``stime_ns`` are the kernel's samples before scaling (``task->utime``): with tick accounting only
    their ratio means something. ``cpu_ns`` is ``sum_exec_runtime``, exact. The tree scales the first two to the third
    as ``cputime_adjust`` in the kernel's kernel/sched/cputime.c does. ``max_rss_bytes`` is not cumulative: it is the
    peak of the image that is current (or was, in an Exec event). ``read_bytes`` and ``written_bytes`` are what calls of
    read, write and their like moved, whatever the file was (rchar and wchar of /proc/PID/io), ``reads`` and ``writes``
    the number of those calls. ``instructions`` are those that it has executed in user space since its first exec, or
    since its creation where it has not exec'ed. libptreetime/ptreetime_records.h has the same list.
    """

    cpu_ns: int | None = None
    utime_ns: int | None = None
    stime_ns: int | None = None
    max_rss_bytes: int | None = None
    run_delay_ns: int | None = None
    voluntary_switches: int | None = None
    involuntary_switches: int | None = None
    minor_faults: int | None = None
    major_faults: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    failed_execs: int | None = None
    reads: int | None = None
    writes: int | None = None
    instructions: int | None = None


class Start(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=0):
    """START: the recording begins. ``root_pid`` waits at the gate; its next exec is the command itself.

    ``realtime_ns`` is CLOCK_REALTIME read together with ``time_ns``: the anchor for dates.
    """

    time_ns: int
    root_pid: int
    realtime_ns: int


class Create(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=1):
    """proc:::create: ``parent_pid`` forked ``pid``. Threads are not processes and have no event."""

    time_ns: int
    pid: int
    parent_pid: int


class Exec(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=2):
    """proc:::exec: ``pid`` has successfully replaced its program.

    ``name`` is the kernel's command name at that moment (``comm``, at most 15 bytes: the last part of the path given
    to execve), ``exe`` the absolute path of the file that runs (of the interpreter, for a script), ``usage`` what the
    process had used up to here: the end of the image before. ``loading_ns`` is that image's, as in :class:`Exit`.
    """

    time_ns: int
    pid: int
    name: bytes | None
    exe: bytes | None
    args: list[bytes] | None
    cwd: bytes | None
    usage: Usage | None = None
    loading_ns: int | None = None


class Exit(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=3):
    """proc:::exit: ``pid`` is dead, all its threads included, and its parent could see it.

    ``status`` is as wait(2) gives it: ``os.waitstatus_to_exitcode`` reads it. ``loading_ns`` is the time from the exec
    of the image until it could begin, ``leaving_ns`` from the process's last call (exit_group, its last thread's end)
    or the signal that ended it to its death.
    """

    time_ns: int
    pid: int
    status: int | None
    name: bytes | None = None
    usage: Usage | None = None
    loading_ns: int | None = None
    leaving_ns: int | None = None


class UserStartup(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=4):
    """user startup: the interposer's constructor ran in ``pid``; times are getrusage(RUSAGE_SELF).

    ``exe`` and ``args`` are filled in by the interposer that works alone (tracer ``interpose``).
    """

    time_ns: int
    pid: int
    parent_pid: int
    user_ns: int
    sys_ns: int
    exe: bytes | None = None
    args: list[bytes] | None = None
    cwd: bytes | None = None


class UserExec(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=5):
    """user exec: ``pid`` is about to call exec; it may still fail."""

    time_ns: int
    pid: int
    parent_pid: int
    user_ns: int
    sys_ns: int
    path: bytes
    args: list[bytes]


class UserSpawn(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=6):
    """user spawn: ``pid`` called posix_spawn, system or popen at ``time_ns``, and got ``child_pid`` if known."""

    time_ns: int
    pid: int
    parent_pid: int
    user_ns: int
    sys_ns: int
    path: bytes
    args: list[bytes]
    child_pid: int | None = None


class UserExit(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=7):
    """user exit: ``pid`` called exit or returned from main."""

    time_ns: int
    pid: int
    parent_pid: int
    user_ns: int
    sys_ns: int
    status: int | None = None


class Lost(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=8):
    """LOST: at least ``count`` events (or what ``what`` says) are missing from the recording.

    A count of 0 says that the tree lacks nothing, but something that is known beside it: why lags are unknown.
    """

    time_ns: int
    count: int
    what: str

    def __post_init__(self) -> None:
        # It may quote a path: a text that a file can't hold would lose the whole recording.
        msgspec.structs.force_setattr(self, "what", valid_unicode(self.what))


class End(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=9):
    """END: the root is dead and ``alive`` of its descendants are not: they were left running."""

    time_ns: int
    alive: int | None


class Outside(msgspec.Struct, array_like=True, gc=False, frozen=True, tag=10):
    """OUTSIDE: process ``pid`` is not of the tree, and worked while the tree ran, probably for it.

    From the recording's begin to its end it has used ``cpu_ns``, what it started meanwhile included. ``name`` is what
    it is called in a few words. ``socket`` is where a process of the tree connected to it: a Unix socket's name, or
    ``port N``; None where nobody saw a connection, and it only listens on some socket.

    A recorder that saw a connection leaves name and cpu time out, and pid where it knows only the socket.
    """

    time_ns: int
    pid: int | None
    socket: bytes | None
    name: bytes | None = None
    cpu_ns: int | None = None


Event: TypeAlias = Start | Create | Exec | Exit | UserStartup | UserExec | UserSpawn | UserExit | Lost | End | Outside

_frame_decoder = msgspec.msgpack.Decoder(list[Event])
_frame_encoder = msgspec.msgpack.Encoder()


def date(realtime_ns: int) -> float | None:
    """``realtime_ns`` (CLOCK_REALTIME) in seconds since the epoch; None for a year that no recording was made in."""
    return realtime_ns / 1e9 if 0 <= realtime_ns < LATEST_DATE_NS else None


def encode_frame(events: Iterable[Event]) -> bytes:
    """One frame that holds ``events``."""
    payload = _frame_encoder.encode(list(events))
    return FRAME_HEADER.pack(FRAME_MAGIC, WIRE_VERSION, len(payload), zlib.adler32(payload)) + payload


def decode_frame(payload: bytes | memoryview) -> list[Event]:
    """The events of one frame.

    :param payload: what follows its header.
    :raises ValueError: it holds something else.
    """
    try:
        return _frame_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def decode_stream(stream: bytes | memoryview, source: str) -> Iterator[list[Event]]:
    """The events of a stream, a list for each frame.

    :param source: what the stream is called in an error.
    :raises FileUnreadable: at the byte where the stream stops making sense. What was complete before it has been
        yielded by then, so that a caller can keep the part that arrived.
    """
    view = memoryview(stream)
    position = 0
    while position < len(view):
        if position + FRAME_HEADER.size > len(view):
            raise FileUnreadable(f"{source}: truncated frame header at byte {position}")
        magic, version, length, check_sum = FRAME_HEADER.unpack_from(view, position)
        if magic != FRAME_MAGIC or view[position + len(FRAME_MARK) - 1] != 0:
            raise FileUnreadable(f"{source}: no frame begins at byte {position}: the stream is damaged")
        if version != WIRE_VERSION:
            raise FileUnreadable(
                f"{source}: wire format {version} at byte {position}, this version reads {WIRE_VERSION}: "
                "the native helpers and the Python package are of different versions, reinstall pytest-ptreetime"
            )
        begin = position + FRAME_HEADER.size
        if begin + length > len(view):
            raise FileUnreadable(f"{source}: truncated frame at byte {position}: {length} bytes promised")
        payload = view[begin : begin + length]
        if zlib.adler32(payload) != check_sum:
            raise FileUnreadable(f"{source}: damaged frame at byte {position}: its check sum does not match")
        try:
            yield decode_frame(payload)
        except ValueError as error:
            raise FileUnreadable(f"{source}: damaged frame at byte {position}: {error}") from None
        position = begin + length
