"""The memory of all processes together: at any moment at most the sum of the peaks of the programs that are alive.

An upper bound, and called that: pages that are shared count twice, and the peaks of two programs need not coincide.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from pytest_ptreetime.system.garbage_collection import without_collector

if TYPE_CHECKING:
    from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["Memory", "memory_of", "memory_over_time"]

_CHANGE, _NOTHING = (1 << 64) - 1, 1 << 63

Life: TypeAlias = "tuple[int, int, int, ProcessNode]"


class Memory(msgspec.Struct):
    """At most ``peak`` bytes at ``peak_ns``, held by ``holders``, the largest first."""

    peak: int
    peak_ns: int
    holders: list[ProcessNode]


def memory_of(root: ProcessNode) -> Memory | None:
    """That of ``root`` and everything below it; None where no program's peak is known."""
    with without_collector():
        lives = _lives(root)
        if not lives:
            return None
        total = peak = last = 0
        for step in _steps(lives):
            total += (step & _CHANGE) - _NOTHING
            if total > peak:
                peak, last = total, step
        peak_ns = last >> 64
        alive = [(size, node) for begin, end, size, node in lives if begin <= peak_ns < end]
    return Memory(peak, peak_ns, [node for _, node in sorted(alive, key=lambda each: -each[0])])


def memory_over_time(root: ProcessNode) -> list[tuple[int, int]]:
    """Each moment at which the sum changes, and the sum from then on."""
    steps = _steps(_lives(root))
    sums = accumulate((step & _CHANGE) - _NOTHING for step in steps)
    return [(step >> 64, total) for step, total in zip(steps, sums, strict=True)]


def _steps(lives: Sequence[Life]) -> list[int]:
    """By time, each as one number, which sorts several times as fast as a tuple: the moment, below it the change.

    Who ends goes before who begins: an exec is both.
    """
    steps = [begin << 64 | _NOTHING + size for begin, _, size, _ in lives]
    steps += [end << 64 | _NOTHING - size for _, end, size, _ in lives]
    steps.sort()
    return steps


def _lives(root: ProcessNode) -> list[Life]:
    """Of each program of which the peak is known: its start, its end, its peak, its node."""
    nodes = [root]
    for node in nodes:  # grows meanwhile
        nodes += node.children
    last_ns = max([node.exit_ns or node.start_ns for node in nodes])
    lives = []
    for node in nodes:
        usage, end_ns, following = node._usage_after, node.exit_ns, node.next_image
        if usage is None or usage.max_rss_bytes is None:
            continue
        if end_ns is None:
            end_ns = last_ns
        if following is not None and following.start_ns < end_ns:  # the root node lasts as long as its process
            end_ns = following.start_ns
        if end_ns > node.start_ns:
            lives.append((node.start_ns, end_ns, usage.max_rss_bytes, node))
    return lives
