"""Which processes run, and how often: compared exactly where the baseline always agreed with itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.finding import CountKind
from pytest_ptreetime.decision.panel import Panel

__all__ = ["CountChange", "Structure", "compare_structure"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CountChange:
    """One key whose count changed: counts of a round; ``before`` is the nearest end of the range where it varied."""

    position: int
    kind: CountKind
    before: float
    now: float


@dataclass(frozen=True)
class Structure:
    """The changes, and which keys they (or their likes) make unfit for a comparison of times."""

    changes: list[CountChange]
    changed: Mask
    #: Keys whose count varies now and did not before: not a finding, but worth a word.
    unsteady: list[int]
    #: For each key the first baseline session since which its count is what it is now accepted to be.
    since: npt.NDArray[np.intp]


def compare_structure(panel: Panel) -> Structure:
    """Compare counts.

    A count that is constant on both sides is exact: another one now is a change, whatever the number of rounds. One
    that varies between the rounds of either side is noise, and a change only where every current round lies outside the
    baseline's range widened by the wider of both ranges, for the range of few rounds is too narrow.
    """
    low, high, since = _ranges(panel.baseline_counts)
    now = panel.current_counts
    least, most = now.min(axis=0), now.max(axis=0)
    constant = (low == high) & (least == most)
    width = np.maximum(high - low, most - least)
    exact = constant & (least != low)
    above = ~constant & (least > high + width)
    below = ~constant & (most < low - width)
    changed = exact | above | below
    unsteady = ~changed & (low == high) & (least != most)
    changes = []
    for position in np.flatnonzero(changed).tolist():
        was = float(high[position] if above[position] else low[position])
        count = float(most[position] if below[position] else least[position])
        kind: CountKind = "added" if high[position] == 0 else "removed" if count == 0 else "count"
        changes.append(CountChange(position, kind, was, count))
    return Structure(changes, changed, [int(position) for position in np.flatnonzero(unsteady)], since)


def _ranges(sessions: list[Array]) -> tuple[Array, Array, npt.NDArray[np.intp]]:
    """The lowest and highest count of each key, and the session since which they hold.

    A count that was constant within each session and changed once was changed on purpose and accepted: only the
    sessions since then count.
    """
    lows, highs = (np.stack([bound(session, axis=0) for session in sessions]) for bound in (np.min, np.max))
    low, high = lows.min(axis=0), highs.max(axis=0)
    since = np.zeros(len(low), dtype=np.intp)
    steps = (lows[1:] != lows[:-1]).sum(axis=0)
    stepped = (lows == highs).all(axis=0) & (steps == 1)
    for position in np.flatnonzero(stepped):
        since[position] = 1 + int(np.argmax(lows[1:, position] != lows[:-1, position]))
    low[stepped] = high[stepped] = lows[-1, stepped]
    return low, high, since
