"""One metric of all nodes: from rounds to effects, their standard errors and degrees of freedom.

The model of a node's logarithm is::

    node  +  machine (round)  +  node in this session  +  node in this round

The machine's part is common to all nodes and is taken out (host_speed.py). The variances of the last two are shrunk
across nodes (shrinkage.py). A stored baseline is judged with both; pairs of interleaved rounds were all measured in one
session, and are judged with the last alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision import host_speed
from pytest_ptreetime.decision.disturbances import Disturbances
from pytest_ptreetime.decision.effects import (
    BUSY,
    STEADY_DOUBT,
    Effects,
    changed_in_doubt,
    inflated,
    less_machine_allowance,
    unmoved_in_doubt,
    with_common_shift,
    with_error_of_median,
    with_reach,
    with_spread,
)
from pytest_ptreetime.decision.host_speed import CalibrationShift, CommonShift
from pytest_ptreetime.decision.metric_noise import HOST_NOISE
from pytest_ptreetime.decision.samples import Samples
from pytest_ptreetime.decision.session_noise import NoiseBetweenSessions, least_noise, robust_scales
from pytest_ptreetime.decision.shrinkage import shrink_with_stated_prior
from pytest_ptreetime.decision.statistics import (
    huber_location,
    median_of_rounds,
)

__all__ = ["effects_of_pairs", "effects_since"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: A round that is slow by this part of a shift of the whole build may be slow for the same reason.
MOST_OF_THE_WAY = 0.7
#: With fewer rounds on a side none of them is an outlier that could be told, and what disturbs a machine for a while is
#: in the noise: it reaches as far as Student's t with so few degrees of freedom. Two sessions tell by themselves.
FEWEST_FOR_OUTLIERS = 3
FAR_REACHING_DF = 3.0
#: Nodes of so many grains of their metric tell whether the shift of most nodes is one of all.
SIZEABLE_GRAINS = 4


def effects_of_pairs(samples: Samples) -> Effects:
    """Interleaved rounds: the first of each side are a pair, and so on; surplus rounds are left out."""
    noise, before = samples.noise, np.concatenate(samples.baseline)
    pairs = min(len(before), len(samples.current))
    before, now = before[:pairs], samples.current[:pairs]
    chosen = samples.reference_nodes()
    common, factors, factors_before, factors_now = CommonShift(0.0), None, None, None
    if chosen is not None:
        plain_now, plain_before = samples.reference_logs(now), samples.reference_logs(before)
        factors = host_speed.round_factors(plain_now, plain_before, chosen)
        ratios = (plain_now - plain_before)[:, chosen]
        common = host_speed.shift_of_pairs(ratios, factors, float(np.log1p(noise.min_ratio)))
        typical = median_of_rounds(np.concatenate([plain_before, plain_now]))
        factors_before = host_speed.round_factors(plain_before, typical, chosen)
        factors_now = host_speed.round_factors(plain_now, typical, chosen)
        if _whole_rounds_disturbed(factors_before, factors_now, common):
            common = CommonShift(common.total)
    differences = samples.logs(now, factors) - samples.logs(before)
    log_sizes = np.log(samples.sizes)
    medians = median_of_rounds(differences)
    scales = robust_scales(differences - medians, 1, log_sizes, 2.0 * noise.sampling(samples.sizes))
    location, variances = huber_location(differences, scales, medians)
    stated = 2.0 * noise.variance(samples.sizes)
    variances, df, _ = shrink_with_stated_prior(variances, pairs - 1.0, log_sizes, stated)
    variances = np.maximum(variances, 2.0 * least_noise(samples, pairs - 1.0))
    untold = pairs < FEWEST_FOR_OUTLIERS and chosen is None and noise.follows_machine
    result = Effects(
        location,
        np.sqrt(variances / pairs),
        df,
        noise.thresholds(samples.sizes),
        common,
        chosen,
        np.sqrt(variances / 2.0),
        doubt=BUSY if untold else 0.0,
        disturbances=Disturbances.of(
            [samples.logs(before, factors_before)], samples.logs(now, factors_now), samples.sizes
        ),
    )
    if chosen is not None and not common.build:
        result = unmoved_in_doubt(result, samples.sizes >= SIZEABLE_GRAINS * noise.start)
    return with_common_shift(inflated(with_error_of_median(result)))


def _whole_rounds_disturbed(before: Array, now: Array, common: CommonShift) -> bool:
    """Whether the shared shift of pairs can be some slow rounds of the machine, given the factor of each round.

    A round that is slow by most of a shift speaks for that: these few factors are all that there is to tell.
    """
    rounds = Disturbances.of([before[:, None]], now[:, None], np.ones(1))
    rounds = replace(rounds, now=MOST_OF_THE_WAY * rounds.now, before=MOST_OF_THE_WAY * rounds.before)
    return bool(rounds.explain(np.array([common.total]), np.array([common.build != 0]), 1, host_speed.COMMON_ALPHA)[0])


def effects_since(
    samples: Samples, calibration: CalibrationShift | None = None, planned: int | None = None
) -> tuple[Effects, Effects | None]:
    """A session against stored ones, and against the pinned one with the noise of the stored ones.

    :param planned: the session is still to come, with so many rounds: what stands in for it is one typical round, which
        says nothing of the noise.
    """
    noise, sessions, pinned = samples.noise, samples.baseline, samples.pinned
    chosen = samples.reference_nodes()
    steady = samples.steady_nodes() if chosen is None else None
    suspected = samples.suspected_nodes() if planned is None else None
    rounds = [*sessions, samples.current, *([pinned] if pinned is not None else [])]
    machine, common = _machine(samples, rounds, chosen, calibration)
    if steady is not None:
        machine, common = _machine_of_steady(samples, rounds, steady)
    rounds = [samples.logs(amounts, factors) for amounts, factors in zip(rounds, machine, strict=True)]
    log_sizes = np.log(samples.sizes)
    grain = noise.grain(samples.sizes)
    medians = [median_of_rounds(logs) for logs in rounds]
    known = len(rounds) if planned is None else len(sessions)
    deviations = np.concatenate([logs - median for logs, median in zip(rounds, medians, strict=True)][:known])
    scales = robust_scales(deviations, known, log_sizes, noise.sampling(samples.sizes))
    located = [huber_location(logs, scales, median) for logs, median in zip(rounds, medians, strict=True)]
    locations, within_each = zip(*located, strict=True)
    counts = np.array([len(logs) for logs in rounds], dtype=float)
    within_df = float(np.sum(counts - 1))
    pooled = sum((v * (n - 1) for v, n in zip(within_each, counts, strict=True)), np.zeros_like(grain))
    within, shrunk_df, _ = shrink_with_stated_prior(
        pooled / max(within_df, 1.0), within_df, log_sizes, noise.variance(samples.sizes)
    )
    within = np.maximum(within, least_noise(samples, within_df))
    if planned is not None:
        counts[len(sessions)] = planned
    stored = np.stack(locations[: len(sessions)])
    stated_between = np.full_like(within, noise.between**2)
    if chosen is None and steady is None and noise.follows_machine:
        # the machine moves from one session to the next, and no less than from one round to the next
        stated_between += np.maximum(HOST_NOISE**2, within)
    noise_between = NoiseBetweenSessions.of(stored, within, counts[: len(sessions)], log_sizes, stated_between)
    if len(sessions) == 1 and planned is None:
        most = min(noise_between.df, shrunk_df)
        noise_between = replace(
            noise_between, df=min(most, FAR_REACHING_DF) if counts.min() < FEWEST_FOR_OUTLIERS else most
        )

    def against(of: slice, reference_rounds: float, variance: Array, shift: CommonShift) -> Effects:
        effects = locations[len(sessions)] - np.mean(locations[of], axis=0)
        total = np.sqrt(np.maximum(variance + noise_between.of_location(counts[len(sessions)]), grain))
        result = Effects(
            effects,
            total,
            noise_between.df,
            noise.thresholds(samples.sizes),
            shift,
            chosen,
            np.sqrt(within),
            disturbances=Disturbances.of(rounds[of], rounds[len(sessions)], samples.sizes),
        )
        if len(sessions) == 1:
            both = np.maximum(within * (1 / reference_rounds + 1 / counts[1]), grain)
            if planned is not None:
                return replace(result, errors=np.sqrt(both + 2 * stated_between))
            result = with_reach(with_spread(result, both, 2 * stated_between))
        if suspected is not None:
            result = changed_in_doubt(result, suspected, calibration, shift.total if steady is not None else 0.0)
        if steady is not None:
            result = replace(result, doubt=result.doubt + STEADY_DOUBT, machine_allowance=STEADY_DOUBT)
        elif chosen is None and noise.follows_machine:
            result = less_machine_allowance(result, calibration)
        if chosen is not None and suspected is None:
            result = unmoved_in_doubt(result, samples.sizes >= SIZEABLE_GRAINS * noise.start)
        return with_common_shift(inflated(with_error_of_median(result)))

    current = against(slice(len(sessions)), counts[0], noise_between.of_mean(), common)
    if pinned is None:
        return current, None
    pin_shift = CommonShift(float(np.median(machine[len(sessions)]) - np.median(machine[-1])))
    return current, against(slice(-1, None), counts[-1], noise_between.of_location(counts[-1]), pin_shift)


def _machine(
    samples: Samples, rounds: list[Array], chosen: Mask | None, calibration: CalibrationShift | None
) -> tuple[list[Array], CommonShift]:
    """For each session the log factors of its rounds, and the shift of the current one."""
    sessions = len(samples.baseline)
    if chosen is None:
        factors = [np.zeros(len(amounts)) for amounts in rounds]
        return factors, CommonShift(0.0)
    plain = [samples.reference_logs(amounts) for amounts in rounds]
    reference = np.mean([logs.mean(axis=0) for logs in plain[:sessions]], axis=0)
    factors = [host_speed.round_factors(logs, reference, chosen) for logs in plain]
    common = host_speed.shift_beyond_calibration(
        np.array([np.median(session) for session in factors[:sessions]]),
        float(np.median(factors[sessions])),
        calibration,
        float(np.log1p(samples.noise.min_ratio)),
    )
    return factors, common


def _machine_of_steady(samples: Samples, rounds: list[Array], steady: Mask) -> tuple[list[Array], CommonShift]:
    """As _machine(), by the sum of the nodes that do as before."""
    sessions = len(samples.baseline)
    sums = [np.log(np.maximum(amounts[:, steady].sum(axis=1), samples.noise.start)) for amounts in rounds]
    reference = float(np.mean([session.mean() for session in sums[:sessions]]))
    factors = [session - reference for session in sums]
    before = float(np.mean([np.median(session) for session in factors[:sessions]]))
    return factors, CommonShift(float(np.median(factors[sessions])) - before)
