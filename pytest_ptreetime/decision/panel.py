"""Profiles as arrays: every session's rounds x metrics x keys, all with the same keys in the same order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.rounds import Rounds
from pytest_ptreetime.system.garbage_collection import without_collector

__all__ = ["Panel", "occurred", "positions_of", "tabulate"]

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
    return Panel(
        keys=keys,
        metrics=known,
        baseline=values[:position],
        current=values[position],
        baseline_counts=counts[:position],
        current_counts=counts[position],
        parents=_parents(sessions, current, index, keys),
        pinned=values[position + 1] if pinned else None,
        pinned_counts=counts[position + 1] if pinned else None,
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


def _parents(
    sessions: Sequence[Sequence[Profile]], current: Sequence[Profile], index: dict[str, int], keys: list[str]
) -> npt.NDArray[np.intp]:
    """The position of each key's parent: what the latest session's first round says, or the last current one."""
    parents = np.full(len(index), -1, dtype=np.intp)
    for rounds in sessions:
        if isinstance(rounds, Rounds):
            own = positions_of(rounds, index, keys)
            above = np.array(rounds.parents, dtype=np.intp)
            told = occurred(rounds)[0] & (above >= 0)
            parents[own[told]] = own[above[told]]
        else:
            _note_parents(parents, rounds[0], index)
    for profile in current:
        _note_parents(parents, profile, index)
    return parents


def positions_of(rounds: Rounds, index: dict[str, int], keys: list[str]) -> npt.NDArray[np.intp]:
    """Where in ``keys`` its own are, -1 for those that are not."""
    if rounds.keys == keys:  # as mostly
        return np.arange(len(keys), dtype=np.intp)
    return np.array([index.get(key, -1) for key in rounds.keys], dtype=np.intp)


def _note_parents(parents: npt.NDArray[np.intp], profile: Profile, index: dict[str, int]) -> None:
    for key, parent in profile.parents.items():
        if parent is not None and key in index:
            parents[index[key]] = index.get(parent, -1)


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
