"""Where each process is drawn in a timeline: lanes of nested bars that never overlap.

A child is drawn inside its parent's bar where nothing else is being drawn there at that moment; what runs beside it
gets a lane of its own. So a serial build is one lane, and ``make -j8`` eight::

    lane 0   |make.............................|      level 0
             |  |gcc......|  |gcc......|       |      level 1
             |  |  |cc1..||  |  |cc1..||       |      level 2
    lane 1      |gcc.........|  |gcc....|             level 0
                |   |cc1....||  | |cc1.||             level 1
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_ptreetime.tree.process_tree import ProcessNode

__all__ = ["Place", "end_of", "places"]


@dataclass(frozen=True)
class Place:
    """The lane of a process, counted from 0, and how deeply it is nested in it."""

    lane: int
    level: int


@dataclass
class _Lane:
    number: int
    open: list[tuple[int, int]] = field(default_factory=list)  # (end, identity) of the bars around now, outermost first

    def close_until(self, now_ns: int) -> None:
        while self.open and self.open[-1][0] <= now_ns:
            self.open.pop()


def end_of(node: ProcessNode, recording_end_ns: int) -> int:
    """When ``node``'s bar ends: its exit, or the recording's end for what was still running."""
    return max(node.exit_ns if node.exit_ns is not None else recording_end_ns, node.start_ns)


def places(nodes: Sequence[ProcessNode], recording_end_ns: int) -> list[Place]:
    """A place for each of ``nodes``, in their order. O(n log n) but for lanes that wait: at most as many as ever ran
    at once.
    """
    order = sorted(range(len(nodes)), key=lambda index: (nodes[index].start_ns, nodes[index].depth, index))
    lanes: list[_Lane] = []
    free: list[int] = []  # numbers of empty lanes, the smallest first
    empty_at: list[tuple[int, int]] = []  # (end of the outermost bar, lane)
    lane_of: dict[int, _Lane] = {}
    result: list[Place | None] = [None] * len(nodes)
    for index in order:
        node = nodes[index]
        begin, end = node.start_ns, end_of(node, recording_end_ns)
        while empty_at and empty_at[0][0] <= begin:
            _, number = heapq.heappop(empty_at)
            lanes[number].open.clear()
            heapq.heappush(free, number)
        lane = _inside_parent(node, begin, end, lane_of)
        if lane is None:
            if free:
                lane = lanes[heapq.heappop(free)]
            else:
                lane = _Lane(len(lanes))
                lanes.append(lane)
            heapq.heappush(empty_at, (end, lane.number))
        result[index] = Place(lane.number, len(lane.open))
        lane.open.append((end, id(node)))
        lane_of[id(node)] = lane
    return [place for place in result if place is not None]


def _inside_parent(node: ProcessNode, begin: int, end: int, lane_of: dict[int, _Lane]) -> _Lane | None:
    """The parent's lane, where the parent's bar is the innermost one open and lasts until the child's end."""
    lane = lane_of.get(id(node.parent)) if node.parent is not None else None
    if lane is None:
        return None
    lane.close_until(begin)
    if lane.open and lane.open[-1][1] == id(node.parent) and lane.open[-1][0] >= end:
        return lane
    return None
