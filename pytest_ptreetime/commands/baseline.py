"""Look after stored baselines.

ptreetime baseline show                       what is stored
ptreetime baseline show TEST                  its sessions, with the identities that pin takes
ptreetime baseline pin TEST                   fix the last session: later ones are compared with it too
ptreetime baseline prune --keep 10            forget older sessions (never the pinned one)
ptreetime baseline merge A.jsonl B.jsonl -o C.jsonl
ptreetime baseline export TEST                one row a session, round, key and metric, as CSV
ptreetime baseline power                      what change the next run could see
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from pytest_ptreetime.baselines.store import DEFAULT_HISTORY, Baseline, Store
from pytest_ptreetime.commands.option_values import value_of
from pytest_ptreetime.commands.stored_baselines import add_store_arguments, chosen_baselines
from pytest_ptreetime.commands.terminal_width import width
from pytest_ptreetime.decision.typical import typical
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.values import parse_natural
from pytest_ptreetime.reports.fitted_names import wrapped
from pytest_ptreetime.reports.process_tables import table_with_names
from pytest_ptreetime.reports.results import whole_of
from pytest_ptreetime.system.figures import amount, counted
from pytest_ptreetime.system.untrusted_text import middle, shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    described = {
        "show": "list what is stored",
        "pin": "compare later sessions with this one too, so that small steps add up",
        "prune": "forget older sessions",
        "merge": "put the sessions of several files of one test into one",
        "export": "write sessions as CSV",
        "power": "say what change a run could see",
    }
    for action, text in described.items():
        subparser = actions.add_parser(action, help=text)
        if action == "merge":
            subparser.add_argument("files", nargs="+", metavar="FILE")
            subparser.add_argument("-o", "--output", required=True, metavar="FILE")
            continue
        add_store_arguments(subparser)
        if action == "pin":
            subparser.add_argument(
                "--session", metavar="ID", help="the session to pin (its first letters); the last by default"
            )
            subparser.add_argument("--remove", action="store_true", help="unpin")
        if action == "prune":
            subparser.add_argument("--keep", type=value_of(parse_natural), default=DEFAULT_HISTORY, metavar="N")
        if action == "power":
            subparser.add_argument(
                "--rounds", type=value_of(parse_natural), default=5, metavar="N", help="rounds of the coming run"
            )


def run(options: argparse.Namespace) -> int:
    if options.action == "merge":
        merged = Store.merge([Path(file) for file in options.files], Path(options.output))
        sessions = counted(len(merged.sessions), "session")
        print(
            f"{sessions} of {shown(merged.test)} written to {shown(str(merged.path))}; put it into the "
            "store in place of the merged files",
            file=sys.stderr,
        )
        return 0
    actions = {"show": _show, "pin": _pin, "prune": _prune, "export": _export, "power": _power}
    actions[options.action](chosen_baselines(options), options)
    return 0


def _show(baselines: list[Baseline], options: argparse.Namespace) -> None:
    if options.tests:
        print("\n\n".join(map(_sessions, baselines)))
        return
    rows = []
    for baseline in baselines:
        last = baseline.sessions[-1] if baseline.sessions else None
        rows.append(
            [
                f"{len(baseline.sessions)}",
                last.time if last else "-",
                (last.commit or "-")[:9] if last else "-",
                f"{last.rounds}" if last else "-",
                f"{len(last.columns.keys)}" if last else "-",
                baseline.pinned[:8] if baseline.pinned else "-",
                f"{baseline.host.cpu_model}, {baseline.host.cpu_count} CPUs",
            ]
        )
    heads = ["test", "sessions", "last", "commit", "rounds", "keys", "pinned", "machine"]
    tests = [shown(baseline.test) for baseline in baselines]
    print(table_with_names(heads, tests, rows, width=width(), fit=middle, expendable=(5, 4, 6, 7, 3)))


def _sessions(baseline: Baseline) -> str:
    """One test's sessions, the oldest first."""
    host = baseline.host
    rows = []
    for session in baseline.sessions:
        wall, cpu = (amount(whole_of(typical([session.profiles()])).get(metric), "s") for metric in ("wall", "cpu"))
        pinned = "yes" if session.session == baseline.pinned else ""
        commit = (session.commit or "-")[:9]
        rows.append([session.time, commit, f"{session.rounds}", session.tracer or "-", wall, cpu, pinned])
    machine = f"{host.cpu_model}, {host.cpu_count} CPUs, {amount(host.memory_bytes, 'B')}, {host.kernel}"
    title = "\n".join(wrapped([f"{baseline.test} on {machine}"], width()))
    heads = ["session", "time", "commit", "rounds", "tracer", "wall", "cpu", "pinned"]
    if baseline.pinned is None:
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    ids = [session.session[:8] for session in baseline.sessions]
    table = table_with_names(heads, ids, rows, width=width(), expendable=(4, 3))
    return f"{title}\n{table}"


def _pin(baselines: list[Baseline], options: argparse.Namespace) -> None:
    for baseline in baselines:
        if options.remove:
            baseline.pinned = None
        else:
            wanted = [one for one in baseline.sessions if one.session.startswith(options.session or "")]
            if not wanted:
                raise UsageError(f"{baseline.path} has no session {options.session}")
            baseline.pinned = wanted[-1].session
        Store.write(baseline)
        print(f"{baseline.test}: {'nothing' if baseline.pinned is None else baseline.pinned[:8]} is pinned")


def _prune(baselines: list[Baseline], options: argparse.Namespace) -> None:
    for baseline in baselines:
        before = len(baseline.sessions)
        baseline.keep(options.keep)
        Store.write(baseline)
        print(f"{baseline.test}: {len(baseline.sessions)} of {before} sessions kept")


def _export(baselines: list[Baseline], options: argparse.Namespace) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(["test", "session", "time", "commit", "round", "key", "metric", "value"])
    for baseline in baselines:
        for session in baseline.sessions:
            own = [baseline.test, session.session, session.time, session.commit]
            for index, profile in enumerate(session.profiles()):
                for key, row in profile.totals.items():
                    writer.writerows([*own, index, key, metric, value] for metric, value in row.items())


def _power(baselines: list[Baseline], options: argparse.Namespace) -> None:
    from pytest_ptreetime.decision.comparing import power_of_baseline

    for baseline in baselines:
        sessions = [session.profiles() for session in baseline.sessions]
        print(f"{baseline.test}: {power_of_baseline(sessions, rounds=options.rounds).sentence}")
