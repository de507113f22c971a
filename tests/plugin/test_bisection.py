"""``git bisect run`` finds the one commit of a history whose build does more, past commits that can't be built.

It is found by the bytes that it writes, which are the same in each round however busy the machine is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from git_repository import GitRepository

COMMITS = 32
MORE = 21
BROKEN = (15, 16)  # git begins in the middle: it will meet one of them
BUILD = "head -c {size} /dev/zero > /dev/null\n"
TEST = """
import pathlib

def test_build(ptreetime):
    ptreetime(["sh", "-c", "sh step.sh; sh write.sh"], cwd=pathlib.Path(__file__).parent)
"""


@pytest.mark.slow
def test_bisection_finds_the_commit_that_does_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTEST_ADDOPTS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    repository = GitRepository(tmp_path)
    commits = []
    for number in range(COMMITS):
        write = "exit 1\n" if number in BROKEN else BUILD.format(size=600_000 if number >= MORE else 100_000)
        files = {"step.sh": f": {number}\n", "write.sh": write, "test_build.py": TEST, ".gitignore": "__pycache__\n"}
        commits.append(repository.commit(files, f"commit {number}"))
    repository("bisect", "start", commits[-1], commits[0])
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ptreetime-tracer=ptrace"]
    options = ["--ptreetime-bisect", f"--ptreetime-against={commits[0]}", "--ptreetime-rounds=2"]
    said = repository(
        "bisect", "run", *pytest_run, *options, "--ptreetime-metrics=written_bytes", "--ptreetime-warmup=0"
    )
    assert f"{commits[MORE]} is the first bad commit" in said
    skipped = [
        line.split()[-1] for line in repository("bisect", "log").splitlines() if line.startswith("git bisect skip")
    ]
    assert set(skipped) & {commits[number] for number in BROKEN}  # and what a busy machine can't tell


def test_status_that_git_does_not_know_is_not_used() -> None:
    """By git's manual: 0 is good, 1 to 127 but for 125 are bad, 125 can't be tested, above 127 ends the bisection."""
    from pytest_ptreetime.plugin.bisection import BAD, GOOD, STOP, UNTESTABLE

    assert (GOOD, UNTESTABLE) == (0, 125)
    assert BAD in range(1, 125)
    assert STOP > 127
