"""The tests of one metric: of every node against the baseline, and of the build as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.effects import Effects
from pytest_ptreetime.decision.estimating import effects_of_pairs, effects_since
from pytest_ptreetime.decision.finding import (
    Against,
    CommandDifference,
    PowerLevel,
)
from pytest_ptreetime.decision.panel import Panel
from pytest_ptreetime.decision.programs import is_driver
from pytest_ptreetime.decision.samples import Samples
from pytest_ptreetime.decision.statistics import (
    detectable_effect,
    treat_p_values,
)
from pytest_ptreetime.decision.structure import Structure
from pytest_ptreetime.decision.terms import Terms

__all__ = ["LARGEST_EFFECT", "Tested", "adjust", "effects_by_metric", "power_levels", "suspect_keys", "test_metric"]

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]
#: How the error budget is shared out: cpu time decides, user and system time explain it.
WEIGHTS = {"cpu": 0.8, "wall": 0.16, "user": 0.02, "sys": 0.02}
#: The smallest change of the build as a whole that matters.
BUILD_MIN_RATIO = 0.01
#: The sizes (seconds) for which power is stated.
POWER_SIZES = (0.01, 0.05, 0.2, 1.0)
POWER = 0.9
COVERED = 0.9
#: Logarithms beyond this are as good as infinite; their exponentials can still be computed with.
LARGEST_EFFECT = 50.0


@dataclass
class Tested:
    """The effects of one metric at ``positions`` of the panel, and their adjusted p-values, filled in later."""

    metric: str
    against: Against
    positions: Positions
    effects: Effects
    before: Array
    p_values: Array
    #: Which of them are nodes; the other is the build as a whole.
    nodes: npt.NDArray[np.bool_]
    q_values: Array = field(default_factory=lambda: np.empty(0))


def effects_by_metric(tested: Sequence[Tested]) -> dict[str, dict[int, float]]:
    """By metric, the log ratio of each position that is compared with the baseline."""
    found: dict[str, dict[int, float]] = {}
    for part in tested:
        if part.against == "baseline":
            of_metric = zip(part.positions.tolist(), part.effects.effects.tolist(), strict=True)
            found.setdefault(part.metric, {}).update(of_metric)
    return found


def adjust(parts: Sequence[tuple[str, Array]]) -> Array:
    """The p-values divided by the weights of their metrics, which are 1 on average over all of them.

    C. Genovese, K. Roeder and L. Wasserman, "False discovery control with p-value weighting", Biometrika 93 (2006).
    """
    weights = np.array([WEIGHTS.get(metric, WEIGHTS["user"]) for metric, _ in parts])
    sizes = np.array([len(p_values) for _, p_values in parts])
    weights = weights * sizes.sum() / max(float((weights * sizes).sum()), 1e-12)
    return np.concatenate(
        [np.minimum(values / weight, 1.0) for (_, values), weight in zip(parts, weights, strict=True)]
    )


def test_metric(panel: Panel, metric: str, structure: Structure, terms: Terms) -> list[Tested]:
    """The tests of one metric; keys whose count was accepted to change are compared with the sessions since then."""
    column = panel.metric(metric)
    if column is None:
        return []
    now = panel.current[:, column]
    testable = ~structure.changed & ~np.isnan(now).any(axis=0)
    if terms.ignored is not None:
        testable &= ~terms.ignored
    if metric in terms.untested:
        testable &= ~terms.untested[metric]
    if terms.models[metric].cumulative:
        testable &= ~_outlived(panel, column)
    sessions = [values[:, column] for values in panel.baseline]
    known = [~np.isnan(values).any(axis=0) for values in sessions]
    # A session whose tracer did not know the metric is no reason to know nothing of the others.
    useful = [n for n, mask in enumerate(known) if 2 * np.count_nonzero(mask & testable) > np.count_nonzero(testable)]
    parts = []
    for since in sorted(set(structure.since[testable].tolist())):
        chosen = [n for n in useful if n >= since]
        if not chosen:
            continue
        usable = testable & (structure.since <= since) & np.logical_and.reduce([known[n] for n in chosen])
        reported = usable & (structure.since == since)
        if reported.any():
            parts += _test_group(panel, metric, column, terms, chosen, usable, reported)
    return parts


def _outlived(panel: Panel, column: int) -> npt.NDArray[np.bool_]:
    """Which keys did not wait, on either side, for all that they run: they became it by an exec, or left it running.

    How long such a program itself was there says nothing of the build, and it is another thing where a script lost the
    ``exec`` before its last command.
    """

    def of_side(values: Array, counts: Array, parents: Positions) -> npt.NDArray[np.bool_]:
        of_one = np.median(np.nan_to_num(values[:, column]), axis=0) / np.maximum(np.median(counts, axis=0), 1.0)
        longest_below = np.zeros(len(of_one))
        below = parents >= 0
        np.maximum.at(longest_below, parents[below], of_one[below])
        return np.asarray(of_one < longest_below)

    before = of_side(panel.baseline[-1], panel.baseline_counts[-1], panel.parents_before)
    return np.asarray(before | of_side(panel.current, panel.current_counts, panel.parents_now))


def _test_group(
    panel: Panel,
    metric: str,
    column: int,
    terms: Terms,
    chosen: list[int],
    usable: npt.NDArray[np.bool_],
    reported: npt.NDArray[np.bool_],
) -> list[Tested]:
    """Compare ``usable`` keys with the chosen sessions; of ``reported`` ones the effects are asked for."""
    noise = terms.models[metric]
    positions = np.flatnonzero(usable)
    amounts = [panel.baseline[n][:, column, positions] for n in chosen]
    suspects = suspect_keys(panel, terms.commands)[positions]
    drivers = np.array([is_driver(panel.identity(n).name) for n in positions.tolist()], dtype=bool)
    if terms.whole_drivers is not None:  # with what they run more now, they say nothing of the machine
        suspects, drivers = suspects | terms.whole_drivers[positions], drivers & ~terms.whole_drivers[positions]
    leaves = positions < len(panel.keys) - 1  # the build as a whole says nothing of the machine
    if noise.cumulative:
        parents = np.zeros(len(panel.keys), dtype=bool)
        above = panel.parents[positions]
        parents[above[above >= 0]] = True
        leaves &= ~parents[positions]
    pinned, comparable = None, np.zeros(len(positions), dtype=bool)
    if panel.pinned is not None and panel.pinned_counts is not None and not terms.paired:
        values = panel.pinned[:, column, positions]
        same_count = np.median(panel.pinned_counts, axis=0) == np.median(panel.current_counts, axis=0)
        comparable = ~np.isnan(values).any(axis=0) & same_count[positions]
        # what can't be compared gets values that do no harm, and no test
        pinned = np.where(comparable, values, np.median(amounts[-1], axis=0)) if comparable.any() else None
    samples = Samples(noise, amounts, panel.current[:, column, positions], leaves, pinned, suspects, drivers)
    before, own, build = samples.sizes - noise.start, reported[positions], len(panel.keys) - 1
    if terms.planned is None and not samples.tells_noise:
        return []
    if terms.paired:
        effects = effects_of_pairs(samples).with_exact(samples)
        return [_tested(metric, "baseline", positions, effects, before, own, terms, build)]
    calibration = None if terms.calibrations is None else terms.calibrations.shift(metric, chosen)
    if terms.planned is not None:
        samples = replace(samples, current=before[None, :])
    effects, since_pinned = effects_since(samples, calibration, terms.planned)
    if terms.planned is None:
        effects = effects.with_exact(samples)
    parts = [_tested(metric, "baseline", positions, effects, before, own, terms, build)]
    if since_pinned is not None and pinned is not None:
        was = np.median(pinned, axis=0)
        parts.append(_tested(metric, "pinned", positions, since_pinned, was, own & comparable, terms, build))
    return parts


def suspect_keys(panel: Panel, commands: Mapping[str, CommandDifference]) -> npt.NDArray[np.bool_]:
    """Whose command changed, and what a driver runs whose command changed: its assembler gets more to assemble."""
    suspects = np.array([key in commands for key in panel.keys], dtype=bool)
    if not commands:
        return suspects
    drivers = [bool(suspects[n]) and is_driver(panel.identity(n).name) for n in range(len(panel.keys))]
    for position in range(len(panel.keys)):
        above = int(panel.parents_now[position])
        while above >= 0 and not suspects[position]:
            suspects[position] = drivers[above]
            above = int(panel.parents_now[above])
    return suspects


def _tested(
    metric: str,
    against: Against,
    positions: Positions,
    effects: Effects,
    before: Array,
    own: npt.NDArray[np.bool_],
    terms: Terms,
    build: int,
) -> Tested:
    thresholds = effects.thresholds.copy()
    for mask, model in terms.overrides.get(metric, ()):
        matching = mask[positions]
        thresholds[matching] = model.thresholds(before[matching] + model.start)
    if not terms.min_effect_given:
        thresholds[positions == build] = np.maximum(thresholds[positions == build], np.log1p(BUILD_MIN_RATIO))
    effects = effects.only(own, thresholds)
    p_values = treat_p_values(effects.effects, effects.errors, effects.df, effects.thresholds + effects.doubt)
    nodes = positions[own] != build
    return Tested(metric, against, positions[own], effects, before[own], p_values, nodes)


def power_levels(part: Tested, terms: Terms, alpha: float) -> list[PowerLevel]:
    """The effects that would have been found, for the nodes above each size."""
    effects = part.effects
    found = detectable_effect(effects.errors, effects.typical_df, effects.thresholds, alpha=alpha, power=POWER)
    found = np.expm1(np.minimum(found + effects.machine_allowance, LARGEST_EFFECT))[part.nodes]
    before, noise = part.before[part.nodes], terms.models[part.metric]
    if noise.unit != "s" or not len(found):
        return []
    sizes = [size for size in POWER_SIZES if (before >= size).any()] or [float(before.max())]
    levels = []
    for size in sizes:
        large = found[before >= size]
        levels.append(PowerLevel(part.metric, size, len(large), float(np.quantile(large, COVERED)), POWER, COVERED))
    return levels
