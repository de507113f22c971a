"""When enough is measured: a group sequential test with a stated error.

Pairs are looked at when there are 4, 10, 20, 40, ... of them. The error is spent over the looks by the function of the
Pocock type, ``alpha ln(1 + (e - 1) t)`` at the part t of the most pairs (K. K. G. Lan and D. L. DeMets, "Discrete
sequential boundaries for clinical trials", Biometrika 70, 1983). Each look is a t test at what it spends; by Boole's
inequality the error of all looks is at most alpha, whatever their dependence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["LOOKS", "Estimate", "Verdict", "look", "spent_at"]

Verdict: TypeAlias = Literal["slower", "faster", "same", "not slower"]

LOOKS = (4, 10, 20, 40, 80, 160)
#: A change is "the same" where, with this probability of error, it is below this many times what matters.
SAME_ALPHA = 0.01
SAME_TIMES = 2.0
#: What the rounds merely made suspicious is let go where the pairs so far speak for a change no more than this p-value;
#: few pairs have to speak against it.
FUTILE = 0.4
FUTILE_OF_FEW = 0.7
FEW = 10
#: No difference of logarithms is known better than this: clocks, and what differs between two runs of one program.
LEAST_ERROR = 0.0005


@dataclass(frozen=True)
class Estimate:
    """The logarithm of the ratio of the two sides, its standard error, and what can be said by now (None: go on)."""

    effect: float
    error: float
    df: int
    p_value: float
    verdict: Verdict | None

    @property
    def reach(self) -> float:
        """Half of the 95 % confidence interval."""
        from pytest_ptreetime.decision.statistics import two_sided_quantile

        return float(two_sided_quantile(0.05, self.df)) * self.error


def spent_at(look_number: int, alpha: float) -> float:
    """What the look with this number (from 0) may spend."""

    def spent(number: int) -> float:
        part = LOOKS[number] / LOOKS[-1] if number >= 0 else 0.0
        return alpha * math.log(1 + (math.e - 1) * part)

    return spent(look_number) - spent(look_number - 1)


def look(differences: npt.ArrayLike, *, threshold: float, alpha: float, claimed: bool) -> Estimate:
    """What the pairs say at one look.

    :param differences: of the logarithms, the second side minus the first.
    :param threshold: the smallest change of the logarithm that matters.
    :param alpha: the error that this look may spend, for each direction.
    :param claimed: the rounds found it: only certainty ends the measurement. Else it is also ended where it is futile.
    """
    import numpy as np

    from pytest_ptreetime.decision.statistics import huber_location, two_sided_quantile, upper_tail

    values = np.asarray(differences, dtype=float)[:, None]
    spread = np.median(np.abs(values - np.median(values, axis=0)), axis=0)
    location, variance = huber_location(values, 1.4826 * spread + LEAST_ERROR)
    effect, df = float(location[0]), len(values) - 1
    error = max(math.sqrt(float(variance[0]) / len(values)), LEAST_ERROR)
    up = float(upper_tail((effect - threshold) / error, df))
    down = float(upper_tail((-effect - threshold) / error, df))
    certain = float(two_sided_quantile(2 * SAME_ALPHA, df)) * error
    futile = not claimed and up > (FUTILE if len(values) >= FEW else FUTILE_OF_FEW)
    verdict: Verdict | None = None
    if up < alpha:
        verdict = "slower"
    elif down < alpha:
        verdict = "faster"
    elif abs(effect) + certain < SAME_TIMES * threshold:
        verdict = "same"
    elif effect + certain < SAME_TIMES * threshold or futile:
        verdict = "not slower"
    return Estimate(effect, error, df, min(up, down), verdict)
