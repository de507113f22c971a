"""What is known of each metric before anything is measured: its resolution, its usual noise, the smallest change that
matters. A stated model takes the place of what too few rounds or sessions can't tell, and is drowned out by data.

Noise is relative (0.03 is 3 %). The variance of one round of a node of size x is::

    within^2  +  tick / x  +  (resolution / x)^2

The second term is that of sampled clocks: of x seconds, x/tick ticks are dealt to user or system time by chance
(shared/facts/kernel.md: with 250 Hz, unchanged system times vary by 16 to 63 %). The third is the measurement's own
grain. So small and sampled values carry more noise, instead of being exceptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.errors import UsageError

__all__ = ["DEFAULT_METRICS", "HOST_NOISE", "MetricNoise", "metric_noise", "ratio_and_amount", "with_min_effects"]

Array = npt.NDArray[np.float64]

#: What is compared unless something else is asked for; counts always are.
DEFAULT_METRICS = ("wall", "user", "sys", "cpu")
#: How much a whole machine's speed differs from one session to the next: 2.7 % on hosted runners, 0.6 % on bare metal
#: (shared/facts/peers.md). Used where there are too few processes, or sessions, to see it.
HOST_NOISE = 0.027


@dataclass(frozen=True)
class MetricNoise:
    """The stated model of one metric; the amounts are seconds, or bytes for memory and input/output."""

    #: The grain of the measurement; added to every value before its logarithm, so that 0 has one.
    resolution: float
    #: Noise of a round within a session, and of a node between sessions after the host's speed is taken out.
    within: float
    between: float
    #: The smallest change that matters: this part of the node, and no less than this amount.
    min_ratio: float
    min_amount: float
    #: Seconds between two samples of the clock, 0 for an exact one.
    tick: float = 0.0
    #: A node's value contains those of its children.
    cumulative: bool = False
    unit: str = "s"
    #: A slower machine makes it larger.
    follows_machine: bool = True

    @property
    def start(self) -> float:
        """What is added to a value before its logarithm is taken (a started logarithm, Tukey 1964)."""
        return max(self.resolution, self.tick)

    def variance(self, amounts: Array) -> Array:
        """The stated variance of a round's logarithm for nodes of these (started) sizes."""
        return self.within**2 + self.sampling(amounts)

    def sampling(self, amounts: Array) -> Array:
        """The part of it that the measurement is to blame for; values that far apart are no outliers."""
        return np.asarray(self.tick / amounts + (self.resolution / amounts) ** 2, dtype=float)

    def grain(self, amounts: Array) -> Array:
        """The variance that rounding to the resolution leaves even where all rounds agree."""
        return np.asarray((self.resolution / amounts) ** 2 / 12.0, dtype=float)

    def thresholds(self, amounts: Array) -> Array:
        """The smallest change of the logarithm that matters, for each size."""
        return np.log1p(np.maximum(self.min_ratio, self.min_amount / amounts))


# The minimum effects. 1 %: of 5 % (the bar) it leaves 4 % to be told from noise; half of it would let trifles through,
# and 2 % would cost a third of the power. Amounts: cpu time is exact to well below a
# millisecond, wall time is accurate to 1 ms (design.md), and a tick is 4 ms.
_MODELS = {
    "wall": MetricNoise(0.0005, 0.04, 0.015, 0.01, 0.002, cumulative=True),
    "cpu": MetricNoise(0.0005, 0.03, 0.01, 0.01, 0.0005),
    "user": MetricNoise(0.0005, 0.03, 0.01, 0.01, 0.004, tick=0.004),
    "sys": MetricNoise(0.0005, 0.05, 0.02, 0.02, 0.004, tick=0.004),
    "startlag": MetricNoise(0.0002, 0.2, 0.05, 0.05, 0.002),
    "exitlag": MetricNoise(0.0002, 0.2, 0.05, 0.05, 0.002),
    "run_delay": MetricNoise(0.001, 0.5, 0.3, 0.2, 0.01, follows_machine=False),
    "max_rss": MetricNoise(131072.0, 0.01, 0.005, 0.02, 1048576.0, unit="B", follows_machine=False),
    "read": MetricNoise(4096.0, 0.05, 0.05, 0.05, 65536.0, unit="B", follows_machine=False),
    "written": MetricNoise(4096.0, 0.02, 0.02, 0.02, 65536.0, unit="B", follows_machine=False),
}
_OTHER = MetricNoise(1.0, 0.05, 0.03, 0.02, 1.0, unit="", follows_machine=False)


def metric_noise(metric: str) -> MetricNoise:
    """The stated model of ``metric``; for one that is not known here, that of a plain number."""
    return _MODELS.get(metric, _OTHER)


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
        changed[metric] = replace(model, min_ratio=ratio, min_amount=amount or model.min_amount)
    return changed


def ratio_and_amount(metric: str, asked: float | tuple[float, float]) -> tuple[float, float]:
    """A minimum effect as a pair; an amount of 0 stands for the metric's own.

    :raises UsageError: one of them is negative.
    """
    ratio, amount = (asked, 0.0) if isinstance(asked, (int, float)) else asked
    if not (ratio >= 0 and amount >= 0):
        raise UsageError(f"min_effect of {metric}: {asked!r} is negative; give a ratio such as 0.02 for 2 %")
    return float(ratio), float(amount)
