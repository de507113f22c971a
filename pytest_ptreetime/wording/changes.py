"""What is different in the build without being a reason to fail, in sentences."""

from __future__ import annotations

from pytest_ptreetime.decision.finding import Change, Comparison
from pytest_ptreetime.system.figures import amounts, counted
from pytest_ptreetime.wording.causes import difference_in_words
from pytest_ptreetime.wording.sentences import cost_in_words, finding_sentence, together_in_words

__all__ = ["changes_in_words"]

#: So many of a kind are told.
MOST_TOLD = 3
_NOUNS = {"command": "changed command", "wrapper": "wrapper"}
_VERBS = {"added": "are new", "removed": "no longer run", "count": "run another number of times"}


def changes_in_words(comparison: Comparison) -> list[str]:
    """A sentence for each of the first MOST_TOLD of a kind, and how many more there are of it."""
    by_kind: dict[str, list[Change]] = {}
    for change in comparison.changes:
        by_kind.setdefault(change.kind, []).append(change)
    told = []
    for kind, changes in by_kind.items():
        told += [_sentence(change) for change in changes[:MOST_TOLD]]
        if len(changes) > MOST_TOLD:
            told.append(counted(len(changes) - MOST_TOLD, f"more {_NOUNS.get(kind, 'difference')}"))
    return told


def _sentence(change: Change) -> str:
    if change.seconds is not None:
        before, now = amounts(change.seconds, "s")
        return f"outside the tree, {change.program} used {now} of cpu, {before} before"
    if change.difference is not None:
        several = f"{change.count} x " if change.count > 1 else ""
        return f"command changed: {several}{change.program}, {difference_in_words(change.difference)}"
    first, alone = change.findings[0], len(change.findings) == 1
    if change.kind == "wrapper":
        gone = "no longer " if first.kind == "removed" else ""
        now = "" if gone else " now"
        if alone:
            return f"{first.label or first.key} {gone}stands in front{now}{cost_in_words(first)}"
        return together_in_words(change.findings, change.program, f"{gone}stand in front{now}")
    return finding_sentence(first) if alone else together_in_words(change.findings, change.program, _VERBS[change.kind])
