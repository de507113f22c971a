"""The one order in which events are read: by time, then kind, then pid.

Several writers (a recorder, the interposer in each process) make the stream, so its order means nothing. Events of one
nanosecond are taken in the order in which they could have caused one another, then by pid, then by their bytes: any
permutation of a recording gives the same tree.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import compress, count

import msgspec

from pytest_ptreetime.recording.events import (
    Create,
    End,
    Event,
    Exec,
    Exit,
    Lost,
    Outside,
    Start,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
)

__all__ = ["in_order"]

KIND_ORDER = {
    kind: place
    for place, kind in enumerate(
        (Start, UserSpawn, Create, UserExec, Exec, UserStartup, UserExit, Exit, Outside, Lost, End),
    )
}

_time = operator.attrgetter("time_ns")
_encoder = msgspec.msgpack.Encoder()


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
    return KIND_ORDER[type(event)], getattr(event, "pid", 0) or 0, _encoder.encode(event)
