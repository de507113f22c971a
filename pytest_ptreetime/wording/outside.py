"""What was done for a build outside its tree, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

from pytest_ptreetime.decision.outside import LEAST_PART
from pytest_ptreetime.system.figures import amount

if TYPE_CHECKING:
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["outside_in_words"]

MOST_TOLD = 3
#: A process that nobody was seen to connect to is told of from this part of the tree's cpu time on.
LEAST_PART_GUESSED = 0.05


def outside_in_words(trees: Sequence[ProcessTree]) -> list[str]:
    """A sentence for each process outside the ``trees``, which are rounds of one build, the busiest first."""
    used: dict[str, list[float]] = {}
    sockets: dict[str, str | None] = {}
    for tree in trees:
        of_tree: dict[str, float] = {}
        for process in tree.outside:
            of_tree[process.name] = of_tree.get(process.name, 0.0) + process.cpu
            sockets[process.name] = process.socket if process.socket is not None else sockets.get(process.name)
        for name, seconds in of_tree.items():
            used.setdefault(name, []).append(seconds)
    cpu = median([tree.cpu or 0.0 for tree in trees]) if used else 0.0  # a sum over all nodes
    told = []
    for name, values in sorted(used.items(), key=lambda item: -median(item[1])):
        seconds, socket = median(values), sockets[name]
        if socket is not None and seconds >= LEAST_PART * cpu:
            told.append(
                f"{name}, outside the tree, used {amount(seconds, 's')} of cpu for it ({socket or 'connected'}): "
                "no figure of the build has that"
            )
        elif socket is None and seconds >= LEAST_PART_GUESSED * cpu and len(values) == len(trees):
            told.append(
                f"{name}, outside the tree, used {amount(seconds, 's')} of cpu meanwhile. It waits for connections: "
                f"it may have worked for the build, and no figure has that ({_remedy(trees[0])})"
            )
    return told[:MOST_TOLD]


def _remedy(tree: ProcessTree) -> str:
    """What would tell who worked for the build."""
    if tree.tracer == "ebpf":  # which sees it on most machines
        return "ebpf would see who connects if root mounted tracefs at /sys/kernel/tracing"
    return "the tracer ebpf sees who connects"
