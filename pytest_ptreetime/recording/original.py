"""The files and logs of the program that this one grew out of: swift-llbuild's utils/ptreetime.

A file is JSON, ``{"command": [...], "events": [{"ts": 1511111111000000, "evt": "proc:::create ", ...}]}``; names of
events are padded to 14 characters, times are microseconds of the wall clock, utime and stime pairs of seconds and
microseconds. A raw log has one such event in each line after the word PTREETIME; the logs of dtrace and of the
interposing library can be put into one file in any order.

The tree that such a file gives has the numbers that the original printed (tree/original_tree.py). Its events are kept
as they are, and saved as the original would; ``events`` shows them in our vocabulary.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeAlias

import msgspec

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.events import (
    Create,
    End,
    Event,
    Exit,
    Start,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
    date,
)
from pytest_ptreetime.recording.recording import Recording, as_bytes

if TYPE_CHECKING:
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["OriginalEvent", "OriginalRecording", "is_original", "read_original"]

TRACER = "swift-llbuild ptreetime"
LINE_MARK = b"PTREETIME "
LOOKED_AT_BYTES = 1 << 20  # of a file that does not begin as JSON does, to find a log's first line

# Every number fits a double, as JSON wants it, and a thousand times as many nanoseconds fit 64 bits.
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


# A time of getrusage, whose nanoseconds fit 64 bits too.
Seconds: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**32), le=2**32)]
Microseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)]


class Rusage(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A time of getrusage. No tuple: the collector would walk two of them for every event."""

    seconds: Seconds
    microseconds: Microseconds

    @property
    def ns(self) -> int:
        """The whole."""
        return self.seconds * 1_000_000_000 + self.microseconds * 1000


class OriginalStart(msgspec.Struct, tag_field="evt", tag="START         ", gc=False, frozen=True):
    """The recording begins; ``target`` is the root's pid."""

    ts: Number
    target: Number


class OriginalCreate(msgspec.Struct, tag_field="evt", tag="proc:::create ", gc=False, frozen=True):
    """``parent`` forked ``pid``."""

    ts: Number
    pid: Number
    parent: Number


class OriginalExit(msgspec.Struct, tag_field="evt", tag="proc:::exit   ", gc=False, frozen=True):
    """``pid``, whose program is called ``name``, ended."""

    ts: Number
    pid: Number
    parent: Number
    name: str


class OriginalUserStartup(msgspec.Struct, tag_field="evt", tag="user startup  ", gc=False, frozen=True):
    """The first user constructor ran."""

    ts: Number
    pid: Number
    parent: Number
    utime: Rusage
    stime: Rusage


class OriginalUserExec(msgspec.Struct, tag_field="evt", tag="user exec     ", gc=False, frozen=True):
    """``pid`` is about to exec."""

    ts: Number
    pid: Number
    parent: Number
    utime: Rusage
    stime: Rusage
    args: list[str]


class OriginalUserSpawn(msgspec.Struct, tag_field="evt", tag="user spawn    ", gc=False, frozen=True):
    """``pid`` is about to spawn a child."""

    ts: Number
    pid: Number
    parent: Number
    utime: Rusage
    stime: Rusage
    args: list[str]


class OriginalUserExit(msgspec.Struct, tag_field="evt", tag="user exit     ", gc=False, frozen=True):
    """``pid`` called exit."""

    ts: Number
    pid: Number
    parent: Number
    utime: Rusage
    stime: Rusage


class OriginalEnd(msgspec.Struct, tag_field="evt", tag="END           ", gc=False, frozen=True):
    """The recording ends."""

    ts: Number


OriginalEvent: TypeAlias = (
    OriginalStart
    | OriginalCreate
    | OriginalExit
    | OriginalUserStartup
    | OriginalUserExec
    | OriginalUserSpawn
    | OriginalUserExit
    | OriginalEnd
)


class _File(msgspec.Struct):
    """The original's, and what we add where its events come from a log that lacks some."""

    command: Any = None
    events: list[OriginalEvent] = []
    incomplete_reason: str | None = None


_TAG_WIDTH = 14
_TAGS = {
    "START", "proc:::create", "proc:::exit", "user startup", "user exec", "user spawn", "user exit", "END",
}  # fmt: skip
_file_decoder = msgspec.json.Decoder(_File)
_lines_decoder = msgspec.json.Decoder(list[OriginalEvent])


class OriginalRecording(Recording):
    """A recording of the original's, which rebuilds its tree by the original's rules."""

    def __init__(
        self,
        original_events: Sequence[OriginalEvent],
        *,
        command: Sequence[str] = (),
        incomplete_reason: str | None = None,
    ) -> None:
        super().__init__([], tracer=TRACER, command=command, incomplete_reason=incomplete_reason)
        self.original_events = list(original_events)
        self._ours: list[Event] = []

    @property
    def events(self) -> list[Event]:
        """The events in our vocabulary, with the original's wall-clock times as nanoseconds."""
        if not self._ours:
            self._ours = [_ours(event) for event in self.original_events]
        return self._ours

    @property
    def started(self) -> float | None:
        """When it began, in seconds since the epoch."""
        return next((date(event.ts * 1000) for event in self.original_events if isinstance(event, OriginalStart)), None)

    def tree(self) -> ProcessTree:
        """The tree that the original would have printed.

        :raises FileUnreadable: there is no START event, which names the root.
        """
        from pytest_ptreetime.tree.original_tree import build_original_tree

        return build_original_tree(
            self.original_events, command=self.command, tracer=TRACER, incomplete_reason=self.incomplete_reason
        )

    def _parts_of_file(self) -> Iterator[bytes]:
        file = _File(self.command, self.original_events, self.incomplete_reason)
        yield json.dumps(msgspec.to_builtins(file)).encode()  # which has an escape for bytes that are not UTF-8


def is_original(data: bytes) -> bool:
    """Whether ``data`` looks like a file or a log of the original."""
    return data[:64].lstrip()[:1] == b"{" or _is_log(data)


def read_original(data: bytes, source: str) -> OriginalRecording:
    """A file or a raw log of the original.

    :raises FileUnreadable: it is neither, or is damaged; the message has the byte or the event.
    """
    if _is_log(data):
        return _read_log(data, source)
    try:
        file = _file_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        # Its library wrote arguments as they came: control characters, bytes that are not UTF-8.
        return _read_tolerantly(data, source)
    return _recording(file.events, file.command, source, file.incomplete_reason)


def _recording(
    events: Sequence[OriginalEvent], command: Any, source: str, note: str | None = None
) -> OriginalRecording:
    if not any(type(event) is OriginalStart for event in events):
        raise FileUnreadable(f"{source}: there is no START event, so the root is not known: not a ptreetime recording")
    words = [command] if isinstance(command, str) else command if isinstance(command, list) else []
    return OriginalRecording(events, command=[word for word in words if isinstance(word, str)], incomplete_reason=note)


def _is_log(data: bytes) -> bool:
    return data.startswith(LINE_MARK) or (
        data[:64].lstrip()[:1] != b"{" and data.find(b"\n" + LINE_MARK, 0, LOOKED_AT_BYTES) >= 0
    )


def _read_log(data: bytes, source: str) -> OriginalRecording:
    lines = [line[len(LINE_MARK) :] for line in data.splitlines() if line.startswith(LINE_MARK)]
    try:
        events = _lines_decoder.decode(b"[" + b",".join(lines) + b"]")
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _read_log_tolerantly(data, source)
    return _recording(events, None, source)


def _read_log_tolerantly(data: bytes, source: str) -> OriginalRecording:
    events = []
    failures = 0
    position = 0
    for line in data.split(b"\n"):
        if line.startswith(LINE_MARK):
            if b'"error"' in line and b'"evt"' not in line:
                failures += 1  # the library could not open or write its log
            else:
                where = f"{source}: byte {position}"
                events.append(_event(_parsed(line[len(LINE_MARK) :], where, 0), where))
        position += len(line) + 1
    note = f"the interposing library could not write {failures} times" if failures else None
    return _recording(events, None, source, note)


def _read_tolerantly(data: bytes, source: str) -> OriginalRecording:
    parsed = _parsed(data, source)
    if not isinstance(parsed, dict) or not isinstance(parsed.get("events"), list):
        raise FileUnreadable(f'{source}: not a ptreetime recording: it has no list of "events"')
    events = [_event(one, f"{source}: event {number}") for number, one in enumerate(parsed["events"])]
    note = parsed.get("incomplete_reason")
    return _recording(events, parsed.get("command"), source, note if isinstance(note, str) else None)


def _parsed(data: bytes, source: str, offset: int | None = None) -> Any:
    text = data.decode("utf-8", "surrogateescape")
    try:
        parsed = json.loads(text, strict=False, parse_constant=_no_constant)
        # Twice: an escaped high surrogate before a byte that is not UTF-8 looks like a pair where they are saved.
        return json.loads(json.dumps(parsed))
    except json.JSONDecodeError as error:
        position = len(text[: error.pos].encode("utf-8", "surrogateescape"))
        where = f" at byte {position}" if offset is None else ""
        raise FileUnreadable(f"{source}: not JSON{where}: {error.msg}: truncated, or not a recording") from None
    except (ValueError, RecursionError) as error:
        raise FileUnreadable(f"{source}: not the JSON of a recording: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _event(parsed: Any, where: str) -> OriginalEvent:
    if not isinstance(parsed, dict) or not isinstance(parsed.get("evt"), str):
        raise FileUnreadable(f'{where} is not an event: it has no "evt"')
    kind = parsed["evt"].strip()
    if kind not in _TAGS:
        raise FileUnreadable(f"{where} is of an unknown kind, {kind[:40]!r}")
    try:
        # The types by the same rules as on the fast path; strings may hold lone surrogates here.
        event: OriginalEvent = msgspec.convert({**parsed, "evt": kind.ljust(_TAG_WIDTH)}, OriginalEvent)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise FileUnreadable(f"{where} ({kind}) is invalid: {error}") from None
    return event


def _arguments(event: OriginalUserExec | OriginalUserSpawn) -> tuple[bytes, list[bytes]]:
    args = [as_bytes(argument) for argument in event.args]
    return (args[0] if args else b""), args


def _ours(event: OriginalEvent) -> Event:
    time_ns = event.ts * 1000
    if isinstance(event, OriginalStart):
        return Start(time_ns, event.target, time_ns)
    if isinstance(event, OriginalEnd):
        return End(time_ns, None)
    if isinstance(event, OriginalCreate):
        return Create(time_ns, event.pid, event.parent)
    if isinstance(event, OriginalExit):
        return Exit(time_ns, event.pid, None, as_bytes(event.name))
    user_ns, sys_ns = event.utime.ns, event.stime.ns
    if isinstance(event, OriginalUserStartup):
        return UserStartup(time_ns, event.pid, event.parent, user_ns, sys_ns)
    if isinstance(event, OriginalUserExit):
        return UserExit(time_ns, event.pid, event.parent, user_ns, sys_ns)
    path, args = _arguments(event)
    kind = UserExec if isinstance(event, OriginalUserExec) else UserSpawn
    return kind(time_ns, event.pid, event.parent, user_ns, sys_ns, path, args)
