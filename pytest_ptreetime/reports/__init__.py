"""The reports: one file each, one protocol, one registry.

A new report is a file here with a class that has the three members of :class:`Report`, and one line in
:func:`builtin_reports`; a plugin adds its own with the hook ``pytest_ptreetime_reports``. A report takes finished data
(:class:`~pytest_ptreetime.reports.results.SessionResult`) and knows nothing of pytest, options or files.
"""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from pytest_ptreetime.errors import ReportFailed, UsageError
from pytest_ptreetime.system.atomic_write import replace_file

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import SessionResult

__all__ = ["Report", "builtin_reports", "find_report", "report_names", "write_file", "write_report"]


class Report(Protocol):
    """One way to show a session.

    ``name`` is what ``--ptreetime-report NAME[:FILE]`` takes; ``suffix`` names the file where none was given
    (``ptreetime-report`` + suffix), or is empty for a report that is read on the spot and goes to standard output.
    """

    name: str
    suffix: str

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        """Write the whole report to ``out``; text is UTF-8.

        :raises ReportFailed: the session can't be shown this way, with the reason and what to do.
        """


_BUILTIN = {
    "terminal": "terminal:TerminalReport",
    "html": "html:HtmlReport",
    "json": "json:JsonReport",
    "markdown": "markdown:MarkdownReport",
    "chrome-trace": "chrome_trace:ChromeTraceReport",
    "perfetto": "perfetto:PerfettoReport",
    "folded": "folded:FoldedReport",
    "folded-cpu": "folded:FoldedCpuReport",
    "folded-diff": "folded:FoldedDiffReport",
    "otlp-json": "otlp:OtlpJsonReport",
    "github-action-benchmark": "benchmark_formats:GithubActionBenchmarkReport",
    "bencher": "benchmark_formats:BencherReport",
    "openmetrics": "openmetrics:OpenMetricsReport",
    "parquet": "parquet:ParquetReport",
    "lnt": "lnt:LntReport",
    "lnt-ptreetime": "lnt:LntOwnSuiteReport",
}


def report_names() -> list[str]:
    """The names of the reports that come with the package."""
    return list(_BUILTIN)


def builtin_reports(names: Iterable[str] | None = None) -> dict[str, Report]:
    """The reports that come with the package, by name; their modules are imported here and not before."""
    reports: dict[str, Report] = {}
    for name in _BUILTIN if names is None else names:
        module, _, class_name = _BUILTIN[name].partition(":")
        reports[name] = getattr(importlib.import_module(f"{__name__}.{module}"), class_name)()
    return reports


def find_report(name: str, further: Iterable[Report] = ()) -> Report:
    """The report called ``name``, one of ``further`` (from plugins) before a built-in one.

    :raises UsageError: there is none.
    """
    others = {report.name: report for report in further}
    if name in others:
        return others[name]
    if name in _BUILTIN:
        return builtin_reports([name])[name]
    raise UsageError(f"there is no report {name!r}: choose one of {', '.join(sorted({*_BUILTIN, *others}))}")


def write_report(report: Report, session: SessionResult, path: str | os.PathLike[str] | None = None) -> Path:
    """Write ``report`` to ``path``, whole or not at all, and return where it is.

    Missing directories are made. What was in the file before is replaced only when the new report is complete.

    :raises ReportFailed: it can't be rendered or written.
    """
    target = Path(path) if path is not None else Path(f"ptreetime-report{report.suffix or '.txt'}")
    rendered = io.BytesIO()
    report.render(session, rendered)
    write_file(target, rendered.getvalue(), f"the {report.name} report")
    return target


def write_file(target: Path, content: bytes, what: str) -> None:
    """Put ``content`` at ``target`` whole or not at all.

    A device or a pipe (``/dev/stdout``) is written to as it is.

    :raises ReportFailed: with ``what`` and the operating system's reason.
    """
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as device:
                device.write(content)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(target.resolve(), content)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReportFailed(f"{what} can't be written to {target}: {reason}: choose another file") from None
