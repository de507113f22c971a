"""Run two commands in turns (A B B A ...) under the tracer and compare the second with the first.

    ptreetime ab 'make -C old' 'make -C new' --setup 'make -C old clean; make -C new clean'
    ptreetime ab --aa 'make clean all'

The commands are shell commands. The exit status is 0 for ok and improvement, 1 for a regression, 3 for inconclusive.
With --aa one command is compared with itself: whatever is found is a false alarm, the noise of this machine is shown,
and untraced rounds in between show what tracing costs.

--report html:FILE, or any other, writes a report of the comparison.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from pytest_ptreetime.commands.option_values import add_options, value_of
from pytest_ptreetime.commands.terminal_width import width
from pytest_ptreetime.commands.verdict import add_decision_arguments, decision_terms, show_verdict, wanted_reports
from pytest_ptreetime.confirmation.confirming import MOST_SUSPECTS
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.values import parse_natural, parse_positive
from pytest_ptreetime.reports.results import from_recordings
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.confirmation_runs import confirm_comparison
from pytest_ptreetime.session.evaluation import evaluate
from pytest_ptreetime.session.progress import Progress, ProgressLine, WaitingLine
from pytest_ptreetime.session.rounds import measure_interleaved, preparation_of
from pytest_ptreetime.session.run import Round, run_once, run_untraced
from pytest_ptreetime.session.survivors import warning_of_survivors
from pytest_ptreetime.tracers import PROCESS_COST, Tracer, builtin_tracers, choose


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("commands", nargs="+", metavar="CMD", help="shell commands: A and B, or one with --aa")
    parser.add_argument("--aa", action="store_true", help="compare the one command with itself")
    parser.add_argument(
        "--rounds", type=value_of(parse_positive), default=10, metavar="N", help="runs of each (default 10)"
    )
    parser.add_argument(
        "--warmup", type=value_of(parse_natural), default=1, metavar="N", help="runs before them (default 1)"
    )
    parser.add_argument("--setup", metavar="CMD", help="a shell command to run before every run, untimed")
    parser.add_argument("--cwd", metavar="DIR", help="where to run all of them")
    add_options(parser, "tracer", "sudo", "confirm", "budget")
    add_decision_arguments(parser)


def run(options: argparse.Namespace) -> int:
    if len(options.commands) != (1 if options.aa else 2):
        raise UsageError("give two commands, or one with --aa")
    terms, reports = decision_terms(options), wanted_reports(options)
    builds = [
        Build.from_arguments(  # noqa: S604 - shell commands are what this command takes
            command, shell=True, cwd=options.cwd, setup=options.setup, inherit=True
        )
        for command in (options.commands * 2)[:2]
    ]
    choice = choose(options.tracer, builtin_tracers(sudo=options.sudo))
    print(f"tracer {choice.explain()}", file=sys.stderr)
    try:
        warm: list[Round] = []
        before, after = measure_interleaved(
            builds[0],
            builds[1],
            choice.tracer,
            rounds=options.rounds,
            warmup=options.warmup,
            progress=progress_of("ptreetime ab"),
            on_warmup=warm.append,
        )
        sides = [[Profile.from_tree(done.tree) for done in rounds] for rounds in (before, after)]
        session = from_recordings(
            [done.recording for done in after],
            name=builds[1].redactor.text(options.commands[-1]),
            baseline=[done.recording for done in before],
        )
        warning = warning_of_survivors(done.tree for done in (*warm, *before, *after))
        if warning is not None:
            session.measurements[0].warnings.append(warning)
        cost = PROCESS_COST.get(choice.tracer.name, 0.0)
        said = None
        if options.aa:
            said, cost = _cost_of_tracing(builds[0], choice.tracer, options.rounds)
        if options.confirm:
            terms["suspects"] = MOST_SUSPECTS
        comparison = evaluate(session.measurements[0], [sides[0]], sides[1], paired=True, tracing_cost=cost, **terms)
        if options.confirm:
            try:
                confirm_comparison(
                    comparison,
                    (builds[0], builds[1]),
                    sides[0],
                    budget=options.budget,
                    progress=progress_of("ptreetime ab"),
                )
            except KeyboardInterrupt:
                show_verdict(session)  # what is known
                raise
        status = show_verdict(session, reports)
        if said is not None:
            print(said)
    finally:
        choice.tracer.close()
    return status


def progress_of(title: str) -> Progress:
    """A line on standard error, where that is a terminal."""

    def write(text: str) -> None:
        print(text, end="", file=sys.stderr, flush=True)

    return ProgressLine(write, width(), title) if sys.stderr.isatty() else WaitingLine(write, title)


def _cost_of_tracing(build: Build, tracer: Tracer, rounds: int) -> tuple[str, float]:
    """What tracing adds to the build's wall time, from traced and untraced runs in turns; in words, and a process."""
    ratios, costs = [], []
    for number in range(rounds):
        walls: dict[bool, float] = {}
        for traced in (True, False) if number % 2 else (False, True):
            with preparation_of(build, lambda: run_untraced(build)).around():
                if traced:
                    tree = run_once(build, tracer, capture=True).tree
                    walls[traced], processes = tree.wall or 0.0, max(len(tree), 1)
                else:
                    walls[traced] = run_untraced(build)
        ratios.append(walls[True] / walls[False])
        costs.append((walls[True] - walls[False]) / processes)
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    cost = max(statistics.median(costs), 0.0)
    text = (
        f"tracing with {tracer.name}: traced / untraced wall {quartiles[1]:.3f} (median of {rounds} interleaved pairs, "
        f"middle half {quartiles[0]:.3f} to {quartiles[2]:.3f}), {1e6 * cost:.0f} us a process; a smaller change than "
        "this is within its disturbance, which both sides of a comparison share"
    )
    return text, cost
