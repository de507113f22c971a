"""What ``libptreetime/ptreetime.d`` prints, as events.

DTrace's own words (drops, errors) come on its standard error, see :func:`lost_records`. A record that can't be read
becomes a LOST event: nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from pytest_ptreetime.recording.events import Create, Event, Exec, Exit, Lost, Usage, UserStartup

__all__ = ["DtraceOutput", "clock_shift_ns", "lost_records", "with_programs"]

MARK = b"PTREETIME "
STRING_SIZE = 1024  # ptreetime.d's strsize: a longer string is cut, the closing zero byte included
ILLUMOS_ARGS_SIZE = 80  # PRARGSZ
UNKNOWN_STATUS = -1
LARGEST_NUMBER = 2**62  # nothing that dtrace counts gets there, and the sum of two fits 64 bits

# The words, and how many numbers each has. A name may be digits as well, so they have to be counted.
_NUMBERS = {b"begin": 3, b"create": 3, b"exec": 4, b"args": 4, b"exit": 3, b"used": 5, b"dead": 5, b"end": 1}
_ENDS = {word: b" " if word == b"exec" else b"\n" for word in _NUMBERS}
_RECORD = re.compile(
    MARK + b"(?:" + b"|".join(b"(%s)((?: -?\\d{1,19}){%d})%s" % (w, n, _ENDS[w]) for w, n in _NUMBERS.items()) + b")"
)
_DROPS = re.compile(r"^dtrace: (\d+) (.*?)drops?\b", re.MULTILINE)
_ERRORS = re.compile(r"^dtrace: error on enabled probe", re.MULTILINE)


@dataclass(frozen=True)
class Record:
    """One line: its word, its numbers (the first is DTrace's ``timestamp``), its strings."""

    word: str
    numbers: Sequence[int]
    strings: Sequence[bytes] = ()

    @property
    def timestamp(self) -> int:
        """Nanoseconds, of DTrace's own clock."""
        return self.numbers[0]


@dataclass
class DtraceOutput:
    """What was printed up to now; in the order of printing, which is not that of time."""

    records: list[Record] = field(default_factory=list)
    damaged: int = 0

    @classmethod
    def parse(cls, output: bytes) -> DtraceOutput:
        """Everything whole in ``output``; a record that is not yet whole at its end is left out."""
        parsed, position = cls(), 0
        while (found := output.find(MARK, position)) >= 0:
            if found > 0 and output[found - 1 : found] != b"\n":
                position = found + len(MARK)
                continue
            match = _RECORD.match(output, found)
            if match is None:
                if output.find(b"\n", found) >= 0:
                    parsed.damaged += 1
                position = found + len(MARK)
                continue
            position = parsed._take(match, output)
        return parsed

    def _take(self, match: re.Match[bytes], output: bytes) -> int:
        """Add the record; the position behind it."""
        assert match.lastindex is not None
        word = match[match.lastindex - 1].decode()
        numbers = [int(number) for number in match[match.lastindex].split()]
        if max(map(abs, numbers)) > LARGEST_NUMBER or (word == "exec" and min(numbers[2:]) < 0):
            self.damaged += 1
            return match.end()
        if word != "exec":
            self.records.append(Record(word, numbers))
            return match.end()
        name_size, args_size = numbers[2:]
        name_end = match.end() + name_size
        end = name_end + 1 + args_size
        if args_size >= STRING_SIZE - 1:  # cut, and not where strlen said: the next record ends it
            found = output.find(b"\n" + MARK, name_end)
            end = len(output.rstrip(b"\n")) if found < 0 else found
        if end < len(output) and output[end : end + 1] != b"\n":
            self.damaged += 1
            return match.end()
        if end < len(output):
            self.records.append(Record(word, numbers[:2], (output[match.end() : name_end], output[name_end + 1 : end])))
        return end

    @property
    def begin(self) -> Record | None:
        """The first record of all: the probes are live since then. Numbers: timestamp, root, wall clock's time."""
        return next((record for record in self.records if record.word == "begin"), None)

    def count_processes(self) -> int:
        """The processes seen so far, the root included."""
        return 1 + sum(record.word == "create" for record in self.records)

    def living(self) -> set[int]:
        """The pids that were created and have not ended, the root left out."""
        alive: set[int] = set()
        for record in sorted(self.records, key=lambda record: record.timestamp):
            if record.word == "create":
                alive.add(record.numbers[1])
            elif record.word in ("exit", "dead"):
                alive.discard(record.numbers[1])
        return alive

    def events(self, shift_ns: int) -> list[Event]:
        """The events, in order.

        :param shift_ns: what turns DTrace's timestamps into CLOCK_MONOTONIC, see :func:`clock_shift_ns`.
        """
        events: list[Event] = []
        damaged = self.damaged
        execs: dict[int, tuple[int, bytes]] = {}  # by pid: the last one's index and joined arguments
        exits: dict[int, int] = {}  # by pid: the index of an exit that may still get its times
        latest: dict[int, int] = {}  # by pid: the index of the last exec or exit
        for record in sorted(self.records, key=lambda record: record.timestamp):
            if record.word == "end":
                continue
            time_ns, pid = record.timestamp + shift_ns, record.numbers[1]
            if abs(time_ns) > LARGEST_NUMBER:
                damaged += 1
                continue
            if record.word == "create":
                exits.pop(pid, None)
                latest.pop(pid, None)
                events.append(Create(time_ns, pid, record.numbers[2]))
            elif record.word == "exec":
                latest[pid] = len(events)
                execs[pid] = len(events), record.strings[1]
                events.append(Exec(time_ns, pid, record.strings[0], None, None, None))
            elif record.word == "args" and pid in execs:
                index, joined = execs.pop(pid)
                events[index] = msgspec.structs.replace(events[index], args=_split(joined, *record.numbers[2:]))
            elif record.word == "exit":
                latest[pid] = exits[pid] = len(events)
                status = record.numbers[2]
                events.append(Exit(time_ns, pid, None if status == UNKNOWN_STATUS else status))
            elif record.word == "used" and pid in latest:
                index = latest.pop(pid)
                events[index] = msgspec.structs.replace(events[index], usage=_usage(*record.numbers[2:]))
            elif record.word == "dead" and pid in exits:
                index = exits.pop(pid)
                events[index] = msgspec.structs.replace(
                    events[index], time_ns=time_ns, usage=_usage(*record.numbers[2:])
                )
        if damaged:
            last = max((event.time_ns for event in events), default=0)
            events.append(Lost(last, damaged, "what dtrace printed can't be read"))
        return events


def _usage(cpu: int, utime: int, stime: int) -> Usage:
    return Usage(cpu_ns=cpu, utime_ns=utime, stime_ns=stime)


def _split(joined: bytes, count: int, size: int) -> list[bytes] | None:
    """The arguments, where they are what was joined: no one of them has a space, nothing was cut.

    :param count: how many they were.
    :param size: of all of them with their closing zero bytes; 0 where it is not known.
    """
    args = joined.split(b" ")
    whole = size == len(joined) + 1 and size < STRING_SIZE if size else len(joined) < ILLUMOS_ARGS_SIZE - 1
    return args if whole and len(args) == count else None


def clock_shift_ns(begin: Record, started_ns: int, now_ns: int, realtime_ns: int) -> int:
    """What has to be added to DTrace's timestamps to make them CLOCK_MONOTONIC.

    On Linux and macOS they are that already: then ``begin`` lies between dtrace's start and now. Elsewhere the wall
    clock, which ``begin`` has too, leads from one to the other.

    :param started_ns: CLOCK_MONOTONIC before dtrace was started.
    :param now_ns: CLOCK_MONOTONIC after ``begin`` was read, together with ``realtime_ns``, CLOCK_REALTIME.
    """
    if started_ns <= begin.timestamp <= now_ns:
        return 0
    return begin.numbers[2] - (realtime_ns - now_ns) - begin.timestamp


def lost_records(standard_error: str) -> int:
    """How many records DTrace says that it dropped or failed to make."""
    return sum(int(match[1]) for match in _DROPS.finditer(standard_error)) + len(_ERRORS.findall(standard_error))


def with_programs(events: Iterable[Event], user_events: Sequence[Event]) -> list[Event]:
    """``events``, each Exec with the program and the arguments that the interposer saw in the new image itself.

    :param events: DTrace's, in order.
    :param user_events: the interposer's.
    """
    startups: dict[int, list[UserStartup]] = {}
    for event in user_events:
        if isinstance(event, UserStartup) and event.args is not None:
            startups.setdefault(event.pid, []).append(event)
    for waiting in startups.values():
        waiting.sort(key=lambda startup: startup.time_ns, reverse=True)
    told = list(events)
    last: dict[int, int] = {}  # by pid: the index of its image's Exec
    ends: dict[int, int] = {}  # by the index of an Exec: when its image ended
    for index, event in enumerate(told):
        if isinstance(event, Exec | Exit):
            if event.pid in last:
                ends[last.pop(event.pid)] = event.time_ns
            if isinstance(event, Exec):
                last[event.pid] = index
    for index, event in enumerate(told):
        if not isinstance(event, Exec):
            continue
        candidates = startups.get(event.pid, [])
        while candidates and candidates[-1].time_ns < event.time_ns:
            candidates.pop()
        if candidates and candidates[-1].time_ns <= ends.get(index, candidates[-1].time_ns):
            startup = candidates.pop()
            told[index] = msgspec.structs.replace(event, exe=startup.exe, args=startup.args, cwd=startup.cwd)
    return told
