"""Each suspect of a comparison is measured alone, until it is decided or the time is spent.

All of them have their first look before any has its second, and the most suspicious have theirs first: one that is hard
to decide costs the others nothing. What ten pairs leave open is counted before it is measured again: on a busy
machine times tell little, and instructions are the same as ever.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
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
#: The look before which instructions are counted: what ten pairs leave open.
COUNTED_AT = LOOKS.index(20)
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
    :param on_suspect: called with the label, the number and the count of suspects when one is measured.
    """
    result = Confirmed()
    began = time.monotonic()
    deadline = began + budget
    with ExitStack() as stack:
        measured = [_Alone(finding, sides, ERROR / len(suspects), deadline, stack) for finding in suspects]
        try:
            for look_number in range(len(LOOKS)):
                for alone in sorted((one for one in measured if one.decided is None), key=_Alone.chance):
                    on_suspect(alone.finding.label or alone.finding.key, measured.index(alone) + 1, len(suspects))
                    alone.look(look_number)
        except KeyboardInterrupt:
            result.interrupted = True
    result.outcomes = {alone.finding.key: alone.decided for alone in measured if alone.decided is not None}
    result.processor = next((alone.processor for alone in measured if alone.processor is not None), None)
    result.seconds = time.monotonic() - began
    return result


class _Alone:
    """One suspect while it is measured. Its replays' process is kept until the end of ``stack``, or its decision."""

    def __init__(
        self,
        finding: Finding,
        sides: tuple[CapturedBuild, CapturedBuild],
        alpha: float,
        deadline: float,
        stack: ExitStack,
    ) -> None:
        self.finding = finding
        self.decided: Confirmation | None = None
        self.processor: int | None = None
        self._sides, self._alpha, self._deadline = sides, alpha, deadline
        self._stack = stack.enter_context(ExitStack())
        self._replays: Replayer | None = None
        self._samples: tuple[list[float], list[float]] = ([], [])
        self._estimate: Estimate | None = None
        self._counted: Counted | None = None
        self._cpu = 0.0  # of the process in the build
        self._seconds = 0.0

    def chance(self) -> float:
        """How likely it is that chance alone made it look slower, as far as is known."""
        return 1.0 if self._estimate is None else self._estimate.p_value

    def look(self, number: int) -> None:
        """Measure as many pairs as the look with this number wants, and decide if they can, or if it is the last."""
        if self._replays is None and self._is_late():
            self.decided = Confirmation("undecided", "the time budget was used up before its turn came")
            return
        began = time.monotonic()
        try:
            self._measure(number)
        except Refused as refused:
            self._close(Confirmation("refused", str(refused)))
        finally:
            self._seconds += time.monotonic() - began
            if self.decided is not None:
                self.decided.seconds = self._seconds

    def _measure(self, number: int) -> None:
        replays = self._opened()
        if number == COUNTED_AT:
            counted = self._instructions()
            if counted is not None and (self._executes_more(counted) or not self._claimed):
                self._decide()
                return
        before, after = self._samples
        while len(after) < LOOKS[number]:
            if self._is_late():
                self._decide()
                return
            for side in _order(len(after)):
                self._samples[side].append(max(replays.cpu(side), 1e-6))
        self._estimate = look(
            [math.log(now / then) for then, now in zip(before, after, strict=True)],
            threshold=math.log1p(self._smallest),
            alpha=spent_at(number, self._alpha),
            claimed=self._claimed,
        )
        if self._estimate.verdict is not None or number == len(LOOKS) - 1:
            self._decide()

    def _opened(self) -> Replayer:
        if self._replays is None:
            both = [_suspect(side, self.finding.key) for side in self._sides]
            self._cpu = both[0].node.cpu or 0.0
            self._replays = self._stack.enter_context(replayer(both))
            self.processor = self._replays.processor
            for side in (0, 1):
                self._replays.cpu(side)  # what is read comes into the page cache, and what can't be replayed is known
        return self._replays

    def _instructions(self) -> Counted | None:
        """Counted once, where there is the time for it; None where they are not known."""
        if self._counted is None and self._replays is not None and self._has(COUNTING_TIMES * self._cpu):
            self._counted = count(self._replays)
        return self._counted

    def _executes_more(self, counted: Counted) -> bool:
        return counted.ratio - 1 > max(self._smallest, SPREADS * counted.spread)

    def _decide(self) -> None:
        done = _outcome(self._samples, self._estimate)
        counted = self._instructions() if done.outcome != "refuted" else None
        if counted is not None:
            done.instructions, done.counted_by, done.spread = counted.ratio, counted.by, counted.spread
            if done.outcome == "undecided" and self._executes_more(counted):
                done.outcome, done.reason = "confirmed", "by instructions"
            elif done.outcome == "undecided" and not self._claimed:
                done.reason = "times vary, and no more instructions are executed"
        self._close(done)

    def _close(self, done: Confirmation) -> None:
        self.decided = done
        self._stack.close()

    def _is_late(self) -> bool:
        return not self._has(0.0)

    def _has(self, seconds: float) -> bool:
        return time.monotonic() + seconds < self._deadline

    @property
    def _claimed(self) -> bool:
        """The rounds found it: only certainty lets it go."""
        return self.finding.q_value <= ERROR

    @property
    def _smallest(self) -> float:
        return self.finding.smallest or SMALLEST


def _suspect(side: CapturedBuild, key: str) -> Suspect:
    node = side.node(key)
    return Suspect(side.image(node), node)


def _order(pair: int) -> tuple[int, int]:
    """A B, B A, B A, A B, ...: drifts that are linear or quadratic fall out (the sequence of Thue and Morse)."""
    return (1, 0) if pair.bit_count() % 2 else (0, 1)


def _outcome(samples: tuple[list[float], list[float]], estimate: Estimate | None) -> Confirmation:
    before, after = samples
    if estimate is None:
        reason = f"the time budget was used up after {len(after)} pairs"
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
        done.reason = "the replays vary too much" if len(after) >= LOOKS[-1] else "the time budget was used up"
    return done
