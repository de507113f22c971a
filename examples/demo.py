"""The main job, told in a minute: `make demo`.

Works on a copy of this directory. Saves a baseline of the example's build, shows that the unchanged build passes, slows
one of its twenty compiles down by a change of one header, and shows that the test fails and names that compile. The
exit status is 0 only if all of that is what happened.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).parent
TEST = "test_build_performance.py::test_clean_build_compiles_each_source_once_and_links_once"
ROUNDS = 10
BASELINE_SESSIONS = 3
SLOWER_UNIT = "src/strings.c"
ITS_PROCESSES = ("[src/strings.c]", "[build/strings.o]")  # the compiler, and the assembler that gets more to do
REPORTS = {"lnt.json": "the LNT report", "report.html": "the HTML report", "session.json": "the session for programs"}


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n=== {text}", flush=True)


def pytest(directory: Path, *options: str) -> int:
    """Run the example's performance tests as their user would; the exit status."""
    print("$ pytest", TEST, *options, flush=True)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", TEST, *options]
    return subprocess.run(command, cwd=directory, check=False).returncode


def causes(session: Path) -> list[str]:
    """The keys of what got worse by itself."""
    if not session.is_file():
        return []
    (measurement,) = json.loads(session.read_text())["measurements"]
    findings = (measurement["comparison"] or {}).get("findings", [])
    worse = [each for each in findings if each["kind"] in ("regression", "added", "count")]
    return [each["key"] for each in worse if each["explained_by"] is None]


def play(directory: Path) -> list[str]:
    """The story; what did not go as it should."""
    rounds = f"--ptreetime-rounds={ROUNDS}"
    wrong: list[str] = []

    for number in range(BASELINE_SESSIONS):
        say(f"1. Save a baseline of the build (session {number + 1} of {BASELINE_SESSIONS})")
        if pytest(directory, "-q", "--ptreetime-save-baseline", rounds) != 0:
            return ["the baseline could not be saved"]

    say("2. The unchanged build passes")
    if pytest(directory, "--ptreetime-baseline", rounds) != 0:
        wrong.append("the unchanged build did not pass")

    say("3. A change makes one compile slower: a search that is unrolled for each length, in a header of one unit")
    shutil.copy(directory / "regression" / "search.h", directory / "calc" / "src" / "search.h")
    reports = ["--ptreetime-lnt-report=lnt.json", "--ptreetime-machine=demo", "--ptreetime-run-order=1"]
    reports += ["--ptreetime-report=json:session.json", "--ptreetime-report=html:report.html"]
    if pytest(directory, "--ptreetime-baseline", rounds, *reports) != 1:
        wrong.append("the slower build did not fail its test")

    found = causes(directory / "session.json")
    if not found or not all(key.endswith(ITS_PROCESSES) for key in found):
        wrong.append(f"the regression is in {SLOWER_UNIT}, what was blamed is {found or 'nothing'}")
    wrong.extend(f"{name} was not written" for name in REPORTS if not (directory / name).is_file())
    return wrong


def main() -> int:
    missing = [program for program in ("make", "gcc") if shutil.which(program) is None]
    if missing:
        print(f"the demo builds a C project and needs {' and '.join(missing)}", file=sys.stderr)
        return 2
    directory = Path(tempfile.mkdtemp(prefix="ptreetime-demo-"))
    shutil.copytree(EXAMPLES, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build", "__pycache__"))
    wrong = play(directory)
    say("What there is to look at")
    for name, what in {".ptreetime": "the baselines", **REPORTS}.items():
        if (directory / name).exists():
            print(f"  {directory / name}  {what}")
    for each in wrong:
        print(f"demo: {each}", file=sys.stderr)
    print("\ndemo: " + ("failed" if wrong else f"the regression was found, in {SLOWER_UNIT}, and nowhere else"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
