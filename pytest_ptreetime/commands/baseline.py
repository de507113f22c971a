"""Look after stored baselines.

ptreetime baseline show                       what is stored
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

from tabulate import tabulate

from pytest_ptreetime.baselines.store import DEFAULT_HISTORY, Baseline, Store
from pytest_ptreetime.commands.option_values import value_of
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.table import DEFAULT_STORE
from pytest_ptreetime.options.values import parse_natural
from pytest_ptreetime.system.figures import counted
from pytest_ptreetime.system.untrusted_text import shown


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
        subparser.add_argument(
            "tests", nargs="*", metavar="TEST", help="tests (a part of the name is enough); all by default"
        )
        subparser.add_argument("--dir", default=DEFAULT_STORE, help="the store (default %(default)s)")
        subparser.add_argument("--name", default="main", help="which baseline (default %(default)s)")
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
    actions[options.action](_chosen(options), options)
    return 0


def _chosen(options: argparse.Namespace) -> list[Baseline]:
    store = Store(options.dir, options.name)
    baselines = [Store.read(path) for path in store.files()]
    if options.tests:
        baselines = [one for one in baselines if any(test in one.test for test in options.tests)]
    if not baselines:
        wanted = f" of {', '.join(options.tests)}" if options.tests else ""
        raise UsageError(f"no baseline{wanted} in {store.directory}: pytest --ptreetime-save-baseline makes one")
    return baselines


def _show(baselines: list[Baseline], options: argparse.Namespace) -> None:
    rows = []
    for baseline in baselines:
        last = baseline.sessions[-1] if baseline.sessions else None
        rows.append(
            [
                baseline.test,
                len(baseline.sessions),
                last.time if last else "-",
                (last.commit or "-")[:9] if last else "-",
                last.rounds if last else "-",
                len(last.columns.keys) if last else "-",
                baseline.pinned[:8] if baseline.pinned else "-",
                f"{baseline.host.cpu_model}, {baseline.host.cpu_count} CPUs",
            ]
        )
    print(tabulate(rows, headers=["test", "sessions", "last", "commit", "rounds", "keys", "pinned", "machine"]))


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
