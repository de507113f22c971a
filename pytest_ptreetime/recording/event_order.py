"""The one order in which events are read: by time, then kind, then pid.

Several writers (a recorder, the interposer in each process) make the stream, so its order means nothing. Events of one
nanosecond are taken in the order in which they could have caused one another, then by pid, then by their bytes: any
permutation of a recording gives the same tree.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain, compress, count, zip_longest
from typing import Protocol

import msgspec

from pytest_ptreetime.recording.events import (
    Create,
    End,
    Event,
    Exec,
    Exit,
    Lost,
    Start,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
)

__all__ = ["EventBlock", "EventsInBlocks", "ListedEvents", "in_order"]

KIND_ORDER = {
    kind: place
    for place, kind in enumerate(
        (Start, UserSpawn, Create, UserExec, Exec, UserStartup, UserExit, Exit, Lost, End),
    )
}

_time = operator.attrgetter("time_ns")
_encoder = msgspec.msgpack.Encoder()


class EventBlock(Protocol):
    """Some events of many, to be made when they are wanted. ``earliest_ns`` is the first one's time."""

    @property
    def earliest_ns(self) -> int: ...

    def __len__(self) -> int: ...

    def events(self) -> list[Event]:
        """The events as they were."""
        ...

    def by_time(self) -> list[Event]:
        """The events, by time if that is easily had."""
        ...


class ListedEvents:
    """A block of events that are there already; at least one."""

    def __init__(self, events: list[Event]) -> None:
        self._events = events

    @property
    def earliest_ns(self) -> int:
        """The first one's time."""
        return min(event.time_ns for event in self._events)

    def __len__(self) -> int:
        return len(self._events)

    def events(self) -> list[Event]:
        """The events."""
        return self._events

    def by_time(self) -> list[Event]:
        """The events."""
        return self._events


class EventsInBlocks:
    """Events of which only those exist that are looked at: iteration makes them, a block at a time."""

    def __init__(self) -> None:
        self._blocks: list[EventBlock] = []
        self._count = 0

    def append(self, block: EventBlock) -> None:
        """Add the events of ``block`` behind the others."""
        if len(block):
            self._blocks.append(block)
            self._count += len(block)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Event]:
        return chain.from_iterable(block.events() for block in self._blocks)

    def in_order(self) -> Iterator[Event]:
        """As :func:`in_order`. Blocks whose times overlap are there together, the others one after the other."""
        return chain.from_iterable(self._batches_in_order())

    def _batches_in_order(self) -> Iterator[Sequence[Event]]:
        begins = sorted((block.earliest_ns, number) for number, block in enumerate(self._blocks))
        waiting: list[Event] = []
        left_over = 0  # of them were sorted before
        for (_, number), following in zip_longest(begins, begins[1:]):
            waiting += self._blocks[number].by_time()
            # Sorted are twice as many as last time: so blocks that all overlap are not sorted with every other.
            if following is not None and len(waiting) >= 2 * left_over:
                ordered = in_order(waiting)
                ready = bisect_left(ordered, following[0], key=_time)
                yield ordered[:ready]
                waiting = list(ordered[ready:])
                left_over = len(waiting)
        yield in_order(waiting)


def in_order(events: Sequence[Event]) -> Sequence[Event]:
    """``events`` by (time, kind, pid, bytes). The sequence itself is returned where it is in order already."""
    times = list(map(_time, events))
    if all(map(operator.lt, times, times[1:])):
        return events
    ordered = events
    if not all(map(operator.le, times, times[1:])):
        ordered = sorted(events, key=_time)
        times = list(map(_time, ordered))
    ties = list(compress(count(), map(operator.eq, times, times[1:])))
    return _with_ties_ordered(list(ordered), times, ties) if ties else ordered


def _with_ties_ordered(events: list[Event], times: list[int], ties: list[int]) -> list[Event]:
    """``events``, sorted by time, with each run of equal times sorted; ``ties`` are the indices equal to their next."""
    done = 0
    for begin in ties:
        if begin < done:
            continue
        end = begin + 1
        while end < len(times) and times[end] == times[begin]:
            end += 1
        events[begin:end] = sorted(events[begin:end], key=_tie_key)
        done = end
    return events


def _tie_key(event: Event) -> tuple[int, int, bytes]:
    return KIND_ORDER[type(event)], getattr(event, "pid", 0), _encoder.encode(event)
