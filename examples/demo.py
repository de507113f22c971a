"""The main job, told in a minute: `make demo`.

Works on a copy of this directory. Saves a baseline of the example's build, shows that the unchanged build passes, slows
one of its twenty compiles down by a change of one header, and shows that the test fails and names that compile. Every
report of that session is left in one directory. The exit status is 0 only if all of that is what happened.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent
TEST = "test_build_performance.py::test_clean_build_compiles_each_source_once_and_links_once"
ROUNDS = 10
BASELINE_SESSIONS = 3
SLOWER_UNIT = "src/strings.c"
ITS_PROCESSES = ("[src/strings.c]", "[build/strings.o]")  # the compiler, and the assembler that gets more to do
TREE_LINES = 14
RECORDINGS = "recordings"  # of the first session, to look at the build itself
REPORTS = {
    "tree.txt": ("", "the tree of one build"),
    "timeline.html": ("html", "verdict, timeline, every process: for a browser"),
    "session.txt": ("terminal", "what the terminal showed, and more"),
    "session.md": ("markdown", "for a step summary or a comment"),
    "session.trace.json": ("chrome-trace", "for Perfetto or speedscope"),
    "wall.folded": ("folded", "stacks for a flame graph: wall time"),
    "cpu.folded": ("folded-cpu", "and processor time"),
    "session.json": ("json", "for programs (docs/reference/json.md)"),
    "metrics.txt": ("openmetrics", "for GitLab or Prometheus"),
    "lnt.json": ("lnt", "for an LNT server, suite compile"),
    "lnt-ptreetime.json": ("lnt-ptreetime", "for an LNT server, our own suite"),
    "session.parquet": ("parquet", "a row a process: for DuckDB or Spark"),
    "junit.xml": ("", "pytest's own, with the figures as properties"),
}
NOT_WRITTEN = {"session.parquet": "not written: it needs pip install 'pytest-ptreetime[parquet]'"}


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n=== {text.strip()}", flush=True)


def pytest(directory: Path, *options: str) -> int:
    """Run the example's performance tests as their user would; the exit status."""
    print("$ pytest", *(option for option in options if not option.startswith("--ptreetime-report=")), flush=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", TEST, *options]
    return subprocess.run(command, cwd=directory, check=False).returncode


def show_tree(directory: Path, reports: Path) -> None:
    """One of the recorded builds, as `ptreetime analyze` draws it: its first lines here, the rest in a file."""
    recording = min((directory / RECORDINGS).glob("*.ptreetime"))
    command = [sys.executable, "-m", "pytest_ptreetime.cli", "analyze", "--show-tree", str(recording)]
    drawn = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False).stdout
    (reports / "tree.txt").write_text(drawn, encoding="utf-8")
    lines = drawn.splitlines()
    print(f"$ ptreetime analyze --show-tree {RECORDINGS}/...-1.ptreetime")
    print(*lines[:TREE_LINES], f"   ... ({len(lines) - TREE_LINES} more lines)", sep="\n", flush=True)


def comparison(reports: Path) -> dict[str, Any]:
    """What the failing session's JSON report says of its one test; empty where there is none."""
    session = reports / "session.json"
    if not session.is_file():
        return {}
    (measurement,) = json.loads(session.read_text())["measurements"]
    return measurement["comparison"] or {}


def causes(found: dict[str, Any]) -> list[str]:
    """The keys of what got worse by itself."""
    worse = [each for each in found.get("findings", []) if each["kind"] in ("regression", "added", "count")]
    return [each["key"] for each in worse if each["explained_by"] is None]


def wanted_reports() -> list[str]:
    """Those that can be written here: Parquet needs pyarrow."""
    return [name for name in REPORTS if name != "session.parquet" or importlib.util.find_spec("pyarrow") is not None]


def report_options(reports: Path) -> list[str]:
    """The options that write them, as seen from the directory that the tests run in."""
    where = {name: f"{reports.name}/{name}" for name in wanted_reports()}
    given = [f"--ptreetime-report={REPORTS[name][0]}:{path}" for name, path in where.items() if REPORTS[name][0]]
    return ["--ptreetime-machine=demo", "--ptreetime-run-order=1", f"--junitxml={where['junit.xml']}", *given]


def play(directory: Path, reports: Path) -> list[str]:
    """The story; what did not go as it should."""
    rounds = f"--ptreetime-rounds={ROUNDS}"
    wrong: list[str] = []

    for number in range(BASELINE_SESSIONS):
        say(f"1. Save a baseline of the build (session {number + 1} of {BASELINE_SESSIONS})")
        kept = [f"--ptreetime-record-dir={RECORDINGS}"] if number == 0 else []
        if pytest(directory, "-q", "--ptreetime-save-baseline", rounds, *kept) != 0:
            return ["the baseline could not be saved"]
    say("   What such a build is, as it was traced")
    show_tree(directory, reports)

    say("2. The unchanged build passes")
    if pytest(directory, "-q", "--ptreetime-baseline", rounds) != 0:
        wrong.append("the unchanged build did not pass")

    say("3. A change makes one compile slower: a search that is unrolled for each length, in a header of one unit")
    shutil.copy(directory / "regression" / "search.h", directory / "calc" / "src" / "search.h")
    if pytest(directory, "--ptreetime-baseline", rounds, *report_options(reports)) != 1:
        wrong.append("the slower build did not fail its test")

    found = causes(comparison(reports))
    if not found or not all(key.endswith(ITS_PROCESSES) for key in found):
        wrong.append(f"the regression is in {SLOWER_UNIT}, what was blamed is {found or 'nothing'}")
    empty = [name for name in wanted_reports() if not (reports / name).is_file() or not (reports / name).stat().st_size]
    return wrong + [f"{name} was not written" for name in empty]


def main() -> int:
    missing = [program for program in ("make", "gcc") if shutil.which(program) is None]
    if missing:
        print(f"the demo builds a C project and needs {' and '.join(missing)}", file=sys.stderr)
        return 2
    directory = Path(tempfile.mkdtemp(prefix="ptreetime-demo-"))
    shutil.copytree(EXAMPLES, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build", "__pycache__"))
    reports = directory / "reports"
    reports.mkdir()
    wrong = play(directory, reports)
    say(f"What there is to look at, in {reports}")
    for name, (_, what) in REPORTS.items():
        print(f"  {name:<20}{what if (reports / name).exists() else NOT_WRITTEN.get(name, 'not written')}")
    for each in wrong:
        print(f"demo: {each}", file=sys.stderr)
    if wrong:
        print("\ndemo: failed")
        return 1
    sentence = comparison(reports)["sentence"]
    print("\n" + textwrap.fill(f"demo: the regression was found, in {SLOWER_UNIT}, and nowhere else: {sentence}", 80))
    return 0


if __name__ == "__main__":
    sys.exit(main())
