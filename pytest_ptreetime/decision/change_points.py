"""Where a history changed: since which of its sessions a node is slower or faster.

The rule is that of PELT: of all ways to cut the series into stretches with one mean each, the one with the smallest sum
of squared distances from the means, in units of the noise, plus a penalty a cut. R. Killick, P. Fearnhead and I. A.
Eckley, "Optimal detection of changepoints with a linear computational cost", JASA 107 (2012). The search is the exact
one, without their pruning (B. Jackson et al., "An algorithm for optimal partitioning of data on an interval", 2005): a
history has tens of sessions. The noise is taken from the differences of neighbours, which a change hardly touches.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["change_points"]

#: A cut costs so many times the logarithm of the length. 2 would be Schwarz's criterion; with this one a change is told
#: of at most one in a hundred histories of an unchanged node.
PENALTY = 6.0
#: A stretch has at least so many sessions.
SHORTEST = 2
FEWEST = 7
#: By what the noise is taken for larger where there are few differences: 1 + FEW / their number.
FEW = 5.0
_MAD_OF_NORMAL = 0.6745


def change_points(values: Sequence[float], *, noise: float, least: float) -> list[int]:
    """The positions at which a new stretch begins.

    :param values: amounts above 0, in the order of time. With fewer than FEWEST nothing is said.
    :param noise: the relative standard deviation that is assumed at least.
    :param least: the smallest relative change of the mean that is worth telling.
    """
    if len(values) < FEWEST or min(values) <= 0:
        return []
    logs = [math.log(value) for value in values]
    differences = [abs(later - earlier) for earlier, later in pairwise(logs)]
    few = 1 + FEW / len(differences)
    sigma = max(few * statistics.median(differences) / _MAD_OF_NORMAL / math.sqrt(2), noise)
    cuts = _partition([value / sigma for value in _without_spikes(logs)], PENALTY * math.log(len(logs)))
    stretches = [logs[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(logs)], strict=True)]
    means = [statistics.fmean(stretch) for stretch in stretches]
    return [cut for cut, (before, after) in zip(cuts, pairwise(means), strict=True) if abs(after - before) >= least]


def _without_spikes(values: Sequence[float]) -> list[float]:
    """The running median of three, which leaves steps where they are, and takes out what stands alone."""
    last = len(values) - 3
    return [statistics.median(values[min(max(place - 1, 0), last) :][:3]) for place in range(len(values))]


def _partition(values: Sequence[float], penalty: float) -> list[int]:
    """The cuts of the cheapest partition into stretches of at least SHORTEST values."""
    sums, squares = [0.0], [0.0]
    for value in values:
        sums.append(sums[-1] + value)
        squares.append(squares[-1] + value * value)
    cheapest, last_cut = [-penalty], [0]
    for end in range(1, len(values) + 1):
        best, cut = math.inf, 0
        for begin in (0, *range(SHORTEST, end - SHORTEST + 1)):
            total = sums[end] - sums[begin]
            cost = cheapest[begin] + penalty + squares[end] - squares[begin] - total * total / (end - begin)
            if cost < best:
                best, cut = cost, begin
        cheapest.append(best)
        last_cut.append(cut)
    cuts = []
    end = len(values)
    while (end := last_cut[end]) > 0:
        cuts.append(end)
    return cuts[::-1]
