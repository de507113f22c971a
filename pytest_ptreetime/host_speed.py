"""How fast the machine was in each round, and whether a difference is the machine's or the build's.

The factor of a round is the median over nodes of its ratio to a reference (S. Anders and W. Huber, "Differential
expression analysis for sequence count data", Genome Biology 11 (2010): DESeq's size factors): what most processes
share is the machine's speed of the day. Small nodes, which know it badly, have no vote, nor have nodes whose time
contains their children's.

Every compile getting slower looks the same. In an interleaved comparison the machine is the same on both sides, so a
shared difference is the build's. Otherwise a calibration that ran with each session tells: what it does not explain is
the build's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.metric_noise import HOST_NOISE
from pytest_ptreetime.shrinkage import STATED_DF
from pytest_ptreetime.statistics import treat_p_values

__all__ = [
    "FEWEST_VOTERS",
    "CalibrationShift",
    "CommonShift",
    "round_factors",
    "shift_beyond_calibration",
    "shift_of_pairs",
]

Array = npt.NDArray[np.float64]

#: With fewer voting nodes than this, one that changed would be taken for the machine.
FEWEST_VOTERS = 6
#: A node votes when it is this many times the grain of its metric (10 ms where the grain is 0.5 ms).
VOTER_GRAINS = 20
#: A shift that all nodes share is the build's only at this level; it is one more test beside those of the nodes.
COMMON_ALPHA = 0.0025
#: How much a calibration and a build differ in their reaction to the machine, from session to session.
CALIBRATION_NOISE = 0.03
#: What the pairs' common factors are taken to vary by before there are pairs.
PAIR_NOISE = 0.02
#: Which parts of the calibration (calibration.PARTS) a metric's speed may follow.
_RELEVANT_PARTS = {"user": (0,), "cpu": (0, 1), "sys": (1, 2)}


@dataclass(frozen=True)
class CalibrationShift:
    """Log ratios of the calibration's parts: of each baseline session to their mean, and of the current one to it."""

    sessions: Array  # sessions x parts
    current: Array  # parts

    @classmethod
    def of(
        cls, baseline: Sequence[Sequence[float] | None] | None, current: Sequence[float] | None
    ) -> CalibrationShift | None:
        """None unless every session has a calibration, of the same parts and with times above 0."""
        if not baseline or not current or any(not times for times in baseline):
            return None
        rows = [list(times or ()) for times in baseline]
        if any(len(row) != len(current) or min(row) <= 0 for row in rows) or min(current) <= 0:
            return None
        logs = np.log(np.array(rows, dtype=float))
        return cls(logs - logs.mean(axis=0), np.log(np.array(current, dtype=float)) - logs.mean(axis=0))

    def parts(self, metric: str) -> CalibrationShift | None:
        """Only what ``metric`` may follow; None where that was not measured."""
        columns = [part for part in _RELEVANT_PARTS.get(metric, range(len(self.current))) if part < len(self.current)]
        return CalibrationShift(self.sessions[:, columns], self.current[columns]) if columns else None


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


def voters(sizes: Array, grain: float, leaves: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """The nodes that say how fast the machine was; None when they are too few to be trusted."""
    large = sizes >= VOTER_GRAINS * grain
    for chosen in (large & leaves, large):
        if np.count_nonzero(chosen) >= FEWEST_VOTERS:
            return chosen
    return None


def round_factors(logs: Array, reference: Array, chosen: npt.NDArray[np.bool_]) -> Array:
    """The log factor of each round (rounds x nodes): the median ratio of the chosen nodes to the reference."""
    return np.asarray(np.median(logs[:, chosen] - reference[..., chosen], axis=1), dtype=float)


def shift_of_pairs(factors: Array, threshold: float) -> CommonShift:
    """The shared difference of interleaved rounds, given the log factor of each pair."""
    pairs = len(factors)
    total = float(factors.mean())
    if pairs < 3:
        return CommonShift(total)
    df = pairs - 1.0
    variance = (STATED_DF * PAIR_NOISE**2 + df * float(factors.var(ddof=1))) / (STATED_DF + df)
    return _tested(total, total, (variance / pairs) ** 0.5, df + STATED_DF, threshold, calibrated=True)


def shift_beyond_calibration(
    session_factors: Array, current_factor: float, calibration: CalibrationShift | None, threshold: float
) -> CommonShift:
    """The shared difference to stored sessions, and how much of it lies outside what the calibration's parts span."""
    total = current_factor - float(session_factors.mean())
    if calibration is None:
        return CommonShift(total)
    explained = float(np.clip(total, calibration.current.min(), calibration.current.max()))
    residuals = session_factors - session_factors.mean() - calibration.sessions.mean(axis=1)
    sessions = len(residuals)
    squares = float(np.sum((residuals - residuals.mean()) ** 2))
    df = STATED_DF + sessions - 1
    variance = (STATED_DF * CALIBRATION_NOISE**2 + squares) / df
    return _tested(total, total - explained, (variance * (1 + 1 / sessions)) ** 0.5, df, threshold, calibrated=True)


def _tested(total: float, build: float, error: float, df: float, threshold: float, *, calibrated: bool) -> CommonShift:
    p_value = float(treat_p_values(np.array([build]), np.array([error]), df, threshold)[0])
    if p_value > COMMON_ALPHA:
        return CommonShift(total, p_value=p_value, calibrated=calibrated)
    return CommonShift(total, build, error, df, p_value, calibrated)


def unseen_host_variance(calibrated: bool) -> float:
    """The variance between sessions that stays in every node where too few nodes vote."""
    return CALIBRATION_NOISE**2 if calibrated else HOST_NOISE**2
