"""What a comparison says: its findings, how sure it is, and what it could not have seen.

Plain data, which workers send and reports take; nothing here computes, and numpy is not needed to read it. The words
for it are made in ``wording``.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = [
    "BUILD_KEY",
    "COMMON_KEY",
    "Against",
    "Change",
    "CommandDifference",
    "Comparison",
    "Confirmation",
    "Confirming",
    "CountKind",
    "Finding",
    "Kind",
    "Power",
    "PowerLevel",
    "Remark",
    "RemarkKind",
    "Verdict",
]

Verdict: TypeAlias = Literal["ok", "regression", "improvement", "inconclusive", "no-baseline"]
CountKind: TypeAlias = Literal["added", "removed", "count"]
Kind: TypeAlias = Literal["regression", "improvement"] | CountKind
Against: TypeAlias = Literal["baseline", "pinned"]
#: What a remark says; wording/remarks.py has a sentence for each.
RemarkKind: TypeAlias = Literal[
    "text",  # text: a plugin's own words
    "incomplete-rounds",  # side (current, baseline, pinned), incomplete, rounds, reason
    "no-complete-baseline",
    "all-ignored",
    "contention",
    "single-rounds",
    "little-data",
    "unpaired-rounds",  # before, now
    "unsteady-count",  # key, counts
    "metric-unknown",  # names
    "scatter",  # factor
    "left-to-wrapper",
    # What became of the shift that all processes share; ``busy`` says what kept the machine busy.
    "shift-unexplained",
    "shift-undecided-busy",  # busy
    "shift-undecided-split",
    "shift-undecided-commands",  # ratio: of the processes whose command changed
    "shift-contradicted",
    "shift-removed-busy",  # busy
    "shift-confirmed",
    "shift-removed",
    "other-machine",  # difference
    "other-kernel",  # before, now
    "confirming",  # how Comparison.confirming went
    "refuted",  # key
    "not-confirmed",  # reason
]

#: The key of a finding that most processes share: everything got slower, and the machine did not.
COMMON_KEY = "(every process)"
#: The key of the build as a whole: its cpu time is the sum over all processes.
BUILD_KEY = "(the build)"


class CommandDifference(msgspec.Struct, frozen=True):
    """How a command differs from the baseline's.

    Each part is a word before and the word that stands in its place now, None where one side has no such word.
    ``more`` counts the parts that are left out.
    """

    parts: tuple[tuple[str | None, str | None], ...]
    more: int = 0


class Confirmation(msgspec.Struct):
    """What came of measuring a suspect alone, by replays of both sides in turns.

    ``outcome`` is ``confirmed``, ``refuted``, ``undecided`` (the budget was spent, or the replays vary too much) or
    ``refused`` (it can't be replayed; ``reason`` says why). ``ratio`` is what the cpu time was multiplied by, and
    ``interval`` its 95 % confidence interval; ``before`` and ``after`` are the samples, cpu seconds of the replays of
    each side in their order. ``seconds`` is what it took. ``instructions`` is the ratio of the instructions executed
    in user mode, where a program is here that counts them (``counted_by``); ``spread`` is how far two counts of the
    first side lie apart, as a ratio.
    """

    outcome: Literal["confirmed", "refuted", "undecided", "refused"]
    reason: str = ""
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    p_value: float | None = None
    before: list[float] = []
    after: list[float] = []
    seconds: float = 0.0
    instructions: float | None = None
    counted_by: str | None = None
    spread: float = 0.0


class Finding(msgspec.Struct):
    """One node and metric that changed.

    ``kind`` is ``regression``, ``improvement``, ``added`` (the key is new), ``removed`` (it no longer occurs) or
    ``count`` (it occurs more or less often). ``baseline`` and ``current`` are seconds, bytes or counts of one round;
    ``current`` is what would have been measured at the baseline's machine speed and ``measured`` what was (None for
    counts), typical rounds both; ``ratio`` is the estimate of what it was multiplied by at the baseline's machine speed
    (None from or to 0), which is near the quotient of current and baseline, and ``interval`` its 95 % confidence
    interval. ``p_value`` is that of TREAT, ``q_value`` the
    adjusted one (both 0 for exact findings).
    """

    key: str
    metric: str
    kind: Kind
    baseline: float
    current: float
    measured: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    p_value: float = 0.0
    q_value: float = 0.0
    #: The key of the finding that is the cause of this one, and that finding's metric; None for a cause.
    explained_by: str | None = None
    explained_by_metric: str | None = None
    #: The key without what its parent's key already says: ``cc1 lvm.c``.
    label: str = ""
    #: The name of the node's program: ``cc1``.
    program: str = ""
    #: What the change costs a round, in ``cost_metric`` (seconds; for counts that of cpu or wall, None if unknown, and
    #: of a cause the cpu time of all the processes that come or go with it).
    cost: float | None = None
    cost_metric: str | None = None
    #: The cost's part of the whole build's change in the same metric; None where the build changed the other way.
    share: float | None = None
    on_critical_path: bool = False
    #: Wall time that was spent waiting for a processor while the work stayed the same: the machine's doing.
    contention: bool = False
    #: The part of the whole build's amount before, in ``cost_metric`` (0.02: 2 % of the build).
    part: float | None = None
    #: Of a difference of structure: whether its cost is a reason to fail (of what is gone: worth a finding).
    matters: bool = True
    #: Work that the build does already is done once more.
    again: bool = False
    #: Of a compile that is new while others of its file are not: how often a round compiled the file, and does now.
    compiles: tuple[float, float] | None = None
    #: A program that stands on one side only above programs of both: a wrapper.
    level: bool = False
    #: How the node's command differs, where that explains the finding; ``alike`` more commands differ in the same way
    #: (of what most processes share: that many do).
    cause: CommandDifference | None = None
    alike: int = 0
    #: The program that stands in front of all that changed with this, or no longer does: that is the cause.
    wrapper: str | None = None
    wrapper_gone: bool = False
    #: Of a time: the metrics of input and output before and now, of which each side's rounds all have the same value.
    work: dict[str, tuple[float, float]] | None = None
    #: Of wall time: the seconds that the build waited longer, and for whom.
    waited: float | None = None
    waited_for: str | None = None
    #: A process changed by less than what tracing adds to it (tracers.PROCESS_COST).
    below_tracing_overhead: bool = False
    #: ``baseline``, or ``pinned`` for a change that only the pinned session shows (slow creep).
    against: Against = "baseline"
    #: The smallest change that matters (0.005 is 0.5 %), of a suspect.
    smallest: float | None = None
    #: What came of measuring the process alone; None where that was not asked for, or not of this finding.
    confirmation: Confirmation | None = None

    @property
    def sentence(self) -> str:
        """The finding in words."""
        from pytest_ptreetime.wording.sentences import finding_sentence

        return finding_sentence(self)

    @property
    def is_cause(self) -> bool:
        """No other finding explains it."""
        return self.explained_by is None

    @property
    def is_confirmed(self) -> bool:
        """Its process was measured alone, and did change."""
        return self.confirmation is not None and self.confirmation.outcome == "confirmed"

    @property
    def is_worse(self) -> bool:
        """It fails a build: slower, or more work."""
        return (
            not self.contention
            and self.matters
            and (self.kind in ("regression", "added") or (self.kind == "count" and self.current > self.baseline))
        )


class Change(msgspec.Struct):
    """What is different in the build without being a reason to fail: ``count`` processes of one program.

    Of kind ``command`` their commands have the ``difference``; else they are programs that came, went or run another
    number of times (``wrapper``: that stand in front of others), and ``findings`` are theirs, the costliest first. Of
    kind ``outside`` a process that is not in the tree used the processor for the ``seconds`` before and now.
    """

    kind: Literal["command", "wrapper", "outside"] | CountKind
    program: str
    count: int
    difference: CommandDifference | None = None
    findings: list[Finding] = []
    seconds: tuple[float, float] | None = None


class Remark(msgspec.Struct, frozen=True):
    """Why a verdict is inconclusive, or what should be known besides. ``values`` are what its sentence names."""

    kind: RemarkKind
    values: dict[str, str | float | list[float]] = {}


class Confirming(msgspec.Struct):
    """How suspects were measured alone: each with its ``confirmation``, in their order.

    ``processor`` is the one that each replay had for itself, under SCHED_FIFO; None where that is not permitted.
    ``left`` are those that were not measured, as Ctrl-C was pressed.
    """

    measured: list[Finding] = []
    seconds: float = 0.0
    processor: int | None = None
    left: int = 0


class PowerLevel(msgspec.Struct):
    """Among the ``nodes`` nodes of at least ``above`` (seconds), a change by ``effect`` (0.03 is 3 %) would be found in
    at least ``covered`` of them with ``probability``.
    """

    metric: str
    above: float
    nodes: int
    effect: float
    probability: float = 0.9
    covered: float = 0.9


class Power(msgspec.Struct):
    """What this comparison could have seen. ``levels`` go from small nodes to large ones, metric by metric;
    ``effect`` and ``above`` are the one that the verdict depends on: with infinite ``effect`` no time is compared.

    ``sessions``, ``rounds`` and ``paired`` are the data that it takes; ``planned`` are those of a session to come.
    ``assumed_noise`` is the noise between sessions where one session can't tell it.
    """

    effect: float
    above: float
    metric: str
    levels: list[PowerLevel]
    sessions: int = 0
    rounds: int = 0
    paired: bool = False
    planned: bool = False
    probability: float = 0.9
    assumed_noise: float | None = None

    @property
    def sentence(self) -> str:
        """What would have been found, in words."""
        from pytest_ptreetime.wording.sentences import power_sentence

        return power_sentence(self)


class Comparison(msgspec.Struct):
    """The decision on one test.

    ``verdict`` is ``ok``, ``regression``, ``improvement``, ``inconclusive`` or ``no-baseline``. ``host_shift`` is the
    factor by which everything moved (1.2: 20 % slower), by ``host_shifts`` for each metric. ``reasons`` say why a
    verdict is inconclusive, ``notes`` what else should be known. ``findings`` are ordered: causes first, then by cost.
    """

    verdict: Verdict
    findings: list[Finding] = []
    host_shift: float = 1.0
    host_shifts: dict[str, float] = {}
    #: The part of each that is taken for the machine's, and taken out of every change.
    machine_shifts: dict[str, float] = {}
    power: Power | None = None
    #: What a plugin that made the decision says of it, in place of our words.
    message: str | None = None
    reasons: list[Remark] = []
    notes: list[Remark] = []
    #: Slower only because of other work on the machine: shown, never failed.
    contentions: list[Finding] = []
    #: Processes that may have become slower: worth to be measured alone. Only where that was asked for.
    suspects: list[Finding] = []
    confirming: Confirming | None = None
    #: Every difference of structure, those that are no reason to fail too.
    structure: list[Finding] = []
    #: Changes of processes below a wrapper that came or went, which are in line with those of all others below it.
    left: list[Finding] = []
    #: What changed in the build besides: commands, wrappers, small programs that came or went.
    changes: list[Change] = []
    #: The part of the processes of this session that have a counterpart in the baseline.
    comparable: float | None = None
    #: More rounds would not change the verdict: something was found, or 5 % would have been.
    decided: bool = False
    sessions: int = 0
    rounds: int = 0
    paired: bool = False

    @property
    def sentence(self) -> str:
        """The verdict and its cause in one sentence."""
        from pytest_ptreetime.wording.verdicts import comparison_sentence

        return comparison_sentence(self)

    @property
    def causes(self) -> list[Finding]:
        """The findings that no other one explains."""
        return [finding for finding in self.findings if finding.is_cause]
