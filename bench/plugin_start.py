"""What the plugin costs a pytest run that does not use it (bar: 15 ms).

    python bench/plugin_start.py [--rounds 31]

A run of one empty test, with the plugin and without it, in turns; whole processes are timed. No other plugin is loaded.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

BAR_MS = 15.0
REPOSITORY = Path(__file__).resolve().parent.parent
SIDES = {"without": [], "with": ["-p", "pytest_ptreetime.plugin"]}


def milliseconds(directory: Path, *options: str) -> float:
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    begin = time.perf_counter()
    subprocess.run(command, cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args()
    times: dict[str, list[float]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.joinpath("test_nothing.py").write_text("def test_nothing():\n    pass\n")
        for arguments in SIDES.values():
            milliseconds(directory, *arguments)  # the modules come into the page cache, compiled
        for number in range(options.rounds):
            for side in list(SIDES)[:: -1 if number % 2 else 1]:
                times[side].append(milliseconds(directory, *SIDES[side]))
    added = statistics.median(one - other for one, other in zip(times["with"], times["without"], strict=True))
    rows = [[side, min(each), statistics.median(each)] for side, each in times.items()]
    print(tabulate(rows, ["a pytest run, the plugin not used", "least, ms", "median, ms"], floatfmt=".1f"))
    print(f"the plugin adds {added:.1f} ms (median of {options.rounds} rounds; bar {BAR_MS:.0f})")


if __name__ == "__main__":
    main()
