"""Perfetto's own format: what ``chrome-trace`` has, with nested tracks in an order of our choice, and the memory.

A measurement is a track, or two, before and now, where both were recorded; below it the counters of processors and of
memory, then the lanes (lanes.py), whose slices are the processes. A trace is a sequence of packets in protobuf's wire
format; the numbers of the fields are those of https://perfetto.dev/docs/reference/trace-packet-proto::

    Trace.packet = 1 -> TracePacket {timestamp = 8, trusted_packet_sequence_id = 10, track_event = 11,
                                     track_descriptor = 60}

Times are nanoseconds from the start of the build. Shown is the round with the median wall time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from pytest_ptreetime.keys.brief import label_of_node
from pytest_ptreetime.reports.chrome_trace import arguments_of, processors, tracks_of
from pytest_ptreetime.reports.lanes import end_of, places
from pytest_ptreetime.system.untrusted_text import valid_unicode
from pytest_ptreetime.tree.memory import memory_over_time

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import SessionResult
    from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["PerfettoReport"]

_PACKET = 1  # of Trace
_TIMESTAMP, _SEQUENCE, _EVENT, _TRACK = 8, 10, 11, 60  # of TracePacket
_UUID, _NAME, _PARENT, _COUNTER, _ORDERING, _RANK = 1, 2, 5, 8, 11, 12  # of TrackDescriptor
_ANNOTATION, _TYPE, _OF_TRACK, _CATEGORY, _CALLED, _VALUE = 4, 9, 11, 22, 23, 44  # of TrackEvent
_BEGIN, _END, _COUNT = 1, 2, 4  # TrackEvent.Type
_EXPLICIT = 3  # TrackDescriptor.ChildTracksOrdering: by the ranks
_ANNOTATED = {bool: 2, int: 4, float: 5, str: 6}  # DebugAnnotation's fields of values, by type
_ANNOTATION_NAME = 10
_UNIT = 6  # of CounterDescriptor

Field: TypeAlias = "tuple[int, int | float | str | bytes]"
Fields: TypeAlias = "Iterable[Field]"


class PerfettoReport:
    """The processes of every measurement as slices on nested tracks."""

    name = "perfetto"
    suffix = ".pftrace"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        numbers = iter(range(1, 1 << 62))
        shown = [each for measurement in session.measurements for each in tracks_of(measurement)]
        for rank, (label, tree, found) in enumerate(shown):
            for fields in _packets(numbers, rank, label, tree, found):
                out.write(_message([(_PACKET, _message([*fields, (_SEQUENCE, 1)]))]))


def _packets(
    numbers: Iterator[int], rank: int, label: str, tree: ProcessTree, found: Mapping[str, str]
) -> Iterator[Fields]:
    nodes = list(tree)
    begin = tree.root.start_ns
    end = max(node.exit_ns or node.start_ns for node in nodes)
    group = next(numbers)
    yield [(_TRACK, _message([(_UUID, group), (_NAME, label), (_ORDERING, _EXPLICIT), (_RANK, rank)]))]
    usage = processors(nodes, end)
    counters: list[tuple[str, str, Sequence[tuple[int, float]]]] = [
        ("processors running", "", [(time, running) for time, running, _ in usage]),
        ("waiting for a processor", "", [(time, waiting) for time, _, waiting in usage]),
        ("memory of all, at most", "bytes", memory_over_time(tree.root)),
    ]
    for place, (name, unit, values) in enumerate(counters):
        track = next(numbers)
        descriptor: list[Field] = [
            (_UUID, track),
            (_PARENT, group),
            (_NAME, name),
            (_RANK, place),
            (_COUNTER, _message([(_UNIT, unit)])),
        ]
        yield [(_TRACK, _message(descriptor))]
        for time, value in values:
            event = _message([(_TYPE, _COUNT), (_OF_TRACK, track), (_VALUE, float(value))])
            yield [(_TIMESTAMP, time - begin), (_EVENT, event)]
    critical = {id(node) for node in tree.critical_path()}
    for lane, members in _lanes(nodes, end).items():
        track = next(numbers)
        descriptor = [(_UUID, track), (_PARENT, group), (_NAME, f"lane {lane + 1}"), (_RANK, len(counters) + lane)]
        yield [(_TRACK, _message(descriptor))]
        yield from _slices(track, members, begin, end, critical, found)


def _lanes(nodes: Sequence[ProcessNode], end: int) -> dict[int, list[ProcessNode]]:
    """The processes of each lane by their start, the outer ones first."""
    where = places(nodes, end)
    order = sorted(range(len(nodes)), key=lambda index: (where[index].lane, nodes[index].start_ns, where[index].level))
    lanes: dict[int, list[ProcessNode]] = {}
    for index in order:
        lanes.setdefault(where[index].lane, []).append(nodes[index])
    return lanes


def _slices(
    track: int, members: Sequence[ProcessNode], begin: int, end: int, critical: set[int], found: Mapping[str, str]
) -> Iterator[Fields]:
    """A packet for each start and end, by time: what began last ends first."""
    ending: list[int] = []

    def ended(until: float) -> Iterator[Fields]:
        while ending and ending[-1] <= until:
            yield [(_TIMESTAMP, ending.pop() - begin), (_EVENT, _message([(_TYPE, _END), (_OF_TRACK, track)]))]

    for node in members:
        yield from ended(node.start_ns)
        categories = ["critical" if id(node) in critical else "process", found.get(node.key)]
        event: list[Field] = [(_TYPE, _BEGIN), (_OF_TRACK, track)]
        event += [(_CATEGORY, category) for category in categories if category]
        event.append((_CALLED, valid_unicode(label_of_node(node))))
        event += [(_ANNOTATION, _annotation(*each)) for each in arguments_of(node, id(node) in critical).items()]
        yield [(_TIMESTAMP, node.start_ns - begin), (_EVENT, _message(event))]
        ending.append(end_of(node, end))
    yield from ended(float("inf"))


def _annotation(name: str, value: Any) -> bytes:
    return _message([(_ANNOTATION_NAME, name), (_ANNOTATED[type(value)], value)])


def _message(fields: Fields) -> bytes:
    """Protobuf's wire format: integers as varints, floats as doubles, everything else with its length."""
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(_varint(number << 3) + _varint(value & (1 << 64) - 1))
        elif isinstance(value, float):
            parts.append(_varint(number << 3 | 1) + struct.pack("<d", value))
        else:
            content = value.encode() if isinstance(value, str) else value
            parts.append(_varint(number << 3 | 2) + _varint(len(content)) + content)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
