"""Whether what looks like a change can be the neighbours' doing: a busy sibling core slows down some values, never all.

Disturbances are one-sided: they make a process slower for a while, so the faster half of its rounds shows what it
takes when left alone. How often values are disturbed, and by how much, all the nodes of a build tell together: a node
whose every round is slow is a finding only if that many slow rounds are unlikely to come together by chance, for any
of so many nodes.

The probability is that of Berk and Jones's statistic, which looks at each order statistic by its binomial tail: R. H.
Berk and D. H. Jones, "Goodness-of-fit test statistics that dominate the Kolmogorov statistics", Zeitschrift für
Wahrscheinlichkeitstheorie und verwandte Gebiete 47 (1979); the number of order statistics bounds its multiplicity
(Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = ["Disturbances"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: The faster half of the rounds has to show at least this part of an effect.
UNDISTURBED_PART = 0.5
#: With fewer rounds on a side, nothing says how often values are disturbed.
FEWEST_ROUNDS = 2
#: What has never been seen is taken to have happened so many times.
UNSEEN = 0.1
#: The nodes whose values say what happens to one: those of half its size and more, and so many at least.
FEWEST_NODES = 20


@dataclass(frozen=True)
class Disturbances:
    """The rounds of both sides, as logarithms with the machine's speed taken out."""

    #: The log ratio of now to before by the faster halves of their rounds, one a node.
    change: Array
    #: Rounds of now x nodes, from what the node took before; rounds of before x nodes, from what it takes now.
    now: Array
    before: Array
    #: All rounds x nodes of the build, from the fastest one of their session; the nodes' sizes.
    excess: Array
    sizes: Array

    @classmethod
    def of(cls, before: Sequence[Array], now: Array, sizes: Array) -> Disturbances:
        """:param before: the sessions that are compared with, rounds x nodes each."""
        was, takes = np.mean([_faster_half(logs) for logs in before], axis=0), _faster_half(now)
        excess = np.concatenate([logs - logs.min(axis=0) for logs in (*before, now)])
        return cls(takes - was, now - was, np.concatenate([logs - takes for logs in before]), excess, sizes)

    def shifted(self, by: float) -> Disturbances:
        """With a shift of all nodes given back to each."""
        return replace(self, change=self.change + by, now=self.now + by, before=self.before - by)

    def explain(self, effects: Array, suspects: Mask, tests: int, level: float) -> Mask:
        """Which of ``suspects`` can be disturbances at that ``level``, where ``tests`` questions were asked.

        :param effects: log ratios of the nodes; only their signs and sizes are looked at.
        """
        explained = np.sign(effects) * self.change < UNDISTURBED_PART * np.abs(effects)
        for slower, values in ((True, self.now), (False, self.before)):
            chosen = np.flatnonzero(suspects & ~explained & ((effects > 0) == slower))
            if len(chosen) and min(len(self.now), len(self.before)) >= FEWEST_ROUNDS:
                explained[chosen] = self._chance(values[:, chosen], self.sizes[chosen]) * tests > level
        return explained

    def _chance(self, values: Array, sizes: Array) -> Array:
        """How likely ``values`` (rounds x nodes) are to be so high if nothing but disturbances was at work."""
        rounds = len(values)
        ordered = np.sort(values, axis=0)
        chance = np.ones(values.shape[1])
        octaves = np.floor(np.log2(sizes))
        for octave in np.unique(octaves):
            own = octaves == octave
            pool = self._pool(2.0 ** (octave - 1))
            above = len(pool) - np.searchsorted(pool, ordered[:, own])
            share = (above + UNSEEN) / (len(pool) + 1.0)
            lower = np.arange(rounds, dtype=float)[:, None]  # so many rounds are lower than the value
            tails = special.betainc(rounds - lower, lower + 1.0, np.minimum(share, 1.0))
            chance[own] = np.minimum(rounds * tails.min(axis=0), 1.0)
        return chance

    def _pool(self, least_size: float) -> Array:
        """The sorted excesses of the nodes of this size and more."""
        enough = np.sort(self.sizes)[-min(FEWEST_NODES, len(self.sizes))]
        return np.sort(self.excess[:, self.sizes >= min(least_size, enough)], axis=None)


def _faster_half(logs: Array) -> Array:
    """The mean of the faster half of the rounds (rounds x nodes), the middle one included."""
    half = (len(logs) + 1) // 2
    return np.asarray(np.partition(logs, half - 1, axis=0)[:half].mean(axis=0), dtype=float)
