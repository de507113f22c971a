"""Profiles as arrays: every session's rounds x metrics x keys, all with the same keys in the same order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.collector import without_collector
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
    present: set[str] = set().union(*(values for profile in current for values in profile.totals.values()))
    known = tuple(metric for metric in metrics if metric in present)
    names, keys = (*known, "count"), list(index)
    with without_collector():
        tables = [np.empty((len(rounds), len(names), len(keys))) for rounds in sessions]
        for table, rounds in zip(tables, sessions, strict=True):
            for number, profile in enumerate(rounds):
                _fill(table[number], profile, index, keys, names)
    values = [table[:, :-1] for table in tables]
    counts = [np.nan_to_num(table[:, -1]) for table in tables]
    parents = np.full(len(index), -1, dtype=np.intp)
    for profile in [*(rounds[0] for rounds in sessions), *current]:
        for key, parent in profile.parents.items():
            if parent is not None and key in index:
                parents[index[key]] = index.get(parent, -1)
    position = len(baseline)
    return Panel(
        keys=keys,
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


def _fill(table: Array, profile: Profile, index: dict[str, int], keys: list[str], names: tuple[str, ...]) -> None:
    """One round, in place: (metrics and the count) x keys."""
    totals = profile.totals
    own = list(totals)
    if own != keys:
        table[:] = np.nan
    if not own:
        return
    try:
        # the quick way first: every key has every metric
        rows = itertools.chain.from_iterable(map(_getter(names), totals.values()))
        values = np.fromiter(rows, dtype=float, count=len(own) * len(names)).reshape(len(own), -1)
    except (KeyError, TypeError):
        values = np.array([[_number(row.get(name)) for name in names] for row in totals.values()])
        values[:, -1] = np.where(np.isnan(values[:, -1]), 1.0, values[:, -1])
    # mostly a round has all keys, in order
    table[:, slice(None) if own == keys else [index[key] for key in own]] = values.T


def _getter(names: tuple[str, ...]) -> Callable[[dict[str, float]], tuple[float, ...]]:
    """The values of ``names`` as a tuple, which itemgetter makes of two names and more."""
    return itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)


def _number(value: float | None) -> float:
    return np.nan if value is None else value
