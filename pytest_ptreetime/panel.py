"""Profiles as arrays: every session's rounds x metrics x keys, all with the same keys in the same order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.profile import Profile

__all__ = ["Panel", "tabulate"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """What is compared. Values are NaN where they are not known, or where the key does not occur; counts are then 0."""

    keys: list[str]
    metrics: tuple[str, ...]
    #: For each session an array rounds x metrics x keys.
    baseline: list[Array]
    current: Array
    #: For each session an array rounds x keys.
    baseline_counts: list[Array]
    current_counts: Array
    #: For each key the position of its parent's key, -1 for none.
    parents: npt.NDArray[np.intp]
    pinned: Array | None = None
    pinned_counts: Array | None = None

    def metric(self, name: str) -> int | None:
        """The position of a metric; None where no profile has it."""
        return self.metrics.index(name) if name in self.metrics else None


def tabulate(
    baseline: Sequence[Sequence[Profile]],
    current: Sequence[Profile],
    pinned: Sequence[Profile] | None,
    metrics: Sequence[str],
) -> Panel:
    """Align profiles. Metrics that no current round has are left out."""
    sessions = [*baseline, current, *([pinned] if pinned else [])]
    index = _index(sessions)
    present = {metric for profile in current for values in profile.totals.values() for metric in values}
    known = tuple(metric for metric in metrics if metric in present)
    tables = [np.stack([_table(profile, index, known) for profile in rounds]) for rounds in sessions]
    values = [np.ascontiguousarray(table[:, :-1]) for table in tables]
    counts = [np.nan_to_num(table[:, -1]) for table in tables]
    parents = np.full(len(index), -1, dtype=np.intp)
    for profile in [*(rounds[0] for rounds in sessions), *current]:
        for key, parent in profile.parents.items():
            if parent is not None and key in index:
                parents[index[key]] = index.get(parent, -1)
    position = len(baseline)
    return Panel(
        keys=list(index),
        metrics=known,
        baseline=values[:position],
        current=values[position],
        baseline_counts=counts[:position],
        current_counts=counts[position],
        parents=parents,
        pinned=values[position + 1] if pinned else None,
        pinned_counts=counts[position + 1] if pinned else None,
    )


def _index(sessions: Sequence[Sequence[Profile]]) -> dict[str, int]:
    """Every key's position. Rounds mostly have the keys of the one before: comparing lists is fastest."""
    index: dict[str, int] = {}
    previous: list[str] = []
    for rounds in sessions:
        for profile in rounds:
            keys = list(profile.totals)
            if keys != previous:
                for key in keys:
                    index.setdefault(key, len(index))
                previous = keys
    return index


def _table(profile: Profile, index: dict[str, int], metrics: tuple[str, ...]) -> Array:
    """One round: (metrics and the count) x keys."""
    table = np.full((len(metrics) + 1, len(index)), np.nan)
    totals = profile.totals
    if not totals:
        return table
    names = (*metrics, "count")
    try:
        # the quick way first: every key has every metric (the last name twice, for a single one gives no tuple)
        rows = itertools.chain.from_iterable(map(itemgetter(*names, "count"), totals.values()))
        values = np.fromiter(rows, dtype=float, count=len(totals) * (len(names) + 1)).reshape(len(totals), -1)[:, :-1]
    except (KeyError, TypeError):
        values = np.array([[_number(row.get(name)) for name in names] for row in totals.values()])
        values[:, -1] = np.where(np.isnan(values[:, -1]), 1.0, values[:, -1])
    table[:, _positions(list(totals), index)] = values.T
    return table


def _positions(keys: list[str], index: dict[str, int]) -> npt.NDArray[np.intp] | slice:
    """Where the keys of a round are; mostly all of them, in order."""
    if keys == list(index):
        return slice(None)
    return np.fromiter(map(index.__getitem__, keys), dtype=np.intp, count=len(keys))


def _number(value: float | None) -> float:
    return np.nan if value is None else value
