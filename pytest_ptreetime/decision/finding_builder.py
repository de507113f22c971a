"""Findings: made of the tests, and described: what they cost, whose command changed, who waited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.explain import BuildChange, label_of
from pytest_ptreetime.decision.finding import (
    BUILD_KEY,
    COMMON_KEY,
    CommandDifference,
    Finding,
)
from pytest_ptreetime.decision.node_tests import LARGEST_EFFECT, Tested
from pytest_ptreetime.decision.panel import Panel
from pytest_ptreetime.decision.profile import Identity
from pytest_ptreetime.decision.programs import program_class
from pytest_ptreetime.decision.statistics import (
    two_sided_quantile,
    upper_tail,
)
from pytest_ptreetime.decision.terms import Terms
from pytest_ptreetime.decision.waiting import Waiting

__all__ = [
    "common_findings",
    "describe",
    "effect_findings",
    "note_commands",
    "note_waiting",
    "roots_of",
    "suspected_findings",
    "without_repetitions",
]

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]
#: A node has no share of the build's change where that is less than this part of its own: the rest went the other way.
LEAST_OF_COST = 0.1
#: A process is suspected of having become slower at this p-value, or where a change by SUSPECTED can't be excluded at
#: it; below this part of the build's cpu time it is not worth to be measured alone.
SUSPICION = 0.05
SUSPECTED = float(np.log(1.05))
SUSPECT_PART = 0.001
CONFIDENCE = 0.95


def roots_of(panel: Panel) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which keys are roots of the baseline's trees, and of this session's; the build as a whole is not one."""
    before = (panel.parents_before < 0) & (np.median(panel.baseline_counts[-1], axis=0) > 0)
    now = (panel.parents_now < 0) & (panel.current_counts[0] > 0)
    before[-1] = now[-1] = False
    return np.asarray(before), np.asarray(now)


def note_waiting(findings: list[Finding], waiting: Waiting, panel: Panel) -> None:
    """The build's wall time, which is its root's, grew by waiting: that is said of the root, and is the cause."""
    key = panel.keys[int(np.argmax(roots_of(panel)[1]))]
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


def note_commands(findings: Sequence[Finding], commands: Mapping[str, CommandDifference], panel: Panel) -> None:
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


def common_findings(tested: Sequence[Tested], build: BuildChange, machine: Mapping[str, float]) -> list[Finding]:
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


def effect_findings(part: Tested, panel: Panel, terms: Terms, machine: float) -> list[Finding]:
    """What the tests of one metric find, and disturbed rounds do not explain."""
    small = part.q_values <= terms.fdr
    chosen = np.flatnonzero(small & ~part.effects.disturbed(small, terms.fdr))
    return _findings_at(chosen, part, panel, terms, machine)


def suspected_findings(
    tested: Sequence[Tested], panel: Panel, terms: Terms, machine: Mapping[str, float], build: BuildChange
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
        possible = part.before * np.expm1(np.minimum(most, LARGEST_EFFECT))
        likely = ((single <= SUSPICION) | (most >= SUSPECTED)) & part.nodes & (possible >= SUSPECT_PART * whole)
        order = [n for n in np.lexsort((-possible, np.maximum(single, SUSPICION))).tolist() if likely[n]]
        found += _findings_at(np.array(order[: terms.suspects], dtype=np.intp), part, panel, terms, machine["cpu"])
    describe(found, build, panel)
    return sorted(found, key=lambda finding: -(finding.cost or 0.0))[: terms.suspects]


def _findings_at(places: Positions, part: Tested, panel: Panel, terms: Terms, machine: float) -> list[Finding]:
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
                below_tracing_overhead=terms.models[part.metric].unit == "s"
                and abs(now - before) / float(counts[part.positions[n]]) < terms.tracing_cost,
            )
        )
    return findings


def without_repetitions(findings: list[Finding]) -> list[Finding]:
    """What the last sessions show already need not be said of the pinned one."""
    known = {(finding.key, finding.metric) for finding in findings if finding.against == "baseline"}
    return [f for f in findings if f.against == "baseline" or (f.key, f.metric) not in known]


def describe(findings: Sequence[Finding], build: BuildChange, panel: Panel) -> None:
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
