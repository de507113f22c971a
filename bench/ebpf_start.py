"""What the eBPF tracer costs before, while and after a command runs.

    python bench/ebpf_start.py [--rounds 11] [--spawns 1000] [--seconds 10] [--rate 10000]

Three tables: its start (bars: 150 ms the first time, 10 ms again in the session); a storm of posix_spawns of an empty
dynamic program, traced and untraced in turns, timed inside of the storm (bar: 1.03); and a stream of short processes
that nobody may lose (bar: 10,000 a second for 10 s).
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

from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).parent.parent))

from pytest_ptreetime.events import Create, Exit, Lost
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.ebpf import EbpfTracer

HERE = Path(__file__).parent
TRUE = "/bin/true"


def compiled(directory: Path, source: Path) -> str:
    target = directory / source.stem
    subprocess.run(["cc", "-std=gnu11", "-O2", "-pthread", "-o", target, source], check=True)
    return str(target)


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


def storms(directory: Path, rounds: int, spawns: int) -> list[list[object]]:
    storm, empty = compiled(directory, HERE / "storm.c"), directory / "empty"
    subprocess.run(["cc", "-O2", "-x", "c", "-o", empty, "-"], input=b"int main(void) { return 0; }", check=True)
    command = [storm, str(spawns), str(empty)]
    tracer = ready()
    untraced: list[float] = []
    traced: list[float] = []
    for round_number in range(rounds):
        for side in (untraced, traced) if round_number % 2 else (traced, untraced):
            with tempfile.TemporaryFile() as output:
                if side is traced:
                    tracer.record(Command(command, stdout=output, interpose=False))
                else:
                    subprocess.run(command, stdout=output, check=True)
                output.seek(0)
                side.append(int(output.read()) / 1e6)
    tracer.close()
    ratios = [one / other for one, other in zip(traced, untraced, strict=True)]
    return [
        ["untraced, ms", statistics.median(untraced), min(untraced), max(untraced), None],
        ["traced, ms", statistics.median(traced), min(traced), max(traced), None],
        ["ratio of the medians", statistics.median(traced) / statistics.median(untraced), None, None, 1.03],
        ["ratio of the minima", min(traced) / min(untraced), None, None, None],
        ["ratio within a round", statistics.median(ratios), min(ratios), max(ratios), 1.03],
    ]


def stream(directory: Path, seconds: int, rate: int) -> list[list[object]]:
    program = compiled(directory, HERE.parent / "tests/programs/fork-storm.c")
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
    parser.add_argument("--spawns", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rate", type=int, default=10_000, help="processes a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        print(tabulate(starts(options.rounds), ["start", "median, ms", "least", "most", "bar"], floatfmt=".1f"), "\n")
        print(
            tabulate(
                storms(directory, options.rounds, options.spawns),
                ["storm", "median", "least", "most", "bar"],
                floatfmt=".3f",
            ),
            "\n",
        )
        header = ["processes", "created", "ended", "lost", "seconds", "a second"]
        print(tabulate(stream(directory, options.seconds, options.rate), header, floatfmt=".1f"))


if __name__ == "__main__":
    main()
