"""The decision on a panel: structure, effects of every metric, multiplicity, power. comparing.py is its public face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.effects import Effects, Samples, effects_of_pairs, effects_since
from pytest_ptreetime.decision.explain import BuildChange, explain, label_of, mark_contention
from pytest_ptreetime.decision.finding import COMMON_KEY, Finding, PowerLevel
from pytest_ptreetime.decision.host_speed import Calibrations, CommonShift
from pytest_ptreetime.decision.metric_noise import MetricNoise
from pytest_ptreetime.decision.panel import Panel
from pytest_ptreetime.decision.statistics import (
    benjamini_hochberg,
    detectable_effect,
    treat_p_values,
    two_sided_quantile,
)
from pytest_ptreetime.decision.structure import Structure, compare_structure

__all__ = ["EVIDENCE", "Decision", "Terms", "decide"]

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]

#: Metrics that are looked at, where known, to explain the others: contention, and what a process costs.
EVIDENCE = ("wall", "cpu", "run_delay")
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
    #: Only the power of a session of so many rounds, still to come, is asked for.
    planned: int | None = None


@dataclass(frozen=True)
class Decision:
    """What statistics has to say; comparing.py makes a verdict of it."""

    findings: list[Finding]
    #: What all nodes of a metric share.
    shifts: dict[str, CommonShift]
    levels: list[PowerLevel]
    structure: Structure
    inflation: float


@dataclass
class _Tested:
    """The effects of one metric at ``positions`` of the panel, and their adjusted p-values, filled in later."""

    metric: str
    against: str
    positions: Positions
    effects: Effects
    before: Array
    p_values: Array
    q_values: Array = field(default_factory=lambda: np.empty(0))


def decide(panel: Panel, terms: Terms) -> Decision:
    """Find what changed, adjust for the number of questions asked, and explain it."""
    structure = compare_structure(panel)
    tested = [part for metric in terms.models for part in _test_metric(panel, metric, structure, terms)]
    if tested:
        adjusted = benjamini_hochberg(np.concatenate([part.p_values for part in tested]))
        for part, q_values in zip(
            tested, np.split(adjusted, np.cumsum([len(part.p_values) for part in tested])[:-1]), strict=True
        ):
            part.q_values = q_values
    shifts = {part.metric: part.effects.common for part in reversed(tested) if part.against == "baseline"}
    machine = {metric: shift.total - shift.build for metric, shift in shifts.items()}
    findings = _structure_findings(structure, panel, terms)
    for part in tested:
        findings += _effect_findings(part, panel, terms, machine[part.metric])
    findings = _without_repetitions(findings)
    if findings or any(shift.build for shift in shifts.values()):
        build = _build_change(panel, machine)
        findings += _common_findings(tested, build, machine)
        _describe(findings, build)
        explain(findings, build)
        _add_costs_below(findings, build)
        mark_contention(findings, build)
    alpha = terms.fdr / max(sum(len(part.p_values) for part in tested), 1)
    return Decision(
        findings=findings,
        shifts=shifts,
        levels=[level for part in tested if part.against == "baseline" for level in _power(part, terms, alpha)],
        structure=structure,
        inflation=max((part.effects.inflation for part in tested), default=1.0),
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
    leaves = np.ones(len(positions), dtype=bool)
    if noise.cumulative:
        parents = np.zeros(len(panel.keys), dtype=bool)
        above = panel.parents[positions]
        parents[above[above >= 0]] = True
        leaves = ~parents[positions]
    pinned, comparable = None, np.zeros(len(positions), dtype=bool)
    if panel.pinned is not None and panel.pinned_counts is not None and not terms.paired:
        values = panel.pinned[:, column, positions]
        same_count = np.median(panel.pinned_counts, axis=0) == np.median(panel.current_counts, axis=0)
        comparable = ~np.isnan(values).any(axis=0) & same_count[positions]
        # what can't be compared gets values that do no harm, and no test
        pinned = np.where(comparable, values, np.median(amounts[-1], axis=0)) if comparable.any() else None
    samples = Samples(noise, amounts, panel.current[:, column, positions], leaves, pinned)
    before, own = samples.sizes - noise.start, reported[positions]
    if terms.planned is None and not samples.tells_noise:
        return []
    if terms.paired:
        return [_tested(metric, "baseline", positions, effects_of_pairs(samples), before, own, terms)]
    calibration = None if terms.calibrations is None else terms.calibrations.shift(metric, chosen)
    if terms.planned is not None:
        samples = replace(samples, current=before[None, :])
    effects, since_pinned = effects_since(samples, calibration, terms.planned)
    parts = [_tested(metric, "baseline", positions, effects, before, own, terms)]
    if since_pinned is not None and pinned is not None:
        was = np.median(pinned, axis=0)
        parts.append(_tested(metric, "pinned", positions, since_pinned, was, own & comparable, terms))
    return parts


def _tested(
    metric: str,
    against: str,
    positions: Positions,
    effects: Effects,
    before: Array,
    own: npt.NDArray[np.bool_],
    terms: Terms,
) -> _Tested:
    thresholds = effects.thresholds.copy()
    for mask, model in terms.overrides.get(metric, ()):
        matching = mask[positions]
        thresholds[matching] = model.thresholds(before[matching] + model.start)
    effects = effects.only(own, thresholds)
    p_values = treat_p_values(effects.effects, effects.errors, effects.df, effects.thresholds + effects.doubt)
    return _Tested(metric, against, positions[own], effects, before[own], p_values)


def _build_change(panel: Panel, machine: Mapping[str, float]) -> BuildChange:
    """Typical rounds before and now of every metric, the machine's part taken out of now."""
    before, now = {}, {}
    for column, metric in enumerate(panel.metrics):
        sessions = [np.median(np.nan_to_num(values[:, column]), axis=0) for values in panel.baseline]
        before[metric] = np.mean(sessions, axis=0)
        now[metric] = np.median(np.nan_to_num(panel.current[:, column]), axis=0) / np.exp(machine.get(metric, 0.0))
    return BuildChange(panel.keys, panel.parents, before, now)


def _structure_findings(structure: Structure, panel: Panel, terms: Terms) -> list[Finding]:
    return [
        Finding(
            key=panel.keys[change.position],
            metric="count",
            kind=change.kind,
            baseline=change.before,
            current=change.now,
            ratio=change.now / change.before if change.before and change.now else None,
        )
        for change in structure.changes
        if terms.ignored is None or not terms.ignored[change.position]
    ]


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
    effects, start = part.effects, terms.models[part.metric].start
    reach = np.minimum(two_sided_quantile(1 - CONFIDENCE, effects.df) * effects.errors, LARGEST_EFFECT)
    findings = []
    counts = np.maximum(np.median(panel.current_counts, axis=0), 1.0)
    for n in np.flatnonzero(part.q_values <= terms.fdr):
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
                within_disturbance=terms.models[part.metric].unit == "s"
                and abs(now - before) / float(counts[part.positions[n]]) < terms.tracing_cost,
            )
        )
    return findings


def _without_repetitions(findings: list[Finding]) -> list[Finding]:
    """What the last sessions show already need not be said of the pinned one."""
    known = {(finding.key, finding.metric) for finding in findings if finding.against == "baseline"}
    return [f for f in findings if f.against == "baseline" or (f.key, f.metric) not in known]


def _describe(findings: Sequence[Finding], build: BuildChange) -> None:
    """Fill in labels, costs and shares."""
    index = {key: position for position, key in enumerate(build.keys)}
    for finding in findings:
        position = index.get(finding.key)
        if position is not None:
            parent = int(build.parents[position])
            finding.label = label_of(finding.key, build.keys[parent] if parent >= 0 else None)
        if finding.metric != "count":
            finding.cost, finding.cost_metric = finding.current - finding.baseline, finding.metric
        else:
            for metric in ("cpu", "wall"):
                difference = build.difference(metric)
                if difference is not None and position is not None:
                    finding.cost, finding.cost_metric = float(difference[position]), metric
                    break
        _share(finding, build)


def _share(finding: Finding, build: BuildChange) -> None:
    total = build.total(finding.cost_metric) if finding.cost_metric is not None else None
    known = total and finding.cost and finding.cost / total > 0 and finding.against == "baseline"
    finding.share = finding.cost / total if known and finding.cost and total else None


def _add_costs_below(findings: Sequence[Finding], build: BuildChange) -> None:
    """A process that is new costs what it and all that it starts use: a compiler's driver hardly anything itself."""
    causes = {f.key: f for f in findings if f.metric == "count" and f.is_cause and f.cost_metric == "cpu"}
    for finding in findings:
        cause = causes.get(finding.explained_by or "") if finding.metric == finding.explained_by_metric else None
        if cause is not None and cause.cost is not None and finding.cost is not None and finding.cost_metric == "cpu":
            cause.cost += finding.cost
    for cause in causes.values():
        _share(cause, build)


def _power(part: _Tested, terms: Terms, alpha: float) -> list[PowerLevel]:
    """The effects that would have been found, for the nodes above each size."""
    effects = part.effects
    found = detectable_effect(effects.errors, effects.df, effects.thresholds, alpha=alpha, power=POWER)
    found = np.expm1(np.minimum(found + effects.acquitted, LARGEST_EFFECT))
    noise = terms.models[part.metric]
    if noise.unit != "s" or not len(found):
        return []
    sizes = [size for size in POWER_SIZES if (part.before >= size).any()] or [float(part.before.max())]
    levels = []
    for size in sizes:
        large = found[part.before >= size]
        levels.append(PowerLevel(part.metric, size, len(large), float(np.quantile(large, COVERED)), POWER, COVERED))
    return levels
