"""What is known of each metric before anything is measured: its resolution, its usual noise, the smallest change that
matters (the numbers are in metrics.py). A stated model takes the place of what too few rounds or sessions can't tell,
and is drowned out by data.

Noise is relative (0.03 is 3 %). The variance of one round of a node of size x is::

    within^2  +  tick / x  +  (resolution / x)^2

The second term is that of sampled clocks: of x seconds, x/tick ticks are dealt to user or system time by chance
(measured: with 250 Hz, the system time of unchanged compilers varied by 16 to 63 %). The third is the measurement's own
grain. So small and sampled values carry more noise, instead of being exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.metrics import Metric, metric_of

__all__ = ["HOST_NOISE", "MetricNoise", "metric_noise", "ratio_and_amount", "with_min_effects"]

Array = npt.NDArray[np.float64]

#: How much a whole machine's speed differs from one session to the next: 2.7 % on hosted runners, 0.6 % on bare metal
#: (published by others). Used where there are too few processes, or sessions, to see it.
HOST_NOISE = 0.027


class MetricNoise(Metric):
    """A metric of the table with its model's arithmetic. Amounts are in the metric's unit."""

    @property
    def start(self) -> float:
        """What is added to a value before its logarithm is taken (a started logarithm, Tukey 1964)."""
        return max(self.resolution, self.tick)

    def variance(self, amounts: Array) -> Array:
        """The stated variance of a round's logarithm for nodes of these (started) sizes."""
        return self.within**2 + self.sampling(amounts)

    def sampling(self, amounts: Array) -> Array:
        """The part of it that measuring adds; values that far apart are no outliers."""
        return np.asarray(self.tick / amounts + (self.resolution / amounts) ** 2, dtype=float)

    def grain(self, amounts: Array) -> Array:
        """The variance that rounding to the resolution leaves even where all rounds agree."""
        return np.asarray((self.resolution / amounts) ** 2 / 12.0, dtype=float)

    def thresholds(self, amounts: Array) -> Array:
        """The smallest change of the logarithm that matters, for each size."""
        return np.log1p(np.maximum(self.min_ratio, self.min_amount / amounts))


def metric_noise(metric: str) -> MetricNoise:
    """The stated model of ``metric``; for one that is not known here, that of a plain number."""
    return MetricNoise(*metric_of(metric))


def with_min_effects(
    models: Mapping[str, MetricNoise],
    min_effect: float | tuple[float, float] | Mapping[str, float | tuple[float, float]] | None,
) -> dict[str, MetricNoise]:
    """``models`` with the user's minimum effects: a ratio for all, or for each metric, alone or with an amount.

    0.02 is 2 %; (0.02, 0.05) is 2 %, and no less than 0.05 s. An amount of 0 leaves the metric's own.

    :raises UsageError: a ratio or an amount is negative.
    """
    if min_effect is None:
        return dict(models)
    changed = {}
    for metric, model in models.items():
        asked = min_effect.get(metric) if isinstance(min_effect, Mapping) else min_effect
        if asked is None:
            changed[metric] = model
            continue
        ratio, amount = ratio_and_amount(metric, asked)
        changed[metric] = model._replace(min_ratio=ratio, min_amount=amount or model.min_amount)
    return changed


def ratio_and_amount(metric: str, asked: float | tuple[float, float]) -> tuple[float, float]:
    """A minimum effect as a pair; an amount of 0 stands for the metric's own.

    :raises UsageError: one of them is negative.
    """
    ratio, amount = (asked, 0.0) if isinstance(asked, (int, float)) else asked
    if not (ratio >= 0 and amount >= 0):
        raise UsageError(f"min_effect of {metric}: {asked!r} is negative; give a ratio such as 0.02 for 2 %")
    return float(ratio), float(amount)
