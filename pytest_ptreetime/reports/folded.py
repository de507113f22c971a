"""Folded stacks for flame graphs: ``make;sh_gcc_a.c;gcc_a.c;cc1_a.c 1234``, a line for each chain, in microseconds.

A frame is a program and its file. A chain's own time is what no process below it accounts for: for ``folded`` the wall
time in which none of a process's children ran, for ``folded-cpu`` the processor time of the process itself. Processes
that ran at the same time are added up, so the width of the whole is process seconds, not the build's wall time.

``folded-diff`` has two numbers a line, processor time before and now: what difffolded.pl makes, and flamegraph.pl and
inferno draw as a differential flame graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from pytest_ptreetime.errors import ReportFailed
from pytest_ptreetime.keys.brief import label_of_node
from pytest_ptreetime.reports.process_tables import own_wall
from pytest_ptreetime.system.untrusted_text import shown

if TYPE_CHECKING:
    from pytest_ptreetime.decision.profile import Profile
    from pytest_ptreetime.reports.results import SessionResult
    from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["FoldedCpuReport", "FoldedDiffReport", "FoldedReport", "folded"]


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


class FoldedDiffReport:
    """Processor time before and now, of the typical rounds."""

    name = "folded-diff"
    suffix = ".diff.folded"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        compared = [measurement for measurement in session.measurements if measurement.before is not None]
        if not compared:
            raise ReportFailed("folded-diff needs two sides, and nothing was compared: ask for folded-cpu")
        for measurement in compared:
            prefix = f"{_frame(measurement.name)};" if len(compared) > 1 else ""
            before, now = (_by_stack(side) for side in (measurement.before, measurement.now) if side is not None)
            for stack in dict.fromkeys([*now, *before]):
                out.write(f"{prefix}{stack} {before.get(stack, 0)} {now.get(stack, 0)}\n".encode())


def _by_stack(profile: Profile) -> dict[str, int]:
    """Microseconds by chain; the chains are those of the keys' parents."""
    stacks: dict[str, str] = {}

    def stack_of(key: str) -> str:
        chain = [key]
        while (parent := profile.parents.get(chain[-1])) is not None and chain[-1] not in stacks:
            chain.append(parent)
        for each in reversed(chain):
            parent = profile.parents.get(each)
            above = f"{stacks[parent]};" if parent is not None else ""
            stacks.setdefault(each, above + _frame(_label(each)))
        return stacks[key]

    sums: dict[str, int] = {}
    for key, metrics in profile.totals.items():
        if (microseconds := round(metrics.get("cpu", 0.0) * 1e6)) > 0:
            stack = stack_of(key)
            sums[stack] = sums.get(stack, 0) + microseconds
    return sums


def _label(key: str) -> str:
    names, bracket, subject = key.partition("[")
    return f"{names.rpartition('/')[2]} {subject.removesuffix(']')}" if bracket and names else key


def folded(tree: ProcessTree, own_seconds: Callable[[ProcessNode], float | None]) -> dict[str, int]:
    """Microseconds for each chain of labels, in the order in which the chains first appear; without the empty ones."""
    stacks: dict[int, str] = {}
    sums: dict[str, float] = {}
    for node in tree:  # preorder: a parent's stack is there before its children ask for it
        above = f"{stacks[id(node.parent)]};" if node.parent is not None else ""
        stack = stacks[id(node)] = above + _frame(label_of_node(node))
        sums[stack] = sums.get(stack, 0.0) + (own_seconds(node) or 0.0)
    return {stack: rounded for stack, seconds in sums.items() if (rounded := round(seconds * 1e6)) > 0}


def _frame(name: str) -> str:
    """``name`` without what separates frames and numbers."""
    return shown(name).replace(";", ":").replace(" ", "_") or "?"
