"""What ``compare`` and ``ab`` share: the options of the decision, and how a verdict is shown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from pytest_ptreetime.commands.option_values import add_options
from pytest_ptreetime.commands.terminal_width import colour, width
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.values import min_effect_terms, names_in, parse_metric, parse_min_effects, reports_in
from pytest_ptreetime.reports import Report, find_report, write_report
from pytest_ptreetime.reports.results import SessionResult
from pytest_ptreetime.reports.terminal import summary_text
from pytest_ptreetime.system.untrusted_text import shown

__all__ = ["add_decision_arguments", "decision_terms", "show_verdict", "wanted_reports"]

EXIT_STATUS = {"ok": 0, "improvement": 0, "regression": 1, "inconclusive": 3, "no-baseline": 3}


def add_decision_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say what counts as a change, and which reports to write."""
    add_options(parser, "min-effect", "metrics", "ignore", "report")


def decision_terms(options: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of compare() that the options give.

    :raises UsageError: a minimum effect can't be read, a metric does not exist.
    """
    try:
        terms = min_effect_terms(parse_min_effects(options.min_effect))
    except ValueError as error:
        raise UsageError(f"--min-effect: {error}") from None
    try:
        metrics = tuple(parse_metric(name) for text in options.metrics for name in names_in(text) or [text])
    except ValueError as error:
        raise UsageError(f"--metrics: {error}") from None
    if metrics:
        terms["metrics"] = metrics
    if options.ignore:
        terms["ignore"] = tuple(options.ignore)
    return terms


def wanted_reports(options: argparse.Namespace) -> list[tuple[Report, str | None]]:
    """The reports that ``--report`` asks for, each with its file.

    :raises UsageError: there is no such report.
    """
    wanted = [each.partition(":") for text in options.report for each in reports_in(text) or [text]]
    return [(find_report(name), file or None) for name, _, file in wanted]


def show_verdict(session: SessionResult, reports: Sequence[tuple[Report, str | None]] = ()) -> int:
    """Print the comparison of the session's one measurement, write the reports, and return the exit status."""
    (measurement,) = session.measurements
    print(summary_text(session, width=width(), colour=colour(), verbosity=1))
    for report, file in reports:
        written = write_report(report, session, file)
        print(f"{report.name} report written to {shown(str(written))}", file=sys.stderr)
    return EXIT_STATUS[measurement.verdict]
