"""The typical round of sessions, for reports that show what did not change too."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_ptreetime.decision.columns import Columns
from pytest_ptreetime.decision.profile import Profile, columns_of
from pytest_ptreetime.system.os_errors import require_memory_for

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

__all__ = ["medians", "typical"]


def typical(sessions: Sequence[Sequence[Profile]]) -> Profile:
    """Per key and metric, the median over the sessions of each session's median over its rounds.

    Rounds where a key or a metric is missing do not count. The parents, the critical path and what is incomplete are
    those of the last round, which is nearest to now.
    """
    last = next((rounds[-1] for rounds in reversed(sessions) if rounds), None)
    if last is None:
        raise ValueError("there is no round to take a median of")
    if sum(map(len, sessions)) == 1:
        return last
    together = medians([columns_of(rounds) for rounds in sessions if rounds])
    return Profile.of_round(together, 0, last.incomplete_reason, last.critical_path)


def medians(sessions: Sequence[Columns]) -> Columns:
    """The typical round; a key's parent is that of the last session that has the key.

    :raises MemoryError: a limit of address space leaves no room for numpy.
    """
    require_memory_for("numpy")
    import numpy as np

    from pytest_ptreetime.decision.panel import occurred, positions_of

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
    values = {
        metric: [array("d", _medians_of(metric, sessions, places, len(keys)).tobytes())]
        for metric in dict.fromkeys(metric for rounds in sessions for metric in rounds.values)
    }
    return Columns(keys, parents.tolist(), values, 1)


def _medians_of(metric: str, sessions: Sequence[Columns], places: Sequence[npt.NDArray[np.intp]], keys: int) -> Array:
    import numpy as np

    medians = np.full((len(sessions), keys), np.nan)
    for row, rounds, own in zip(medians, sessions, places, strict=True):
        if columns := rounds.values.get(metric):
            row[own] = _median_of_known(np.stack([np.frombuffer(column) for column in columns]))
    return _median_of_known(medians)


def _median_of_known(values: Array) -> Array:
    """Over the first axis, NaN left out; NaN where there is nothing else."""
    import numpy as np

    ordered = np.sort(values, axis=0)  # NaN comes last
    known = np.count_nonzero(~np.isnan(ordered), axis=0)
    columns = np.arange(values.shape[1])
    low, high = ordered[np.maximum(known - 1, 0) // 2, columns], ordered[known // 2, columns]
    with np.errstate(over="ignore"):  # of numbers that no build has
        return np.asarray(np.where(known % 2, low, (low + high) / 2), dtype=float)
