"""What the interposer costs a process: a storm of posix_spawns of an empty dynamic program, beside the untraced one.

    python bench/interposer.py [--count 200] [--rounds 41] [--ablation] [--native DIRECTORY]

Each round runs every variant once, the next round in the opposite order. The time is measured inside the storm. The
bar: libptreetime_mailbox.so, which is all that is loaded unless a log is wanted, adds at most 40 us a process. On a
machine with a loader for 32-bit programs glibc has to be asked for the platform, which costs it a look into /proc:
those rows say how much (tracers/preload.py says why).
All runs on one CPU: what a process costs is wanted, not how it is moved about.

``--ablation`` adds libraries that do less: what is left of the cost when nothing is logged, and when nothing is done.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from storm import compiled_text, storm_command
from tabulate import tabulate

from pytest_ptreetime.native import helper
from pytest_ptreetime.tracers.preload import LOADER_OF_32_BIT_PROGRAMS, preload_value

NOWHERE = Path("/nonexistent")
BAR_US = 40.0
MAILBOX = "libptreetime_mailbox.so"
LIBRARIES = (MAILBOX, "libptreetime.so", "libptreetime_interpose.so")


def variants(directory: Path, ablation: bool) -> dict[str, dict[str, str]]:
    """The environment of each variant's children, by name."""
    log = directory / "interposer.events"
    log.touch()
    logging = {"PTREETIME_LOG": str(log)}
    chosen: dict[str, dict[str, str]] = {"untraced": {}}
    for name in LIBRARIES:
        value = preload_value(helper(name), None, directory, loader_of_32_bit_programs=NOWHERE)
        chosen[name] = {**logging, "LD_PRELOAD": value}
    if LOADER_OF_32_BIT_PROGRAMS.exists():
        for name in LIBRARIES:
            value = preload_value(helper(name), None, directory)
            chosen[f"{name}, safe for 32-bit programs"] = {**logging, "LD_PRELOAD": value}
    if ablation:
        library = {"LD_PRELOAD": str(helper("libptreetime.so"))}
        chosen[f"{MAILBOX}, its own path"] = {"LD_PRELOAD": str(helper(MAILBOX))}
        freestanding = ("-shared", "-fPIC", "-nostdlib", "-Wl,-z,norelro,-z,noseparate-code,--build-id=none")
        empty = compiled_text(directory, "nothing.so", "int ptreetime_nothing;\n", *freestanding)
        chosen["libptreetime.so, its own path"] = {**logging, **library}
        chosen["libptreetime.so, log gone"] = {**library, "PTREETIME_LOG": str(directory / "nowhere")}
        chosen["libptreetime.so, no log"] = library
        chosen["an empty library"] = {"LD_PRELOAD": str(empty)}
    return chosen


def run(storm: list[str], count: int, environment: dict[str, str]) -> float:
    """Microseconds a process."""
    clean = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "PTREETIME_LOG")}
    result = subprocess.run(storm, env={**clean, **environment}, check=True, capture_output=True)
    return int(result.stdout) / 1000 / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--ablation", action="store_true")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        storm = storm_command(directory, options.count)
        chosen = variants(directory, options.ablation)
        times: dict[str, list[float]] = {variant: [] for variant in chosen}
        for number in range(options.rounds):
            for variant in list(chosen)[:: -1 if number % 2 else 1]:
                times[variant].append(run(storm, options.count, chosen[variant]))
    print(f"{options.rounds} interleaved rounds of {options.count} posix_spawns, us a process")
    print(table(times))
    added_us = min(times[MAILBOX]) - min(times["untraced"])
    print(f"{MAILBOX}: {'within' if added_us <= BAR_US else 'ABOVE'} the bar of {BAR_US:.0f} us a process")


def table(times: dict[str, list[float]]) -> str:
    """The least times tell the cost (whatever else the machine does only adds), the medians how quiet it was."""
    untraced = times["untraced"]
    rows = []
    for variant, measured in times.items():
        added = [one - other for one, other in zip(measured, untraced, strict=True)]
        ratio = min(measured) / min(untraced)
        median, least = statistics.median(measured), min(measured)
        rows.append([variant, least, ratio, least - min(untraced), median, statistics.median(added)])
    headers = ["variant", "least", "ratio", "added (bar 40)", "median", "median added"]
    return tabulate(rows, headers=headers, floatfmt=(".0f", ".1f", ".3f", ".1f", ".1f", ".1f"))


if __name__ == "__main__":
    main()
