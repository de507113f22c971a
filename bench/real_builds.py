"""What tracing costs a real build: Lua interpreters (over 100 compiler runs), interleaved with the untraced one.

    python bench/real_builds.py [--rounds 7] [--jobs 2] [--lua lua51 lua52 lua53 lua54] [--only VARIANT ...]

Each round runs every variant once, in an order that is turned round and shifted from round to round. A time is all that
the caller waits for: for a tracer from the start of the build to its finished events, for strace and perf from their
start to their end. A ratio is taken within its round; the table shows the median of the rounds' ratios and their
range. The bars (docs/explanation/architecture.md): at most 1.01 with ebpf, 1.02 with ptrace, with what they load into
the build.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tabulate import tabulate

from pytest_ptreetime.tracers import Command, Interpose, builtin_tracers

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))
from lua_sources import LUA_VERSIONS, SourcesMissing, build_command, lua_sources

BARS = {"ebpf": 1.01, "ptrace": 1.02}
PERF_EVENTS = "sched:sched_process_fork,sched:sched_process_exec,sched:sched_process_exit"

Run = Callable[[list[str]], float]


def timed(call: Callable[[], object]) -> float:
    """Seconds."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def under(*prefix: str) -> Run:
    """The command run by another program, or by none."""

    def run(command: list[str]) -> float:
        return timed(lambda: subprocess.run([*prefix, *command], check=True, capture_output=True))

    return run


def with_tracer(name: str, *, interpose: Interpose) -> Run:
    """The command run by a tracer that stays ready between rounds, as in a session."""
    tracer = builtin_tracers()[name]()

    def run(command: list[str]) -> float:
        def record() -> None:
            capture = tracer.record(Command(args=command, stdout=subprocess.DEVNULL, interpose=interpose))
            assert capture.returncode == 0
            # the interposer alone is never complete, and says so
            assert capture.incomplete_reason is None or name == "interpose", capture.incomplete_reason

        return timed(record)

    return run


def works(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0


def variants(directory: Path) -> tuple[dict[str, Run], list[str]]:
    """What can run here by name, and why the rest can't."""
    chosen: dict[str, Run] = {"untraced": under()}
    missing: list[str] = []
    for name, make in builtin_tracers().items():
        tracer = make()
        reason = tracer.available()
        tracer.close()
        if reason is not None:
            missing.append(f"{name}: {reason}")
        elif name == "interpose":
            chosen["interpose alone"] = with_tracer(name, interpose=True)
        else:
            chosen[name] = with_tracer(name, interpose=True)
            chosen[f"{name}, no library"] = with_tracer(name, interpose=False)
            chosen[f"{name}, log"] = with_tracer(name, interpose="log")
    others = {
        "perf record, 3 tracepoints": ("perf", "record", "-q", "-e", PERF_EVENTS, "-o", str(directory / "perf.data")),
        "strace -f --seccomp-bpf": ("strace", "-f", "--seccomp-bpf", "-e", "trace=execve", "-o", "/dev/null"),
        "strace -f": ("strace", "-f", "-e", "trace=execve", "-o", "/dev/null"),
    }
    for name, prefix in others.items():
        if works(*prefix):
            chosen[name] = under(*prefix)
        else:
            missing.append(f"{name}: not installed, or not allowed here")
    return chosen, missing


def measure(
    chosen: dict[str, Run], build: Callable[[Path], list[str]], rounds: int, directory: Path
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    objects = directory / "objects"

    def run(name: str) -> float:
        shutil.rmtree(objects, ignore_errors=True)
        return chosen[name](build(objects))

    run("untraced")  # the compiler and the sources come into the page cache
    for number in range(rounds):
        shift = number % len(chosen)
        order = list(chosen)[shift:] + list(chosen)[:shift]
        for name in order[:: -1 if number % 2 else 1]:
            seconds[name].append(run(name))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return seconds


def table(seconds: dict[str, list[float]]) -> str:
    rows = []
    for name, each in seconds.items():
        ratios = [mine / untraced for mine, untraced in zip(each, seconds["untraced"], strict=True)]
        spread = "" if name == "untraced" else f"{min(ratios):.3f} to {max(ratios):.3f}"
        rows.append([name, statistics.median(each), statistics.median(ratios), spread, BARS.get(name)])
    headers = ["variant", "median s", "times untraced", "range", "bar"]
    return tabulate(rows, headers=headers, floatfmt=("", ".3f", ".3f", "", ".2f"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--lua", nargs="+", choices=LUA_VERSIONS, default=LUA_VERSIONS[:4])
    parser.add_argument("--only", nargs="+", help="variants to run besides the untraced one")
    options = parser.parse_args()
    try:
        sources = lua_sources()
    except SourcesMissing as missing_sources:
        raise SystemExit(f"real builds: {missing_sources}") from None
    with tempfile.TemporaryDirectory() as name:
        chosen, missing = variants(Path(name))
        if options.only:
            chosen = {variant: run for variant, run in chosen.items() if variant in ("untraced", *options.only)}

        def build(objects: Path) -> list[str]:
            return build_command(sources, objects, *options.lua, jobs=options.jobs)

        seconds = measure(chosen, build, options.rounds, Path(name))
        runs = len(list((Path(name) / "objects").rglob("*.o")))
    print(f"a build of {', '.join(options.lua)}: {runs} compiler runs, -j{options.jobs}, {options.rounds} rounds\n")
    print(table(seconds))
    for line in missing:
        print(f"not measured: {line}")


if __name__ == "__main__":
    main()
