"""Profiles as arrays: every session's rounds x metrics x keys, all with the same keys in the same order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.finding import BUILD_KEY
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.decision.rounds import Rounds
from pytest_ptreetime.system.garbage_collection import without_collector

__all__ = ["Panel", "occurred", "positions_of", "tabulate", "with_build"]

Array = npt.NDArray[np.float64]

#: In place of a parent's position: the key does not occur on this side.
NOT_THERE = -2


@dataclass(frozen=True)
class Panel:
    """What is compared. Values are NaN where they are not known, or where the key does not occur; counts are then 0.

    After :func:`with_build` the last key is BUILD_KEY, the build as a whole: its cpu is the sum over all processes, its
    other values are NaN.
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


def tabulate(
    baseline: Sequence[Sequence[Profile]],
    current: Sequence[Profile],
    pinned: Sequence[Profile] | None,
    metrics: Sequence[str],
) -> Panel:
    """Align profiles. Metrics that no current round has are left out."""
    sessions = [*baseline, current, *([pinned] if pinned else [])]
    index = _index(sessions)
    present = _metrics(current)
    known = tuple(metric for metric in metrics if metric in present)
    names, keys = (*known, "count"), list(index)
    with without_collector():
        tables = [np.empty((len(rounds), len(names), len(keys))) for rounds in sessions]
        for table, rounds in zip(tables, sessions, strict=True):
            if isinstance(rounds, Rounds):
                _fill_from_columns(table, rounds, index, keys, names)
            else:
                for number, profile in enumerate(rounds):
                    _fill(table[number], profile, index, keys, names)
    values = [table[:, :-1] for table in tables]
    counts = [np.nan_to_num(table[:, -1]) for table in tables]
    position = len(baseline)
    before = _parents_of_side(list(reversed(baseline)), index, keys)
    now = _parents_of_side([current], index, keys)
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
    cpu = panel.metric("cpu")

    def with_sum(table: Array) -> Array:
        build = np.full((*table.shape[:2], 1), np.nan)
        if cpu is not None:
            amounts = table[:, cpu, ~left_out]
            build[:, cpu, 0] = np.where(np.isnan(amounts).all(axis=1), np.nan, np.nansum(amounts, axis=1))
        return np.concatenate([table, build], axis=2)

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


def _index(sessions: Sequence[Sequence[Profile]]) -> dict[str, int]:
    """Every key's position. Rounds mostly have the keys of the one before: comparing lists is fastest."""
    index: dict[str, int] = {}
    previous: list[str] = []
    for rounds in sessions:
        for keys in _keys_of_columns(rounds) if isinstance(rounds, Rounds) else (list(one.totals) for one in rounds):
            if keys != previous:
                for key in keys:
                    index.setdefault(key, len(index))
                previous = keys
    return index


def _keys_of_columns(rounds: Rounds) -> Iterator[list[str]]:
    """Of each round the keys that occurred."""
    for there in occurred(rounds):
        yield rounds.keys if there.all() else list(itertools.compress(rounds.keys, there.tolist()))


def occurred(rounds: Rounds) -> npt.NDArray[np.bool_]:
    """Rounds x keys: whether any metric is known. Mostly the count says it."""
    there = np.zeros((len(rounds), len(rounds.keys)), dtype=bool)
    for metric in sorted(rounds.values, key=lambda metric: metric != "count"):
        for number, column in enumerate(rounds.values[metric]):
            there[number] |= ~np.isnan(np.frombuffer(column))
        if there.all():
            break
    return there


def _metrics(current: Sequence[Profile]) -> set[str]:
    """Those that any of the rounds has."""
    if isinstance(current, Rounds):
        columns = current.values.items()
        return {metric for metric, rounds in columns if not all(np.isnan(np.frombuffer(one)).all() for one in rounds)}
    return set().union(*(values for profile in current for values in profile.totals.values()))


def _parents_of_side(
    sessions: Sequence[Sequence[Profile]], index: dict[str, int], keys: list[str]
) -> npt.NDArray[np.intp]:
    """The position of each key's parent as the first round that has the key says; NOT_THERE where none has it.

    A key of a later round hangs on that round's new keys or on known ones, so that following the parents always ends.
    """
    parents = np.full(len(index), NOT_THERE, dtype=np.intp)
    for rounds in sessions:
        if isinstance(rounds, Rounds):
            own = positions_of(rounds, index, keys)
            above = np.array(rounds.parents, dtype=np.intp)
            told = occurred(rounds).any(axis=0) & (parents[own] == NOT_THERE)
            parents[own[told]] = np.where(above >= 0, own[above], -1)[told]
        else:
            for profile in rounds:
                for key in profile.totals:
                    if parents[index[key]] == NOT_THERE:
                        parents[index[key]] = index.get(profile.parents.get(key) or "", -1)
    return parents


def _identities(sessions: Sequence[Sequence[Profile]]) -> dict[str, Identity]:
    """Of the keys that a profile says more of than their text; the oldest session's, as its keys are everybody's."""
    identities: dict[str, Identity] = {}
    for rounds in reversed(sessions):
        if isinstance(rounds, Rounds):
            identities.update(rounds.identities)
        else:
            for profile in reversed(rounds):
                identities.update(profile.identities)
    return identities


def positions_of(rounds: Rounds, index: dict[str, int], keys: list[str]) -> npt.NDArray[np.intp]:
    """Where in ``keys`` its own are, -1 for those that are not."""
    if rounds.keys == keys:  # as mostly
        return np.arange(len(keys), dtype=np.intp)
    return np.array([index.get(key, -1) for key in rounds.keys], dtype=np.intp)


def _fill_from_columns(
    table: Array, rounds: Rounds, index: dict[str, int], keys: list[str], names: tuple[str, ...]
) -> None:
    """A session, in place: rounds x (metrics and the count) x keys."""
    there = occurred(rounds)
    own = positions_of(rounds, index, keys)
    kept = own >= 0
    same = rounds.keys == keys
    for place, name in enumerate(names):
        columns = rounds.values.get(name)
        for number in range(len(rounds)):
            values = np.full(len(rounds.keys), np.nan) if columns is None else np.frombuffer(columns[number])
            if name == "count":
                values = np.where(np.isnan(values) & there[number], 1.0, values)
            if same:
                table[number, place] = values
            else:
                table[number, place] = np.nan
                table[number, place, own[kept]] = values[kept]


def _fill(table: Array, profile: Profile, index: dict[str, int], keys: list[str], names: tuple[str, ...]) -> None:
    """One round, in place: (metrics and the count) x keys."""
    own = list(profile.totals)
    rows = list(profile.totals.values())
    # mostly a round has all keys, in order
    where: slice | list[int] = slice(None)
    if own != keys:
        table[:] = np.nan
        where = [index[key] for key in own]
    for place, name in enumerate(names):
        values = np.array([row.get(name) for row in rows], dtype=float)  # None becomes NaN
        if name == "count":
            values[np.isnan(values)] = 1.0
        table[place, where] = values
