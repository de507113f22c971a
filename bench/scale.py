"""What a build of a million processes takes to analyse: read, rebuild, name, total, compare, report.

    python bench/scale.py [--processes N ...] [--reports html json ...]

Builds of 10,000, 100,000 and 1,000,000 processes (five events each) are made of a real one, many times over
(tests/support/replicated_builds.py), each analysed in a process of its own. "x linear" is the processor time of a
process at this size, divided by that at the size before. ``--reports`` are written after the terminal's, which is the
one of the five stages. Bars: 20 s and 2.4 GB for these together at 1,000,000 processes; 100 bytes a process in the file
of a real build.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "support")]

STAGES = ["read", "rebuild", "profile", "compare", "report"]
FURTHER_REPORTS = ["json", "lnt", "markdown", "openmetrics", "parquet", "html"]
BAR_SECONDS, BAR_BYTES, BAR_FILE_BYTES = 20.0, 2.4e9, 100.0


def write_builds(directory: Path, processes: int) -> None:
    """The recording to analyse, and the profile of another round to compare it with."""
    import msgspec
    from replicated_builds import replicated

    from pytest_ptreetime.decision.profile import Profile

    replicated(processes, seed=2).save(directory / "now")
    before = Profile.from_tree(replicated(processes, seed=1).tree())
    kept = before.totals, before.parents, before.critical_path, before.identities
    (directory / "before").write_bytes(msgspec.msgpack.encode(kept))


def analyse(directory: Path, reports: list[str]) -> None:
    """One analysis, in a process of its own: prints seconds and bytes as JSON."""
    import msgspec

    from pytest_ptreetime.decision.comparing import compare
    from pytest_ptreetime.decision.profile import Profile
    from pytest_ptreetime.keys.identity import Identity
    from pytest_ptreetime.recording.recording import Recording
    from pytest_ptreetime.reports import find_report, write_report
    from pytest_ptreetime.reports.results import from_recordings

    totals, parents, critical_path, identities = msgspec.msgpack.decode(
        (directory / "before").read_bytes(),
        type=tuple[dict[str, dict[str, float]], dict[str, str | None], list[str], dict[str, Identity]],
    )
    before = Profile(totals, parents, critical_path=critical_path, identities=identities)
    at_first = peak_bytes()
    seconds: dict[str, float] = {}
    cpu: dict[str, float] = {}
    begun = time.perf_counter(), time.process_time()

    def mark(stage: str) -> None:
        nonlocal begun
        now = time.perf_counter(), time.process_time()
        seconds[stage], cpu[stage] = now[0] - begun[0], now[1] - begun[1]
        begun = now

    recording = Recording.load(directory / "now")
    mark("read")
    session = from_recordings([recording], name="build")
    measurement = session.measurements[0]
    tree = measurement.tree
    mark("rebuild")
    profiles = measurement.profiles
    mark("profile")
    measurement.baseline = before
    measurement.comparison = compare([[before]], profiles)
    mark("compare")
    sizes = {}
    for name in ["terminal", *reports]:
        path = write_report(find_report(name), session, directory / f"report.{name}")
        sizes[name] = path.stat().st_size
        mark("report" if name == "terminal" else name)
        if name == "terminal":
            peak = peak_bytes()
    result = {
        "processes": len(tree),
        "events": len(recording.events),
        "keys": len(profiles[0].totals),
        "complete": tree.complete,
        "verdict": measurement.comparison.verdict,
        "file": (directory / "now").stat().st_size,
        "seconds": seconds,
        "cpu": cpu,
        "peak": peak,
        "at_first": at_first,
        "peak_with_reports": peak_bytes(),
        "sizes": sizes,
    }
    print(json.dumps(result))


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_subprocess(*arguments: str) -> str:
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=1_800).stdout


def measured(directory: Path, processes: int, repetitions: int, reports: list[str]) -> dict[str, Any]:
    """The analysis whose stages took the least time together."""
    in_subprocess("--write", str(directory), "--processes", str(processes))
    wanted = ["--reports", *reports] if reports else []
    results = [json.loads(in_subprocess("--analyse", str(directory), *wanted)) for _ in range(repetitions)]
    best: dict[str, Any] = min(results, key=lambda result: sum(result["seconds"][stage] for stage in STAGES))
    return best


def table(results: list[dict[str, Any]], reports: list[str]) -> str:
    rows = []
    for position, result in enumerate(results):
        for stage in [*STAGES, "all five", *reports]:
            seconds, cpu = total(result, stage, "seconds"), total(result, stage, "cpu")
            linear = ""
            if position:
                before = results[position - 1]
                ratio = total(result, stage, "cpu") / max(0.01, total(before, stage, "cpu"))
                linear = f"{ratio / (result['processes'] / before['processes']):.2f}"
            peak = f"{result['peak'] / 1e6:,.0f}" if stage == "all five" else ""
            size = f"{result['sizes'][stage] / 1e6:.1f}" if stage in reports else ""
            each = f"{seconds / result['processes'] * 1e6:.1f}"
            rows.append([f"{result['processes']:,}", stage, f"{seconds:.2f}", f"{cpu:.2f}", each, linear, peak, size])
    headers = ["processes", "stage", "seconds", "cpu s", "us/process", "x linear", "peak MB", "report MB"]
    return tabulate(rows, headers=headers, disable_numparse=True, stralign="right")


def total(result: dict[str, Any], stage: str, clock: str) -> float:
    stages = STAGES if stage == "all five" else [stage]
    return sum(float(result[clock][one]) for one in stages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--reports", nargs="*", default=[], help="further reports: " + " ".join(FURTHER_REPORTS))
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("--analyse", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write_builds(Path(options.write), options.processes[0])
        return
    if options.analyse:
        analyse(Path(options.analyse), options.reports)
        return
    results = []
    for processes in options.processes:
        with tempfile.TemporaryDirectory(prefix="ptreetime-scale-") as directory:
            results.append(measured(Path(directory), processes, options.repetitions, options.reports))
            print(f"{processes:,} processes done", file=sys.stderr)
    print(table(results, options.reports))
    for result in results:
        print(
            f"{result['processes']:,} processes: {result['events']:,} events, {result['keys']:,} keys, "
            f"{result['file'] / result['processes']:.1f} bytes a process in the file, "
            f"{'complete' if result['complete'] else 'INCOMPLETE'}, verdict {result['verdict']}"
        )
    from replicated_builds import LUA_BUILD, lua_build

    each = LUA_BUILD.stat().st_size / len(lua_build().tree())
    print(f"the real build that they are made of: {each:.1f} bytes a process")
    print(
        f"bars at 1,000,000 processes: {BAR_SECONDS:.0f} s and {BAR_BYTES / 1e6:,.0f} MB for all five; "
        f"{BAR_FILE_BYTES:.0f} bytes a process"
    )


if __name__ == "__main__":
    main()
