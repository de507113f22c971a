"""Show how stored sessions developed: a line a node, with its sparkline and the commit at which it last changed.

    ptreetime history
    ptreetime history test_clean --metric wall --node 'cc1*lvm.c'
    ptreetime history --html history.html

Values are the medians of each session's rounds, as measured: the machine's own speed is in them. That a node changed is
said where the sessions since then differ from those before by more than their noise (the rule of PELT).
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
from pathlib import Path

from pytest_ptreetime.baselines.store import Baseline
from pytest_ptreetime.commands.option_values import value_of
from pytest_ptreetime.commands.stored_baselines import add_store_arguments, chosen_baselines
from pytest_ptreetime.commands.terminal_width import width
from pytest_ptreetime.decision.history import History, Point, history_of
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.values import parse_metric, parse_positive
from pytest_ptreetime.reports import write_file
from pytest_ptreetime.reports.fitted_names import wrapped
from pytest_ptreetime.system.figures import counted
from pytest_ptreetime.system.untrusted_text import shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_store_arguments(parser)
    parser.add_argument("--metric", type=value_of(parse_metric), default="cpu", help="of what (default %(default)s)")
    parser.add_argument("--node", metavar="PATTERN", help="only nodes whose key has this in it, or matches it")
    parser.add_argument(
        "--limit", type=value_of(parse_positive), default=20, metavar="N", help="lines of each test (default 20)"
    )
    parser.add_argument("--html", metavar="FILE", help="write a page of plots")


def run(options: argparse.Namespace) -> int:
    from pytest_ptreetime.reports.history import history_page, history_table

    histories = []
    for baseline in chosen_baselines(options):
        history = _history(baseline, options)
        if history.series:
            histories.append((f"{baseline.test} on {baseline.host.cpu_model}, {baseline.host.cpu_count} CPUs", history))
    if not histories:
        node = f" of nodes that match {options.node}" if options.node else ""
        raise UsageError(
            f"no stored session has {options.metric}{node}: `ptreetime baseline export` lists what there is"
        )
    if options.html:
        page = history_page(histories, limit=options.limit)
        write_file(Path(options.html), page.encode(), "the page of plots")
        print(f"{counted(len(histories), 'history')} written to {shown(options.html)}", file=sys.stderr)
        return 0
    for number, (name, history) in enumerate(histories):
        first, last = history.points[0], history.points[-1]
        title = f"{name}: {counted(len(history.points), 'session')}, {first.name} to {last.name}"
        print("\n" * bool(number) + "\n".join(wrapped([title], width())))
        print(history_table(history, width=width(), limit=options.limit))
    return 0


def _history(baseline: Baseline, options: argparse.Namespace) -> History:
    points = [Point(session.session, session.time, session.commit) for session in baseline.sessions]
    history = history_of([session.columns for session in baseline.sessions], points, options.metric)
    if options.node:
        pattern = options.node
        history.series = [
            series
            for series in history.series
            if pattern in series.key or fnmatch.fnmatchcase(series.key, f"*{pattern}*")
        ]
    return history
