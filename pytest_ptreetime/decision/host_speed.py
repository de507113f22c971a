"""How fast the machine was in each round, and whether a difference is the machine's or the build's.

The factor of a round is the median over nodes of its ratio to a reference (S. Anders and W. Huber, "Differential
expression analysis for sequence count data", Genome Biology 11 (2010): DESeq's size factors): what most processes
share is the machine's speed. It is taken over *reference nodes*: large ones, for small nodes know it badly, and none
whose time contains its children's.

Every compile getting slower looks the same. In an interleaved comparison the machine is the same on both sides, so a
shared difference is the build's. Otherwise a calibration that ran with each session tells: what it does not explain is
the build's. A third of a second of work is weak evidence. It may explain a shift that the processes show, up to all of
it, and never adds one that they don't show; it is trusted no further than its own spread, and how well it followed the
processes in the baseline; and one that was disturbed decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.shrinkage import STATED_DF
from pytest_ptreetime.decision.statistics import treat_p_values, two_sided_quantile
from pytest_ptreetime.system.calibration import PARTS, Calibration, spread

__all__ = [
    "FEWEST_REFERENCE_NODES",
    "CalibrationShift",
    "Calibrations",
    "CommonShift",
    "round_factors",
    "shift_beyond_calibration",
    "shift_of_pairs",
]

Array = npt.NDArray[np.float64]

#: With fewer reference nodes than this, one that changed would be taken for the machine.
FEWEST_REFERENCE_NODES = 6
#: Where there are fewer, so many smaller ones (2 ms where the grain is 0.5 ms) take their place.
SMALL_REFERENCE_GRAINS = 4
FEWEST_SMALL_REFERENCE_NODES = 20
#: The largest so many know the speed to a thousandth; more would only take longer.
MOST_REFERENCE_NODES = 2000
#: A reference node has this many times the grain of its metric (10 ms where the grain is 0.5 ms).
REFERENCE_GRAINS = 20
#: A shift that all nodes share is the build's only at this level: one more test for each metric, beside those of the
#: nodes. With neighbours that come and go, 1.5 % of 3,000 sessions of unchanged builds on a shared machine (pairs of
#: real rounds whose sides were dealt by chance) had such a finding at 0.0025, 0.6 % at this.
COMMON_ALPHA = 0.0005
#: How much a calibration and a build differ in their reaction to the machine, from session to session.
CALIBRATION_NOISE = 0.03
#: What the pairs' common factors are taken to vary by before there are pairs.
PAIR_NOISE = 0.02
#: Which parts of the calibration, and which of its clocks, a metric's speed may follow; others: all, by wall time.
_FOLLOWED = {
    "user": (("compute",), "cpu"),
    "cpu": (("compute", "fork"), "cpu"),
    "sys": (("fork", "file"), "cpu"),
}


@dataclass(frozen=True)
class Calibrations:
    """Those of the baseline's sessions (None where a session has none) and the current one."""

    baseline: list[Calibration | None]
    current: Calibration | None

    @classmethod
    def of(cls, baseline: Sequence[Calibration | None] | None, current: Calibration | None) -> Calibrations:
        return cls(list(baseline or ()), current)

    @property
    def disturbance(self) -> str | None:
        """In words, where the current calibration or at least half of the baseline's were disturbed."""
        if self.current is None:
            return None
        disturbed = [found for one in self.baseline if one is not None and (found := one.disturbance)]
        if 2 * len(disturbed) >= max(len(self.baseline), 1):
            return f"in the baseline {disturbed[0]}"
        return self.current.disturbance

    def shift(self, metric: str, chosen: Sequence[int]) -> CalibrationShift | None:
        """What ``metric`` may follow, since the ``chosen`` sessions; None unless all of them have a calibration."""
        if self.current is None or not chosen or any(n >= len(self.baseline) for n in chosen):
            return None
        stored = [self.baseline[n] for n in chosen]
        if None in stored:
            return None
        parts, clock = _FOLLOWED.get(metric, (PARTS, "wall"))
        times = [getattr(one, clock) for one in (*stored, self.current)]
        if not all(each.get(part) and min(each[part]) > 0 for each in times for part in parts):
            return None
        logs = np.array([[np.log(np.median(each[part])) for part in parts] for each in times])
        # The repetitions follow each other at once and most disturbances last longer, so that their median is known
        # no better than one of them.
        errors = np.array([max(spread(each[part]) for part in parts) for each in times])
        reference = logs[:-1].mean(axis=0)
        shifts = logs[-1] - reference
        return CalibrationShift(
            sessions=(logs[:-1] - reference).mean(axis=1),
            low=float(shifts.min()),
            high=float(shifts.max()),
            error=float((errors[-1] ** 2 + np.mean(errors[:-1] ** 2) / len(stored)) ** 0.5),
            disturbed=self.disturbance is not None,
        )


@dataclass(frozen=True)
class CalibrationShift:
    """By which logarithms the calibration's parts moved: from ``low`` to ``high``, to one standard ``error``."""

    #: Each session's, to the mean of all of them; all parts together.
    sessions: Array
    low: float
    high: float
    error: float
    disturbed: bool = False

    def machine_allowance(self) -> tuple[float, float]:
        """The range of shifts that the machine may have caused, one of 0 included."""
        return min(self.low, 0.0), max(self.high, 0.0)


@dataclass(frozen=True)
class CommonShift:
    """What most nodes share: ``total`` is the log ratio now to before, ``build`` the part that is not the machine's.

    ``build`` is 0 where the machine explains all, or where nothing can tell; ``error`` is its standard error.
    """

    total: float
    build: float = 0.0
    error: float = 0.0
    df: float = np.inf
    p_value: float = 1.0
    calibrated: bool = False
    #: Why a calibration could not decide: ``disturbed``, ``contradicted`` by processes that did not follow it,
    #: ``split``: there is none, and many processes did not move with the others, or ``commands``: those that moved have
    #: other commands than before. Then ``suspected`` is the logarithm by which they did.
    doubt: str | None = None
    suspected: float = 0.0


def reference_nodes(sizes: Array, grain: float, leaves: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """The nodes that say how fast the machine was; None when they are too few to be trusted."""
    chosen = leaves & (sizes >= REFERENCE_GRAINS * grain)
    count = np.count_nonzero(chosen)
    if count < FEWEST_REFERENCE_NODES:  # many small ones know as much as a few large ones
        chosen = leaves & (sizes >= SMALL_REFERENCE_GRAINS * grain)
        count = np.count_nonzero(chosen)
        return chosen if count >= FEWEST_SMALL_REFERENCE_NODES else None
    if count > MOST_REFERENCE_NODES:
        chosen &= sizes >= np.partition(sizes[chosen], count - MOST_REFERENCE_NODES)[count - MOST_REFERENCE_NODES]
    return chosen if count >= FEWEST_REFERENCE_NODES else None


def round_factors(logs: Array, reference: Array, chosen: npt.NDArray[np.bool_]) -> Array:
    """The log factor of each round (rounds x nodes): the median ratio of the chosen nodes to the reference."""
    return np.asarray(np.median(logs[:, chosen] - reference[..., chosen], axis=1), dtype=float)


def shift_of_pairs(ratios: Array, factors: Array, threshold: float) -> CommonShift:
    """The shared difference of interleaved rounds, given the log ratios of the reference nodes (pairs x nodes), and
    their median of each pair.
    """
    pairs, nodes = ratios.shape
    total = float(factors.mean())
    if pairs < 3:
        return CommonShift(total)
    df = pairs - 1.0
    # the variance of a median is pi/2 of a mean's; 1.4826 makes a standard deviation of a median absolute deviation
    scatter = 1.4826 * np.median(np.abs(ratios - factors[:, None]))
    stated = PAIR_NOISE**2 + np.pi / 2 * float(scatter) ** 2 / nodes
    variance = (STATED_DF * stated + df * float(factors.var(ddof=1))) / (STATED_DF + df)
    return _tested(total, total, (variance / pairs) ** 0.5, df + STATED_DF, threshold, calibrated=True)


def shift_beyond_calibration(
    session_factors: Array, current_factor: float, calibration: CalibrationShift | None, threshold: float
) -> CommonShift:
    """The shared difference to stored sessions, and how much of it lies outside what the calibration's parts span."""
    total = current_factor - float(session_factors.mean())
    if calibration is None:
        return CommonShift(total)
    explained = float(np.clip(total, *calibration.machine_allowance()))
    residuals = session_factors - session_factors.mean() - calibration.sessions
    sessions = len(residuals)
    squares = float(np.sum((residuals - residuals.mean()) ** 2))
    df = STATED_DF + sessions - 1
    variance = (STATED_DF * CALIBRATION_NOISE**2 + squares) / df * (1 + 1 / sessions) + calibration.error**2
    shift = _tested(total, total - explained, variance**0.5, df, threshold, calibrated=True)
    if calibration.disturbed:
        # What would have been found with a calibration that knows its speed exactly is the question it leaves open.
        known = (variance - calibration.error**2) ** 0.5
        open_question = _tested(total, total - explained, known, df, threshold, calibrated=True).build != 0
        return CommonShift(total, calibrated=not open_question, doubt="disturbed")
    outside = total - float(np.clip(total, calibration.low, calibration.high))
    if not shift.build and abs(outside) > float(two_sided_quantile(COMMON_ALPHA, df)) * variance**0.5:
        return replace(shift, doubt="contradicted")
    return shift


def _tested(total: float, build: float, error: float, df: float, threshold: float, *, calibrated: bool) -> CommonShift:
    p_value = float(treat_p_values(np.array([build]), np.array([error]), df, threshold)[0])
    if p_value > COMMON_ALPHA:
        return CommonShift(total, p_value=p_value, calibrated=calibrated)
    return CommonShift(total, build, error, df, p_value, calibrated)
