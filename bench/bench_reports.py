"""How long the reports take for a build of 100,000 processes, how large they are, and when the page can be used.

    python bench/bench_reports.py [PROCESSES]

The browser's row needs playwright and Chromium.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from report_sessions import MILLISECOND, BuildEvents, measurement, session

from pytest_ptreetime.errors import ReportFailed
from pytest_ptreetime.recording.events import Usage
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports import find_report, report_names, write_report

SLOTS = 16
FLAGS = ["-O2", "-g", "-Wall", "-Wextra", "-DNDEBUG", "-std=c++20", "-fPIC"]


def large_build(processes: int) -> Recording:
    """Compiles of C++ with twenty flags each, 16 at a time."""
    chance = random.Random(1)
    events = BuildEvents()
    free_at = [2.0 + slot for slot in range(SLOTS)]
    for number in range(processes // 4):
        slot = free_at.index(min(free_at))
        begin, compile_ms = free_at[slot], chance.uniform(20, 900)
        paths = [
            f"-I/home/user/project/third_party/{chance.choice('abcdefgh')}{chance.randrange(60)}" for _ in range(12)
        ]
        source = f"src/module{number % 300}/file_{number}.cpp"
        flags = [*paths, *FLAGS]
        command = f"g++ {' '.join(flags)} -c {source}"
        shell = events.process(1000, ["/bin/sh", "-c", command], begin, compile_ms + 34, cpu=2)
        driver = events.process(shell, ["/usr/bin/g++", *flags, "-c", source], begin + 2, compile_ms + 30, cpu=5)
        temporary = f"/tmp/cc{chance.randrange(10**6):06d}.s"
        events.process(
            driver, ["/usr/lib/gcc/cc1plus", "-quiet", *flags, source, "-o", temporary], begin + 4, compile_ms
        )
        events.process(driver, ["/usr/bin/as", "--64", "-o", f"{source}.o", temporary], begin + 5 + compile_ms, 22)
        free_at[slot] = begin + compile_ms + 36
    usage = Usage(15 * MILLISECOND, 10 * MILLISECOND, 5 * MILLISECOND, 12 * 2**20, *[0] * 8)
    return events.finished(max(free_at) + 64, usage)


def open_in_browser(page: Path) -> list[str]:
    """Seconds until the first picture, and until the last command line can be searched."""
    try:
        from playwright.sync_api import sync_playwright  # type: ignore[import-not-found,unused-ignore] # optional
    except ImportError:
        return ["opening the page", "needs playwright", ""]
    chromium = os.environ.get("PTREETIME_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        begun = time.perf_counter()
        tab.goto(page.as_uri())
        tab.wait_for_selector("section[data-ready]")
        first = time.perf_counter() - begun
        tab.wait_for_selector("section[data-complete]")
        complete = time.perf_counter() - begun
        browser.close()
    return ["opening the page", f"{first:.2f} (first picture), {complete:.2f} (complete)", ""]


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    result = session(measurement(now=[large_build(wanted)]))
    begun = time.perf_counter()
    processes = len(result.measurements[0].tree)
    rows = [[f"tree and keys of {processes} processes", f"{time.perf_counter() - begun:.2f}", ""]]
    begun = time.perf_counter()
    result.measurements[0].now  # noqa: B018 - worked out once, and used by most reports
    rows.append(["profile", f"{time.perf_counter() - begun:.2f}", ""])
    with tempfile.TemporaryDirectory() as directory:
        for name in report_names():
            begun = time.perf_counter()
            try:
                size = write_report(find_report(name), result, Path(directory) / f"report.{name}").stat().st_size
            except ReportFailed as error:
                rows.append([name, str(error), ""])
                continue
            rows.append([name, f"{time.perf_counter() - begun:.2f}", f"{size / 1e6:.2f}"])
        rows.append(open_in_browser(Path(directory) / "report.html"))
    print(tabulate(rows, headers=["report", "seconds", "MB"], disable_numparse=True))


if __name__ == "__main__":
    main()
