"""One metric of all nodes: from rounds to effects, their standard errors and degrees of freedom.

The model of a node's logarithm is::

    node  +  machine (round)  +  node in this session  +  node in this round

The machine's part is common to all nodes and is taken out (host_speed.py). The variances of the last two are shrunk
across nodes (shrinkage.py). A stored baseline is judged with both; pairs of interleaved rounds were all measured in one
session, and are judged with the last alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision import host_speed
from pytest_ptreetime.decision.disturbances import Disturbances
from pytest_ptreetime.decision.host_speed import CalibrationShift, CommonShift
from pytest_ptreetime.decision.metric_noise import HOST_NOISE, MetricNoise
from pytest_ptreetime.decision.shrinkage import STATED_DF, natural_spline_basis, shrink_with_stated_prior
from pytest_ptreetime.decision.statistics import (
    huber_location,
    leave_one_out,
    median_of_rounds,
    tail_df,
    two_sided_quantile,
)

__all__ = ["Effects", "Samples", "effects_of_pairs", "effects_since"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

#: With this many reference nodes and more, the spread of the effects over nodes is itself a measure of the noise.
ENOUGH_FOR_SPREAD = 20
#: Degrees of freedom of the stated variance between sessions, where the baseline has a single one.
STATED_BETWEEN_DF = 10.0
#: By which logarithm cpu times grow while the other half of each core, in hardware that shares it, is busy.
BUSY = float(np.log(2.0))
#: Half of the squares of a standard normal variable are below this.
MEDIAN_OF_SQUARE = 0.4549
#: A shift that most nodes share is in doubt from this logarithm on, where no calibration confirms it and this part of
#: the nodes stayed where they were, by so many of their errors; nodes of so many grains of their metric count.
SPLIT_SHIFT = float(np.log(1.05))
SPLIT_PART = 0.15
SPLIT_ERRORS = 2.5
SIZEABLE_GRAINS = 4
#: Where nearly all commands changed, all nodes together tell the machine's speed if they moved by no more than this
#: logarithm, twice what machines differ by from day to day; more than that may be what the commands do.
SUSPECTED_SHIFT = 2 * HOST_NOISE
#: From this logarithm on, and from so many standard errors, it is an open question whether the machine or they did.
OPEN_SHIFT = float(np.log(1.02))
OPEN_ERRORS = 2.0
#: So many nodes that do as before, together so many grains of their metric long (20 ms where the grain is 0.5 ms), tell
#: the machine's speed to this logarithm: starting programs and compiling do not slow down alike.
FEWEST_STEADY = 10
STEADY_GRAINS = 40
STEADY_DOUBT = float(np.log(1.1))
#: How many nodes the stated variance between sessions weighs as much as, against the spread over nodes.
STATED_BETWEEN_NODES = 20


@dataclass(frozen=True)
class Samples:
    """The tested nodes of one metric: amounts (seconds, bytes; none NaN), rounds x nodes for each session."""

    noise: MetricNoise
    baseline: list[Array]
    current: Array
    #: Whether the node has no child that is tested.
    leaves: Mask
    pinned: Array | None = None
    #: Nodes whose command changed: what they share may be the build's doing.
    suspects: Mask | None = None
    #: Nodes that do the same work whatever their command says: compilers' drivers.
    drivers: Mask | None = None

    @cached_property
    def sizes(self) -> Array:
        """Typical amounts of the baseline (geometric means), plus the start of the logarithm."""
        sizes: Array = np.exp(np.mean([self.logs(session).mean(axis=0) for session in self.baseline], axis=0))
        return sizes

    def logs(self, amounts: Array, factors: Array | None = None) -> Array:
        """Started logarithms of amounts, each round divided by its (log) factor first.

        The start would bend a factor of small amounts, so it is added after the machine's speed has been taken out.
        """
        scaled = amounts if factors is None else amounts * np.exp(-factors)[:, None]
        return np.log(np.maximum(scaled, 0.0) + self.noise.start)

    def reference_nodes(self) -> Mask | None:
        """The nodes that say how fast the machine was; None if too few, or the metric does not follow the machine."""
        if not self.noise.follows_machine:
            return None
        every = host_speed.reference_nodes(self.sizes, self.noise.start, self.leaves)
        if self.suspects is None or not self.suspects.any():
            return every
        chosen = host_speed.reference_nodes(self.sizes, self.noise.start, self.leaves & ~self.suspects)
        if chosen is not None or every is None:
            return chosen
        return every if abs(self._shared(every)) <= SUSPECTED_SHIFT else None

    def suspected_nodes(self) -> Mask | None:
        """All that would say it, where too few of them have the command that they had before."""
        if self.suspects is None or not self.suspects.any() or not self.noise.follows_machine:
            return None
        chosen = host_speed.reference_nodes(self.sizes, self.noise.start, self.leaves & ~self.suspects)
        every = host_speed.reference_nodes(self.sizes, self.noise.start, self.leaves)
        return every if chosen is None else None

    def _shared(self, chosen: Mask) -> float:
        reference = np.mean([self.reference_logs(session).mean(axis=0) for session in self.baseline], axis=0)
        return float(np.median(host_speed.round_factors(self.reference_logs(self.current), reference, chosen)))

    @property
    def tells_noise(self) -> bool:
        """Whether the noise can be seen at all: between rounds, or in the spread over enough nodes."""
        replicated = len(self.baseline) > 1 or len(self.baseline[0]) > 1 or len(self.current) > 1
        chosen = None if replicated else self.reference_nodes()
        return replicated or (chosen is not None and bool(np.count_nonzero(chosen) >= ENOUGH_FOR_SPREAD))

    def steady_nodes(self) -> Mask | None:
        """Where nearly all commands changed: small nodes that do as before and together tell the machine's speed."""
        if self.suspects is None or self.drivers is None or self.noise.cumulative or not self.noise.follows_machine:
            return None
        steady = self.leaves & (self.drivers | ~self.suspects)
        together = float((self.sizes[steady] - self.noise.start).sum())
        known = np.count_nonzero(steady) >= FEWEST_STEADY and together >= STEADY_GRAINS * self.noise.start
        return steady if self.suspects.any() and known else None

    def reference_logs(self, amounts: Array) -> Array:
        """Plain logarithms, for the nodes that say how fast the machine was: they are large."""
        return np.log(np.maximum(amounts, self.noise.start / 10))


@dataclass(frozen=True)
class Effects:
    """One value a node: the log ratio of now to before with the machine's shift taken out, and how sure it is."""

    effects: Array
    errors: Array
    df: float
    thresholds: Array
    common: CommonShift
    #: The reference nodes; None where there are too few.
    references: Mask | None
    #: The standard deviation of one round, for the power of other numbers of rounds.
    round_noise: Array
    #: How much wider the effects of all nodes are spread than the errors say, 1 where they are not.
    inflation: float = 1.0
    #: With too few reference nodes: the largest change that the calibration leaves open to be the machine's.
    machine_allowance: float = 0.0
    #: By how much more than its threshold a node has to change, as the machine may have moved without being seen.
    doubt: Array | float = 0.0
    #: The rounds of all nodes, those left out by `only` too; None where there are none to look at.
    disturbances: Disturbances | None = None
    #: Where in them these nodes are.
    positions: Mask | None = None

    def disturbed(self, suspects: Mask, level: float) -> Mask:
        """Which of the suspects can be disturbances at that level, for any of so many nodes."""
        if self.disturbances is None or self.positions is None:
            return np.zeros_like(suspects)
        every = np.zeros(self.positions.shape)
        asked = np.zeros(self.positions.shape, dtype=bool)
        every[self.positions], asked[self.positions] = self.effects, suspects
        return self.disturbances.explain(every, asked, len(suspects), level)[self.positions]

    def only(self, chosen: Mask, thresholds: Array) -> Effects:
        """Those of the chosen nodes, with other thresholds (of all nodes)."""
        return replace(
            self,
            effects=self.effects[chosen],
            errors=self.errors[chosen],
            thresholds=thresholds[chosen],
            references=None if self.references is None else self.references[chosen],
            round_noise=self.round_noise[chosen],
            doubt=np.broadcast_to(self.doubt, chosen.shape)[chosen],
            positions=chosen,
        )


def effects_of_pairs(samples: Samples) -> Effects:
    """Interleaved rounds: the first of each side are a pair, and so on; surplus rounds are left out."""
    noise, before = samples.noise, np.concatenate(samples.baseline)
    pairs = min(len(before), len(samples.current))
    before, now = before[:pairs], samples.current[:pairs]
    chosen = samples.reference_nodes()
    common, factors = CommonShift(0.0), None
    if chosen is not None:
        plain_now, plain_before = samples.reference_logs(now), samples.reference_logs(before)
        factors = host_speed.round_factors(plain_now, plain_before, chosen)
        ratios = (plain_now - plain_before)[:, chosen]
        common = host_speed.shift_of_pairs(ratios, factors, float(np.log1p(noise.min_ratio)))
    differences = samples.logs(now, factors) - samples.logs(before)
    log_sizes = np.log(samples.sizes)
    medians = median_of_rounds(differences)
    scales = _robust_scales(differences - medians, 1, log_sizes, 2.0 * noise.sampling(samples.sizes))
    location, variances = huber_location(differences, scales, medians)
    stated = 2.0 * noise.variance(samples.sizes)
    variances, df, _ = shrink_with_stated_prior(variances, pairs - 1.0, log_sizes, stated)
    variances = np.maximum(variances, 2.0 * _least_noise(samples, pairs - 1.0))
    result = Effects(
        location,
        np.sqrt(variances / pairs),
        df,
        noise.thresholds(samples.sizes),
        common,
        chosen,
        np.sqrt(variances / 2.0),
        disturbances=Disturbances.of([samples.logs(before)], samples.logs(now, factors), samples.sizes),
    )
    return _with_common_shift(_inflated(_with_error_of_median(result)))


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
    scales = _robust_scales(deviations, known, log_sizes, noise.sampling(samples.sizes))
    located = [huber_location(logs, scales, median) for logs, median in zip(rounds, medians, strict=True)]
    locations, within_each = zip(*located, strict=True)
    counts = np.array([len(logs) for logs in rounds], dtype=float)
    within_df = float(np.sum(counts - 1))
    pooled = sum((v * (n - 1) for v, n in zip(within_each, counts, strict=True)), np.zeros_like(grain))
    within, shrunk_df, _ = shrink_with_stated_prior(
        pooled / max(within_df, 1.0), within_df, log_sizes, noise.variance(samples.sizes)
    )
    within = np.maximum(within, _least_noise(samples, within_df))
    if planned is not None:
        counts[len(sessions)] = planned
    stored = np.stack(locations[: len(sessions)])
    stated_between = np.full_like(within, noise.between**2)
    if chosen is None and steady is None and noise.follows_machine:
        # the machine moves from one session to the next, and no less than from one round to the next
        stated_between += np.maximum(HOST_NOISE**2, within)
    noise_between = _Between.of(stored, within, counts[: len(sessions)], log_sizes, stated_between)
    if len(sessions) == 1 and planned is None:
        noise_between = replace(noise_between, df=min(noise_between.df, shrunk_df))

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
            result = _with_spread(result, both, 2 * stated_between)
        if suspected is not None:
            result = _changed_in_doubt(result, suspected, calibration, shift.total if steady is not None else 0.0)
        if steady is not None:
            result = replace(result, doubt=result.doubt + STEADY_DOUBT, machine_allowance=STEADY_DOUBT)
        elif chosen is None and noise.follows_machine:
            result = _less_machine_allowance(result, calibration)
        if chosen is not None and suspected is None and not shift.calibrated:
            result = _unmoved_in_doubt(result, samples.sizes >= SIZEABLE_GRAINS * noise.start)
        return _with_common_shift(_inflated(_with_error_of_median(result)))

    current = against(slice(len(sessions)), counts[0], noise_between.of_mean(), common)
    if pinned is None:
        return current, None
    pin_shift = CommonShift(float(np.median(machine[len(sessions)]) - np.median(machine[-1])))
    return current, against(slice(-1, None), counts[-1], noise_between.of_location(counts[-1]), pin_shift)


@dataclass(frozen=True)
class _Between:
    """The variance of a session's location, shrunk across nodes."""

    variances: Array
    df: float
    within: Array
    rounds: Array

    @classmethod
    def of(cls, stored: Array, within: Array, rounds: Array, log_sizes: Array, stated: Array) -> _Between:
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


def _least_noise(samples: Samples, df: float) -> Array:
    """The least variance of a round: the grain, or all that sampling may do where few rounds can't tell.

    Of a clock that is sampled, two rounds often show the same value by chance, and the nodes together seem exact.
    """
    noise = samples.noise
    return noise.sampling(samples.sizes) if df < STATED_DF else noise.grain(samples.sizes)


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


def _less_machine_allowance(result: Effects, calibration: CalibrationShift | None) -> Effects:
    """Where no nodes tell the machine's speed: what of each change the calibration leaves to be the build's.

    A machine that was seen to move so far between two calibrations can as well have moved the other way when the build
    ran; one that was busy may have been busy then or not.
    """
    if calibration is None:
        return result
    low, high = calibration.machine_allowance()
    reach = max(-low, high, BUSY if calibration.disturbed else 0.0)
    doubt = np.where(result.effects > 0, reach - high, reach + low)
    effects = result.effects - np.clip(result.effects, low, high)
    errors = np.sqrt(result.errors**2 + calibration.error**2)
    return replace(result, effects=effects, errors=errors, machine_allowance=reach, doubt=doubt)


def _machine_of_steady(samples: Samples, rounds: list[Array], steady: Mask) -> tuple[list[Array], CommonShift]:
    """As _machine(), by the sum of the nodes that do as before."""
    sessions = len(samples.baseline)
    sums = [np.log(np.maximum(amounts[:, steady].sum(axis=1), samples.noise.start)) for amounts in rounds]
    reference = float(np.mean([session.mean() for session in sums[:sessions]]))
    factors = [session - reference for session in sums]
    before = float(np.mean([np.median(session) for session in factors[:sessions]]))
    return factors, CommonShift(float(np.median(factors[sessions])) - before)


def _unmoved_in_doubt(result: Effects, sizeable: Mask) -> Effects:
    """Where most nodes moved, many did not, and no calibration says what the machine did, no node has a finding.

    A header that is heavier in every unit moves all compilers, and no assembler; a slower machine moves both. A node
    whose time lies between the two readings is then in doubt by their distance, as is the shift itself.
    """
    total = result.common.total
    moved = result.effects + total
    unmoved = (np.abs(moved) < np.abs(result.effects)) & (np.abs(result.effects) > SPLIT_ERRORS * result.errors)
    part = np.count_nonzero(unmoved & sizeable) / max(int(np.count_nonzero(sizeable)), 1)
    if abs(total) < SPLIT_SHIFT or part < SPLIT_PART:
        return result
    between = (np.minimum(total, 0.0) <= moved) & (moved <= np.maximum(total, 0.0))
    common = replace(result.common, doubt="split")
    return replace(result, common=common, doubt=result.doubt + np.where(between, abs(total), 0.0))


def _changed_in_doubt(
    result: Effects, suspected: Mask, calibration: CalibrationShift | None, of_steady: float
) -> Effects:
    """Where the commands of all nodes that could tell the machine's speed changed, and they take longer together.

    A machine that is slower and an option that costs a little look the same, but for what the calibration says, and the
    shift ``of_steady`` nodes. What takes less time raises no question.
    """
    taken_out = result.common.total - result.common.build
    shared = float(np.median(result.effects[suspected])) + taken_out
    error = float((np.pi / 2 * np.median(result.errors[suspected] ** 2) / np.count_nonzero(suspected)) ** 0.5)
    known = calibration is not None and not calibration.disturbed
    low, high = calibration.machine_allowance() if calibration is not None and known else (0.0, 0.0)
    unexplained = shared - float(np.clip(shared, min(low, of_steady), max(high, of_steady)))
    if unexplained < max(OPEN_SHIFT, OPEN_ERRORS * error):
        return result
    return replace(result, common=replace(result.common, doubt="commands", suspected=shared))


def _robust_scales(deviations: Array, sessions: int, log_sizes: Array, least: Array) -> Array:
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


def _with_error_of_median(result: Effects) -> Effects:
    """The machine's factor is a median of so many nodes and no better known: its variance is pi/2 of a mean's."""
    if result.references is None:
        return result
    count = np.count_nonzero(result.references)
    variance = np.pi / 2 * float(np.median(result.errors[result.references] ** 2)) / count
    return replace(result, errors=np.sqrt(result.errors**2 + variance))


def _with_spread(result: Effects, within: Array, between: Array) -> Effects:
    """One stored session says nothing of the noise between sessions; the nodes together do, most being unchanged.

    The stated variance ``between`` is scaled so that half of the effects are as small as half of them should be; it
    keeps the weight of STATED_BETWEEN_NODES.
    """
    if result.references is None or np.count_nonzero(result.references) < ENOUGH_FOR_SPREAD:
        return result
    chosen = result.references
    squares, known, unknown = result.effects[chosen] ** 2, within[chosen], between[chosen]
    low, high = 0.0, 1e4
    for _ in range(50):  # the median falls as the factor grows
        factor = (low + high) / 2
        if np.median(squares / (known + factor * unknown)) > MEDIAN_OF_SQUARE:
            low = factor
        else:
            high = factor
    weight = len(squares)
    factor = (STATED_BETWEEN_NODES + weight * high) / (STATED_BETWEEN_NODES + weight)
    return replace(result, errors=np.sqrt(within + factor * between))


def _inflated(result: Effects) -> Effects:
    """Where all nodes scatter more than their errors say, today is noisier than the baseline was: widen the errors.

    The median of squares against its expectation, as in B. Devlin and K. Roeder, "Genomic control for association
    studies", Biometrics 55 (1999); a change of few nodes does not move it. Errors are never narrowed.
    """
    if result.references is None or np.count_nonzero(result.references) < ENOUGH_FOR_SPREAD:
        return result
    typical = float(np.median(np.abs(result.effects[result.references]) / result.errors[result.references]))
    inflation = max(1.0, typical / float(two_sided_quantile(0.5, result.df)))
    return replace(result, errors=result.errors * inflation, inflation=inflation)


def _with_common_shift(result: Effects) -> Effects:
    """Give back to every node the part of the shared shift that is the build's."""
    if not result.common.build:
        return result
    errors = np.sqrt(result.errors**2 + result.common.error**2)
    return replace(
        result,
        effects=result.effects + result.common.build,
        disturbances=result.disturbances and result.disturbances.shifted(result.common.build),
        errors=errors,
        df=min(result.df, result.common.df),
    )
