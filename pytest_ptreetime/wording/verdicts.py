"""A comparison in one sentence: its verdict and the cause."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_ptreetime.decision.finding import COMMON_KEY, Comparison, Finding
from pytest_ptreetime.decision.power import OK_RESOLUTION, SIZEABLE
from pytest_ptreetime.system.figures import counted
from pytest_ptreetime.wording.changes import changes_in_words
from pytest_ptreetime.wording.remarks import reasons_in_words
from pytest_ptreetime.wording.sentences import finding_sentence, power_sentence, together_in_words

__all__ = ["comparison_sentence"]

#: Programs of one kind are told together where the costliest is a smaller part of the build, or of all of them.
SMALL_PART = 0.01
SMALL_AMONG_ALL = 0.2
#: The kinds of finding that rest on times, which noise can forge.
BY_TIMES = ("regression", "improvement")


def comparison_sentence(comparison: Comparison, room: int | None = None) -> str:
    """The verdict's reason in one line.

    :param room: characters for a finding, as finding_sentence() has it.
    """
    if comparison.message is not None:
        return comparison.message
    causes = comparison.causes
    worse = [finding for finding in causes if finding.is_worse]
    if comparison.verdict == "regression" and worse:
        return _with_others(worse, room)
    if comparison.verdict == "improvement" and causes:
        return _with_others(causes, room)
    if comparison.verdict == "inconclusive":
        found = f"; found all the same: {_with_others(causes, room)}" if causes else ""
        return f"inconclusive: {'; '.join(reasons_in_words(comparison))}{found}"
    if comparison.verdict == "no-baseline":
        return "there is no baseline to compare with"
    if comparison.verdict != "ok":
        return f"The verdict is {comparison.verdict}."
    changes = "".join(f"{text}; " for text in changes_in_words(comparison)[:1])
    if comparison.power is None:
        return f"{changes}no change of the counts"
    if comparison.power.above < SIZEABLE and comparison.power.effect > OK_RESOLUTION:
        short = "the times are too short to be judged well"
        return f"{changes}no change of the counts; {short}: {power_sentence(comparison.power)}"
    return f"{changes}no change; {power_sentence(comparison.power)}"


def _with_others(findings: Sequence[Finding], room: int | None) -> str:
    first = _leading(findings)
    alike = [finding for finding in findings if _kin(first, finding)]
    of_all = sum(finding.part or 0.0 for finding in alike)
    if len(alike) > 1 and (first.part or 0.0) < max(SMALL_PART, SMALL_AMONG_ALL * of_all):
        verb = "are new" if first.kind == "added" else "no longer run"
        if all(finding.compiles is not None for finding in alike):
            verb = "compile files again"
        text = f"{together_in_words(alike, first.program, verb)}; the costliest: {first.label or first.key}"
        others = len(findings) - len(alike)
    else:
        text, others = "", len(findings) - 1
    more = f" (and {counted(others, 'other cause')})" if others else ""
    return (text or finding_sentence(first, None if room is None else room - len(more))) + more


def _leading(findings: Sequence[Finding]) -> Finding:
    """The first, or the first of many of one program that together are a larger part of the build.

    What was confirmed goes before times of which the replays did not make sure.
    """
    first = findings[0]
    if first.waited is not None or first.key == COMMON_KEY:
        return first
    if first.is_confirmed:
        findings = [finding for finding in findings if finding.is_confirmed or finding.kind not in BY_TIMES]
    together: dict[tuple[str, str], float] = {}
    for finding in findings:
        group = finding.kind, finding.program
        together[group] = together.get(group, 0.0) + (finding.part or 0.0)

    def of_build(finding: Finding) -> float:
        return together[finding.kind, finding.program] if _kin(finding, finding) else finding.part or 0.0

    return max(findings, key=of_build)


def _kin(one: Finding, other: Finding) -> bool:
    same = one.kind == other.kind and one.kind in ("added", "removed") and one.program == other.program
    return same and other.part is not None
