"""Profiles as arrays: every session's rounds x metrics x keys, all with the same keys in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.columns import Columns
from pytest_ptreetime.decision.finding import BUILD_KEY
from pytest_ptreetime.decision.profile import Identity, Profile, columns_of
from pytest_ptreetime.metrics import metric_of
from pytest_ptreetime.system.garbage_collection import without_collector

__all__ = ["Panel", "occurred", "positions_of", "tabulate", "with_build"]

Array = npt.NDArray[np.float64]

#: In place of a parent's position: the key does not occur on this side.
NOT_THERE = -2


@dataclass(frozen=True)
class Panel:
    """What is compared. Values are NaN where they are not known, or where the key does not occur; counts are then 0.

    After :func:`with_build` the last key is BUILD_KEY, the build as a whole: its cpu is the sum over all processes, the
    metrics of the build are moved there from the root's row, and its other values are NaN.
    """

    keys: list[str]
    metrics: tuple[str, ...]
    #: For each session an array rounds x metrics x keys.
    baseline: list[Array]
    current: Array
    #: For each session an array rounds x keys.
    baseline_counts: list[Array]
    current_counts: Array
    #: For each key the position of its parent's key, -1 for none; those of a side alone, -1 where a key is not there.
    parents: npt.NDArray[np.intp]
    parents_before: npt.NDArray[np.intp]
    parents_now: npt.NDArray[np.intp]
    identities: dict[str, Identity]
    pinned: Array | None = None
    pinned_counts: Array | None = None

    def identity(self, position: int) -> Identity:
        """What a key stands for."""
        key = self.keys[position]
        return self.identities.get(key) or Identity.of_key(key)

    def metric(self, name: str) -> int | None:
        """The position of a metric; None where no profile has it."""
        return self.metrics.index(name) if name in self.metrics else None

    def is_known(self, name: str) -> bool:
        """Whether the baseline and the current rounds have any value of a metric."""
        column = self.metric(name)
        if column is None:
            return False
        sides = [np.isnan(values[:, column]).all() for values in (*self.baseline, self.current)]
        return not sides[-1] and not all(sides[:-1])


def tabulate(
    baseline: Sequence[Sequence[Profile]],
    current: Sequence[Profile],
    pinned: Sequence[Profile] | None,
    metrics: Sequence[str],
) -> Panel:
    """Align profiles. Metrics that no current round has are left out."""
    sessions = [columns_of(rounds) for rounds in [*baseline, current, *([pinned] if pinned else [])]]
    position = len(baseline)
    index = _index(sessions)
    present = _metrics(sessions[position])
    known = tuple(metric for metric in metrics if metric in present)
    names, keys = (*known, "count"), list(index)
    with without_collector():
        tables = [np.empty((rounds.number, len(names), len(keys))) for rounds in sessions]
        for table, rounds in zip(tables, sessions, strict=True):
            _fill(table, rounds, index, keys, names)
    values = [table[:, :-1] for table in tables]
    counts = [np.nan_to_num(table[:, -1]) for table in tables]
    before = _parents_of_side(sessions[:position][::-1], index, keys)
    now = _parents_of_side(sessions[position : position + 1], index, keys)
    return Panel(
        keys=keys,
        metrics=known,
        baseline=values[:position],
        current=values[position],
        baseline_counts=counts[:position],
        current_counts=counts[position],
        parents=np.where(now != NOT_THERE, now, np.where(before != NOT_THERE, before, -1)),
        parents_before=np.maximum(before, -1),
        parents_now=np.maximum(now, -1),
        identities=_identities(sessions),
        pinned=values[position + 1] if pinned else None,
        pinned_counts=counts[position + 1] if pinned else None,
    )


def with_build(panel: Panel, left_out: npt.NDArray[np.bool_]) -> Panel:
    """``panel`` with a last key for the build as a whole, without the keys that are left out."""
    of_build = [place for place, metric in enumerate(panel.metrics) if metric_of(metric).of_build]
    summed = [place for place, metric in enumerate(panel.metrics) if metric == "cpu" or place in of_build]

    def with_sum(table: Array) -> Array:
        build = np.full((*table.shape[:2], 1), np.nan)
        for place in summed:
            amounts = table[:, place, :] if place in of_build else table[:, place, ~left_out]
            build[:, place, 0] = np.where(np.isnan(amounts).all(axis=1), np.nan, np.nansum(amounts, axis=1))
        nodes = table.copy() if of_build else table
        nodes[:, of_build] = np.nan
        return np.concatenate([nodes, build], axis=2)

    def with_one(counts: Array) -> Array:
        return np.concatenate([counts, np.ones((len(counts), 1))], axis=1)

    return replace(
        panel,
        keys=[*panel.keys, BUILD_KEY],
        baseline=[with_sum(table) for table in panel.baseline],
        current=with_sum(panel.current),
        baseline_counts=[with_one(counts) for counts in panel.baseline_counts],
        current_counts=with_one(panel.current_counts),
        parents=np.append(panel.parents, -1),
        parents_before=np.append(panel.parents_before, -1),
        parents_now=np.append(panel.parents_now, -1),
        pinned=None if panel.pinned is None else with_sum(panel.pinned),
        pinned_counts=None if panel.pinned_counts is None else with_one(panel.pinned_counts),
    )


def _index(sessions: Sequence[Columns]) -> dict[str, int]:
    """Every key's position, but for keys that occur in no round and are there only as the parents of others."""
    index: dict[str, int] = {}
    previous: list[str] = []
    for rounds in sessions:
        places = np.flatnonzero(occurred(rounds).any(axis=0))
        keys = rounds.keys if len(places) == len(rounds.keys) else [rounds.keys[place] for place in places]
        if keys != previous:  # comparing lists is fastest, and mostly they are equal
            for key in keys:
                index.setdefault(key, len(index))
            previous = keys
    return index


def occurred(rounds: Columns) -> npt.NDArray[np.bool_]:
    """Columns x keys: whether any metric is known. Mostly the count says it."""
    there = np.zeros((rounds.number, len(rounds.keys)), dtype=bool)
    for metric in sorted(rounds.values, key=lambda metric: metric != "count"):
        for number, column in enumerate(rounds.values[metric]):
            there[number] |= ~np.isnan(np.frombuffer(column))
        if there.all():
            break
    return there


def _metrics(current: Columns) -> set[str]:
    """Those that any of the rounds has."""
    columns = current.values.items()
    return {metric for metric, rounds in columns if not all(np.isnan(np.frombuffer(one)).all() for one in rounds)}


def _parents_of_side(sessions: Sequence[Columns], index: dict[str, int], keys: list[str]) -> npt.NDArray[np.intp]:
    """The position of each key's parent as the first session that has the key says; NOT_THERE where none has it.

    A key of a later session hangs on that session's new keys or on known ones, so that following the parents always
    ends.
    """
    parents = np.full(len(index), NOT_THERE, dtype=np.intp)
    for rounds in sessions:
        own = positions_of(rounds, index, keys)
        above = np.array(rounds.parents, dtype=np.intp)
        told = occurred(rounds).any(axis=0) & (parents[own] == NOT_THERE)
        parents[own[told]] = np.where(above >= 0, own[above], -1)[told]
    return parents


def _identities(sessions: Sequence[Columns]) -> dict[str, Identity]:
    """Of the keys that a session says more of than their text; the oldest session's, as its keys are everybody's."""
    identities: dict[str, Identity] = {}
    for rounds in reversed(sessions):
        identities.update(rounds.identities)
    return identities


def positions_of(rounds: Columns, index: dict[str, int], keys: list[str]) -> npt.NDArray[np.intp]:
    """Where in ``keys`` its own are, -1 for those that are not."""
    if rounds.keys == keys:  # as mostly
        return np.arange(len(keys), dtype=np.intp)
    return np.array([index.get(key, -1) for key in rounds.keys], dtype=np.intp)


def _fill(table: Array, rounds: Columns, index: dict[str, int], keys: list[str], names: tuple[str, ...]) -> None:
    """A session, in place: rounds x (metrics and the count) x keys."""
    there = occurred(rounds)
    own = positions_of(rounds, index, keys)
    kept = own >= 0
    same = rounds.keys == keys
    for place, name in enumerate(names):
        columns = rounds.values.get(name)
        for number in range(rounds.number):
            values = np.full(len(rounds.keys), np.nan) if columns is None else np.frombuffer(columns[number])
            if name == "count":
                values = np.where(np.isnan(values) & there[number], 1.0, values)
            if same:
                table[number, place] = values
            else:
                table[number, place] = np.nan
                table[number, place, own[kept]] = values[kept]
