"""How long the eBPF tracer takes to start, and what it keeps up with.

    python bench/ebpf_start.py [--rounds 11] [--seconds 10] [--rate 10000]

Its start (bars: 150 ms the first time, 10 ms again in the session), and a stream of short processes that nobody may
lose (bar: 10,000 a second for 10 s).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from storm import HERE, compiled
from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parent.parent))

from pytest_ptreetime.recording.events import Create, Exit, Lost
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.ebpf import EbpfTracer

TRUE = "/bin/true"


def milliseconds(begin: float) -> float:
    return (time.perf_counter() - begin) * 1000


def ready() -> EbpfTracer:
    tracer = EbpfTracer()
    reason = tracer.available()
    if reason is not None:
        raise SystemExit(f"ebpf: {reason}")
    return tracer


def starts(rounds: int) -> list[list[object]]:
    """The first time: until the recorder says hello. Again: all of a recording of /bin/true, less its untraced run."""
    first, again, untraced = [], [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        tracer = ready()
        first.append(milliseconds(begin))
        tracer.record(Command([TRUE], interpose=False))
        begin = time.perf_counter()
        tracer.record(Command([TRUE], interpose=False))
        again.append(milliseconds(begin))
        begin = time.perf_counter()
        subprocess.run([TRUE], check=True)
        untraced.append(milliseconds(begin))
        tracer.close()
    extra = [one - other for one, other in zip(again, untraced, strict=True)]
    return [
        ["first", statistics.median(first), min(first), max(first), 150],
        ["again, a whole recording of true", statistics.median(extra), min(extra), max(extra), 10],
    ]


def stream(directory: Path, seconds: int, rate: int) -> list[list[object]]:
    program = str(compiled(directory, HERE.parent / "tests/programs/fork-storm.c", "-pthread"))
    tracer = ready()
    with tempfile.TemporaryFile() as output:
        capture = tracer.record(
            Command([program, str(seconds * rate), str(rate)], stdout=output, interpose=False, timeout=10 * seconds)
        )
        output.seek(0)
        took = json.loads(output.read())["seconds"]
    tracer.close()
    created = sum(isinstance(event, Create) for event in capture.events)
    ended = sum(isinstance(event, Exit) for event in capture.events)
    lost = sum(event.count for event in capture.events if isinstance(event, Lost))
    return [[seconds * rate, created, ended - 1, lost, took, created / took]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=10_000, help="processes a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        print(tabulate(starts(options.rounds), ["start", "median, ms", "least", "most", "bar"], floatfmt=".1f"), "\n")
        header = ["processes", "created", "ended", "lost", "seconds", "a second"]
        print(tabulate(stream(directory, options.seconds, options.rate), header, floatfmt=".1f"))


if __name__ == "__main__":
    main()
