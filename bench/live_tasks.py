"""How the cost of tracing grows with the tasks that live at a time: threads of one process, and forked processes.

    python bench/live_tasks.py [--counts 1000 2000 4000 8000] [--rounds 3] [--only TRACER ...]

The time is taken inside the program (tests/programs/many-alive.c), the best of the rounds. Twice the tasks should take
twice the time, and not more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from storm import HERE, compiled
from tabulate import tabulate

from pytest_ptreetime.tracers import Command, Tracer, builtin_tracers


def took_ns(tracer: Tracer | None, args: list[str]) -> int:
    """Nanoseconds that the program took, traced or not."""
    with tempfile.TemporaryFile() as output:
        if tracer is None:
            subprocess.run(args, stdout=output, check=True)
        else:
            tracer.record(Command(args=args, stdout=output, interpose=False))
        output.seek(0)
        return int(json.load(output)["ns"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 2000, 4000, 8000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="TRACER", default=["ebpf", "ptrace"])
    options = parser.parse_args()
    tracers: dict[str, Tracer | None] = {"untraced": None}
    for name in options.only:
        tracer = builtin_tracers()[name]()
        reason = tracer.available()
        if reason is None:
            tracers[name] = tracer
        else:
            print(f"without {name}: {reason}")
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        program = str(compiled(Path(directory), HERE.parent / "tests" / "programs" / "many-alive.c", "-pthread"))
        for kind in ("threads", "forks"):
            for name, used in tracers.items():
                best = [
                    min(took_ns(used, [program, kind, str(count)]) for _ in range(options.rounds))
                    for count in options.counts
                ]
                rows.append([kind, name, *(f"{ns / 1e9:.2f} s" for ns in best)])
    for used in tracers.values():
        if used is not None:
            used.close()
    print(tabulate(rows, headers=["alive at a time", "", *map(str, options.counts)], colalign=("left", "left")))


if __name__ == "__main__":
    main()
