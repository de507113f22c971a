"""The effect of every node, and what makes it less sure: the machine, a shift of most nodes, a noisier day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.disturbances import Disturbances
from pytest_ptreetime.decision.host_speed import CalibrationShift, CommonShift
from pytest_ptreetime.decision.samples import ENOUGH_FOR_SPREAD, Samples
from pytest_ptreetime.decision.statistics import matching_df, two_sided_quantile

__all__ = [
    "STEADY_DOUBT",
    "Effects",
    "changed_in_doubt",
    "inflated",
    "less_machine_allowance",
    "unmoved_in_doubt",
    "with_common_shift",
    "with_error_of_median",
    "with_reach",
    "with_spread",
]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
#: By which logarithm cpu times grow while the other half of each core, in hardware that shares it, is busy.
BUSY = float(np.log(2.0))
#: Half of the squares of a standard normal variable are below this.
MEDIAN_OF_SQUARE = 0.4549
#: A shift that most nodes share is in doubt from this logarithm on, whatever the calibration says, where this part of
#: the nodes stayed where they were, by so many of their errors; nodes of so many grains of their metric count.
SPLIT_SHIFT = float(np.log(1.05))
SPLIT_PART = 0.15
SPLIT_ERRORS = 2.5
#: Nodes that do as before tell the machine's speed to this logarithm: starting programs and compiling do not slow down
#: alike.
STEADY_DOUBT = float(np.log(1.1))
#: From this logarithm on, and from so many standard errors, it is an open question whether the machine or they did.
OPEN_SHIFT = float(np.log(1.02))
OPEN_ERRORS = 2.0
#: The error of what is known exactly; the test divides by it.
NO_ERROR = 1e-12
#: How many nodes the stated variance between sessions weighs as much as, against the spread over nodes.
STATED_BETWEEN_NODES = 20
#: The standard error of the median size of n normal values, as a part of that median, times the root of n; today is
#: noisier than the errors say where the median is larger by so many of these standard errors.
ERROR_OF_MEDIAN = 1.17
NOISIER_ERRORS = 2.0
#: From so many effects in one direction on they say how far out noise reaches, but not further than Student's t with so
#: few degrees of freedom. Of n draws the second largest is about as far out as this part of n.
FEWEST_OF_A_SIDE = 20
LEAST_DF = 2.5
SECOND_OF_ALL = 1.5


@dataclass(frozen=True)
class Effects:
    """One value a node: the log ratio of now to before with the machine's shift taken out, and how sure it is."""

    effects: Array
    errors: Array
    #: Degrees of freedom of the errors, of all nodes or one for each.
    df: float | Array
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
    #: The rounds of all nodes, also of those left out by `only`; None where none are needed.
    disturbances: Disturbances | None = None
    #: Where in them these nodes are.
    positions: Mask | None = None

    @property
    def typical_df(self) -> float:
        """The degrees of freedom of most nodes."""
        return float(np.median(self.df))

    def with_exact(self, samples: Samples) -> Effects:
        """With no error at all where the counts of all rounds agree."""
        if not samples.exact.any():
            return self
        difference = samples.logs(samples.current[:1])[0] - samples.logs(samples.baseline[0][:1])[0]
        return replace(
            self,
            effects=np.where(samples.exact, difference, self.effects),
            errors=np.where(samples.exact, NO_ERROR, self.errors),
        )

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
            df=np.broadcast_to(self.df, chosen.shape)[chosen],
            thresholds=thresholds[chosen],
            references=None if self.references is None else self.references[chosen],
            round_noise=self.round_noise[chosen],
            doubt=np.broadcast_to(self.doubt, chosen.shape)[chosen],
            positions=chosen,
        )


def less_machine_allowance(result: Effects, calibration: CalibrationShift | None) -> Effects:
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


def unmoved_in_doubt(result: Effects, sizeable: Mask) -> Effects:
    """Where most nodes moved and many did not, it was not the machine alone: no node that moved less has a finding.

    A header that is heavier in every unit moves all compilers, and no assembler; a slower machine moves both. A node
    that moved less than most, or not at all, is then in doubt by all that they moved, as is the shift itself; and by
    how far those that stayed are from it, where a round that was slow on one side hides a part of the shift.
    """
    total = result.common.total
    moved = result.effects + total
    unmoved = (np.abs(moved) < np.abs(result.effects)) & (np.abs(result.effects) > SPLIT_ERRORS * result.errors)
    part = np.count_nonzero(unmoved & sizeable) / max(int(np.count_nonzero(sizeable)), 1)
    if abs(total) < SPLIT_SHIFT or part < SPLIT_PART:
        return result
    common = replace(result.common, doubt="split")
    stayed = float(np.median(np.abs(result.effects[unmoved & sizeable])))
    less = np.where(result.effects * total < 0, max(abs(total), stayed) + STEADY_DOUBT, 0.0)
    return replace(result, common=common, doubt=result.doubt + less)


def changed_in_doubt(
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


def with_error_of_median(result: Effects) -> Effects:
    """The machine's factor is a median of so many nodes and no better known: its variance is pi/2 of a mean's."""
    if result.references is None:
        return result
    count = np.count_nonzero(result.references)
    variance = np.pi / 2 * float(np.median(result.errors[result.references] ** 2)) / count
    return replace(result, errors=np.sqrt(result.errors**2 + variance))


def with_spread(result: Effects, within: Array, between: Array) -> Effects:
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


def with_reach(result: Effects) -> Effects:
    """Noise of which the baseline says nothing reaches as far out as the effects in the other direction do.

    Noise reaches as far on both sides, a change is on one. The degrees of freedom of one side are those with which
    Student's t is as far out as the second largest effect of the other.
    """
    if result.references is None or np.count_nonzero(result.references) < ENOUGH_FOR_SPREAD:
        return result
    statistics = (result.effects / result.errors)[result.references]
    faster, slower = -statistics[statistics < 0], statistics[statistics > 0]
    df = result.typical_df
    return replace(result, df=np.where(result.effects > 0, _reaching(faster, df), _reaching(slower, df)))


def _reaching(sizes: Array, df: float) -> float:
    if len(sizes) < FEWEST_OF_A_SIDE:
        return df
    second = float(np.partition(sizes, -2)[-2])
    return max(matching_df(second, SECOND_OF_ALL / len(sizes), df), LEAST_DF)


def inflated(result: Effects) -> Effects:
    """Where all nodes scatter more than their errors say, today is noisier than the baseline was: widen the errors.

    The median of squares against its expectation, as in B. Devlin and K. Roeder, "Genomic control for association
    studies", Biometrics 55 (1999); a change of few nodes does not move it. Errors are never narrowed. How far out such
    noise reaches the baseline can't say either.
    """
    if result.references is None or np.count_nonzero(result.references) < ENOUGH_FOR_SPREAD:
        return result
    count = np.count_nonzero(result.references)
    typical = float(np.median(np.abs(result.effects[result.references]) / result.errors[result.references]))
    inflation = max(1.0, typical / float(two_sided_quantile(0.5, result.typical_df)))
    wider = replace(result, errors=result.errors * inflation, inflation=inflation)
    return with_reach(wider) if inflation > 1.0 + NOISIER_ERRORS * ERROR_OF_MEDIAN / count**0.5 else wider


def with_common_shift(result: Effects) -> Effects:
    """Give back to every node the part of the shared shift that is the build's."""
    if not result.common.build:
        return result
    errors = np.sqrt(result.errors**2 + result.common.error**2)
    return replace(
        result,
        effects=result.effects + result.common.build,
        disturbances=result.disturbances and result.disturbances.shifted(result.common.build),
        errors=errors,
        df=np.minimum(result.df, result.common.df),
    )
