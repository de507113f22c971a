"""The noise of one metric: of a round within its session, and of a session among others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.samples import ENOUGH_FOR_SPREAD, Samples
from pytest_ptreetime.decision.shrinkage import STATED_DF, natural_spline_basis, shrink_with_stated_prior
from pytest_ptreetime.decision.statistics import (
    leave_one_out,
    median_of_rounds,
    tail_df,
)

__all__ = ["NoiseBetweenSessions", "least_noise", "robust_scales"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
#: Degrees of freedom of the stated variance between sessions, where the baseline has a single one.
STATED_BETWEEN_DF = 10.0


@dataclass(frozen=True)
class NoiseBetweenSessions:
    """The variance of a session's location, shrunk across nodes."""

    variances: Array
    df: float
    within: Array
    rounds: Array

    @classmethod
    def of(cls, stored: Array, within: Array, rounds: Array, log_sizes: Array, stated: Array) -> NoiseBetweenSessions:
        sessions = len(stored)
        scale = stated + within * np.mean(1 / rounds)
        if sessions == 1:
            return cls(scale, STATED_BETWEEN_DF, within, rounds)
        raw = stored.var(axis=0, ddof=1)
        variances, df, prior = shrink_with_stated_prior(raw, sessions - 1.0, log_sizes, scale)
        if len(raw) >= ENOUGH_FOR_SPREAD:
            draws, draws_df = leave_one_out(stored, prior.scale, prior.df)
            if draws is not None and draws_df is not None:
                heavy = tail_df(draws, draws_df)
                df = heavy if heavy < draws_df else df
        return cls(variances, df, within, rounds)

    def of_mean(self) -> Array:
        """Of the mean of the stored sessions' locations."""
        return self.variances / len(self.rounds)

    def of_location(self, rounds: float) -> Array:
        """Of the location of one further session with so many rounds."""
        adjusted = self.variances + self.within * (1 / rounds - np.mean(1 / self.rounds))
        return np.asarray(np.maximum(adjusted, self.within / rounds), dtype=float)


def least_noise(samples: Samples, df: float) -> Array:
    """The least variance of a round: the grain, or all that sampling may do where few rounds can't tell.

    Of a clock that is sampled, two rounds often show the same value by chance, and the nodes together seem exact.
    """
    noise = samples.noise
    return noise.sampling(samples.sizes) if df < STATED_DF else noise.grain(samples.sizes)


def robust_scales(deviations: Array, sessions: int, log_sizes: Array, least: Array) -> Array:
    """Standard deviations of a round from median absolute deviations, not below their trend over size.

    Not below the variance ``least`` either: of a sampled clock most rounds may show the same value by chance.

    :param deviations: rounds x nodes, from their sessions' medians.
    """
    rounds = len(deviations)
    variances: Array
    if rounds <= 2 * sessions:  # no session has an outlier that could be told
        variances = np.einsum("rn,rn->n", deviations, deviations) / max(rounds - sessions, 1)
        return np.sqrt(np.maximum(variances, least))
    # 1.4826 makes it a standard deviation; the medians took one degree of freedom from each session
    scales = 1.4826 * median_of_rounds(np.abs(deviations)) * (rounds / (rounds - sessions)) ** 0.5
    variances = np.maximum(scales**2, least)
    if len(log_sizes) >= 30:
        basis = natural_spline_basis(log_sizes, 4)
        trend = np.exp(basis @ np.linalg.lstsq(basis, np.log(variances), rcond=None)[0])
        variances = np.maximum(variances, trend)
    return np.sqrt(variances)
