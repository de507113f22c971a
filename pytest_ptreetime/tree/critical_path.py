"""Which nodes the end of a build waited for, found without a build graph.

The walk goes backwards from the root's end. At time ``t`` in a node, the child that ended last at or before ``t`` is
what the node was waiting for: from that child's end to ``t`` the node itself was at work, before it the child was; the
walk goes on inside the child, and when it comes to the child's start it goes on in the parent at that time, where the
sibling that ended last before it is what made room for it (a job slot, or a dependency). So one chain of siblings is
found at every depth, and the segments cover the root's life without gap or overlap.

Limits: a wait for something other than an exit (a pipe, a lock, a jobserver token) is not seen and counts as the
node's own time; of two children that ended at one time the longer is taken; what outlived its parent was not waited
for.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pytest_ptreetime.system.garbage_collection import without_collector

if TYPE_CHECKING:
    from pytest_ptreetime.tree.node import ProcessNode
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["Segment", "critical_path", "critical_segments", "nodes_of"]

_start, _end = operator.attrgetter("start_ns"), operator.attrgetter("exit_ns")


class Segment(msgspec.Struct, frozen=True, gc=False):
    """``node`` itself, and none of its children, was what the build waited for from ``start_ns`` to ``end_ns``."""

    node: ProcessNode
    start_ns: int
    end_ns: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / 1e9


def critical_path(tree: ProcessTree) -> list[ProcessNode]:
    """The nodes of the chain, in the order in which they first come on it (the root is the first).

    Empty where the root's end is not known.
    """
    return nodes_of(critical_segments(tree))


def nodes_of(segments: Sequence[Segment]) -> list[ProcessNode]:
    """The nodes of the chain that ``segments`` make, in the order in which they first come on it."""
    # A node on the chain with no time of its own (an instant driver) is on it all the same: its child's parent.
    nodes: dict[ProcessNode, None] = {}
    with without_collector():
        for segment in segments:
            missing = []
            node: ProcessNode | None = segment.node
            while node is not None and node not in nodes:
                missing.append(node)
                node = node.parent
            nodes.update(dict.fromkeys(reversed(missing)))
    return list(nodes)


def critical_segments(tree: ProcessTree) -> list[Segment]:
    """The chain as segments by time; together they are exactly the root's life."""
    if tree.root.exit_ns is None:
        return []
    segments: list[Segment] = []
    time_ns = tree.root.exit_ns
    stack = [(tree.root, _by_end(tree.root))]
    while stack:
        node, candidates = stack[-1]
        while candidates and (candidates[-1].exit_ns or 0) > time_ns:
            candidates.pop()
        if candidates:
            child = candidates.pop()
            end_ns = child.exit_ns or 0
            if end_ns < time_ns:
                segments.append(Segment(node, end_ns, time_ns))
                time_ns = end_ns
            if child.children:
                stack.append((child, _by_end(child)))
                continue
            node = child  # nothing to look for in it
        else:
            stack.pop()
        if node.start_ns < time_ns:
            segments.append(Segment(node, node.start_ns, time_ns))
            time_ns = node.start_ns
    segments.reverse()
    return segments


def _by_end(node: ProcessNode) -> list[ProcessNode]:
    """The children that have ended within ``node``'s life, the last one last."""
    start_ns = node.start_ns
    ended = [child for child in node.children if child.exit_ns is not None and child.exit_ns > start_ns]
    if len(ended) > 1:
        ended.sort(key=_start, reverse=True)
        ended.sort(key=_end)
    return ended
