"""The memory of all processes together: at any moment at most the sum of the peaks of the programs that are alive.

An upper bound, and called that: pages that are shared count twice, and the peaks of two programs need not coincide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["Memory", "memory_of"]


class Memory(msgspec.Struct):
    """At most ``peak`` bytes at ``peak_ns``, held by ``holders``, the largest first."""

    peak: int
    peak_ns: int
    holders: list[ProcessNode]


def memory_of(root: ProcessNode) -> Memory | None:
    """That of ``root`` and everything below it; None where no program's peak is known."""
    lives = _lives(root)
    if not lives:
        return None
    steps = [(begin, size) for begin, _, size, _ in lives] + [(end, -size) for _, end, size, _ in lives]
    steps.sort()  # who ends goes before who begins: an exec is both
    total = peak = 0
    peak_ns = steps[0][0]
    for moment_ns, size in steps:
        total += size
        if total > peak:
            peak, peak_ns = total, moment_ns
    alive = [(size, node) for begin, end, size, node in lives if begin <= peak_ns < end]
    return Memory(peak, peak_ns, [node for _, node in sorted(alive, key=lambda each: -each[0])])


def _lives(root: ProcessNode) -> list[tuple[int, int, int, ProcessNode]]:
    """Of each program of which the peak is known: its start, its end, its peak, its node."""
    nodes = [root]
    for node in nodes:  # grows meanwhile
        nodes += node.children
    last_ns = max(node.exit_ns or node.start_ns for node in nodes)
    lives = []
    for node in nodes:
        size = node.max_rss_bytes
        end_ns = last_ns if node.exit_ns is None else node.exit_ns
        if node.next_image is not None:  # the root lasts as long as its process, its program does not
            end_ns = min(end_ns, node.next_image.start_ns)
        if size is not None and end_ns > node.start_ns:
            lives.append((node.start_ns, end_ns, size, node))
    return lives
