"""The long run: faults of every kind to runs of every tracer, and a table of what came of them.

    python -m faults [--faults 1000] [--seconds N] [--seed SEED] [--only NAME] [--ci]

Every fault is printed with its name and seed where something is violated; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tabulate import tabulate

from faults.injection import COLUMNS, Combination, Result, combinations, inject
from faults.resource_faults import mount_privately
from faults.trial import PYTEST

PYTEST_TURNS = 4  # a run of pytest takes as long as five of profile: it has its turn in every fourth round
MOST_ROUNDS = 1000

Table = dict[tuple[str, str], Counter[str]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=1000, help="how many to inject")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none after this")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of the first trial")
    parser.add_argument("--only", default="", help="part of the names of the faults to inject")
    parser.add_argument("--ci", action="store_true", help="keep a recorder stopped for a moment only")
    options = parser.parse_args()
    chosen = [one for one in combinations() if options.only in one.name]
    if not chosen:
        parser.error(f"there is no fault called {options.only}")
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):  # ignored where a shell or nohup put us behind
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    mount_privately()
    print(f"seed {options.seed}, {len(chosen)} kinds of fault", flush=True)
    table: Table = defaultdict(Counter)
    injected, began = 0, time.monotonic()
    for tried, (one, turn) in enumerate(_turns(chosen), start=1):
        if injected >= options.faults or time.monotonic() - began > options.seconds:
            break
        result = _injected(one, options.seed + turn, long=not options.ci)
        injected += result.injected
        _count(table, one, result)
        if tried % 25 == 0:
            print(f"{injected} injected after {time.monotonic() - began:.0f} s", flush=True)
    violated = _print(table)
    print(f"{injected} faults injected in {time.monotonic() - began:.0f} s, {violated} with violations")
    return 1 if violated else 0


def _turns(chosen: list[Combination]) -> Iterator[tuple[Combination, int]]:
    for turn in range(MOST_ROUNDS):
        for one in chosen:
            if one.kind != PYTEST or turn % PYTEST_TURNS == 0 or all(other.kind == PYTEST for other in chosen):
                yield one, turn


def _injected(one: Combination, seed: int, *, long: bool) -> Result:
    """As :func:`inject`; a trial that breaks is told of, and the long run goes on."""
    try:
        return inject(one, seed, long=long)
    except Exception:
        return Result(seed, "broken", ["the trial itself is broken"], traceback.format_exc())


def _count(table: Table, one: Combination, result: Result) -> None:
    counts = table[one.fault.name, one.tracer]
    counts[result.outcome] += 1
    if result.violations:
        counts["violations"] += 1
        print(f"\n{one.name}, seed {result.seed}: {result.outcome}", *result.violations, sep="\n  ")
        print(*(f"    | {line}" for line in result.output.splitlines()[-40:]), sep="\n", flush=True)


def _print(table: Table) -> int:
    """The table; how many faults had violations."""
    rows: list[list[Any]] = []
    for (fault, tracer), counts in sorted(table.items()):
        injected = sum(counts[outcome] for outcome in COLUMNS)
        rows.append([fault, tracer, injected, *(counts[outcome] for outcome in COLUMNS), counts["violations"]])
    total = ["all", "", *(sum(row[at] for row in rows) for at in range(2, len(COLUMNS) + 4))]
    headers = ["fault", "tracer", "injected", *COLUMNS.values(), "violations"]
    print(tabulate([*rows, total], headers=headers, tablefmt="github"))
    unavailable = sorted(f"{fault} {tracer}" for (fault, tracer), counts in table.items() if counts["not here"])
    if unavailable:
        print("not possible here:", ", ".join(unavailable))
    violated: int = total[-1]
    return violated


if __name__ == "__main__":
    sys.exit(main())
