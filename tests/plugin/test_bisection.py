"""``git bisect run`` finds the one slow commit of a history, past commits that can't be built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from git_repository import GitRepository

COMMITS = 32
SLOW = 21
BROKEN = (15, 16)  # git begins in the middle: it will meet one of them
BUILD = "i=0; while [ $i -lt {loops} ]; do i=$((i+1)); done\n"
TEST = """
import pathlib

def test_build(ptreetime):
    ptreetime(["sh", "-c", "sh step.sh; sh burn.sh"], cwd=pathlib.Path(__file__).parent)
"""


@pytest.mark.slow
def test_bisection_finds_the_slow_commit_of_a_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTEST_ADDOPTS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    repository = GitRepository(tmp_path)
    commits = []
    for number in range(COMMITS):
        burn = "exit 1\n" if number in BROKEN else BUILD.format(loops=600_000 if number >= SLOW else 100_000)
        files = {"step.sh": f": {number}\n", "burn.sh": burn, "test_build.py": TEST, ".gitignore": "__pycache__\n"}
        commits.append(repository.commit(files, f"commit {number}"))
    repository("bisect", "start", commits[-1], commits[0])
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ptreetime-tracer=ptrace"]
    options = ["--ptreetime-bisect", f"--ptreetime-against={commits[0]}", "--ptreetime-rounds=3"]
    said = repository("bisect", "run", *pytest_run, *options, "--ptreetime-metrics=cpu", "--ptreetime-warmup=0")
    assert f"{commits[SLOW]} is the first bad commit" in said
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
