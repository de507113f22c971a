"""How fast a recording is read and rebuilt, and what keys, profile and critical path take then.

``python bench/analysis.py [--processes N]...`` generates recordings in both formats (ours, swift-llbuild's), five
events a process and one million in all by default, and analyses each in a process of its own, several times; the best
time counts, because everything that disturbs makes it longer. One thread does it all, so that where the machine is busy
otherwise the processor time says what the wall time would be. Bars (docs/explanation/architecture.md): reading and
rebuilding 1,000,000 events
takes at most 2 s and 1 GB.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tabulate import tabulate

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

EVENTS_PER_PROCESS = 5
REPETITIONS = 5
ROOT = 1000
Job = tuple[int, int, str, list[str], bool]


def jobs(processes: int) -> Iterator[list[Job]]:
    """Compiles as make runs them, four processes each: pid, parent, name, arguments, whether it has children."""
    for number in range(processes // 4):
        shell, driver, compiler, assembler = range(ROOT + 1 + 4 * number, ROOT + 5 + 4 * number)
        source = f"src/module{number % 97}/file{number}.c"
        temporary = f"/tmp/cc{number * 7919 % 16**6:06x}.s"
        options = ["-O2", "-g", "-Wall", "-Wextra", "-Iinclude", "-Isrc", "-DNDEBUG"]
        yield [
            (shell, ROOT, "sh", ["/bin/sh", "-c", f"gcc {' '.join(options)} -c {source} -o {source}.o"], True),
            (driver, shell, "gcc", ["gcc", *options, "-c", source, "-o", source + ".o"], True),
            (
                compiler,
                driver,
                "cc1",
                [
                    *("/usr/libexec/gcc/x86_64-linux-gnu/13/cc1", "-quiet", "-I", "include", "-imultiarch"),
                    *("x86_64-linux-gnu", source, "-quiet", "-dumpbase", f"file{number}.c", "-mtune=generic"),
                    *(*options, "-o", temporary),
                ],
                False,
            ),
            (assembler, driver, "as", ["as", "-I", "include", "--64", "-o", source + ".o", temporary], False),
        ]


def histories(processes: int) -> Iterator[tuple[str, Job]]:
    """What happens to each process, in order: begin and end."""
    for group in jobs(processes):
        for job in group:
            yield "begin", job
            if not job[4]:
                yield "end", job
        for job in reversed(group[:2]):
            yield "end", job


def write_ours(path: Path, processes: int) -> int:
    from pytest_ptreetime.recording.events import Create, End, Event, Exec, Exit, Start, Usage, UserExit, UserStartup
    from pytest_ptreetime.recording.recording import Recording

    chance = random.Random(1)
    time_ns = 10**13
    make = [b"make", b"-j8"]
    events: list[Event] = [
        Start(time_ns, ROOT, 1_700_000_000 * 10**9),
        Exec(time_ns + 1, ROOT, b"make", b"/usr/bin/make", make, b"/home/me/project", Usage(0, 0, 0)),
    ]

    def tick() -> int:
        nonlocal time_ns
        time_ns += chance.randint(1_000, 900_000)
        return time_ns

    for moment, (pid, parent, name, args, _) in histories(processes):
        comm = name.encode()
        if moment == "begin":
            words = [word.encode() for word in args]
            events += [
                Create(tick(), pid, parent),
                Exec(tick(), pid, comm, b"/usr/bin/" + comm, words, b"/home/me/project", Usage(90_000, 0, 0)),
                UserStartup(tick(), pid, parent, 1_000_000, 0),
            ]
        else:
            cpu = chance.randint(10**6, 10**9)
            used = Usage(cpu, cpu // 10**7 * 10**7, 4_000_000, chance.randint(10**6, 10**8), 10**5, 4, 3, 900, 0, 10**4)
            events += [UserExit(tick(), pid, parent, cpu, 4_000_000, 0), Exit(tick(), pid, 0, comm, used)]
    events += [Exit(tick(), ROOT, 0, b"make", Usage(10**9, 10**9, 10**8)), End(tick(), 0)]
    Recording(events, command=["make", "-j8"], tracer="ptrace").save(path)
    return len(events)


def write_original(path: Path, processes: int) -> int:
    chance = random.Random(1)
    ts = 1_511_111_111_000_000
    count = 0

    def line(kind: str, **fields: Any) -> str:
        nonlocal ts, count
        ts += chance.randint(1, 400)
        count += 1
        return "    " + json.dumps({"ts": ts, "evt": f"{kind:<14}", **fields}, separators=(", ", " : "))

    def user(kind: str, pid: int, parent: int, **fields: Any) -> str:
        times = {"utime": [0, chance.randint(0, 999_999)], "stime": [0, chance.randint(0, 999_999)]}
        return line(kind, pid=pid, parent=parent, **times, **fields)

    with path.open("w") as file:
        file.write('{\n  "command" : ["make", "-j8"],\n  "events"  : [\n')
        file.write(line("START", target=ROOT) + ",\n")
        for moment, (pid, parent, name, args, _) in histories(processes):
            if moment == "begin":
                lines = [line("proc:::create", pid=pid, parent=parent), user("user exec", pid, parent, args=args)]
                lines.append(user("user startup", pid, parent))
            else:
                lines = [user("user exit", pid, parent), line("proc:::exit", pid=pid, parent=parent, name=name)]
            file.write(",\n".join(lines) + ",\n")
        file.write(line("proc:::exit", pid=ROOT, parent=1, name="make") + ",\n" + line("END") + "]\n}\n")
    return count


def analyse(path: str) -> None:
    """One analysis, in a process of its own: prints seconds and bytes as JSON."""
    from pytest_ptreetime.decision.profile import Profile
    from pytest_ptreetime.keys.keyer import Keyer
    from pytest_ptreetime.recording.recording import Recording
    from pytest_ptreetime.tree.critical_path import critical_path

    cpu_before = time.process_time()
    marks = [time.perf_counter()]

    def mark() -> None:
        marks.append(time.perf_counter())

    recording = Recording.load(path)
    mark()
    tree = recording.tree()
    mark()
    cpu = time.process_time() - cpu_before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert tree.complete, tree.incomplete_reason
    Keyer().keys(tree)
    mark()
    critical_path(tree)
    mark()
    Profile.from_tree(tree)
    mark()
    seconds = [after - before for before, after in itertools.pairwise(marks)]
    print(json.dumps({"nodes": len(tree), "seconds": seconds, "cpu": cpu, "peak": peak}))


def measured(path: Path, repetitions: int) -> tuple[list[float], int, int]:
    """The best seconds of each step, of reading and rebuilding together; the largest peak; the number of nodes."""
    results = []
    for _ in range(repetitions):
        run = subprocess.run(
            [sys.executable, __file__, "--analyse", str(path)], check=True, capture_output=True, text=True
        )
        results.append(json.loads(run.stdout))
    best = [min(one["seconds"][step] for one in results) for step in range(5)]
    together = min(sum(one["seconds"][:2]) for one in results)
    cpu = min(one["cpu"] for one in results)
    return [*best[:2], together, cpu, *best[2:]], max(one["peak"] for one in results), results[0]["nodes"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, action="append", help="processes of a build (repeatable)")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--analyse", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.analyse:
        analyse(options.analyse)
        return
    writers: dict[str, Callable[[Path, int], int]] = {"ours": write_ours, "swift-llbuild's": write_original}
    rows = []
    with tempfile.TemporaryDirectory(prefix="ptreetime-bench-") as directory:
        for processes in options.processes or [200_000]:
            for name, write in writers.items():
                path = Path(directory) / "recording"
                events = write(path, processes)
                seconds, peak, nodes = measured(path, options.repetitions)
                rows.append(
                    [name, f"{events:,}", f"{nodes:,}", f"{path.stat().st_size / nodes:.0f}"]
                    + [f"{value:.2f}" for value in seconds]
                    + [f"{peak / 1e6:.0f}"]
                )
    headers = ["format", "events", "nodes", "bytes/node", "read s", "tree s", "both s", "both cpu s", "keys s"]
    print(tabulate(rows, headers=[*headers, "path s", "profile s", "peak MB"], disable_numparse=True, stralign="right"))
    print("bars for 1,000,000 events: both 2 s, peak 1,000 MB")


if __name__ == "__main__":
    main()
