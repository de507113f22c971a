"""Why a verdict is inconclusive, and what else should be known, in sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_ptreetime.decision.finding import Comparison, Remark, RemarkKind
from pytest_ptreetime.system.figures import change, counted, part
from pytest_ptreetime.wording.confirmations import confirming_in_words, refuted_in_words
from pytest_ptreetime.wording.sentences import LARGEST_IN_WORDS, finding_sentence

__all__ = ["notes_in_words", "reasons_in_words"]


def reasons_in_words(comparison: Comparison) -> list[str]:
    """Why the verdict is inconclusive, or would be if nothing had been found."""
    return [_sentence(remark, comparison) for remark in comparison.reasons]


def notes_in_words(comparison: Comparison) -> list[str]:
    """What else is worth knowing."""
    return [_sentence(remark, comparison) for remark in comparison.notes]


def _sentence(remark: Remark, comparison: Comparison) -> str:
    made = _SENTENCES[remark.kind]
    if not isinstance(made, str):
        return made(comparison, remark.values)
    moved = _moved(comparison)
    return made.format(**{"shift": f"everything {moved}", "moved": moved, **remark.values})


def _incomplete_rounds(_: Comparison, values: Mapping[str, Any]) -> str:
    side = {"current": "", "baseline": "baseline, ", "pinned": "pinned session, "}[values["side"]]
    return f"{side}{values['incomplete']} of {values['rounds']} rounds incomplete: {values['reason']}"


def _contention(comparison: Comparison, _: Mapping[str, Any]) -> str:
    cause = next(finding for finding in comparison.contentions if finding.is_cause)
    return (
        f"contention: other work on the machine kept the processors busy ({finding_sentence(cause)}); "
        "repeat it on a quieter machine"
    )


def _little_data(comparison: Comparison, _: Mapping[str, Any]) -> str:
    more_rounds = comparison.paired or comparison.sessions > 2
    advice = "measure more rounds" if more_rounds else "store more sessions or interleave"
    power = comparison.power
    if power is None or power.effect >= LARGEST_IN_WORDS:
        missed = "times can't be judged here"
    else:
        missed = f"a change of {power.metric} by less than {part(power.effect)} may have been missed"
    return f"too little data for the noise: {missed}; {advice}"


def _unsteady_count(_: Comparison, values: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{count:g}" for count in values["counts"])
    return f"{values['key']}: the count differs between rounds now ({counts})"


def _left_to_wrapper(comparison: Comparison, _: Mapping[str, Any]) -> str:
    first = max(comparison.left, key=lambda finding: finding.part or 0.0)
    others = len(comparison.left) - 1
    more = f" (and {counted(others, 'other change')})" if others else ""
    return f"changed as all below the program in front of them, and left to that: {finding_sentence(first)}{more}"


def _undecided_commands(_: Comparison, values: Mapping[str, Any]) -> str:
    return (
        f"the processes whose command changed moved by {change(values['ratio'])} in cpu together; "
        "can't tell whether their commands or the machine did: interleave (--ptreetime-against)"
    )


def _moved(comparison: Comparison) -> str:
    """``moved by +2.1 % in cpu, +41.0 % in wall``: each metric by its own."""
    shifts = comparison.host_shifts
    told: dict[str, str] = {metric: change(shifts[metric]) for metric in ("cpu", "wall") if metric in shifts}
    told = told or {"time": change(1.0)}
    if len(set(told.values())) == 1:
        return f"moved by {next(iter(told.values()))}"
    return "moved by " + ", ".join(f"{text} in {metric}" for metric, text in told.items())


def _undecided_split(comparison: Comparison, _: Mapping[str, Any]) -> str:
    advice = "measure more rounds" if comparison.paired else "interleave (--ptreetime-against)"
    return f"most processes {_moved(comparison)}, many did not; {_UNDECIDED}: {advice}"


_BUSY = "the machine was busy while calibrating ({busy})"
_UNDECIDED = "can't tell whether the machine or the build did"

#: A text with the remark's values, or what makes one of it and the comparison.
_SENTENCES: dict[RemarkKind, str | Callable[[Comparison, Mapping[str, Any]], str]] = {
    "text": "{text}",
    "incomplete-rounds": _incomplete_rounds,
    "no-complete-baseline": "no round of the baseline is complete",
    "all-ignored": "nothing was compared: the patterns of what is ignored match every process",
    "contention": _contention,
    "single-rounds": "one round on each side can't tell a change from noise; measure more rounds",
    "little-data": _little_data,
    "unpaired-rounds": "{before} rounds were paired with {now}; the surplus was left out",
    "unsteady-count": _unsteady_count,
    "metric-unknown": "{names} could not be compared: unknown on one side or both",
    "left-to-wrapper": _left_to_wrapper,
    "scatter": "nodes scatter {factor:.1f} times as much as in the baseline; the tests allow for that",
    "shift-unexplained": "{shift}, which the calibration does not explain",
    "shift-undecided-busy": f"{{shift}}; {_UNDECIDED}: {_BUSY}",
    "shift-undecided-split": _undecided_split,
    "shift-undecided-commands": _undecided_commands,
    "shift-contradicted": (
        "{shift}, but the calibration moved by another amount; either it was disturbed, or the whole build "
        "changed: repeat it, or interleave"
    ),
    "shift-removed-busy": f"{{shift}}, taken out; {_BUSY}, so that nothing more is known of its speed",
    "shift-confirmed": "{shift}; the calibration agrees within its noise, so it was the machine and is taken out",
    "shift-removed": "{shift}, taken out; without calibrations machine and build can't be told apart",
    "other-machine": "the baseline is from another machine ({difference})",
    "other-kernel": "the kernel was {before}, and is {now} now",
    "confirming": confirming_in_words,
    "refuted": refuted_in_words,
    "not-confirmed": "nothing could be confirmed: {reason}",
}
