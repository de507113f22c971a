"""The decision on a panel: structure, effects of every metric, multiplicity, power. comparing.py is its public face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.driver_steps import with_whole_drivers
from pytest_ptreetime.decision.explain import BuildChange, explain, mark_contention
from pytest_ptreetime.decision.finding import (
    Finding,
    PowerLevel,
)
from pytest_ptreetime.decision.finding_builder import (
    common_findings,
    describe,
    effect_findings,
    note_commands,
    note_waiting,
    roots_of,
    suspected_findings,
    without_repetitions,
)
from pytest_ptreetime.decision.host_speed import CommonShift
from pytest_ptreetime.decision.node_tests import adjust, effects_by_metric, power_levels, suspect_keys, test_metric
from pytest_ptreetime.decision.panel import Panel
from pytest_ptreetime.decision.statistics import (
    benjamini_hochberg,
)
from pytest_ptreetime.decision.structure import Structure, compare_structure
from pytest_ptreetime.decision.structure_cost import Sides, judge_structure
from pytest_ptreetime.decision.terms import Terms
from pytest_ptreetime.decision.waiting import judge_waiting
from pytest_ptreetime.decision.work import WORK, note_work
from pytest_ptreetime.decision.wrapped import leave_to_wrappers

__all__ = ["EVIDENCE", "Decision", "decide"]

Array = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]
#: Metrics that are looked at, where known, to explain the others: contention, and what a process costs.
EVIDENCE = ("wall", "cpu", "run_delay", "waiting", *WORK)


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
    #: Processes that may have become slower, those that were found included; the costliest first.
    suspects: list[Finding]


def decide(panel: Panel, terms: Terms) -> Decision:
    """Find what changed, adjust for the number of questions asked, and explain it."""
    structure = compare_structure(panel)
    by_steps = panel
    panel, accounted, whole = with_whole_drivers(panel, structure)
    terms_of_tests = replace(
        terms, ignored=accounted if terms.ignored is None else terms.ignored | accounted, whole_drivers=whole
    )
    tested = [part for metric in terms.models for part in test_metric(panel, metric, structure, terms_of_tests)]
    if tested:
        adjusted = benjamini_hochberg(adjust([(part.metric, part.p_values) for part in tested]))
        for part, q_values in zip(
            tested, np.split(adjusted, np.cumsum([len(part.p_values) for part in tested])[:-1]), strict=True
        ):
            part.q_values = q_values
    shifts = {part.metric: part.effects.common for part in reversed(tested) if part.against == "baseline"}
    machine = {metric: shift.total - shift.build for metric, shift in shifts.items()}
    build = _build_change(by_steps, machine)
    differences = _structure_findings(structure, by_steps, build, terms)
    findings = [finding for finding in differences if finding.matters]
    for part in tested:
        findings += effect_findings(part, panel, terms, machine[part.metric])
    findings = without_repetitions(findings)
    waiting = judge_waiting(panel, *roots_of(panel), machine.get("wall", 0.0), paired=terms.paired)
    if waiting is not None and terms.planned is None:
        note_waiting(findings, waiting, panel)
    findings += common_findings(tested, build, machine)
    findings, left = leave_to_wrappers(
        findings, differences, effects_by_metric(tested), panel, suspect_keys(panel, terms.commands)
    )
    describe([*findings, *left, *differences], build, panel)
    if findings:
        explain(findings, build, frozenset(np.flatnonzero(whole).tolist()))
        mark_contention(findings, build)
        note_commands(findings, terms.commands, panel)
        note_work(findings, panel)
    alpha = terms.fdr / max(sum(len(part.p_values) for part in tested), 1)
    return Decision(
        findings=findings,
        left=left,
        differences=differences,
        shifts=shifts,
        levels=[level for part in tested if part.against == "baseline" for level in power_levels(part, terms, alpha)],
        structure=structure,
        inflation=max((part.effects.inflation for part in tested), default=1.0),
        suspects=suspected_findings(tested, panel, terms, machine, build) if terms.suspects else [],
    )


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
