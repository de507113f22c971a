"""The commands of docs/ci/*.md and the steps of action.yml, run as in a job: in a clone, with the CI's variables.

What is not run is what needs the CI itself (checkout, cache, artifacts) and the installation of the released package.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from git_repository import GitRepository

ROOT = Path(__file__).resolve().parent.parent
BUILD = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done\n"
TEST = """
import pathlib

def test_build(ptreetime):
    ptreetime(["sh", "build.sh"], cwd=pathlib.Path(__file__).parent.parent)
"""
QUICK = (
    "--ptreetime-tracer=ptrace --ptreetime-rounds=2 --ptreetime-warmup=0 --ptreetime-metrics=count -p no:cacheprovider"
)
INSTALLS = re.compile(r"pip install (?:--disable-pip-version-check )?(?:pytest-ptreetime|\"\$PACKAGE\")")
#: By CI: what it sets in a job for a change, and in one for the main branch.
JOBS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "github-actions": (
        {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request", "GITHUB_BASE_REF": "main"},
        {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_BASE_REF": ""},
    ),
    "gitlab": (
        {"GITLAB_CI": "true", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"},
        {"GITLAB_CI": "true", "CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"},
    ),
    "jenkins": (
        {"CHANGE_TARGET": "main", "CHANGE_ID": "1", "JOB_NAME": "team/project/PR-1", "HOME": ".."},
        {"BRANCH_NAME": "main", "JOB_NAME": "team/project/main", "HOME": ".."},
    ),
}


class Job:
    """A clone in which commands run as in a job."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone
        self.summary = clone.parent / "summary.md"

    def run(self, script: str, variables: Mapping[str, str], status: int = 0) -> str:
        """Run what a step has; gives its output."""
        if INSTALLS.search(script):
            return ""
        bin_directory = Path(sys.executable).parent
        if ".venv" in script and not (self.clone / ".venv").exists():
            (self.clone / ".venv").symlink_to(bin_directory.parent)
        environment = {
            **os.environ,
            "PATH": f"{bin_directory}:{os.environ['PATH']}",
            "PYTEST_ADDOPTS": QUICK,
            "CI": "true",
            **({"GITHUB_STEP_SUMMARY": str(self.summary)} if "GITHUB_ACTIONS" in variables else {}),
            **variables,
        }
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script], cwd=self.clone, env=environment, capture_output=True, text=True
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A clone of a project that has a branch with a change, which is checked out."""
    for name in {name for job in JOBS.values() for variables in job for name in variables}:
        monkeypatch.delenv(name, raising=False)
    origin = GitRepository(tmp_path / "origin")
    origin.commit({"build.sh": f"sh -c '{BUILD}'", "perf/test_build.py": TEST, ".gitignore": "__pycache__\n"})
    origin("switch", "--quiet", "--create", "topic")
    origin.commit({"README": "changed"})
    origin("clone", "--quiet", str(origin.path), str(tmp_path / "clone"))
    return Job(tmp_path / "clone")


def recipes_of(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / "ci" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def steps_of(page: str, recipe: int) -> tuple[list[str], list[str]]:
    """The scripts of a recipe: those that run for the main branch, and those for a change."""
    if page == "jenkins":
        stages = recipes_of(page, "groovy")[recipe].split("stage(")[1:]
        named = {stage.split("'")[1]: re.findall(r"sh '(.*)'", stage) for stage in stages}
        main = [script for name, scripts in named.items() if name == "save baseline" for script in scripts]
        return main, [script for name, scripts in named.items() if name != "save baseline" for script in scripts]
    document = yaml.safe_load(recipes_of(page, "yaml")[recipe])
    if page == "gitlab":
        jobs = {name: [*one.get("before_script", ()), *one.get("script", ())] for name, one in document.items()}
        return jobs.pop("save baseline", []), [script for scripts in jobs.values() for script in scripts]
    (only,) = document["jobs"].values()
    steps = [step for step in only["steps"] if "run" in step]
    of_main = [step["run"] for step in steps if "push" in step.get("if", "")]
    return of_main, [step["run"] for step in steps if "push" not in step.get("if", "")]


@pytest.mark.parametrize("page", JOBS)
def test_recipe_that_compares_with_the_merge_base_runs(job: Job, page: str) -> None:
    _, scripts = steps_of(page, 0)
    assert any(INSTALLS.search(script) for script in scripts)
    said = "".join(job.run(script, JOBS[page][0]) for script in scripts)
    assert "1 passed" in said
    assert "1 compared" in said or "inconclusive" in said
    assert (job.clone / "ptreetime.html").stat().st_size > 10_000


@pytest.mark.parametrize("page", JOBS)
def test_recipe_with_stored_baselines_runs(job: Job, page: str) -> None:
    of_main, of_change = steps_of(page, 1)
    assert len(of_main) in (1, 2)
    said = "".join(job.run(script, JOBS[page][1]) for script in of_main)
    assert "baseline saved in" in said
    said = "".join(job.run(script, JOBS[page][0]) for script in of_change)
    assert "1 passed" in said
    assert "not compared" not in said


def test_regression_in_a_github_job_is_in_the_summary_and_an_annotation_by_itself(job: Job) -> None:
    (job.clone / "build.sh").write_text(f"sh -c '{BUILD}'\nsh -c '{BUILD.replace('20000', '200000')}' added\n")
    script = steps_of("github-actions", 0)[1][-1]
    said = job.run(script, JOBS["github-actions"][0], status=1)
    assert "\n::error " in said
    assert "is new" in job.summary.read_text()


class TestAction:
    """action.yml, whose expressions are evaluated as GitHub would."""

    STEPS: list[dict[str, Any]] = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    INPUTS: dict[str, dict[str, str]] = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]

    def run(self, job: Job, variables: Mapping[str, str], status: int = 0, **inputs: str) -> str:
        values = {name: one["default"] for name, one in self.INPUTS.items()} | inputs
        said = ""
        for step in self.STEPS:
            if "run" not in step:
                continue
            given = {
                name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: values[match[1]], value)
                for name, value in step["env"].items()
            }
            assert "${{" not in "".join(given.values())
            assert "${{" not in step["run"]  # an input is never part of a script
            last = step is [one for one in self.STEPS if "run" in one][-1]
            said += job.run(step["run"], {**variables, **given}, status if last else 0)
        return said

    def test_without_a_store_compares_with_the_merge_base(self, job: Job) -> None:
        said = self.run(job, JOBS["github-actions"][0], tests="perf", options="-v -rA")
        assert "1 passed" in said
        assert (job.clone / "ptreetime.html").exists()
        assert job.summary.read_text().startswith("## Build performance")

    def test_with_a_store_saves_for_a_push_and_compares_for_a_change(self, job: Job) -> None:
        change, push = JOBS["github-actions"]
        assert "There is no baseline yet" in self.run(job, change, tests="perf", store=".ptreetime")
        said = self.run(job, push, tests="perf", store=".ptreetime")
        assert "baseline saved in" in said
        assert "1 of 1 sessions kept" in said
        said = self.run(job, change, tests="perf", store=".ptreetime")
        assert "There is no baseline yet" not in said
        assert "1 passed" in said

    def test_installs_what_it_is_told(self, job: Job) -> None:
        step = next(step for step in self.STEPS if step["name"] == "Install")
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PACKAGE": "pytest"}
        said = subprocess.run(["bash", "-ec", step["run"]], env=environment, check=True, capture_output=True, text=True)
        assert "already satisfied: pytest" in said.stdout

    def test_page_has_all_inputs(self) -> None:
        page = (ROOT / "docs/ci/github-actions.md").read_text()
        for name, one in self.INPUTS.items():
            default = f"`{one['default']}`" if one["default"] else ""
            assert re.search(rf"^\| `{name}` \| {re.escape(default)} ?\| \w", page, re.MULTILINE), name

    def test_steps_that_are_left_out_here_are_those_that_need_github(self) -> None:
        used = {step["uses"].partition("@")[0] for step in self.STEPS if "uses" in step}
        assert used == {"actions/cache/restore", "actions/cache/save", "actions/upload-artifact"}
