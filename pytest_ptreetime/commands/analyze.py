"""Show where the time went in one or more recordings: a table of names and depths, and with --show-tree every process.

    ptreetime analyze build.ptreetime --show-tree

Reads recordings of this program and of swift-llbuild's ptreetime. With --gen-report, an LNT report is written whose
tests have that program's names, so that its history goes on; `ptreetime report lnt` writes one with ours.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_ptreetime.commands.option_values import value_of
from pytest_ptreetime.commands.terminal_width import colour, width
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.values import parse_least_seconds, parse_natural, parse_substitution
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports.fitted_names import wrapped
from pytest_ptreetime.reports.process_tables import aggregate_table
from pytest_ptreetime.reports.tree_drawing import SORT_ORDERS, draw_tree
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.system.untrusted_text import shown
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree
from pytest_ptreetime.wording.outside import outside_in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", metavar="FILE", help="recordings")
    parser.add_argument(
        "-f", "--focus", metavar="NAME", help="look only at processes called NAME and what they started"
    )
    parser.add_argument("--show-tree", action="store_true", help="draw the tree of processes")
    parser.add_argument("--sort", choices=sorted(SORT_ORDERS), default="start", help="order of siblings in the tree")
    parser.add_argument("--no-fold", action="store_true", help="give every process of the tree its line")
    parser.add_argument("--depth", type=value_of(parse_natural), metavar="N", help="levels of the tree to draw")
    parser.add_argument(
        "--min-time",
        type=value_of(parse_least_seconds),
        default=0.0,
        metavar="SECONDS",
        help="leave shorter processes out",
    )
    parser.add_argument("--gen-report", metavar="FILE", help="write an LNT report")
    parser.add_argument("--report-machine", metavar="NAME", help="the machine's name in the report")
    parser.add_argument("--report-run-order", metavar="N", help="the run's place in LNT's history")
    parser.add_argument(
        "--report-sub-arg",
        action="append",
        default=[],
        metavar="PATTERN=REPLACEMENT",
        help="replace what matches in the arguments that make a process's name in the report",
    )


@without_collector()  # the process ends soon
def run(options: argparse.Namespace) -> int:
    _check(options)
    recordings = [Recording.load(path) for path in options.paths]
    trees = [recording.tree() for recording in recordings]
    roots = [(tree, node) for tree in trees for node in _focused(tree, options.focus)]
    if not roots:
        raise UsageError(f"no process is called {options.focus} in {', '.join(options.paths)}")
    for tree, root in roots:
        if options.show_tree:
            print(
                draw_tree(
                    tree,
                    root=root,
                    sort=options.sort,
                    depth=options.depth,
                    min_time=options.min_time,
                    fold=not options.no_fold,
                    width=width(),
                    colour=colour(),
                )
            )
            print()
    print(aggregate_table([root for _, root in roots], width=width()))
    for path, tree in zip(options.paths, trees, strict=True):
        said = [f"{path}: {each}" for each in outside_in_words([tree])]
        if tree.incomplete_reason is not None:
            said.append(f"{path} is not complete: {tree.incomplete_reason}")
        for each in said:
            print("", *wrapped([each], width()), sep="\n")
    if options.gen_report:
        _write_report(options, recordings, trees, [root for _, root in roots])
    return 0


def _check(options: argparse.Namespace) -> None:
    """The rules of the original: an LNT report needs a machine and an order, which mean nothing without one."""
    needed = {"--report-machine": options.report_machine, "--report-run-order": options.report_run_order}
    for flag, value in needed.items():
        if options.gen_report and value is None:
            raise UsageError(f"{flag} is required with --gen-report")
        if not options.gen_report and value is not None:
            raise UsageError(f"{flag} is unused without --gen-report")
    if options.report_sub_arg and not options.gen_report:
        raise UsageError("--report-sub-arg is unused without --gen-report")


def _focused(tree: ProcessTree, name: str | None) -> list[ProcessNode]:
    """The topmost nodes called ``name``; the root where no name is given."""
    if name is None:
        return [tree.root]
    found = []
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        if node.name == name:
            found.append(node)
        else:
            waiting.extend(reversed(node.children))
    return found


def _write_report(
    options: argparse.Namespace, recordings: list[Recording], trees: list[ProcessTree], roots: list[ProcessNode]
) -> None:
    from pytest_ptreetime.reports import write_file
    from pytest_ptreetime.reports.lnt import lnt_report, render_lnt
    from pytest_ptreetime.reports.lnt_names import original_samples

    try:
        substitutions = [parse_substitution(text) for text in options.report_sub_arg]
    except ValueError as error:
        raise UsageError(f"--report-sub-arg: {error}") from None
    starts = [recording.started or 0.0 for recording in recordings]
    ends = [start + (tree.wall or 0.0) for start, tree in zip(starts, trees, strict=True)]
    report = lnt_report(
        original_samples(roots, substitutions),
        machine=options.report_machine,
        run_order=options.report_run_order,
        started=min(starts),
        ended=max(ends),
    )
    write_file(Path(options.gen_report), render_lnt(report).encode() + b"\n", "the LNT report")
    place = shown(options.gen_report)
    print(f"LNT report written to {place}; `ptreetime lnt submit {place} URL` sends it to a server", file=sys.stderr)
