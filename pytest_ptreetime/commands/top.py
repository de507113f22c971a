"""List what costs most in a recording: each kind of process with its own time and that of all it started.

Below the table is what bounds the build: its critical path, the least wall time possible, and its memory.

ptreetime top build.ptreetime --sort total
"""

from __future__ import annotations

import argparse

from pytest_ptreetime.commands.option_values import value_of
from pytest_ptreetime.commands.terminal_width import width
from pytest_ptreetime.options.values import parse_positive
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports.bounds import bounds_in_words
from pytest_ptreetime.reports.fitted_names import wrapped
from pytest_ptreetime.reports.process_tables import TOP_ORDERS, top_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="FILE", help="a recording")
    parser.add_argument("--sort", choices=sorted(TOP_ORDERS), default="own", help="what to rank by")
    parser.add_argument("-n", "--limit", type=value_of(parse_positive), default=20, metavar="N", help="rows to show")


def run(options: argparse.Namespace) -> int:
    tree = Recording.load(options.path).tree()
    print(top_table(tree, sort=options.sort, limit=options.limit, width=width()))
    print()
    print("\n".join(wrapped(bounds_in_words(tree), width())))
    return 0
