"""How long a comparison takes with a store of 5,000 baselines, and a comparison of 100,000 keys.

    python bench/scale_store.py [--files 5000] [--keys 100000]

The store has a file for each of 5,000 tests (ten sessions of three rounds of twenty keys each); a run of one test reads
one. The comparison of 100,000 keys reads ten sessions of three rounds from one file. Bar: 10 s.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

from tabulate import tabulate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from report_sessions import HOST

from pytest_ptreetime.baselines.store import Baseline, Session, Store
from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.typical import typical
from pytest_ptreetime.errors import BaselineMissing

SESSIONS, ROUNDS = 10, 3
BAR_SECONDS = 10.0
FIRST = datetime(2026, 11, 1, tzinfo=timezone.utc)


def profile(keys: list[str], chance: random.Random) -> Profile:
    """A round of a build in which each key is one compile of a tenth of a second, give or take a per cent."""
    totals = {}
    for key in keys:
        wall = 0.1 * chance.lognormvariate(0, 0.01)
        used = {"count": 1.0, "wall": wall, "user": wall * 0.8, "sys": wall * 0.1, "cpu": wall * 0.9, "max_rss": 3e7}
        totals[key] = {
            **used,
            "run_delay": 0.001,
            "startlag": 0.001,
            "exitlag": 0.001,
            "read_bytes": 4e6,
            "written_bytes": 4096.0,
            "reads": 90.0,
            "writes": 2.0,
        }
    root = "make[-j8]"
    totals[root] = {"count": 1.0, "wall": len(keys) / 80, "user": 0.5, "sys": 0.1, "cpu": 0.6}
    return Profile(totals=totals, parents={**dict.fromkeys(keys, root), root: None})


def sessions(keys: list[str], chance: random.Random) -> list[Session]:
    return [
        Session.from_profiles(
            [profile(keys, chance) for _ in range(ROUNDS)],
            commit=None,
            tracer="ebpf",
            time=FIRST + timedelta(days=number),
        )
        for number in range(SESSIONS)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="of the baseline of many keys")
    options = parser.parse_args()
    rows: list[list[str]] = []

    @contextmanager
    def timed(what: str, *, bar: bool = False) -> Iterator[None]:
        begun, cpu = time.perf_counter(), time.process_time()
        yield
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        rows.append([what, f"{seconds:.3f}", f"{cpu:.3f}", f"{BAR_SECONDS:.0f}" if bar else ""])

    chance = random.Random(1)
    few = [f"make/gcc/cc1[src/file{number}.c]" for number in range(20)]
    many = [f"make/gcc/cc1[src/module{number % 997}/file{number}.c]" for number in range(options.keys)]
    with tempfile.TemporaryDirectory(prefix="ptreetime-scale-") as directory:
        store = Store(directory)
        template = sessions(few, chance)
        tests = [f"tests/test_{number // 50}.py::test_build_{number}" for number in range(options.files)]
        with timed(f"writing {options.files:,} baselines"):
            for test in tests:
                Store.write(Baseline(test, HOST, store.path_of(test, HOST), template))
        now = [profile(few, chance) for _ in range(ROUNDS)]
        with timed(f"one comparison, with numpy's import ({options.files:,} files)", bar=True):
            compare([one.profiles() for one in store.load(tests[-1], HOST).sessions], now)
        with timed("a test without a baseline"), suppress(BaselineMissing):
            store.load("tests/test_new.py::test_new", HOST)
        with timed(f"{len(tests[:200])} comparisons, one after the other"):
            for test in tests[:200]:
                compare([one.profiles() for one in store.load(test, HOST).sessions], now)
        with timed(f"saving a session ({options.files:,} files)"):
            store.add(tests[7], HOST, template[0])
        with timed(f"ptreetime baseline show: all {options.files:,} files", bar=True):
            size = sum(len(Store.read(path).sessions) for path in store.files())
        assert size >= options.files * SESSIONS
        large = Store(directory, "large")
        with timed(f"writing a baseline of {options.keys:,} keys"):
            Store.write(
                Baseline("large", HOST, large.path_of("large", HOST), sessions(many, chance)[: options.sessions])
            )
        megabytes = large.path_of("large", HOST).stat().st_size / 1e6
        now = [profile(many, chance) for _ in range(ROUNDS)]
        begun, cpu = time.perf_counter(), time.process_time()
        with timed(f"reading it ({megabytes:.0f} MB, {options.sessions} sessions of {ROUNDS} rounds)"):
            stored = large.load("large", HOST)
        with timed("its typical round, for the reports"):
            before = [one.profiles() for one in stored.sessions]
            typical(before)
        with timed("the comparison"):
            verdict = compare(before, now).verdict
        whole, cpu = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    these = f"these three: {options.keys:,} keys, {verdict}, peak of the whole bench {peak:,.0f} MiB"
    rows.append([these, f"{whole:.3f}", f"{cpu:.3f}", f"{BAR_SECONDS:.0f}"])
    print(tabulate(rows, headers=["what", "seconds", "cpu s", "bar"], disable_numparse=True))


if __name__ == "__main__":
    main()
