"""A driver whose steps differ is compared with all that it runs, as one.

``gcc -save-temps`` preprocesses apart, clang compiles in its own process what gcc left to cc1 and as: step by step the
two have nothing in common, as a whole they do the same work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.metric_noise import metric_noise
from pytest_ptreetime.decision.panel import Panel
from pytest_ptreetime.decision.programs import is_driver
from pytest_ptreetime.decision.structure import Structure

__all__ = ["with_whole_drivers"]

Array = npt.NDArray[np.float64]


def with_whole_drivers(
    panel: Panel, structure: Structure
) -> tuple[Panel, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """``panel`` with the amounts of such drivers' steps added to theirs; which keys are accounted for by that, and
    which are the drivers.
    """
    accounted, whole = np.zeros((2, len(panel.keys)), dtype=bool)
    drivers = {_driver_above(change.position, change.kind, panel) for change in structure.changes} - {-1}
    if not drivers:
        return panel, accounted, whole
    sides = [_children(parents) for parents in (panel.parents_before, panel.parents_now)]
    steps = {driver: _below(driver, sides) for driver in drivers}
    tables = [[table.copy() for table in panel.baseline], [panel.current.copy()]]
    if panel.pinned is not None:
        tables.append([panel.pinned.copy()])
    summed = [place for place, metric in enumerate(panel.metrics) if not metric_noise(metric).cumulative]
    whole[list(drivers)] = True
    for driver, members in steps.items():
        accounted[members] = True
        for table in (table for side in tables for table in side):
            amounts = table[:, summed][:, :, [driver, *members]]
            total = np.nansum(amounts, axis=2)
            table[:, summed, driver] = np.where(np.isnan(amounts).all(axis=2), np.nan, total)
    pinned = tables[2][0] if len(tables) > 2 else None
    return replace(panel, baseline=tables[0], current=tables[1][0], pinned=pinned), accounted, whole


def _driver_above(position: int, kind: str, panel: Panel) -> int:
    """The topmost driver of both sides above what is on one side only, -1 for none."""
    if kind not in ("added", "removed"):
        return -1
    parents = panel.parents_now if kind == "added" else panel.parents_before
    top, step = -1, int(parents[position])
    while step >= 0:
        name = panel.identity(step).name
        there = panel.current_counts[0, step] > 0 and panel.baseline_counts[-1][0, step] > 0
        if there and is_driver(name):
            top = step
        step = int(parents[step])
    return top


def _children(parents: npt.NDArray[np.intp]) -> dict[int, list[int]]:
    """Of each position those that hang on it."""
    children: dict[int, list[int]] = {}
    for position, parent in enumerate(parents.tolist()):
        children.setdefault(parent, []).append(position)
    return children


def _below(driver: int, sides: Sequence[Mapping[int, list[int]]]) -> list[int]:
    """All that hangs on ``driver``, on either side."""
    members: set[int] = set()
    for children in sides:
        reached = [driver]
        for position in reached:
            reached += children.get(position, ())
        members.update(reached)
    return sorted(members - {driver})
