"""What stored sessions typically looked like, for reports that show what did not change too."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.panel import occurred, positions_of
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.rounds import Rounds

__all__ = ["median_profile"]

Array = npt.NDArray[np.float64]


def median_profile(sessions: Sequence[Rounds]) -> Profile:
    """As typical() in reports/results.py; a key's parent is that of the last session that has the key."""
    index: dict[str, int] = {}
    for rounds in sessions:
        for key in rounds.keys:
            index.setdefault(key, len(index))
    keys = list(index)
    places = [positions_of(rounds, index, keys) for rounds in sessions]
    parents = np.full(len(keys), -1, dtype=np.intp)
    for rounds, own in zip(sessions, places, strict=True):
        above = np.array(rounds.parents, dtype=np.intp)
        told = occurred(rounds).any(axis=0)
        parents[own[told]] = np.where(above >= 0, own[above], -1)[told]
    medians = {
        metric: [array("d", _medians_of(metric, sessions, places, len(keys)).tobytes())]
        for metric in dict.fromkeys(metric for rounds in sessions for metric in rounds.values)
    }
    profile = Rounds(keys, parents.tolist(), medians, 1)[0]
    profile.incomplete_reason, profile.critical_path = sessions[-1].incomplete_reason, sessions[-1].critical_path
    return profile


def _medians_of(metric: str, sessions: Sequence[Rounds], places: Sequence[npt.NDArray[np.intp]], keys: int) -> Array:
    medians = np.full((len(sessions), keys), np.nan)
    for row, rounds, own in zip(medians, sessions, places, strict=True):
        if columns := rounds.values.get(metric):
            row[own] = _median_of_known(np.stack([np.frombuffer(column) for column in columns]))
    return _median_of_known(medians)


def _median_of_known(values: Array) -> Array:
    """Over the first axis, NaN left out; NaN where there is nothing else."""
    ordered = np.sort(values, axis=0)  # NaN comes last
    known = np.count_nonzero(~np.isnan(ordered), axis=0)
    columns = np.arange(values.shape[1])
    low, high = ordered[np.maximum(known - 1, 0) // 2, columns], ordered[known // 2, columns]
    with np.errstate(over="ignore"):  # of numbers that no build has
        return np.asarray(np.where(known % 2, low, (low + high) / 2), dtype=float)
