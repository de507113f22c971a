"""Folded stacks for flame graphs: ``make;sh;gcc;cc1 1234``, a line for each chain of program names, in microseconds.

A chain's own time is what no process below it accounts for: for ``folded`` the wall time in which none of a process's
children ran, for ``folded-cpu`` the processor time of the process itself. Processes that ran at the same time are added
up, so the width of the whole is process seconds, not the build's wall time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from pytest_ptreetime.reports.process_tables import own_wall
from pytest_ptreetime.system.untrusted_text import shown

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import SessionResult
    from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["FoldedCpuReport", "FoldedReport", "folded"]


class FoldedReport:
    """Wall time. With several measurements, each one's name is the first frame of its stacks."""

    name = "folded"
    suffix = ".folded"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        several = len(session.measurements) > 1
        for measurement in session.measurements:
            prefix = f"{_frame(measurement.name)};" if several else ""
            for stack, microseconds in folded(measurement.tree, self.own_seconds).items():
                out.write(f"{prefix}{stack} {microseconds}\n".encode())

    own_seconds: Callable[[ProcessNode], float | None] = staticmethod(own_wall)


class FoldedCpuReport(FoldedReport):
    """Processor time."""

    name = "folded-cpu"
    suffix = ".cpu.folded"
    own_seconds = staticmethod(lambda node: node.cpu)


def folded(tree: ProcessTree, own_seconds: Callable[[ProcessNode], float | None]) -> dict[str, int]:
    """Microseconds for each chain of names, in the order in which the chains first appear; without the empty ones."""
    stacks: dict[int, str] = {}
    sums: dict[str, float] = {}
    for node in tree:  # preorder: a parent's stack is there before its children ask for it
        above = f"{stacks[id(node.parent)]};" if node.parent is not None else ""
        stack = stacks[id(node)] = above + _frame(node.name)
        sums[stack] = sums.get(stack, 0.0) + (own_seconds(node) or 0.0)
    return {stack: rounded for stack, seconds in sums.items() if (rounded := round(seconds * 1e6)) > 0}


def _frame(name: str) -> str:
    """``name`` without what separates frames and numbers."""
    return shown(name).replace(";", ":").replace(" ", "_") or "?"
