"""How often the decision is wrong about a real build on this machine: false findings, and changes that it misses.

    python bench/real_decision.py            a look (two minutes on a quiet machine)
    python bench/real_decision.py --full     40 comparisons of a build with itself, 20 of each change (an hour and more)

The build is a Lua interpreter (tests/real/Makefile), traced as a test's would be. Four questions:

- interleaved A/A: the build in turns with itself; every finding is false;
- stored A/A: sessions of the build against the ones before them. A session is measured once, and is also in the
  baselines of the sessions after it: these comparisons are not independent, and their interval is too narrow;
- slower: interleaved, and in B one compiler process ends by burning 5 % more of its own cpu time
  (slower_compiler.c, which is loaded on both sides);
- structure: interleaved, two rounds a side; at its end B compiles one file that A does not, or twice, or not at all
  (real_decision.mk). Found means: the right sentence about that compiler driver.

With --confirm the interleaved A/A and the slower compiler are decided by replays (pytest_ptreetime/confirmation), and
what a session took, rounds and replays, is told.

No round is used in two sessions but for what is said of the stored ones. Intervals are Clopper and Pearson's, 95 %.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from decision import share_with_interval

from pytest_ptreetime.confirmation.confirming import MOST_SUSPECTS
from pytest_ptreetime.decision.comparing import Comparison, compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.confirmation_runs import confirm_comparison
from pytest_ptreetime.session.rounds import measure, measure_interleaved
from pytest_ptreetime.system.calibration import Calibration, calibrate
from pytest_ptreetime.tracers import Tracer, builtin_tracers, choose
from pytest_ptreetime.wording.remarks import notes_in_words

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from lua_sources import LUA_VERSIONS, SourcesMissing, lua_sources

HERE = Path(__file__).parent
REAL = HERE.parent / "tests" / "real" / "Makefile"
#: What the build compiles at its end, on the unchanged side and on the changed one, and how the sentence goes on.
AGAIN = "luac.c"
STRUCTURES = {
    "added": ("luac.c print.c", "gcc * print.c: is new, runs once"),
    "doubled": ("luac.c luac.c", "gcc * luac.c: runs twice instead of 1 (doubled)"),
    "removed": ("", "gcc * luac.c: no longer runs (ran once)"),
}


@dataclass
class Bench:
    """The build under test, and what its rounds have shown of this machine's noise."""

    options: argparse.Namespace
    directory: Path
    tracer: Tracer
    sources: Path
    noise: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def build(self, *, slower: float = 0.0, again: str = AGAIN) -> Build:
        """One side: ``slower`` is the percentage that the chosen compiler process burns, ``again`` the last files."""
        objects, options = self.directory / "objects", self.options
        command = ["make", f"-j{options.jobs}", "-s", "-f", str(HERE / "real_decision.mk"), f"REAL={REAL}"]
        command += [f"LUA={self.sources}", f"OBJECTS={objects}", f"VERSIONS={options.lua}"]
        command += [f"CFLAGS={options.cflags} -std=gnu99 -DLUA_USE_POSIX -w"]
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LD_PRELOAD": str(self.directory / "slower_compiler.so"),
            "AGAIN": again,
            "PTREETIME_SLOWER": f"/{options.file}:{slower}",
        }
        return Build.from_arguments(command, env=environment, setup=lambda: shutil.rmtree(objects, ignore_errors=True))

    def interleaved(self, changed: Build, rounds: int, *, confirm: bool = False) -> Comparison:
        began = time.monotonic()
        sides = measure_interleaved(self.build(), changed, self.tracer, rounds=rounds, warmup=0)
        before, after = ([Profile.from_tree(done.tree) for done in side] for side in sides)
        if rounds >= 3:
            self.noise.append(noise_of_compilers(before))
        if not confirm:
            return compare([before], after, paired=True)
        comparison = compare([before], after, paired=True, suspects=MOST_SUSPECTS)
        confirm_comparison(comparison, (self.build(), changed), before, budget=self.options.budget)
        self.seconds.append(time.monotonic() - began)
        self.notes += notes_in_words(comparison)
        print(notes_in_words(comparison)[-1], f"{self.seconds[-1]:.0f} s in all", file=sys.stderr)
        return comparison

    def session(self) -> tuple[list[Profile], Calibration]:
        calibration = calibrate()
        done = measure(self.build(), self.tracer, rounds=self.options.stored_rounds, warmup=0)
        return [Profile.from_tree(one.tree) for one in done], calibration


@dataclass
class Row:
    """One line of the table."""

    name: str
    hits: int = 0
    trials: int = 0
    remarks: list[str] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    powers: list[float] = field(default_factory=list)

    def add(self, comparison: Comparison, *, hit: bool, remark: str | None = None) -> None:
        self.trials += 1
        self.hits += hit
        self.verdicts[comparison.verdict] += 1
        if comparison.power is not None and comparison.rounds >= 3:
            self.powers.append(comparison.power.effect)
        if remark is not None:
            self.remarks.append(remark)
        print(f"{self.name} {self.trials}: {comparison.sentence}", file=sys.stderr)

    def __str__(self) -> str:
        if not self.trials:
            return f"{self.name:34} not run"
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts.most_common())
        power = f"; would find {statistics.median(self.powers):.1%} in nodes above 50 ms" if self.powers else ""
        share = share_with_interval(self.hits, self.trials)
        lines = [f"{self.name:34} {self.hits:3} of {self.trials:3} {share}  ({verdicts}{power})"]
        return "\n".join(
            [*lines, *(f"    {count} x {remark}" for remark, count in Counter(self.remarks).most_common())]
        )


def noise_of_compilers(rounds: list[Profile]) -> float:
    """The median over cc1 nodes above 50 ms of the standard deviation of a round, the rounds' factors taken out."""
    keys = [key for key, row in rounds[0].totals.items() if is_compiler(key) and row["cpu"] >= 0.05]
    keys = [key for key in keys if all(key in profile.totals for profile in rounds)]
    if not keys:
        return float("nan")
    logs = np.log([[profile.totals[key]["cpu"] for key in keys] for profile in rounds])
    logs -= logs.mean(axis=0)
    return float(np.median((logs - np.median(logs, axis=1, keepdims=True)).std(axis=0, ddof=1)))


def is_compiler(key: str) -> bool:
    return key.partition("[")[0].endswith("/cc1")


def unchanged_in_turns(bench: Bench) -> Row:
    row = Row("interleaved A/A, false")
    for _ in range(bench.options.aa):
        comparison = bench.interleaved(bench.build(), bench.options.rounds, confirm=bench.options.confirm)
        row.add(comparison, hit=bool(comparison.findings), remark=remark_on(comparison))
    return row


def unchanged_stored(bench: Bench) -> Row:
    options, row = bench.options, Row("stored A/A, false")
    sessions: list[tuple[list[Profile], Calibration]] = []
    for number in range(options.stored + options.history if options.stored else 0):
        current, calibration = bench.session()
        if number >= options.history:
            stored = sessions[-options.history :]
            comparison = compare(
                [profiles for profiles, _ in stored],
                current,
                baseline_calibration=[calibration for _, calibration in stored],
                current_calibration=calibration,
            )
            row.add(comparison, hit=bool(comparison.findings), remark=remark_on(comparison))
        sessions.append((current, calibration))
    return row


def remark_on(comparison: Comparison) -> str | None:
    """What was found falsely, or why nothing could be said, without its figures."""
    if comparison.findings:
        return f"FALSE {comparison.sentence}"
    return comparison.reasons[0].kind if comparison.reasons else None


def slower_compiler(bench: Bench) -> Row:
    options = bench.options
    row = Row(f"+{options.percent:g} % in cc1 {options.file}, found")
    for _ in range(options.slower):
        slower = bench.build(slower=options.percent)
        comparison = bench.interleaved(slower, options.rounds, confirm=options.confirm)
        own = [found for found in comparison.causes if found.kind == "regression" and is_the(found.key, options.file)]
        others = sum(not is_the(found.key, options.file) for found in comparison.causes)
        remark = f"FALSE beside it: {others} other causes" if others else None if own else remark_on(comparison)
        row.add(comparison, hit=bool(own) and comparison.verdict == "regression", remark=remark)
    return row


def is_the(key: str, file: str) -> bool:
    return is_compiler(key) and key.endswith(f"{file}]")


def structures(bench: Bench) -> list[Row]:
    rows = []
    for name, (again, sentence) in STRUCTURES.items():
        row = Row(f"{name} process, right sentence")
        for _ in range(bench.options.structure):
            comparison = bench.interleaved(bench.build(again=again), 2)
            said = [found.sentence for found in comparison.causes if found.metric == "count"]
            hit = any(matches(text, sentence) for text in said)
            row.add(comparison, hit=hit, remark=None if hit else f"MISSED: {said or comparison.sentence}")
        rows.append(row)
    return rows


def matches(text: str, pattern: str) -> bool:
    """Whether the finding's sentence goes as the pattern does; ``*`` are the driver's other arguments."""
    begin, _, rest = pattern.partition("* ")
    return text.startswith(begin) and rest in text


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the numbers of the bars; the options below win")
    for name, text in (
        ("aa", "interleaved comparisons of the build with itself"),
        ("stored", "comparisons of the build with its stored sessions"),
        ("slower", "comparisons with the slower compiler process"),
        ("structure", "comparisons for each change of structure"),
    ):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=text)
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds a side of an interleaved session")
    parser.add_argument("--stored-rounds", type=int, default=5, metavar="N", help="rounds of a stored session")
    parser.add_argument("--history", type=int, metavar="N", help="sessions of a baseline")
    parser.add_argument("--percent", type=float, default=5.0, help="how much slower the compiler process gets")
    parser.add_argument("--file", default="lparser.c", help="which one: the one that compiles this file")
    parser.add_argument("--confirm", action="store_true", help="decide by replaying the suspects")
    parser.add_argument("--budget", type=float, default=120.0, metavar="S", help="seconds for a session's replays")
    parser.add_argument("--jobs", type=int, default=1, help="make's -j")
    parser.add_argument("--lua", choices=LUA_VERSIONS, default="lua51")
    parser.add_argument("--cflags", default="-O2")
    parser.add_argument("--tracer", default="auto")
    options = parser.parse_args(arguments)
    full = {"aa": 20, "stored": 20, "slower": 20, "structure": 20, "rounds": 10, "history": 5}
    short = {"aa": 1, "stored": 1, "slower": 1, "structure": 1, "rounds": 4, "history": 2}
    for name, value in (full if options.full else short).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def main() -> None:
    options = options_of()
    try:
        sources = lua_sources()
    except SourcesMissing as missing:
        raise SystemExit(f"real decision: {missing}") from None
    choice = choose(options.tracer, builtin_tracers())
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        library = Path(name) / "slower_compiler.so"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "slower_compiler.c")], check=True
        )
        bench = Bench(options, Path(name), choice.tracer, sources)
        try:
            measure(bench.build(), bench.tracer, rounds=1, warmup=0)  # compiler and sources come into the page cache
            rows = [unchanged_in_turns(bench), unchanged_stored(bench), slower_compiler(bench), *structures(bench)]
        finally:
            choice.tracer.close()
    print(
        f"{options.lua}, {options.cflags}, -j{options.jobs}, tracer {choice.explain()}; interleaved: {options.rounds} "
        f"rounds a side; stored: {options.stored_rounds} rounds, {options.history} sessions before "
        f"(each used in {options.history} baselines); {time.monotonic() - began:.0f} s"
    )
    if bench.noise:
        print(f"noise of a compiler's cpu time in a round: {statistics.median(bench.noise):.1%}")
    if bench.seconds:
        print(
            f"a session with its replays: {statistics.median(bench.seconds):.0f} s, at most {max(bench.seconds):.0f} s"
        )
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
