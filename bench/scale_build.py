"""A build of more than 20,000 real processes, traced: is all of it there, what does it cost, can the reports be used?

    python bench/scale_build.py [--compiles 5200] [--jobs 2] [--rounds 1] [--tracer ebpf] [--no-interposer]

A generated C project of tiny files under ninja (make where there is none): a shell, gcc, cc1 and as for each file. A
round is untraced, traced, traced, untraced. The two traced ones are compared with each other, and shown as HTML in a
browser where playwright is installed. Bar of overhead: 1.01 with ebpf, 1.02 with ptrace, of real files
(docs/explanation/architecture.md).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench_reports import open_in_browser
from generated_project import build_of, write_project

from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports import find_report, write_report
from pytest_ptreetime.reports.results import from_recordings
from pytest_ptreetime.tracers import Command, Tracer, builtin_tracers

BARS = {"ebpf": 1.01, "ptrace": 1.02}


def timed_build(project: Path, jobs: int, tracer: Tracer | None, interpose: bool) -> tuple[float, Recording | None]:
    """Seconds that the caller waits, and what was recorded."""
    shutil.rmtree(project / "objects", ignore_errors=True)
    command = build_of(project, jobs)
    begun = time.perf_counter()
    if tracer is None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun, None
    capture = tracer.record(Command(args=command, stdout=subprocess.DEVNULL, interpose=interpose))
    seconds = time.perf_counter() - begun
    assert capture.returncode == 0, capture.returncode
    return seconds, Recording.from_capture(capture, command=command, tracer=tracer.name)


def measure(
    project: Path, jobs: int, rounds: int, tracer: Tracer, interpose: bool
) -> tuple[list[float], list[Recording]]:
    ratios: list[float] = []
    recordings: list[Recording] = []
    for number in range(rounds):
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for traced in (False, True, True, False):
            spent, recording = timed_build(project, jobs, tracer if traced else None, interpose)
            seconds[traced].append(spent)
            if recording is not None and len(recordings) < 2:
                recordings.append(recording)
            print(f"round {number + 1}: {'traced' if traced else 'untraced'} {spent:.1f} s", file=sys.stderr)
        ratios.append(sum(seconds[True]) / sum(seconds[False]))
    return ratios, recordings


def described(recordings: list[Recording], directory: Path, compiles: int) -> list[list[str]]:
    """What became of the recordings: rows of the table."""
    rows = []

    def add(what: str, value: str, begun: float | None = None) -> None:
        rows.append([what, value, "" if begun is None else f"{time.perf_counter() - begun:.2f}"])

    path = directory / "recording"
    begun = time.perf_counter()
    recordings[1].save(path)
    add("recording written", f"{path.stat().st_size / 1e6:.2f} MB", begun)
    begun = time.perf_counter()
    session = from_recordings([Recording.load(path)], name="build", baseline=recordings[:1])
    measurement = session.measurements[0]
    tree = measurement.tree
    each = path.stat().st_size / len(tree)
    add("read and rebuilt", f"{len(tree):,} images, {each:.0f} bytes each", begun)
    counts = tree.completeness
    add("nothing lost", f"{counts.lost} lost, {counts.creates + 1:,} created, {counts.exits:,} ended")
    add("complete", tree.incomplete_reason or "yes")
    add("compiler runs seen", f"{len(tree.find(name='cc1')):,} of {compiles:,}")
    begun = time.perf_counter()
    comparison = measurement.comparison = compare([[profile_of(recordings[0])]], measurement.profiles)
    findings = [finding for finding in comparison.findings if finding.kind in ("added", "removed", "count")]
    keys = len(measurement.profiles[0].totals)
    add("compared", f"{keys:,} keys: {comparison.verdict}, {len(findings)} differences of structure", begun)
    for name in ("terminal", "html"):
        begun = time.perf_counter()
        report = write_report(find_report(name), session, directory / f"report.{name}")
        add(f"{name} report", f"{report.stat().st_size / 1e6:.2f} MB", begun)
    rows.append(open_in_browser(directory / "report.html"))
    return rows


def profile_of(recording: Recording) -> Profile:
    return Profile.from_tree(recording.tree())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compiles", type=int, default=5_200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--tracer", default="ebpf", choices=sorted(BARS))
    parser.add_argument("--no-interposer", action="store_true", help="trace without the library in the build")
    options = parser.parse_args()
    tracer = builtin_tracers()[options.tracer]()
    reason = tracer.available()
    if reason is not None:
        raise SystemExit(f"{options.tracer}: {reason}")
    with tempfile.TemporaryDirectory(prefix="ptreetime-scale-") as directory:
        write_project(Path(directory) / "project", options.compiles)
        try:
            ratios, recordings = measure(
                Path(directory) / "project", options.jobs, options.rounds, tracer, not options.no_interposer
            )
        finally:
            tracer.close()
        rows = described(recordings, Path(directory), options.compiles)
    spread = f" ({min(ratios):.3f} to {max(ratios):.3f})" if len(ratios) > 1 else ""
    rows.insert(
        0, [f"{options.tracer} / untraced", f"{statistics.median(ratios):.3f}{spread}, bar {BARS[options.tracer]}", ""]
    )
    print(tabulate(rows, headers=["what", "figure", "seconds"], disable_numparse=True))


if __name__ == "__main__":
    main()
