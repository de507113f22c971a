"""A comparison after its suspects were measured alone: what is refuted is gone, what is confirmed has its figures."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pytest_ptreetime.confirmation.confirming import Confirmed
from pytest_ptreetime.decision.comparing import settle
from pytest_ptreetime.decision.finding import Comparison, Confirmation, Confirming, Finding, Remark

__all__ = ["apply", "note_unconfirmed"]


def apply(comparison: Comparison, suspects: Sequence[Finding], confirmed: Confirmed) -> None:
    """Change ``comparison`` by what came of measuring ``suspects`` alone."""
    comparison.confirming = Confirming([], confirmed.seconds, confirmed.processor, len(suspects))
    for suspect in suspects:
        outcome = confirmed.outcomes.get(suspect.key)
        if outcome is None:
            continue
        suspect.confirmation = outcome
        comparison.confirming.left -= 1
        comparison.confirming.measured.append(msgspec.structs.replace(suspect))  # as the rounds saw it
        found = any(finding is suspect for finding in comparison.findings)
        if outcome.outcome == "confirmed":
            if not found:
                comparison.findings.append(suspect)
            if suspect.metric == "cpu":
                _take_figures(suspect, outcome)
                _explain_by(suspect, comparison)
        elif outcome.outcome == "refuted" and found:
            comparison.notes.append(Remark("refuted", {"key": suspect.key}))
            comparison.findings = [f for f in comparison.findings if suspect.key not in (f.key, f.explained_by)]
    comparison.findings.sort(key=_rank)
    comparison.notes.append(Remark("confirming"))
    settle(comparison)


def note_unconfirmed(comparison: Comparison, reason: str) -> None:
    """Say why nothing was measured alone."""
    comparison.notes.append(Remark("not-confirmed", {"reason": reason}))


def _take_figures(finding: Finding, outcome: Confirmation) -> None:
    """The replays' estimate takes the place of the rounds': it is fresh, and the rounds' is the one that stood out."""
    ratio = outcome.ratio or outcome.instructions or 1.0
    machine = 1.0 if not finding.measured or not finding.current else finding.measured / finding.current
    cost = finding.baseline * (ratio - 1)
    if finding.cost and finding.part is not None:
        finding.part *= abs(cost / finding.cost)
    finding.kind = "regression"
    finding.ratio, finding.interval = ratio, outcome.interval
    finding.current = finding.baseline + cost
    finding.measured = finding.current * machine
    finding.p_value = finding.q_value = outcome.p_value or 0.0
    finding.cost, finding.share = cost, None


def _explain_by(cause: Finding, comparison: Comparison) -> None:
    """What else was found of this process follows from it."""
    for finding in comparison.findings:
        if finding is not cause and finding.key == cause.key and finding.is_cause and finding.metric != "count":
            finding.explained_by, finding.explained_by_metric = cause.key, cause.metric


def _rank(finding: Finding) -> tuple[bool, bool, bool, float]:
    return not finding.is_cause, not finding.is_worse, not finding.is_confirmed, -(finding.part or 0.0)
