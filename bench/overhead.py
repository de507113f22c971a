"""What tracing costs at its worst: a storm of posix_spawns of an empty dynamic program, traced and untraced.

    python bench/overhead.py [--count 1000] [--rounds 11] [--one-cpu] [--realtime] [--only VARIANT ...]

Each round runs every variant once, the next round in the opposite order. The time is measured inside the storm, so that
no tracer's start or end is in it. A ratio is taken within its round; the table shows the median of the rounds' ratios,
their middle half, and what a process costs more than untraced, also of the processor time of all that the variant
started. That one can be told on a busy machine, too. Each tracer runs as it does by itself, without any library, and
with the one that logs. The bars: ebpf at most 1.03, ptrace without a library at most 1.05 times what its stops alone
cost, which a tracer that does nothing but stop (stops.c) tells. Two options make figures that serve to compare two
states of the code, not to judge them by the bars: ``--one-cpu`` binds everything to one processor, and ``--realtime``
(root) runs everything under SCHED_FIFO: others then disturb it less, and to wake a process on another processor costs
more.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from operator import sub
from pathlib import Path

from storm import HERE, compiled, storm_command
from tabulate import tabulate

from pytest_ptreetime.tracers import Command, Interpose, Tracer, builtin_tracers

BARS = {"ebpf": 1.03}
STOPS, STOPS_BAR = "ptrace's stops alone", 1.05
UNTRACED = "untraced"
PERF_EVENTS = "sched:sched_process_fork,sched:sched_process_exec,sched:sched_process_exit"
BPFTRACE = (
    "tracepoint:sched:sched_process_exec { @[pid] = nsecs; } tracepoint:sched:sched_process_exit { delete(@[pid]); }"
)

Run = Callable[[list[str]], int]


def inside(*prefix: str) -> Run:
    """Run the storm as the last words of another command."""

    def run(storm: list[str]) -> int:
        done = subprocess.run([*prefix, *storm], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return int(done.stdout.split()[-1])

    return run


def traced(tracer: Tracer, interpose: Interpose) -> Run:
    def run(storm: list[str]) -> int:
        with tempfile.TemporaryFile() as output:
            tracer.record(Command(args=storm, stdout=output, interpose=interpose))
            output.seek(0)
            return int(output.read())

    return run


def under_bpftrace(storm: list[str]) -> int:
    """bpftrace attaches before it says so, and then runs until it is interrupted."""
    with subprocess.Popen(
        ["bpftrace", "-e", f'BEGIN {{ printf("ready\\n"); }} {BPFTRACE}'], stdout=subprocess.PIPE, text=True
    ) as bpftrace:
        assert bpftrace.stdout is not None
        while "ready" not in (line := bpftrace.stdout.readline()):
            if not line:
                raise RuntimeError("bpftrace does not start")
        time_ns = inside()(storm)
        bpftrace.terminate()
        bpftrace.stdout.read()
    return time_ns


def variants(directory: Path) -> tuple[dict[str, Run], list[Tracer]]:
    """What can be run here, by name, and the tracers to close."""
    found: dict[str, Run] = {UNTRACED: inside()}
    tracers = []
    for name, make in builtin_tracers().items():
        if name == "interpose":
            continue  # bench/interposer.py
        tracer = make()
        reason = tracer.available()
        if reason is not None:
            print(f"without {name}: {reason}")
            continue
        tracers.append(tracer)
        found[name] = traced(tracer, interpose=True)
        found[f"{name}, no library"] = traced(tracer, interpose=False)
        found[f"{name}, log"] = traced(tracer, interpose="log")
    if sys.platform == "linux":
        found[STOPS] = inside(str(compiled(directory, HERE / "stops.c")))
    if shutil.which("perf"):
        found["perf record"] = inside("perf", "record", "-q", "-a", "-o", "/dev/null", "-e", PERF_EVENTS, "--")
    if shutil.which("strace"):
        found["strace -f --seccomp-bpf"] = inside(
            "strace", "-f", "--seccomp-bpf", "-e", "trace=execve", "-o", "/dev/null"
        )
    if shutil.which("bpftrace") and os.geteuid() == 0:
        found["bpftrace"] = under_bpftrace
    return found, tracers


def without_those_that_fail(found: dict[str, Run], storm: list[str]) -> dict[str, Run]:
    """Each of them run once: a warm-up, and who can't is left out."""
    working = {}
    for name, run in found.items():
        try:
            run(storm)
            working[name] = run
        except (subprocess.CalledProcessError, ValueError, IndexError, RuntimeError) as error:  # noqa: PERF203 # few
            print(f"without {name}: {error}")
    return working


def measure(
    found: dict[str, Run], storm: list[str], rounds: int
) -> tuple[dict[str, list[int]], dict[str, list[float]]]:
    """Nanoseconds of each round, by variant, and seconds of processor time that its processes used."""
    times: dict[str, list[int]] = {name: [] for name in found}
    cpus: dict[str, list[float]] = {name: [] for name in found}
    for number in range(rounds):
        order = list(found.items())
        for name, run in order if number % 2 == 0 else reversed(order):
            before = cpu_of_children()
            times[name].append(run(storm))
            cpus[name].append(cpu_of_children() - before)
    return times, cpus


def cpu_of_children() -> float:
    """Of all that have ended; a recorder that goes on between recordings is not among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bars(times: dict[str, list[int]]) -> dict[str, float]:
    """The highest ratio that each variant may have."""
    if STOPS not in times:
        return BARS
    ratios = [stops / base for stops, base in zip(times[STOPS], times[UNTRACED], strict=True)]
    return {**BARS, "ptrace, no library": STOPS_BAR * statistics.median(ratios)}


def table(times: dict[str, list[int]], cpus: dict[str, list[float]], count: int, bars: dict[str, float]) -> str:
    """One row for each variant."""
    untraced = times[UNTRACED]
    rows = []
    for name, of_variant in times.items():
        ratios = [ours / base for ours, base in zip(of_variant, untraced, strict=True)]
        quarters = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
        more_us = statistics.median(ours - base for ours, base in zip(of_variant, untraced, strict=True)) / count / 1e3
        more_cpu_us = statistics.median(map(sub, cpus[name], cpus[UNTRACED])) / count * 1e6
        bar = bars.get(name)
        rows.append(
            [
                name,
                f"{statistics.median(of_variant) / count / 1e3:.0f}",
                f"{quarters[1]:.3f}",
                f"{quarters[0]:.3f} to {quarters[2]:.3f}",
                f"{more_us:.0f}",
                f"{more_cpu_us:.0f}",
                "" if bar is None else f"{bar:.2f} {'met' if quarters[1] <= bar else 'missed'}",
            ]
        )
    headers = ["variant", "us/process", "ratio", "middle half", "us more", "cpu us more", "bar"]
    return tabulate(rows, headers=headers, disable_numparse=True, colalign=("left", *["right"] * 6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="spawns in a storm")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--one-cpu", action="store_true")
    parser.add_argument("--realtime", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="with untraced")
    options = parser.parse_args()
    if options.one_cpu:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if options.realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        storm = storm_command(directory, options.count)
        found, tracers = variants(directory)
        if options.only:
            found = {name: run for name, run in found.items() if name in (UNTRACED, *options.only)}
        found = without_those_that_fail(found, storm)
        times, cpus = measure(found, storm, options.rounds)
        for tracer in tracers:
            tracer.close()
    load = os.getloadavg()[0]
    print(f"a storm of {options.count} processes, {options.rounds} rounds, load average {load:.1f} at the end")
    print(table(times, cpus, options.count, {} if options.one_cpu or options.realtime else bars(times)))


if __name__ == "__main__":
    main()
