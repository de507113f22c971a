"""What ``compare`` and ``ab`` share: the options of the decision, and how a verdict is shown."""

from __future__ import annotations

import argparse
from typing import Any

from pytest_ptreetime.commands.option_values import add_options
from pytest_ptreetime.commands.terminal_width import colour, width
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.values import min_effect_terms, names_in, parse_metric, parse_min_effects
from pytest_ptreetime.reports.results import SessionResult
from pytest_ptreetime.reports.terminal import summary_text

__all__ = ["add_decision_arguments", "decision_terms", "show_verdict"]

EXIT_STATUS = {"ok": 0, "improvement": 0, "regression": 1, "inconclusive": 3, "no-baseline": 3}


def add_decision_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say what counts as a change."""
    add_options(parser, "min-effect", "metrics", "ignore")


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


def show_verdict(session: SessionResult) -> int:
    """Print the comparison of the session's one measurement, and return the exit status."""
    (measurement,) = session.measurements
    print(summary_text(session, width=width(), colour=colour(), verbosity=1))
    return EXIT_STATUS[measurement.verdict]
