"""What people read first: the summary of a session, and the message of a test that failed.

Both fit 80 columns (names give way, in the middle) and use colour only where the caller says that there is a terminal.
"""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING

from pytest_ptreetime.reports.bounds import bounds_in_words
from pytest_ptreetime.reports.fitted_names import wrapped
from pytest_ptreetime.reports.process_tables import WIDE_FOR_KEYS, table_with_names
from pytest_ptreetime.reports.terminal_colours import VERDICT_COLOURS, paint
from pytest_ptreetime.system.figures import UNKNOWN, amount, change, counted, seconds
from pytest_ptreetime.system.untrusted_text import middle, shown
from pytest_ptreetime.wording.changes import changes_in_words
from pytest_ptreetime.wording.measurements import (
    Changes,
    certainty,
    figures_of,
    part_of_change,
    sentence,
    untold_changes,
    untold_reasons,
)
from pytest_ptreetime.wording.remarks import notes_in_words
from pytest_ptreetime.wording.sentences import finding_sentence

if TYPE_CHECKING:
    from pytest_ptreetime.decision.finding import Comparison, Finding, Verdict
    from pytest_ptreetime.reports.results import Measurement, SessionResult
    from pytest_ptreetime.settings import Settings

__all__ = ["TerminalReport", "failure_text", "properties", "summary_text"]

FINDINGS_SHOWN = 15
LINES_OF_FINDING = 3
LONGEST_GAP = 12  # columns that a line may lose to the word that does not fit, and to its indentation
_FINDING_HEADS = ("node", "metric", "measured\nbefore", "measured\nnow", "change at\nequal speed", "of the\nwhole")
WIDE = 140  # columns from which the figures before, the tracer and the host's shift have a place in the summary
QUIET_LINES = 20  # of what was not compared, under -q
WAIT_TOLD = 1.0  # seconds from which on waiting for other measurements is worth a line
_DEFAULT_WIDTH = 80
_ORDER: tuple[Verdict, ...] = ("regression", "inconclusive", "improvement", "ok")


class TerminalReport:
    """The summary as plain text, as ``-v`` shows it."""

    name = "terminal"
    suffix = ""

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        width = shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns
        out.write((summary_text(session, width=width, verbosity=1) + "\n").encode())


def summary_text(
    session: SessionResult, *, width: int = _DEFAULT_WIDTH, colour: bool = False, verbosity: int = 0
) -> str:
    """Every test's verdict and figures, then what was found and what stayed open.

    :param verbosity: pytest's: below 0 only what needs attention, above 0 also notes, the power and the machine.
    """
    measurements = session.measurements
    told = [m for m in measurements if verbosity >= 0 or m.verdict in ("regression", "inconclusive")]
    parts = [_overview(told, width, colour)] if told else []
    parts += [text for m in told if (text := _details(m, width, colour, verbosity))]
    if verbosity > 0:
        parts.append(_machine(session, width))
    if session.waited >= WAIT_TOLD:
        parts.append(f"{amount(session.waited, 's')} of this session were spent waiting for other measurements")
    quiet = [line for m in measurements if m not in told for line in _needed(m)]
    parts.append("\n".join(wrapped([*_first(quiet), _in_all(measurements)], width)))
    return "\n\n".join(parts)


def _needed(measurement: Measurement) -> list[str]:
    """What is shown of a measurement even under ``-q``: what was not compared, what is not measured."""
    message = [] if measurement.message is None else [measurement.message]
    return [*message, *(f"{measurement.name}: warning: {warning}" for warning in measurement.warnings)]


def _first(lines: list[str]) -> list[str]:
    rest = len(lines) - QUIET_LINES
    return lines if rest <= 0 else [*lines[:QUIET_LINES], f"and {rest} more like these (without -q: all of them)"]


def _in_all(measurements: Sequence[Measurement]) -> str:
    """How many were measured, compared and found to be what: "3 compared: 1 regression, 2 ok; 1 not compared"."""
    verdicts = Counter(m.verdict for m in measurements)
    missing, alone = verdicts.pop("no-baseline", 0), verdicts.pop("measured", 0)
    compared = sum(verdicts.values())
    parts = []
    if set(verdicts) == {"ok"}:
        parts.append(f"{compared} compared, nothing found")
    elif compared:
        parts.append(f"{compared} compared: {', '.join(f'{verdicts[v]} {v}' for v in _ORDER if verdicts[v])}")
    if missing:
        parts.append(f"{missing} not compared")
    if alone or not parts:
        parts.append(f"{alone} measured")
    return "; ".join(parts)


def _overview(measurements: Sequence[Measurement], width: int, colour: bool) -> str:
    rows = []
    for measurement in measurements:
        now, before = measurement.whole, measurement.whole_before or {}
        changes = Changes(measurement.comparison)
        row = [_verdict(measurement, colour)]
        for metric in ("wall", "cpu"):
            value, old = now.get(metric), before.get(metric)
            row += [seconds(old), seconds(value)] if width >= WIDE else [seconds(value)]
            row.append(change(changes.of_build(measurement, metric)))
        if width >= WIDE:
            comparison = measurement.comparison
            row.append(UNKNOWN if comparison is None else change(_machine_shift(comparison)))
            row.append(measurement.tracer)
            row.append("no" if measurement.incomplete_reason else "yes")
        rows.append(row)
    figures = ["wall before", "now", "change", "cpu before", "now", "change"]
    headers = (
        ["test", "verdict", *figures, "host", "tracer", "complete"]
        if width >= WIDE
        else ["test", "verdict", "wall s", "change", "cpu s", "change"]
        if width >= _DEFAULT_WIDTH
        else ["test", "verdict", "wall s", "wall", "cpu s", "cpu"]
    )
    names = [shown(m.name) for m in measurements]
    narrow = (2, 4) if width < _DEFAULT_WIDTH else ()  # the changes say more than the figures
    table = table_with_names(headers, names, rows, width=width, fit=middle, expendable=narrow)
    return table if width >= WIDE else "\n".join([table, *wrapped([_how_measured(measurements)], width)])


def _how_measured(measurements: Sequence[Measurement]) -> str:
    """For narrow terminals, one line for what the wide table has three columns for."""
    tracers = " and ".join(sorted({m.tracer for m in measurements if m.tracer})) or "an unknown tracer"
    shifts = sorted(_machine_shift(m.comparison) for m in measurements if m.comparison is not None)
    missing = sum(m.incomplete_reason is not None for m in measurements)
    facts = [f"traced by {tracers}", f"{counted(missing, 'tree')} not complete" if missing else "every tree complete"]
    if shifts:
        span = " to ".join(dict.fromkeys([change(shifts[0]), change(shifts[-1])]))
        facts.append(f"the machine's own {span} is taken out")
    return ", ".join(facts)


def _machine_shift(comparison: Comparison) -> float:
    """What the machine does to cpu time, or to wall time where only that was compared."""
    shifts = comparison.machine_shifts
    return next((shifts[metric] for metric in ("cpu", "wall", *shifts) if metric in shifts), 1.0)


def _details(measurement: Measurement, width: int, colour: bool, verbosity: int) -> str:
    """What one test's row can't hold, without what its failure has told; empty where there is nothing to add."""
    lines = [] if measurement.told else _found(measurement, width, verbosity)
    if verbosity > 0:
        lines += wrapped(_background(measurement), width)
    if not lines:
        return ""
    title = f"{middle(shown(measurement.name), width - 15)}: {_verdict(measurement, colour)}"
    return "\n".join([title, *dict.fromkeys(lines)])


def _found(measurement: Measurement, width: int, verbosity: int) -> list[str]:
    """Lines: what was found, and what is missing or doubtful."""
    comparison = measurement.comparison
    urgent = [f"warning: {warning}" for warning in measurement.warnings]
    if measurement.incomplete_reason is not None:
        urgent.insert(0, f"not complete: {measurement.incomplete_reason}")
    if measurement.message is not None:
        urgent.append(measurement.message)
    if comparison is None:
        return wrapped(urgent, width)
    if comparison.findings or comparison.verdict != "ok" or verbosity > 0:
        told = _in_few_lines(measurement, width).removeprefix(f"{measurement.verdict}: ")  # the title has that
        first, more = [told], untold_changes(comparison)
    else:
        first, more = [], changes_in_words(comparison)
    more += [finding_sentence(finding) for finding in comparison.contentions]
    table = findings_table(comparison.findings, width=width)
    return [*wrapped([*urgent, *first], width), *table.splitlines(), *wrapped(more, width)]


def _background(measurement: Measurement) -> list[str]:
    """Sentences: how sure the verdict is, what was compared with what, what bounds the build."""
    comparison = measurement.comparison
    lines = []
    if comparison is not None and not measurement.told:
        lines += [*notes_in_words(comparison), *certainty(comparison)]
        if measurement.baseline_source is not None:
            lines.append(f"compared with {measurement.baseline_source}")
    return [*lines, *bounds_in_words(measurement.tree)]


def _in_few_lines(measurement: Measurement, width: int) -> str:
    """The verdict's sentence, short enough for LINES_OF_FINDING."""
    return sentence(measurement, LINES_OF_FINDING * (width - LONGEST_GAP))


def _verdict(measurement: Measurement, colour: bool) -> str:
    return paint(measurement.verdict, VERDICT_COLOURS.get(measurement.verdict), colour)


def _machine(session: SessionResult, width: int) -> str:
    host = session.host
    tracers = {m.tracer_explained: None for m in session.measurements if m.tracer_explained not in ("", m.tracer)}
    facts = [
        f"machine {session.machine}: {host.cpu_count} x {host.cpu_model}, {amount(host.memory_bytes, 'B')}",
        f"{host.os}, {host.kernel}",
        *(f"{key}: {value}" for key, value in session.machine_info.items()),
        *(f"traced by {tracer}" for tracer in tracers),
    ]
    if session.commit is not None:
        facts.append(f"commit {session.commit}")
    return "\n".join(wrapped(facts, width))


def failure_text(
    measurement: Measurement,
    *,
    width: int | None = None,
    colour: bool = False,
) -> str:
    """The message of a test that its comparison fails: the cause in a sentence, the figures, how sure, what to do."""
    columns = width or min(shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns, 160)
    first, *rest = wrapped([_in_few_lines(measurement, columns)], columns)
    comparison = measurement.comparison
    table = findings_table(comparison.findings, width=columns) if comparison is not None else ""
    parts = ["\n".join(filter(None, [paint(first, VERDICT_COLOURS.get(measurement.verdict), colour), *rest, table]))]
    if comparison is not None:
        untold = [*untold_changes(comparison), *untold_reasons(comparison)]
        parts.append(_paragraph([*untold, *certainty(comparison), *notes_in_words(comparison)], columns))
        if measurement.message is not None:
            parts.append(_paragraph([measurement.message], columns))
    parts.append(_paragraph([f"Warning: {warning}" for warning in measurement.warnings], columns))
    if measurement.incomplete_reason is not None:
        parts.append(_paragraph([f"Not complete: {measurement.incomplete_reason}"], columns))
    if measurement.baseline_source is not None:
        parts.append(_paragraph([f"Compared with {measurement.baseline_source}."], columns))
    if measurement.accept:
        parts.append("\n    ".join(measurement.accept))
    return "\n\n".join(filter(None, parts))


def how_to_accept(measurement: Measurement, settings: Settings, node_id: str) -> tuple[str, ...]:
    """In words, and by the exact command where it takes one, how what was measured becomes the new normal."""
    if measurement.baseline_rounds:
        return ("To accept it, commit and merge it: what follows is compared with a revision that has it.",)
    return "To accept it, save it as a baseline:", shlex.join(["pytest", *settings.saving_flags, shown(node_id)])


def findings_table(findings: Sequence[Finding], *, width: int) -> str:
    """The causes, costliest first; what they explain is counted, not listed. A single one has its sentence instead."""
    causes = [finding for finding in findings if finding.is_cause]
    explained = counted(len(findings) - len(causes), "further finding")
    if len(causes) < 2:
        return f"({explained} explained by it)" if len(findings) > len(causes) else ""
    rows = [[*figures_of(finding), part_of_change(finding)] for finding in causes[:FINDINGS_SHOWN]]
    names = [shown(finding.key if width >= WIDE_FOR_KEYS else finding.label or finding.key) for finding in causes]
    table = table_with_names(
        _FINDING_HEADS,
        names[:FINDINGS_SHOWN],
        rows,
        width=width,
        expendable=(5, 2),
    )
    rest = []
    if len(causes) > FINDINGS_SHOWN:
        rest.append(counted(len(causes) - FINDINGS_SHOWN, "more cause"))
    if len(findings) > len(causes):
        rest.append(f"{explained} explained by the above")
    return f"{table}\n({'; '.join(rest)})" if rest else table


def properties(measurement: Measurement) -> list[tuple[str, object]]:
    """What goes into ``--junitxml`` for a test, as properties of its test case."""
    name = shown(measurement.name)
    figures = [
        (f"ptreetime.{metric}", round(value, 9)) for metric, value in measurement.whole.items() if metric != "count"
    ]
    facts: list[tuple[str, object]] = [
        ("ptreetime.name", name),
        ("ptreetime.verdict", measurement.verdict),
        ("ptreetime.tracer", measurement.tracer),
        ("ptreetime.complete", measurement.incomplete_reason is None),
        ("ptreetime.rounds", len(measurement.rounds)),
        ("ptreetime.processes", round(measurement.whole.get("count", 0))),
        *figures,
    ]
    if measurement.comparison is not None:
        facts.append(("ptreetime.host_shift", round(measurement.comparison.host_shift, 6)))
        facts += [("ptreetime.finding", shown(finding_sentence(cause))) for cause in measurement.comparison.causes]
    return facts


def _paragraph(lines: Iterable[str], width: int) -> str:
    return "\n".join(wrapped(dict.fromkeys(lines), width))
