"""What came of measuring suspects alone, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pytest_ptreetime.decision.finding import Comparison, Confirmation
from pytest_ptreetime.system.figures import amount, change, counted, part

__all__ = ["confirmation_in_words", "confirming_in_words", "refuted_in_words"]

#: What the summary calls each outcome.
_OUTCOMES = {"confirmed": "confirmed", "refuted": "no slower", "undecided": "undecided", "refused": "not replayed"}
REASONS_TOLD = 3


def confirmation_in_words(confirmation: Confirmation) -> str:
    """``confirmed by 20 replays of each side in 15 s: +5.6 % (+-0.9 %); executes 4.7 % more instructions (exact)``."""
    replays = f"{counted(len(confirmation.after), 'replay')} of each side in {amount(confirmation.seconds, 's')}"
    if confirmation.outcome == "refused":
        return f"not confirmed: {confirmation.reason}"
    text = f"{confirmation.outcome} by {replays}"
    if confirmation.outcome == "confirmed" and confirmation.reason:
        text = f"confirmed {confirmation.reason} after {replays}"
    if confirmation.outcome == "undecided":
        text = f"undecided after {replays} ({confirmation.reason})"
    if confirmation.ratio is not None and confirmation.interval is not None:
        low, high = confirmation.interval
        text += f": {change(confirmation.ratio)} (+-{part((high - low) / 2)})"
    if confirmation.instructions is not None:
        text += f"; {_instructions(confirmation.instructions, confirmation.spread)}"
    return text


def _instructions(ratio: float, spread: float) -> str:
    sure = f"+-{100 * spread:.2g} %" if spread else "exact"
    if abs(ratio - 1) <= spread:
        return f"executes as many instructions ({sure})"
    return f"executes {100 * abs(ratio - 1):.2g} % {'more' if ratio > 1 else 'fewer'} instructions ({sure})"


def refuted_in_words(comparison: Comparison, values: Mapping[str, Any]) -> str:
    """``cc1 lvm.c: cpu +12.0 % by the rounds, refuted by 20 replays of each side in 4 s: +0.1 % (+-0.8 %)``."""
    measured = comparison.confirming.measured if comparison.confirming is not None else []
    for finding in measured:
        if finding.key == values["key"] and finding.confirmation is not None:
            claimed = f"{finding.metric} {change(finding.ratio)} by the rounds"
            return f"{finding.label or finding.key}: {claimed}, {confirmation_in_words(finding.confirmation)}"
    return f"{values['key']}: refuted by replays"


def confirming_in_words(comparison: Comparison, _: Mapping[str, Any]) -> str:
    """``5 suspects measured alone in 40 s, each replay alone on processor 1 (SCHED_FIFO): 1 confirmed``."""
    done = comparison.confirming
    if done is None:
        return "nothing was measured alone"
    outcomes = [finding.confirmation for finding in done.measured if finding.confirmation is not None]
    text = f"{counted(len(outcomes), 'suspect')} measured alone in {amount(done.seconds, 's')}"
    if done.processor is not None:
        text += f", each replay alone on processor {done.processor} (SCHED_FIFO)"
    counts: Counter[str] = Counter(outcome.outcome for outcome in outcomes)
    parts = [", ".join(f"{counts[name]} {word}" for name, word in _OUTCOMES.items() if counts[name])]
    reasons = Counter(outcome.reason for outcome in outcomes if outcome.outcome in ("undecided", "refused"))
    parts += [f"{number} because {reason}" for reason, number in reasons.most_common(REASONS_TOLD)]
    if done.left:
        parts.append(f"interrupted: {done.left} not measured")
    return f"{text}: {'; '.join(filter(None, parts))}"
