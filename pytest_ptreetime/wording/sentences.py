"""A finding, and what a comparison could have found, each in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_ptreetime.decision.finding import BUILD_KEY, COMMON_KEY, Finding, Power
from pytest_ptreetime.decision.remarks import NOTABLE_SHIFT
from pytest_ptreetime.metrics import metric_of
from pytest_ptreetime.system.figures import Unit, amount, amounts, change, counted, part, signed
from pytest_ptreetime.wording.causes import difference_in_words, work_in_words
from pytest_ptreetime.wording.confirmations import confirmation_in_words

__all__ = [
    "change_in_words",
    "cost_in_words",
    "finding_sentence",
    "power_sentence",
    "together_in_words",
]

#: A smaller part of the build is told as being smaller.
LEAST_PART = 0.001
#: Where not even a tripling would have been found, times can't be judged.
LARGEST_IN_WORDS = 2.0


def finding_sentence(finding: Finding, room: int | None = None) -> str:
    """As ``cc1 lvm.c: cpu +9.8 % (+0.31 s, 1.9 s -> 2.2 s), explains 94 % of the build's +0.33 s``.

    :param room: characters; of what explains the change, what does not fit is left out.
    """
    between = " " if finding.metric == "count" else ": "
    text = f"{finding.label or finding.key}{between}{change_in_words(finding)}"
    if finding.waited is not None:
        text = f"{_waited(finding)}; {text}"
    for part_of_it in _explanation(finding):
        if room is None or len(text) + len(part_of_it) <= room:
            text += part_of_it
    return text


def _explanation(finding: Finding) -> Iterator[str]:
    """What follows the change, what matters most first."""
    if finding.confirmation is not None:
        yield f", {confirmation_in_words(finding.confirmation)}"
    yield _cause(finding)
    if finding.key == COMMON_KEY:
        yield "; the machine does not explain it"
    elif finding.key == BUILD_KEY:
        pass  # it is all of the change
    elif finding.metric != "count" and finding.share is not None and finding.cost is not None:
        build = signed(finding.cost / finding.share, _unit(finding.cost_metric or finding.metric))
        explained = f"{100 * finding.share:.0f} %" if finding.share <= 1.1 else "more than all"
        yield f", explains {explained} of the build's {build}"
    if finding.on_critical_path:
        yield "; on the critical path"
    if finding.contention:
        yield "; it waited for a processor while its work stayed the same: contention"
    if finding.work is not None:
        yield f"; {work_in_words(finding.work)}"
    if finding.below_tracing_overhead:
        yield "; less than what tracing adds to a process"


def _cause(finding: Finding) -> str:
    if finding.wrapper is not None:
        now = "no longer stands in front" if finding.wrapper_gone else "stands in front now"
        return f", because {finding.wrapper} {now}"
    if finding.cause is None:
        return ""
    if finding.key == COMMON_KEY:
        have = f"{counted(finding.alike, 'command')} {'has' if finding.alike == 1 else 'have'}"
        return f", because {have} {difference_in_words(finding.cause)}"
    more = f" (as {finding.alike} more)" if finding.alike else ""
    return f", because its command has {difference_in_words(finding.cause)}{more}"


def change_in_words(finding: Finding) -> str:
    """What happened to the node, without its name."""
    if finding.metric == "count":
        return _count_in_words(finding) + cost_in_words(finding)
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


def _count_in_words(finding: Finding) -> str:
    if finding.level:
        return "no longer stands in front" if finding.kind == "removed" else "stands in front now"
    if finding.kind == "added":
        text = "is new" if finding.current == 1 else f"is new, runs {_times(finding.current)}"
        if finding.compiles is None:
            return text
        before, now = map(_times, finding.compiles)
        return f"{text}, so that its file is compiled {now} instead of {before.removesuffix(' times')}"
    if finding.kind == "removed":
        return "no longer runs" if finding.baseline == 1 else f"no longer runs (ran {_times(finding.baseline)})"
    return f"runs {_times(finding.current)} instead of {_times(finding.baseline).removesuffix(' times')}"


def cost_in_words(finding: Finding) -> str:
    """``: +0.12 s of processor time, 2 % of the build``; nothing where the cost is not known, or its driver's."""
    if not finding.cost or finding.cost_metric is None:
        return ""
    what = "processor time" if finding.cost_metric == "cpu" else f"{finding.cost_metric} time"
    of_build = "" if finding.part is None else f", {_of_build(finding.part)}"
    return f": {signed(finding.cost, _unit(finding.cost_metric))} of {what}{of_build}"


def together_in_words(findings: Sequence[Finding], name: str, verb: str) -> str:
    """``12 x echo are new: +18 ms of processor time, 2 % of the build``."""
    text = f"{len(findings)} x {name} {verb}"
    cost = sum(finding.cost or 0.0 for finding in findings)
    if not cost or findings[0].cost_metric is None:
        return text
    of_build = sum(finding.part or 0.0 for finding in findings)
    return f"{text}: {signed(cost, 's')} of processor time, {_of_build(of_build)}"


def _of_build(ratio: float) -> str:
    return f"{part(ratio) if ratio >= LEAST_PART else f'less than {part(LEAST_PART)}'} of the build"


def _times(count: float) -> str:
    return "once" if count == 1 else "twice" if count == 2 else f"{count:g} times"


def _unit(metric: str) -> Unit:
    return metric_of(metric).unit


def _waited(finding: Finding) -> str:
    seconds = finding.waited or 0.0
    more = "longer" if seconds > 0 else "less"
    return f"waits {amount(abs(seconds), 's')} {more}: {finding.waited_for} was waiting while nothing of the build ran"


def power_sentence(power: Power) -> str:
    """As ``with 5 rounds ... a change of cpu by 3.0 % or more in nodes above 50 ms would have been found ...``."""
    if not power.metric:
        return "no times are stored: only changes of counts can be found, but all of those"
    if power.paired:
        data = f"these {counted(power.rounds, 'interleaved round')}"
    else:
        data = f"{counted(power.rounds, 'round')} and a baseline of {counted(power.sessions, 'session')}"
    nodes = f"nodes above {amount(power.above, 's')}"
    if power.effect >= LARGEST_IN_WORDS:
        text = f"with {data} the times of {nodes} can't be judged"
    else:
        text = (
            f"with {data} a change of {power.metric} by {part(power.effect)} or more in {nodes} would "
            f"{'be' if power.planned else 'have been'} found {10 * power.probability:.0f} times in 10"
        )
    if power.assumed_noise is not None:
        noise = part(power.assumed_noise)
        text += f", if sessions differ by {noise} a node: that is an assumption until there are more"
    return text
