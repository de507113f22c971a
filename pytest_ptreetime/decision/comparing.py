"""Baseline x rounds -> Comparison: the public face of the decision.

What is decided by what: counts exactly (structure.py); times by log ratios with the machine's speed taken out
(host_speed.py), noise learned across nodes and sessions (estimating.py, shrinkage.py), tests against a minimum effect
and the false discovery rate (node_tests.py, statistics.py), causes told from consequences (explain.py).

Importing this costs no numpy; comparing does.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pytest_ptreetime.decision.alignment import Alignment, align
from pytest_ptreetime.decision.changes import changes_of
from pytest_ptreetime.decision.finding import (
    COMMON_KEY,
    CommandDifference,
    Comparison,
    Finding,
    Power,
    PowerLevel,
    Remark,
)
from pytest_ptreetime.decision.power import SIZEABLE, power_of_levels
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.remarks import add_remarks
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.metrics import COMPARED, METRICS, MIN_EFFECTS, unknown_names
from pytest_ptreetime.system.os_errors import require_memory_for

if TYPE_CHECKING:
    from pytest_ptreetime.decision.host_speed import Calibrations
    from pytest_ptreetime.decision.panel import Panel
    from pytest_ptreetime.decision.structure_cost import StructureLimits
    from pytest_ptreetime.decision.terms import Terms
    from pytest_ptreetime.system.calibration import Calibration

__all__ = [
    "COMMON_KEY",
    "DEFAULT_FDR",
    "Comparison",
    "Finding",
    "Power",
    "PowerLevel",
    "compare",
    "power_of_baseline",
    "settle",
]

#: Where nothing has changed, at most this part of the sessions has any finding at all.
DEFAULT_FDR = 0.01
#: From this resolution on more rounds are not asked for.
DECISIVE_RESOLUTION = 0.05

MinEffect = float | tuple[float, float]


def compare(
    baseline: Sequence[Sequence[Profile]],
    current: Sequence[Profile],
    *,
    paired: bool = False,
    min_effect: MinEffect | Mapping[str, MinEffect] | None = None,
    fdr: float = DEFAULT_FDR,
    metrics: Sequence[str] | None = None,
    pinned: Sequence[Profile] | None = None,
    baseline_calibration: Sequence[Calibration | None] | None = None,
    current_calibration: Calibration | None = None,
    ignore: Sequence[str] = (),
    node_settings: Mapping[str, Mapping[str, Any]] | None = None,
    tracing_cost: float = 0.0,
    suspects: int = 0,
) -> Comparison:
    """Decide whether a build became slower, and which process is the cause.

    :param baseline: sessions, each a list of rounds, the oldest first.
    :param current: the rounds of this session.
    :param paired: the two sides were measured in turns; the baseline is then one session, whose rounds are paired with
        those of ``current``. The machine was the same, so a shift that all processes share is a finding.
    :param min_effect: the smallest change that matters, as a ratio (0.02: 2 %) or a pair of ratio and seconds, for all
        metrics or by metric; those not named keep their own (metrics.py: 1 % and 1 to 4 ms; sys 2 %).
        ``structure`` is what programs that came and went have to cost, as a part of the build's cpu: 1 % and 10 ms.
    :param fdr: false discovery rate over all nodes and metrics.
    :param metrics: what is compared besides counts; by default wall, user, sys and cpu.
    :param pinned: the rounds of a pinned session, so that slow creep over many sessions is seen.
    :param baseline_calibration: what ``calibration.calibrate()`` gave in each session; with
        ``current_calibration`` it tells a slow machine from a build whose processes all became slower.
    :param ignore: patterns (``*``, ``?``) of keys that are not compared.
    :param node_settings: by pattern of keys: ``{"min_effect": ..., "metrics": [...], "ignore": True}``.
    :param tracing_cost: the seconds that tracing adds to a process; findings that are smaller say so.
    :param suspects: name so many processes at most that may have become slower (``Comparison.suspects``).
    :raises UsageError: there is no current round, a paired baseline of several sessions, an impossible setting, or a
        metric that is neither in the table of metrics nor in any profile.
    :raises MemoryError: a limit of address space leaves no room for numpy and scipy.
    """
    _check(baseline, current, paired, fdr)
    reasons: list[Remark] = []
    notes: list[Remark] = []
    sessions, kept = _complete_sessions(baseline, notes)
    rounds = _complete(current, "current", reasons)
    result = Comparison("inconclusive", reasons=reasons, notes=notes, rounds=len(rounds), paired=paired)
    result.sessions = len(sessions)
    if not any(baseline):
        result.verdict = "no-baseline"
    elif not sessions:
        reasons += [Remark("no-complete-baseline"), *notes]
    elif rounds:
        calibrations = None if baseline_calibration is None else [baseline_calibration[n] for n in kept]
        complete_pinned = _complete(pinned or (), "pinned", notes) or None
        aligned = align(sessions, rounds, complete_pinned)
        sessions, rounds, complete_pinned = list(aligned.baseline), aligned.current, aligned.pinned
        request = _Request(paired, min_effect, fdr, metrics, ignore, node_settings or {}, tracing_cost, suspects)
        panel, terms = _prepare(sessions, rounds, None if paired else complete_pinned, request)
        terms = replace(terms, commands=_commands(aligned))
        if not paired:
            terms = replace(terms, calibrations=_calibrations(calibrations, current_calibration))
        unknown = [metric for metric in metrics or () if metric != "count" and not panel.is_known(metric)]
        if unknown:
            nothing_else = len(unknown) == len(set(metrics or ()) - {"count"})
            (reasons if nothing_else else notes).append(Remark("metric-unknown", {"names": ", ".join(unknown)}))
        _decide(result, panel, terms, rounds)
    return result


def power_of_baseline(
    sessions: Sequence[Sequence[Profile]],
    *,
    rounds: int,
    min_effect: MinEffect | Mapping[str, MinEffect] | None = None,
    fdr: float = DEFAULT_FDR,
    metrics: Sequence[str] | None = None,
) -> Power:
    """What a coming session of ``rounds`` rounds could find against these stored ones; ``.sentence`` says it.

    With one session the noise between sessions is not known, and the stated one is taken (metric_noise.py).

    :raises UsageError: no session has a complete round, or ``rounds`` is not positive.
    """
    if rounds < 1:
        raise UsageError(f"power of a baseline: {rounds} rounds find nothing; give 1 or more")
    complete, _ = _complete_sessions(sessions, [])
    if not complete:
        raise UsageError("power of a baseline: no session has a complete round; save one first")
    from pytest_ptreetime.decision.rules import decide

    panel, terms = _prepare(complete, complete[-1][-1:], None, _Request(False, min_effect, fdr, metrics))
    levels = decide(panel, replace(terms, planned=rounds)).levels
    power = power_of_levels(levels, sessions=len(complete), rounds=rounds, paired=False, planned=True)
    if power is None:
        return Power(math.inf, 0.0, "", [])
    if len(complete) == 1:
        power.assumed_noise = terms.models[power.metric].between
    return power


def _check(baseline: Sequence[Sequence[Profile]], current: Sequence[Profile], paired: bool, fdr: float) -> None:
    if not current:
        raise UsageError("compare: there is no current round; give at least one profile")
    if paired and len(baseline) > 1:
        raise UsageError(
            f"compare: a paired baseline is one session, measured in turns with the current one, but {len(baseline)} "
            "were given; leave paired out to compare with stored sessions"
        )
    if not 0 < fdr < 1:
        raise UsageError(f"compare: fdr is {fdr!r}; give a number between 0 and 1, such as 0.01")


def _complete_sessions(
    baseline: Sequence[Sequence[Profile]], notes: list[Remark]
) -> tuple[list[Sequence[Profile]], list[int]]:
    """The complete rounds of the sessions that have any, and these sessions' positions."""
    complete = [_complete(rounds, "baseline", notes) for rounds in baseline]
    kept = [position for position, rounds in enumerate(complete) if rounds]
    return [complete[position] for position in kept], kept


def _complete(rounds: Sequence[Profile], side: str, remarks: list[Remark]) -> Sequence[Profile]:
    """The complete rounds; the others are left out, and why."""
    incomplete = [profile.incomplete_reason for profile in rounds if profile.incomplete_reason is not None]
    if incomplete:
        counts = {"incomplete": len(incomplete), "rounds": len(rounds)}
        remarks.append(Remark("incomplete-rounds", {"side": side, "reason": incomplete[0], **counts}))
    return [profile for profile in rounds if profile.incomplete_reason is None]


@dataclass(frozen=True)
class _Request:
    """The settings of compare(), as they were given."""

    paired: bool
    min_effect: MinEffect | Mapping[str, MinEffect] | None
    fdr: float
    metrics: Sequence[str] | None
    ignore: Sequence[str] = ()
    node_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tracing_cost: float = 0.0
    suspects: int = 0


def _calibrations(baseline: Sequence[Calibration | None] | None, current: Calibration | None) -> Calibrations:
    from pytest_ptreetime.decision.host_speed import Calibrations

    return Calibrations.of(baseline, current)


def _prepare(
    sessions: Sequence[Sequence[Profile]],
    rounds: Sequence[Profile],
    pinned: Sequence[Profile] | None,
    request: _Request,
) -> tuple[Panel, Terms]:
    """The arrays, and the settings in their terms."""
    require_memory_for("numpy", "scipy.special")
    import numpy as np

    from pytest_ptreetime.decision.metric_noise import metric_noise, with_min_effects
    from pytest_ptreetime.decision.panel import tabulate, with_build
    from pytest_ptreetime.decision.rules import EVIDENCE
    from pytest_ptreetime.decision.terms import Terms

    metrics, node_settings = request.metrics, request.node_settings
    extra = [metric for settings in node_settings.values() for metric in settings.get("metrics", ())]
    asked = list(dict.fromkeys([*(COMPARED if metrics is None else metrics), *extra]))
    panel = tabulate(sessions, rounds, pinned, list(dict.fromkeys([*asked, *EVIDENCE])))
    _check_metrics(asked, request, panel.metrics)
    left_out = [*request.ignore, *(pattern for pattern, settings in node_settings.items() if settings.get("ignore"))]
    panel = with_build(panel, _matching(panel.keys, left_out))
    models = with_min_effects(
        {metric: metric_noise(metric) for metric in asked if metric != "count" and metric in panel.metrics},
        request.min_effect,
    )
    ignored = _matching(panel.keys, request.ignore)
    untested = {
        metric: np.ones(len(panel.keys), dtype=bool)
        for metric in models
        if metric not in (COMPARED if request.metrics is None else request.metrics)
    }
    overrides: dict[str, list[Any]] = {}
    for pattern, settings in node_settings.items():
        unknown = set(settings) - {"min_effect", "metrics", "ignore"}
        if unknown:
            raise UsageError(
                f"node settings of {pattern!r}: {sorted(unknown)} unknown; give min_effect, metrics, ignore"
            )
        mask = _matching(panel.keys, [pattern])
        if settings.get("ignore"):
            ignored |= mask
        if "metrics" in settings:
            for metric in models:
                untested.setdefault(metric, np.zeros(len(panel.keys), dtype=bool))
                untested[metric] = np.where(mask, metric not in settings["metrics"], untested[metric])
        if "min_effect" in settings:
            for metric, model in with_min_effects(models, settings["min_effect"]).items():
                if model is not models[metric]:
                    overrides.setdefault(metric, []).append((mask, model))
    return panel, Terms(
        models,
        request.fdr,
        request.paired,
        None,
        ignored,
        untested,
        overrides,
        request.tracing_cost,
        min_effect_given=request.min_effect is not None,
        structure=_structure_limits(request.min_effect),
        suspects=request.suspects,
    )


def _commands(aligned: Alignment) -> dict[str, CommandDifference]:
    """By key, how its command differs from the baseline's; order and noise are no difference."""
    differences = {change.key: change.difference for change in aligned.pairs}
    return {key: difference for key, difference in differences.items() if difference.parts}


def _structure_limits(min_effect: MinEffect | Mapping[str, MinEffect] | None) -> StructureLimits:
    """What ``min_effect`` says of ``structure``."""
    from pytest_ptreetime.decision.metric_noise import ratio_and_amount
    from pytest_ptreetime.decision.structure_cost import StructureLimits

    asked = min_effect.get("structure") if isinstance(min_effect, Mapping) else None
    if asked is None:
        return StructureLimits()
    part, seconds = ratio_and_amount("structure", asked)
    return StructureLimits(part, seconds or StructureLimits().seconds)


def _check_metrics(asked: Sequence[str], request: _Request, present: Sequence[str]) -> None:
    """Whether every metric that is named exists: a name that is compared nowhere would say ok of everything.

    :raises UsageError: one does not.
    """
    effects = [request.min_effect, *(settings.get("min_effect") for settings in request.node_settings.values())]
    limited = [metric for effect in effects if isinstance(effect, Mapping) for metric in effect]
    for names, known in ((asked, METRICS), (limited, MIN_EFFECTS)):
        unknown = unknown_names(names, [*known, "count", *(set(present) - set(known))], "metric")
        if unknown is not None:
            raise UsageError(f"compare: {unknown}")


def _matching(keys: Sequence[str], patterns: Sequence[str]) -> Any:
    """Which keys match any of the patterns. ``[`` stands for itself: keys contain it."""
    import numpy as np

    if not patterns:
        return np.zeros(len(keys), dtype=bool)
    whole = re.compile("|".join(fnmatch.translate(pattern.replace("[", "[[]")) for pattern in patterns))
    return np.fromiter((whole.match(key) is not None for key in keys), dtype=bool, count=len(keys))


def _decide(result: Comparison, panel: Panel, terms: Terms, rounds: Sequence[Profile]) -> None:
    from pytest_ptreetime.decision.rules import decide

    decision = decide(panel, terms)
    on_path = [set(profile.critical_path) for profile in rounds]
    for finding in [*decision.findings, *decision.left, *decision.differences]:
        finding.on_critical_path = sum(finding.key in path for path in on_path) > len(on_path) / 2
    result.suspects = decision.suspects
    result.structure, result.left = decision.differences, decision.left
    parents = {panel.keys[n]: panel.keys[above] for n, above in enumerate(panel.parents_now.tolist()) if above >= 0}
    result.changes = changes_of(decision.differences, terms.commands, panel.identities, parents)
    result.comparable = _comparable(panel)
    result.findings, result.contentions = _sorted_out(decision.findings)
    result.host_shifts = {metric: math.exp(shift.total) for metric, shift in decision.shifts.items()}
    result.machine_shifts = {metric: math.exp(shift.total - shift.build) for metric, shift in decision.shifts.items()}
    result.host_shift = next(
        (result.host_shifts[m] for m in ("cpu", "wall", *result.host_shifts) if m in result.host_shifts), 1.0
    )
    pairs = min(len(rounds), len(panel.baseline[0])) if terms.paired else len(rounds)
    result.power = power_of_levels(decision.levels, sessions=result.sessions, rounds=pairs, paired=terms.paired)
    add_remarks(result, panel, decision, terms)
    worse = settle(result)
    # power is asked of sizeable nodes only; without any the comparison is decided
    resolution = result.power.effect if result.power is not None and result.power.above >= SIZEABLE else 0.0
    result.decided = worse or (not result.contentions and resolution <= DECISIVE_RESOLUTION)


def settle(result: Comparison) -> bool:
    """Set the verdict by the findings and the reasons; whether it is a regression."""
    worse = any(finding.is_worse for finding in result.findings)
    if worse:
        result.verdict = "regression"
    elif result.reasons:
        result.verdict = "inconclusive"
    else:
        result.verdict = "improvement" if result.findings else "ok"
    return worse


def _comparable(panel: Panel) -> float:
    """The part of this session's processes whose key the baseline has, too."""
    known = sum((counts.sum(axis=0) for counts in panel.baseline_counts), 0 * panel.baseline_counts[0][0]) > 0
    counts = panel.current_counts
    return float((counts * known)[:, :-1].sum() / max(counts[:, :-1].sum(), 1.0))


def _sorted_out(findings: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """Findings of the build, causes first, and those of contention with what follows from it."""
    contended = {(finding.key, finding.metric) for finding in findings if finding.contention and finding.is_cause}
    contentions = [
        finding
        for finding in findings
        if (finding.contention and finding.is_cause) or (finding.explained_by, finding.explained_by_metric) in contended
    ]
    apart = {id(finding) for finding in contentions}
    for finding in contentions:
        finding.contention = True
    own = [finding for finding in findings if id(finding) not in apart]
    for finding in own:
        finding.contention = False  # explained by work, whatever waiting came with it

    def rank(finding: Finding) -> tuple[bool, bool, bool, bool, float, str, str]:
        """Causes first, the worse ones before the better, by their part of the build's amount."""
        return (
            not finding.is_cause,
            not finding.is_worse,
            finding.waited is None,
            finding.key != COMMON_KEY,
            -(finding.part or 0.0),
            finding.key,
            finding.metric,
        )

    return sorted(own, key=rank), sorted(contentions, key=rank)
