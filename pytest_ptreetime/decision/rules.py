"""The decision on a panel: structure, effects of every metric, multiplicity, power. comparing.py is its public face."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.driver_steps import with_whole_drivers
from pytest_ptreetime.decision.effects import Effects, Samples, effects_of_pairs, effects_since
from pytest_ptreetime.decision.explain import BuildChange, explain, label_of, mark_contention
from pytest_ptreetime.decision.finding import (
    BUILD_KEY,
    COMMON_KEY,
    Against,
    CommandDifference,
    Finding,
    PowerLevel,
)
from pytest_ptreetime.decision.host_speed import Calibrations, CommonShift
from pytest_ptreetime.decision.metric_noise import MetricNoise
from pytest_ptreetime.decision.panel import Panel
from pytest_ptreetime.decision.profile import Identity
from pytest_ptreetime.decision.programs import is_driver, program_class
from pytest_ptreetime.decision.statistics import (
    benjamini_hochberg,
    detectable_effect,
    treat_p_values,
    two_sided_quantile,
    upper_tail,
)
from pytest_ptreetime.decision.structure import Structure, compare_structure
from pytest_ptreetime.decision.structure_cost import Sides, StructureLimits, judge_structure
from pytest_ptreetime.decision.waiting import Waiting, judge_waiting
from pytest_ptreetime.decision.work import WORK, note_work
from pytest_ptreetime.decision.wrapped import leave_to_wrappers

__all__ = ["EVIDENCE", "Decision", "Terms", "decide"]

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]

#: Metrics that are looked at, where known, to explain the others: contention, and what a process costs.
EVIDENCE = ("wall", "cpu", "run_delay", "waiting", *WORK)
#: How the error budget is shared out: cpu time decides, user and system time explain it.
WEIGHTS = {"cpu": 0.8, "wall": 0.16, "user": 0.02, "sys": 0.02}
#: The smallest change of the build as a whole that matters.
BUILD_MIN_RATIO = 0.01
#: A node has no share of the build's change where that is less than this part of its own: the rest went the other way.
LEAST_OF_COST = 0.1
#: A process is suspected of having become slower at this p-value, or where a change by SUSPECTED can't be excluded at
#: it; below this part of the build's cpu time it is not worth to be measured alone.
SUSPICION = 0.05
SUSPECTED = float(np.log(1.05))
SUSPECT_PART = 0.001
#: The sizes (seconds) for which power is stated.
POWER_SIZES = (0.01, 0.05, 0.2, 1.0)
POWER = 0.9
COVERED = 0.9
CONFIDENCE = 0.95
#: Logarithms beyond this are as good as infinite; their exponentials can still be computed with.
LARGEST_EFFECT = 50.0


@dataclass(frozen=True)
class Terms:
    """What the user may set.

    ``models`` are the metrics that are tested; ``ignored`` keys are not compared at all, ``untested`` ones not in a
    metric; ``overrides`` give the keys of a mask another minimum effect.
    """

    models: Mapping[str, MetricNoise]
    fdr: float
    paired: bool = False
    calibrations: Calibrations | None = None
    ignored: npt.NDArray[np.bool_] | None = None
    untested: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    overrides: Mapping[str, Sequence[tuple[npt.NDArray[np.bool_], MetricNoise]]] = field(default_factory=dict)
    #: Seconds that tracing adds to a process.
    tracing_cost: float = 0.0
    #: By key, how a command differs from the baseline's.
    commands: Mapping[str, CommandDifference] = field(default_factory=dict)
    #: Whether the user says what the smallest change is that matters; else the build as a whole has its own.
    min_effect_given: bool = False
    structure: StructureLimits = field(default_factory=StructureLimits)
    #: Only the power of a session of so many rounds, still to come, is asked for.
    planned: int | None = None
    #: How many processes may be named that may have become slower.
    suspects: int = 0


@dataclass(frozen=True)
class Decision:
    """What statistics has to say; comparing.py makes a verdict of it."""

    findings: list[Finding]
    #: Changes of single processes that are left to a wrapper of them all.
    left: list[Finding]
    #: Every difference of structure, those that don't matter too.
    differences: list[Finding]
    #: What all nodes of a metric share.
    shifts: dict[str, CommonShift]
    levels: list[PowerLevel]
    structure: Structure
    inflation: float
    #: Processes that may have become slower, those that were found included; the dearest first.
    suspects: list[Finding]


@dataclass
class _Tested:
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


def decide(panel: Panel, terms: Terms) -> Decision:
    """Find what changed, adjust for the number of questions asked, and explain it."""
    structure = compare_structure(panel)
    panel, accounted = with_whole_drivers(panel, structure)
    in_drivers = replace(terms, ignored=accounted if terms.ignored is None else terms.ignored | accounted)
    tested = [part for metric in terms.models for part in _test_metric(panel, metric, structure, in_drivers)]
    if tested:
        adjusted = benjamini_hochberg(_weighted([(part.metric, part.p_values) for part in tested]))
        for part, q_values in zip(
            tested, np.split(adjusted, np.cumsum([len(part.p_values) for part in tested])[:-1]), strict=True
        ):
            part.q_values = q_values
    shifts = {part.metric: part.effects.common for part in reversed(tested) if part.against == "baseline"}
    machine = {metric: shift.total - shift.build for metric, shift in shifts.items()}
    build = _build_change(panel, machine)
    differences = _structure_findings(structure, panel, build, terms)
    findings = [finding for finding in differences if finding.matters]
    for part in tested:
        findings += _effect_findings(part, panel, terms, machine[part.metric])
    findings = _without_repetitions(findings)
    waiting = judge_waiting(panel, *_roots(panel), machine.get("wall", 0.0), paired=terms.paired)
    if waiting is not None and terms.planned is None:
        _note_waiting(findings, waiting, panel)
    findings += _common_findings(tested, build, machine)
    findings, left = leave_to_wrappers(
        findings, differences, _effects_by_metric(tested), panel, _suspects(panel, terms.commands)
    )
    _describe([*findings, *left, *differences], build, panel)
    if findings:
        explain(findings, build)
        mark_contention(findings, build)
        _note_commands(findings, terms.commands, panel)
        note_work(findings, panel)
    alpha = terms.fdr / max(sum(len(part.p_values) for part in tested), 1)
    return Decision(
        findings=findings,
        left=left,
        differences=differences,
        shifts=shifts,
        levels=[level for part in tested if part.against == "baseline" for level in _power(part, terms, alpha)],
        structure=structure,
        inflation=max((part.effects.inflation for part in tested), default=1.0),
        suspects=_suspected(tested, panel, terms, machine, build) if terms.suspects else [],
    )


def _effects_by_metric(tested: Sequence[_Tested]) -> dict[str, dict[int, float]]:
    """By metric, the log ratio of each position that is compared with the baseline."""
    found: dict[str, dict[int, float]] = {}
    for part in tested:
        if part.against == "baseline":
            of_metric = zip(part.positions.tolist(), part.effects.effects.tolist(), strict=True)
            found.setdefault(part.metric, {}).update(of_metric)
    return found


def _weighted(parts: Sequence[tuple[str, Array]]) -> Array:
    """The p-values divided by the weights of their metrics, which are 1 on average over all of them.

    C. Genovese, K. Roeder and L. Wasserman, "False discovery control with p-value weighting", Biometrika 93 (2006).
    """
    weights = np.array([WEIGHTS.get(metric, WEIGHTS["user"]) for metric, _ in parts])
    sizes = np.array([len(p_values) for _, p_values in parts])
    weights = weights * sizes.sum() / max(float((weights * sizes).sum()), 1e-12)
    return np.concatenate(
        [np.minimum(values / weight, 1.0) for (_, values), weight in zip(parts, weights, strict=True)]
    )


def _test_metric(panel: Panel, metric: str, structure: Structure, terms: Terms) -> list[_Tested]:
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


def _test_group(
    panel: Panel,
    metric: str,
    column: int,
    terms: Terms,
    chosen: list[int],
    usable: npt.NDArray[np.bool_],
    reported: npt.NDArray[np.bool_],
) -> list[_Tested]:
    """Compare ``usable`` keys with the chosen sessions; of ``reported`` ones the effects are asked for."""
    noise = terms.models[metric]
    positions = np.flatnonzero(usable)
    amounts = [panel.baseline[n][:, column, positions] for n in chosen]
    suspects = _suspects(panel, terms.commands)[positions]
    drivers = np.array([is_driver(panel.identity(n).name) for n in positions.tolist()], dtype=bool)
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
        return [_tested(metric, "baseline", positions, effects_of_pairs(samples), before, own, terms, build)]
    calibration = None if terms.calibrations is None else terms.calibrations.shift(metric, chosen)
    if terms.planned is not None:
        samples = replace(samples, current=before[None, :])
    effects, since_pinned = effects_since(samples, calibration, terms.planned)
    parts = [_tested(metric, "baseline", positions, effects, before, own, terms, build)]
    if since_pinned is not None and pinned is not None:
        was = np.median(pinned, axis=0)
        parts.append(_tested(metric, "pinned", positions, since_pinned, was, own & comparable, terms, build))
    return parts


def _suspects(panel: Panel, commands: Mapping[str, CommandDifference]) -> npt.NDArray[np.bool_]:
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
) -> _Tested:
    thresholds = effects.thresholds.copy()
    for mask, model in terms.overrides.get(metric, ()):
        matching = mask[positions]
        thresholds[matching] = model.thresholds(before[matching] + model.start)
    if not terms.min_effect_given:
        thresholds[positions == build] = np.maximum(thresholds[positions == build], np.log1p(BUILD_MIN_RATIO))
    effects = effects.only(own, thresholds)
    p_values = treat_p_values(effects.effects, effects.errors, effects.df, effects.thresholds + effects.doubt)
    nodes = positions[own] != build
    return _Tested(metric, against, positions[own], effects, before[own], p_values, nodes)


def _build_change(panel: Panel, machine: Mapping[str, float]) -> BuildChange:
    """Typical rounds before and now of every metric, the machine's part taken out of now."""
    before, now = {}, {}
    factors = {"run_delay": machine.get("wall", 0.0), **machine}  # waiting for a processor grows as the wall time does
    for column, metric in enumerate(panel.metrics):
        sessions = [np.median(np.nan_to_num(values[:, column, :-1]), axis=0) for values in panel.baseline]
        before[metric] = np.mean(sessions, axis=0)
        typical = np.median(np.nan_to_num(panel.current[:, column, :-1]), axis=0)
        now[metric] = typical / np.exp(factors.get(metric, 0.0))
    return BuildChange(panel.keys[:-1], panel.parents[:-1], before, now)


def _structure_findings(structure: Structure, panel: Panel, build: BuildChange, terms: Terms) -> list[Finding]:
    """Every difference of structure, judged by what it costs."""
    changes = [c for c in structure.changes if terms.ignored is None or not terms.ignored[c.position]]
    if not changes:
        return []
    none = np.zeros(len(build.keys))
    sides = Sides(
        keys=build.keys,
        identities=panel.identities,
        parents_before=panel.parents_before[:-1],
        parents_now=panel.parents_now[:-1],
        cpu_before=build.before.get("cpu", none),
        cpu_now=build.now.get("cpu", none),
        counts_before=np.median(panel.baseline_counts[-1], axis=0)[:-1],
        counts_now=np.median(panel.current_counts, axis=0)[:-1],
        cpu_known="cpu" in build.before and bool(build.before["cpu"].any()),
    )
    return judge_structure(changes, sides, terms.structure)


def _roots(panel: Panel) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which keys are roots of the baseline's trees, and of this session's; the build as a whole is none."""
    before = (panel.parents_before < 0) & (np.median(panel.baseline_counts[-1], axis=0) > 0)
    now = (panel.parents_now < 0) & (panel.current_counts[0] > 0)
    before[-1] = now[-1] = False
    return np.asarray(before), np.asarray(now)


def _note_waiting(findings: list[Finding], waiting: Waiting, panel: Panel) -> None:
    """The build's wall time, which is its root's, grew by waiting: that is said of the root, and is the cause."""
    key = panel.keys[int(np.argmax(_roots(panel)[1]))]
    finding = next((found for found in findings if (found.key, found.metric) == (key, "wall")), None)
    if finding is None:
        finding = Finding(
            key=key,
            metric="wall",
            kind="regression" if waiting.seconds > 0 else "improvement",
            baseline=waiting.wall_before,
            current=waiting.wall_now,
            measured=waiting.wall_now,
            ratio=waiting.wall_now / waiting.wall_before if waiting.wall_before else None,
        )
        findings.append(finding)
    finding.waited = waiting.seconds
    waiter, parent = panel.keys[waiting.position], int(panel.parents_now[waiting.position])
    finding.waited_for = label_of(waiter, panel.keys[parent] if parent >= 0 else None)


def _note_commands(findings: Sequence[Finding], commands: Mapping[str, CommandDifference], panel: Panel) -> None:
    """What a changed command has to do with it; how many more changed in the same way."""
    alike = Counter((program_class(_program(key, panel)), difference) for key, difference in commands.items())
    for finding in findings:
        difference = commands.get(finding.key)
        if finding.key == COMMON_KEY and alike:
            (_, finding.cause), finding.alike = alike.most_common(1)[0]
        elif difference is not None and finding.metric != "count":
            finding.cause = difference
            finding.alike = alike[program_class(finding.program), difference] - 1


def _program(key: str, panel: Panel) -> str:
    return (panel.identities.get(key) or Identity.of_key(key)).name


def _common_findings(tested: Sequence[_Tested], build: BuildChange, machine: Mapping[str, float]) -> list[Finding]:
    """Shifts that all nodes share and the machine does not explain."""
    findings = []
    seen = set()
    for part in tested:
        common = part.effects.common
        if not common.build or part.against != "baseline" or part.metric in seen:
            continue
        seen.add(part.metric)
        before = float(build.before[part.metric].sum())
        reach = float(two_sided_quantile(1 - CONFIDENCE, common.df)) * common.error
        if part.metric == "wall":
            before = float(build.before["wall"][build.parents < 0].sum())
        findings.append(
            Finding(
                key=COMMON_KEY,
                metric=part.metric,
                kind="regression" if common.build > 0 else "improvement",
                baseline=before,
                current=before * float(np.exp(common.build)),
                measured=before * float(np.exp(common.build + machine[part.metric])),
                ratio=float(np.exp(common.build)),
                interval=(float(np.exp(common.build - reach)), float(np.exp(common.build + reach))),
                p_value=common.p_value,
                q_value=common.p_value,
                label="most processes",
            )
        )
    return findings


def _effect_findings(part: _Tested, panel: Panel, terms: Terms, machine: float) -> list[Finding]:
    small = part.q_values <= terms.fdr
    chosen = np.flatnonzero(small & ~part.effects.disturbed(small, terms.fdr))
    return _findings_at(chosen, part, panel, terms, machine)


def _suspected(
    tested: Sequence[_Tested], panel: Panel, terms: Terms, machine: Mapping[str, float], build: BuildChange
) -> list[Finding]:
    """The processes whose cpu time most likely grew, in the order of what that costs."""
    found: list[Finding] = []
    whole = build.amount_before("cpu") or 0.0
    for part in tested:
        if part.metric != "cpu" or part.against != "baseline":
            continue
        effects = part.effects
        single = upper_tail(effects.effects / effects.errors, effects.df)
        most = effects.effects + two_sided_quantile(2 * SUSPICION, effects.df) * effects.errors
        likely = (single <= SUSPICION) | ((effects.effects > 0) & (most >= SUSPECTED))
        likely &= part.nodes & (part.before * np.expm1(np.minimum(most, LARGEST_EFFECT)) >= SUSPECT_PART * whole)
        order = [n for n in np.argsort(single, kind="stable").tolist() if likely[n]]
        found += _findings_at(np.array(order[: terms.suspects], dtype=np.intp), part, panel, terms, machine["cpu"])
    _describe(found, build, panel)
    return sorted(found, key=lambda finding: -(finding.cost or 0.0))[: terms.suspects]


def _findings_at(places: Positions, part: _Tested, panel: Panel, terms: Terms, machine: float) -> list[Finding]:
    effects, start = part.effects, terms.models[part.metric].start
    reach = np.minimum(two_sided_quantile(1 - CONFIDENCE, effects.df) * effects.errors, LARGEST_EFFECT)
    counts = np.maximum(np.median(panel.current_counts, axis=0), 1.0)
    findings = []
    for n in places.tolist():
        effect, before = float(effects.effects[n]), float(part.before[n])
        findings.append(
            Finding(
                key=panel.keys[part.positions[n]],
                metric=part.metric,
                kind="regression" if effect > 0 else "improvement",
                baseline=before,
                current=(now := max((before + start) * float(np.exp(effect)) - start, 0.0)),
                measured=now * float(np.exp(machine)),
                ratio=float(np.exp(effect)),
                interval=(float(np.exp(effect - reach[n])), float(np.exp(effect + reach[n]))),
                p_value=float(part.p_values[n]),
                q_value=float(part.q_values[n]),
                against=part.against,
                smallest=float(np.expm1(effects.thresholds[n])),
                within_disturbance=terms.models[part.metric].unit == "s"
                and abs(now - before) / float(counts[part.positions[n]]) < terms.tracing_cost,
            )
        )
    return findings


def _without_repetitions(findings: list[Finding]) -> list[Finding]:
    """What the last sessions show already need not be said of the pinned one."""
    known = {(finding.key, finding.metric) for finding in findings if finding.against == "baseline"}
    return [f for f in findings if f.against == "baseline" or (f.key, f.metric) not in known]


def _describe(findings: Sequence[Finding], build: BuildChange, panel: Panel) -> None:
    """Fill in labels, programs, costs and shares."""
    index = {key: position for position, key in enumerate(build.keys)}
    for finding in findings:
        finding.program = _program(finding.key, panel)
        position = index.get(finding.key)
        if position is not None:
            parent = int(build.parents[position])
            finding.label = label_of(finding.key, build.keys[parent] if parent >= 0 else None)
        elif finding.key == BUILD_KEY:
            finding.label = "the whole build"
        if finding.metric != "count":
            finding.cost, finding.cost_metric = finding.current - finding.baseline, finding.metric
            whole = build.amount_before(finding.metric)
            finding.part = abs(finding.cost) / whole if whole else None
        elif finding.cost is None and finding.cost_metric is None and "cpu" not in build.now:
            difference = build.difference("wall")
            if difference is not None and position is not None:
                finding.cost, finding.cost_metric = float(difference[position]), "wall"
        _share(finding, build)


def _share(finding: Finding, build: BuildChange) -> None:
    total = build.total(finding.cost_metric) if finding.cost_metric is not None else None
    known = total and finding.cost and finding.cost / total > 0 and finding.against == "baseline"
    known = known and abs(total or 0.0) >= LEAST_OF_COST * abs(finding.cost or 0.0)
    finding.share = finding.cost / total if known and finding.cost and total else None


def _power(part: _Tested, terms: Terms, alpha: float) -> list[PowerLevel]:
    """The effects that would have been found, for the nodes above each size."""
    effects = part.effects
    found = detectable_effect(effects.errors, effects.df, effects.thresholds, alpha=alpha, power=POWER)
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
