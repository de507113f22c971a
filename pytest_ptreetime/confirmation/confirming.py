"""Each suspect of a comparison is measured alone, until it is decided or the time is spent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pytest_ptreetime.confirmation.capture import CapturedBuild
from pytest_ptreetime.confirmation.counting import Counted, count
from pytest_ptreetime.confirmation.refused import Refused
from pytest_ptreetime.confirmation.replaying import Replayer, Suspect, replayer
from pytest_ptreetime.confirmation.sequential import LOOKS, Estimate, look, spent_at
from pytest_ptreetime.decision.finding import BUILD_KEY, COMMON_KEY, Comparison, Confirmation, Finding

__all__ = ["MOST_SUSPECTS", "Confirmed", "confirm", "suspects_of"]

#: So many processes are measured alone at most, besides those that the rounds found.
MOST_SUSPECTS = 20
#: Of all suspects together this part of the sessions may confirm one where nothing has changed.
ERROR = 0.01
#: The smallest change that matters, where the rounds do not say.
SMALLEST = 0.005
#: Three counts take about so many times the processor time of one run.
COUNTING_TIMES = 50.0
#: Counts decide where they lie apart by so many times what two counts of one side do.
SPREADS = 5.0


@dataclass
class Confirmed:
    """The outcomes by key, and how they were come by."""

    outcomes: dict[str, Confirmation] = field(default_factory=dict)
    #: The processor that replays had for themselves under SCHED_FIFO; None: they took their turns as others do.
    processor: int | None = None
    seconds: float = 0.0
    #: Ctrl-C: what came after it was not measured.
    interrupted: bool = False


def suspects_of(comparison: Comparison) -> list[Finding]:
    """What is to be measured alone: what was found first, then what the rounds made suspicious."""
    found = [
        finding
        for finding in comparison.causes
        if finding.metric in ("cpu", "user", "sys")
        and finding.kind == "regression"
        and finding.key not in (BUILD_KEY, COMMON_KEY)
    ]
    by_key: dict[str, Finding] = {}
    for finding in (*found, *comparison.suspects):
        by_key.setdefault(finding.key, finding)
    return list(by_key.values())


def confirm(
    suspects: Sequence[Finding],
    sides: tuple[CapturedBuild, CapturedBuild],
    *,
    budget: float,
    on_suspect: Callable[[str, int, int], object] = lambda label, number, total: None,
) -> Confirmed:
    """Measure each suspect alone.

    :param sides: the captured runs, the baseline's first.
    :param budget: seconds for all of them.
    :param on_suspect: called with the label, the number and the count of suspects when one begins.
    """
    result = Confirmed()
    began = time.monotonic()
    deadline = began + budget
    try:
        for number, finding in enumerate(suspects, 1):
            on_suspect(finding.label or finding.key, number, len(suspects))
            if time.monotonic() >= deadline:
                result.outcomes[finding.key] = Confirmation("undecided", "the time was spent before its turn came")
                continue
            result.outcomes[finding.key] = _confirm(finding, sides, ERROR / len(suspects), deadline, result)
    except KeyboardInterrupt:
        result.interrupted = True
    result.seconds = time.monotonic() - began
    return result


def _confirm(
    finding: Finding, sides: tuple[CapturedBuild, CapturedBuild], alpha: float, deadline: float, result: Confirmed
) -> Confirmation:
    began = time.monotonic()
    try:
        both = [_suspect(side, finding.key) for side in sides]
        with replayer(both) as replays:
            result.processor = replays.processor
            for side in (0, 1):
                replays.cpu(side)  # what is read comes into the page cache, and what can't be replayed is known
            samples, estimate = _measured(replays, finding, alpha, deadline)
            done = _outcome(samples, estimate)
            counting = COUNTING_TIMES * (both[0].node.cpu or 0.0)
            if done.outcome != "refuted" and time.monotonic() + counting < deadline:
                _take_count(done, count(replays), finding.smallest or SMALLEST)
    except Refused as refused:
        return Confirmation("refused", str(refused), seconds=time.monotonic() - began)
    done.seconds = time.monotonic() - began
    return done


def _suspect(side: CapturedBuild, key: str) -> Suspect:
    node = side.node(key)
    return Suspect(side.image(node), node)


Samples = tuple[list[float], list[float]]


def _measured(replays: Replayer, finding: Finding, alpha: float, deadline: float) -> tuple[Samples, Estimate | None]:
    """Pairs until they decide; no estimate where there was not even time for the first look."""
    samples: Samples = ([], [])
    estimate: Estimate | None = None
    threshold = math.log1p(finding.smallest or SMALLEST)
    for number, pairs in enumerate(LOOKS):
        while len(samples[1]) < pairs:
            if time.monotonic() >= deadline:
                return samples, estimate
            for side in _order(len(samples[1])):
                samples[side].append(max(replays.cpu(side), 1e-6))
        differences = [math.log(now / before) for before, now in zip(*samples, strict=True)]
        spent = spent_at(number, alpha)
        estimate = look(differences, threshold=threshold, alpha=spent, claimed=finding.q_value <= ERROR)
        if estimate.verdict is not None:
            break
    return samples, estimate


def _order(pair: int) -> tuple[int, int]:
    """A B, B A, B A, A B, ...: drifts that are linear or quadratic fall out (the sequence of Thue and Morse)."""
    return (1, 0) if pair.bit_count() % 2 else (0, 1)


def _take_count(done: Confirmation, counted: Counted | None, smallest: float) -> None:
    """Instructions say why; where the times leave it open, they decide it."""
    if counted is None:
        return
    done.instructions, done.counted_by, done.spread = counted.ratio, counted.by, counted.spread
    if done.outcome == "undecided" and counted.ratio - 1 > max(smallest, SPREADS * counted.spread):
        done.outcome, done.reason = "confirmed", "by instructions"


def _outcome(samples: Samples, estimate: Estimate | None) -> Confirmation:
    before, after = samples
    if estimate is None:
        reason = f"the time was spent after {len(after)} pairs"
        return Confirmation("undecided", reason, before=before, after=after)
    low, high = estimate.effect - estimate.reach, estimate.effect + estimate.reach
    done = Confirmation(
        "confirmed" if estimate.verdict == "slower" else "refuted",
        ratio=math.exp(estimate.effect),
        interval=(math.exp(low), math.exp(high)),
        p_value=estimate.p_value,
        before=before,
        after=after,
    )
    if estimate.verdict is None:
        done.outcome = "undecided"
        done.reason = "the replays vary too much" if len(after) >= LOOKS[-1] else "the time was spent"
    return done
