"""A comparison in words: the cause in one line, what could have been seen, and why nothing can be said."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_ptreetime.decision.finding import COMMON_KEY, Comparison, Finding, Power, PowerLevel
from pytest_ptreetime.metrics import metric_of
from pytest_ptreetime.system.figures import Unit, amount, amounts, change, counted, part, signed

__all__ = [
    "change_in_words",
    "comparison_sentence",
    "cost_in_words",
    "finding_sentence",
    "little_power",
    "power_statement",
    "together_in_words",
]

#: The metric whose power a verdict depends on: the steadiest that is there.
_POWER_METRICS = ("cpu", "wall", "user", "sys")
#: A shift of the machine is worth a word from here.
NOTABLE_SHIFT = 0.02
#: ``ok`` promises that a change of this size in a sizeable node would have been found; else it is ``inconclusive``.
OK_RESOLUTION = 0.25
#: "Nodes above 50 ms" is what the power sentence speaks of, where there are such nodes.
SIZEABLE = 0.05
#: A smaller part of the build is told as being smaller.
LEAST_PART = 0.001
#: Programs of one kind that each cost less than this part of the build are told together.
SMALL_PART = 0.01
#: Where not even a tripling would have been found, times can't be judged.
LARGEST_IN_WORDS = 2.0


def change_in_words(finding: Finding) -> str:
    """What happened to the node, without its name."""
    if finding.metric == "count":
        if finding.level:
            text = "stands in front now" if finding.kind != "removed" else "no longer stands in front"
            return text + cost_in_words(finding)
        if finding.kind == "added":
            text = "is new" if finding.current == 1 else f"is new, runs {_times(finding.current)}"
        elif finding.kind == "removed":
            text = "no longer runs" if finding.baseline == 1 else f"no longer runs (ran {_times(finding.baseline)})"
        else:
            text = f"runs {_times(finding.current)} instead of {_times(finding.baseline).removesuffix(' times')}"
        return text + cost_in_words(finding)
    moved = change(finding.ratio) if finding.ratio is not None else "from nothing"
    difference = finding.current - finding.baseline
    figures = amounts([abs(difference), finding.baseline, finding.current, finding.measured], _unit(finding.metric))
    sides = f"{figures[1]} -> {figures[2]}"
    if finding.measured and abs(finding.measured / (finding.current or finding.measured) - 1) >= NOTABLE_SHIFT:
        sides += f" at the baseline's machine speed; measured {figures[3]}"
    text = f"{finding.metric} {moved} ({'-' if difference < 0 else '+'}{figures[0]}, {sides})"
    if finding.against == "pinned":
        text += " since the pinned session"
    return text


def cost_in_words(finding: Finding) -> str:
    """``: +0.12 s of processor time, 2 % of the build``; nothing where the cost is not known."""
    if finding.cost is None or finding.cost_metric is None:
        return ""
    what = "processor time" if finding.cost_metric == "cpu" else f"{finding.cost_metric} time"
    of_build = "" if finding.part is None else f", {_of_build(finding.part)}"
    return f": {signed(finding.cost, _unit(finding.cost_metric))} of {what}{of_build}"


def together_in_words(findings: Sequence[Finding], name: str, verb: str) -> str:
    """``12 x echo are new: +18 ms of processor time, 2 % of the build``."""
    text = f"{len(findings)} x {name} {verb}"
    if findings[0].cost_metric is None:
        return text
    cost = sum(finding.cost or 0.0 for finding in findings)
    of_build = sum(finding.part or 0.0 for finding in findings)
    return f"{text}: {signed(cost, 's')} of processor time, {_of_build(of_build)}"


def _of_build(ratio: float) -> str:
    return f"{part(ratio) if ratio >= LEAST_PART else f'less than {part(LEAST_PART)}'} of the build"


def _times(count: float) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count:g} times"


def _unit(metric: str) -> Unit:
    return metric_of(metric).unit


def finding_sentence(finding: Finding) -> str:
    """As ``cc1 lvm.c: cpu +9.8 % (+0.31 s, 1.9 s -> 2.2 s), explains 94 % of the build's +0.33 s``."""
    between = " " if finding.metric == "count" else ": "
    text = f"{finding.label or finding.key}{between}{change_in_words(finding)}"
    if finding.waited is not None:
        text = f"{_waited(finding)}; {text}"
    if finding.cause is not None:
        text += f", because {finding.cause}"
    if finding.key == COMMON_KEY:
        text += "; the machine does not explain it"
    elif finding.metric != "count" and finding.share is not None and finding.cost is not None:
        build = signed(finding.cost / finding.share, _unit(finding.cost_metric or finding.metric))
        explained = f"{100 * finding.share:.0f} %" if finding.share <= 1.1 else "more than all"
        text += f", explains {explained} of the build's {build}"
    if finding.work is not None:
        text += f"; {finding.work}"
    if finding.within_disturbance:
        text += "; less than what tracing adds to a process"
    if finding.on_critical_path:
        text += "; on the critical path"
    if finding.contention:
        text += "; it waited for a processor while its work stayed the same: contention"
    return text


def _waited(finding: Finding) -> str:
    seconds = finding.waited or 0.0
    more = "longer" if seconds > 0 else "less"
    return f"waits {amount(abs(seconds), 's')} {more}: {finding.waited_for} was waiting while nothing of the build ran"


def power_statement(
    levels: Sequence[PowerLevel], *, sessions: int, rounds: int, paired: bool, planned: bool = False
) -> Power | None:
    """The levels with the one that matters picked and put into words; None where no times were compared.

    That is the level of SIZEABLE nodes, or of the largest there are.
    """
    for metric in _POWER_METRICS:
        own = [level for level in levels if level.metric == metric]
        if own:
            break
    else:
        return None
    chosen = next((level for level in own if level.above >= SIZEABLE), own[-1])
    if paired:
        data = f"these {counted(rounds, 'interleaved round')}"
    else:
        data = f"{counted(rounds, 'round')} and a baseline of {counted(sessions, 'session')}"
    nodes = f"nodes above {amount(chosen.above, 's')}"
    if chosen.effect >= LARGEST_IN_WORDS:
        sentence = f"with {data} the times of {nodes} can't be judged"
    else:
        sentence = (
            f"with {data} a change of {metric} by {part(chosen.effect)} or more in {nodes} would "
            f"{'be' if planned else 'have been'} found {10 * chosen.probability:.0f} times in 10"
        )
    return Power(chosen.effect, chosen.above, metric, list(levels), sentence)


def little_power(power: Power) -> str:
    """What the noise hides."""
    if power.effect >= LARGEST_IN_WORDS:
        return "times can't be judged here"
    return f"a change of {power.metric} by less than {part(power.effect)} may have been missed"


def comparison_sentence(comparison: Comparison) -> str:
    """The verdict's reason in one line."""
    causes = comparison.causes
    worse = [finding for finding in causes if finding.is_worse]
    if comparison.verdict == "regression" and worse:
        return _with_others(worse)
    if comparison.verdict == "improvement" and causes:
        return _with_others(causes)
    if comparison.verdict == "inconclusive":
        found = f"; found all the same: {_with_others(causes)}" if causes else ""
        return "inconclusive: " + "; ".join(comparison.reasons) + found
    if comparison.verdict == "no-baseline":
        return "there is no baseline to compare with"
    changes = "".join(f"{text}; " for text in comparison.changes[:1])
    if comparison.power is None:
        return f"{changes}no change of the counts"
    if comparison.power.above < SIZEABLE and comparison.power.effect > OK_RESOLUTION:
        short = "the times are too short to be judged well"
        return f"{changes}no change of the counts; {short}: {comparison.power.sentence}"
    return f"{changes}no change; {comparison.power.sentence}"


def _with_others(findings: Sequence[Finding]) -> str:
    first = findings[0]
    alike = [finding for finding in findings if _is_small(first) and _is_small(finding) and _kin(first, finding)]
    if len(alike) > 1:  # none of them would be worth a word by itself
        text = (
            f"{together_in_words(alike, _kind_of_program(first), 'are new')}; the dearest: {first.label or first.key}"
        )
        others = len(findings) - len(alike)
    else:
        text, others = first.sentence, len(findings) - 1
    return text + (f" (and {counted(others, 'other cause')})" if others else "")


def _is_small(finding: Finding) -> bool:
    return finding.kind == "added" and finding.part is not None and finding.part < SMALL_PART


def _kin(one: Finding, other: Finding) -> bool:
    return _kind_of_program(one) == _kind_of_program(other)


def _kind_of_program(finding: Finding) -> str:
    return (finding.label or finding.key).partition(" ")[0]
