"""Markdown for a step summary of GitHub Actions (or any page that takes GitHub's dialect), and its annotations."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pytest_ptreetime.errors import ReportFailed
from pytest_ptreetime.system.figures import amounts, change
from pytest_ptreetime.system.untrusted_text import shown
from pytest_ptreetime.wording.measurements import (
    Changes,
    certainty,
    environment,
    figures_of,
    part_of_change,
    sentence,
    untold_reasons,
)
from pytest_ptreetime.wording.remarks import reasons_in_words

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import Measurement, SessionResult

__all__ = ["MarkdownReport", "append_step_summary", "workflow_commands"]

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
LONGEST_SUMMARY = 1 << 20  # bytes; GitHub drops a longer one as a whole
FINDINGS_SHOWN = 20
LONGEST_IN_ONE_LINE = 30  # characters of a name in a table: six columns have to fit 980 pixels
_SIGNS = {"regression": "❌", "improvement": "🚀", "ok": "✅", "inconclusive": "❔", "no-baseline": "⬜"}


class MarkdownReport:
    """A table of the tests, the findings of each, and the machine in a fold."""

    name = "markdown"
    suffix = ".md"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        out.write(_document(session).encode())


def append_step_summary(session: SessionResult, environment: Mapping[str, str] | None = None) -> Path | None:
    """Add the report to the step's summary where this runs in GitHub Actions, and say where it went; None elsewhere.

    :raises ReportFailed: the file can't be written.
    """
    path = (os.environ if environment is None else environment).get(SUMMARY_VARIABLE)
    if not path:
        return None
    text = _document(session).encode()
    if len(text) > LONGEST_SUMMARY // 2:
        text = text[: LONGEST_SUMMARY // 2].decode(errors="ignore").encode() + b"\n\n(cut: too long for a summary)\n"
    try:
        with Path(path).open("ab") as summary:
            summary.write(text)
    except OSError as error:
        raise ReportFailed(f"the step summary can't be written to {path}: {error.strerror or error}") from None
    return Path(path)


def workflow_commands(session: SessionResult) -> list[str]:
    """Workflow commands, a line each, that mark the tests which failed: printed, they show in a pull request."""
    lines = []
    for measurement in session.measurements:
        level = {"regression": "error", "inconclusive": "warning"}.get(measurement.verdict)
        if level is not None:
            file = _property(measurement.test.partition("::")[0])
            title = _property(f"{measurement.verdict}: {measurement.name}")
            lines.append(f"::{level} file={file},title={title}::{_command_text(sentence(measurement))}")
    return lines


def _document(session: SessionResult) -> str:
    lines = ["## Build performance", ""]
    rows = []
    for measurement in session.measurements:
        now, before = measurement.whole, measurement.whole_before or {}
        changes = Changes(measurement.comparison)
        row = [f"{_SIGNS.get(measurement.verdict, '')}&nbsp;{measurement.verdict}", _code(measurement.name)]
        for metric in ("wall", "cpu"):
            old, new = amounts([before.get(metric), now.get(metric)], "s")
            moved = changes.of_build(measurement, metric)
            row += [new, ""] if moved is None else [f"{old} → {new}", change(moved)]
        rows.append(row)
    lines += _table(["verdict", "test", "wall", "", "cpu", ""], rows, numbers_from=2)
    for measurement in session.measurements:
        lines += _details(measurement)
    lines += ["", "<details><summary>Environment</summary>", ""]
    lines += _table(["", ""], [[_text(name), _text(value)] for name, value in environment(session)])
    lines += ["", "</details>", ""]
    return "\n".join(lines)


def _details(measurement: Measurement) -> Iterator[str]:
    comparison = measurement.comparison
    notes = [f"warning: {warning}" for warning in measurement.warnings]
    if measurement.message:
        notes.append(measurement.message)
    if measurement.incomplete_reason is not None:
        notes.append(f"not complete: {measurement.incomplete_reason}")
    if comparison is not None:
        notes += untold_reasons(comparison) if comparison.findings else reasons_in_words(comparison)
    if not notes and (comparison is None or not comparison.findings):
        return
    yield from ("", f"### {_text(measurement.name)}: {measurement.verdict}", "")
    if comparison is not None and comparison.findings:
        yield from (f"**{_text(sentence(measurement))}**", "")
        causes = comparison.causes
        rows = [
            [_code(finding.label or finding.key), *figures_of(finding), part_of_change(finding)]
            for finding in causes[:FINDINGS_SHOWN]
        ]
        yield from _table(["process", "metric", "before", "now", "change", "of the whole"], rows, numbers_from=2)
        told = [cause.sentence for cause in causes[1:FINDINGS_SHOWN] if cause.sentence]
        yield from ("", *(f"- {_text(line)}" for line in told))
        if len(causes) > FINDINGS_SHOWN:
            yield from ("", f"and {len(causes) - FINDINGS_SHOWN} more")
        notes += certainty(comparison)
    for note in dict.fromkeys(notes):
        yield from ("", _text(note))
    if measurement.accept is not None:
        words, *command = measurement.accept
        yield from ("", _text(words))
        yield from (line for text in command for line in ("", f"<pre>{_text(text)}</pre>"))


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, numbers_from: int | None = None) -> list[str]:
    limit = len(headers) if numbers_from is None else numbers_from
    rules = ["---" if column < limit else "---:" for column in range(len(headers))]
    whole = [[*row[:limit], *(cell.replace(" ", "&nbsp;") for cell in row[limit:])] for row in rows]
    return [f"| {' | '.join(cells)} |" for cells in (headers, rules, *whole)]


def _text(text: str) -> str:
    """``text`` as it is, whatever Markdown and HTML would make of its signs: those become character references."""
    return re.sub(r"[^\w \-./=,+%;]|_", lambda match: f"&#{ord(match.group())};", shown(text))


def _code(text: str) -> str:
    """``text`` as code; a long one may go on in the next line after ``_``, ``/`` and ``::``, for the table to fit."""
    code = _text(text)
    if len(text) > LONGEST_IN_ONE_LINE:
        code = re.sub(r"(&#95;|/|&#58;(?!&#58;))", r"\1<wbr>", code)
    return f"<code>{code}</code>"


def _command_text(text: str) -> str:
    """``text`` as the message of a workflow command."""
    return shown(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command_text(text).replace(":", "%3A").replace(",", "%2C")
