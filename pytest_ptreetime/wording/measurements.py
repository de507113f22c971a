"""What reports for people say in the same words: the verdict, how sure it is, a finding's figures, the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_ptreetime.decision.finding import BUILD_KEY, COMMON_KEY
from pytest_ptreetime.metrics import metric_of
from pytest_ptreetime.system.figures import UNKNOWN, amount, amounts, change, counted, ratio_of
from pytest_ptreetime.system.untrusted_text import shown
from pytest_ptreetime.wording.changes import changes_in_words
from pytest_ptreetime.wording.remarks import reasons_in_words
from pytest_ptreetime.wording.sentences import power_sentence
from pytest_ptreetime.wording.verdicts import comparison_sentence

if TYPE_CHECKING:
    from pytest_ptreetime.decision.finding import Comparison, Finding
    from pytest_ptreetime.reports.results import Measurement, SessionResult

__all__ = [
    "APPEARED",
    "Changes",
    "certainty",
    "environment",
    "figure",
    "figures_of",
    "label_of",
    "part_of_change",
    "sentence",
    "untold_changes",
    "untold_reasons",
]

#: What stands in place of a change where a node is on one side only.
APPEARED = {"added": "new", "removed": "gone"}


def label_of(metric: str) -> str:
    """What tables call a metric."""
    return metric_of(metric).label or metric


def figure(metric: str, value: float | None) -> str:
    """A value of one of a profile's metrics, with its unit."""
    return amount(value, metric_of(metric).unit)


def figures_of(finding: Finding) -> tuple[str, str, str, str]:
    """A finding's row in a table: the metric, what was measured before and now, and the change at equal speed."""
    measured = finding.current if finding.measured is None else finding.measured
    before, now = amounts([finding.baseline, measured], metric_of(finding.metric).unit)
    moved = finding.ratio if finding.ratio is not None else ratio_of(finding.baseline, finding.current)
    return label_of(finding.metric), before, now, APPEARED.get(finding.kind) or change(moved)


class Changes:
    """What every node was multiplied by at the baseline's machine speed: where it was found, the finding's estimate."""

    def __init__(self, comparison: Comparison | None) -> None:
        self._found: dict[tuple[str, str], float] = {}
        self._machine: dict[str, float] = {}
        if comparison is not None:
            self._machine = comparison.machine_shifts
            for finding in (*comparison.contentions, *comparison.findings):
                if finding.ratio is not None and finding.metric != "count" and finding.against == "baseline":
                    self._found[finding.key, finding.metric] = finding.ratio

    def ratio(self, key: str, metric: str, before: float | None, now: float | None) -> float | None:
        """Of the node ``key``, for which ``before`` and ``now`` were measured; None where it is not known."""
        if (key, metric) in self._found:
            return self._found[key, metric]
        measured = ratio_of(before, now)
        return None if measured is None else measured / self._machine.get(metric, 1.0)

    def of_build(self, measurement: Measurement, metric: str) -> float | None:
        """Of the build as a whole: its cpu time is the sum of all processes, its wall time that of its root."""
        key = measurement.tree.root.key if metric_of(metric).cumulative else BUILD_KEY
        return self.ratio(key, metric, (measurement.whole_before or {}).get(metric), measurement.whole.get(metric))


def part_of_change(finding: Finding) -> str:
    """The part of the whole build's change that this one is."""
    return UNKNOWN if finding.share is None else f"{100 * finding.share:.0f} %"


def sentence(measurement: Measurement, room: int | None = None) -> str:
    """The verdict in one sentence, with its cause; ``room`` as finding_sentence() has it."""
    comparison = measurement.comparison
    if comparison is None:
        return shown(measurement.message or "Nothing was to be compared.")
    return shown(comparison_sentence(comparison, room))


def untold_changes(comparison: Comparison) -> list[str]:
    """What changed besides, as far as the verdict's sentence has not told it."""
    changes = changes_in_words(comparison)
    return changes[1:] if comparison.verdict == "ok" else changes


def untold_reasons(comparison: Comparison) -> list[str]:
    """Why nothing can be said of some of it; the sentence of an inconclusive verdict has told that."""
    return [] if comparison.verdict == "inconclusive" else reasons_in_words(comparison)


def certainty(comparison: Comparison) -> list[str]:
    """How sure the verdict is, and why: the rounds and sessions, the costliest finding's interval, the power."""
    sides = (
        f"{counted(comparison.rounds, 'pair')} of rounds, run in turns"
        if comparison.paired
        else f"{counted(comparison.rounds, 'round')} against {counted(comparison.sessions, 'stored session')}"
    )
    told = {remark.kind for remark in (*comparison.reasons, *comparison.notes)}
    shift = (
        "" if any(kind.startswith(("shift-removed", "shift-confirmed")) for kind in told) else _taken_out(comparison)
    )
    lines = [f"How sure: {sides}{shift}."]
    tested = next((finding for finding in comparison.causes if finding.interval is not None), None)
    if tested is not None and tested.interval is not None:
        low, high = tested.interval
        lines.append(
            f"{shown(tested.label or tested.key)}, {label_of(tested.metric)}: 95 % interval "
            f"{change(low)} to {change(high)}; {_false_ones(tested.q_value)} of such findings is false."
        )
    elif comparison.causes:
        lines.append("The numbers of processes are exact: no noise is involved.")
    if comparison.power is not None and comparison.verdict != "ok" and "little-data" not in told:  # which tell it
        lines.append(power_sentence(comparison.power))
    return [shown(line) for line in lines]


def _false_ones(rate: float | None) -> str:
    """A false discovery rate in words."""
    if rate is None or rate < 1e-6:
        return "fewer than one in a million"
    return f"about one in {round(1 / rate):,}" if rate < 0.5 else "every other one"


def _taken_out(comparison: Comparison) -> str:
    """The machine's part of each metric, where one was taken out: of what all processes share the machine may be it."""
    if any(finding.key == COMMON_KEY for finding in comparison.findings):
        return "; what all processes share is not taken out"
    shifts = {metric: factor for metric, factor in comparison.machine_shifts.items() if metric in ("cpu", "wall")}
    if not shifts:
        return ""
    told = " and ".join(f"{change(factor)} of {metric}" for metric, factor in shifts.items())
    return f"; the machine's own shift, {told}, is taken out"


def environment(session: SessionResult) -> list[tuple[str, str]]:
    """What is known of the machine and the run, as pairs to show."""
    host = session.host
    facts = [
        ("machine", session.machine),
        ("processor", f"{host.cpu_count} x {host.cpu_model}"),
        ("memory", amount(host.memory_bytes, "B")),
        ("system", f"{host.os}, {host.kernel}, {host.machine}"),
        ("commit", session.commit or UNKNOWN),
        ("run order", session.run_order or UNKNOWN),
        *session.machine_info.items(),
    ]
    return [(shown(name), shown(value)) for name, value in facts]
