"""The project that every trial measures: a build of a third of a second, and everything that is written for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest_ptreetime
from pytest_ptreetime.baselines.store import Baseline, Store
from pytest_ptreetime.recording.recording import Recording

ROOT = Path(pytest_ptreetime.__file__).parents[1]
OLD_REPORT = b"the report of an earlier session\n"
EARLIER_SESSIONS = 3

MAKEFILE = """\
SLEEP ?= 0.05
STAGES ?= /dev/null
all: announce a b c d e
announce:
\t@echo build >$(STAGES)
a b c d: announce
\t@sleep $(SLEEP)
e: announce
\t@echo 'int main(void) { return 0; }' >e.c && cc -c e.c -o e.o
.PHONY: all announce a b c d e
"""

# What a pytest run tells of its own stages: a line each, over a pipe that was opened before any fault happened.
CONFTEST = """\
import os
import pytest

stages = os.open(os.environ["STAGES"], os.O_WRONLY | os.O_CLOEXEC)

def announce(stage):
    os.write(stages, stage.encode() + b"\\n")

def pytest_collection_finish():
    announce("collected")

def pytest_ptreetime_compare():
    announce("comparing")

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    announce("saving")

class Announcing:
    name = "announcing"
    suffix = ".txt"

    def render(self, session, out):
        announce("reporting")
        out.write(b"new")

def pytest_ptreetime_reports():
    return [Announcing()]
"""

TEST = """\
def test_build(ptreetime):
    ptreetime(["make", "-j2"], warmup=1, rounds=2, setup=["sh", "-c", "echo set-up >$STAGES; sleep 0.03; rm -f e.o"])
"""


class Project:
    """One trial's own directories, below one that everybody may enter.

    ``temporary`` is the run's TMPDIR. ``store`` has a baseline of earlier sessions, ``reports`` has older reports.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.source = directory / "project"
        self.temporary = directory / "tmp"
        self.store = directory / "store"
        self.recordings = directory / "recordings"
        self.reports = directory / "reports"
        self.stages = self.source / "stages"
        for path in (self.source, self.temporary, self.recordings, self.reports):
            path.mkdir()
        (self.source / "Makefile").write_text(MAKEFILE)
        (self.source / "conftest.py").write_text(CONFTEST)
        (self.source / "test_build.py").write_text(TEST)
        (self.source / "pytest.ini").write_text("[pytest]\n")
        os.mkfifo(self.stages)
        for path in self.report_files:
            path.write_bytes(OLD_REPORT)

    @property
    def report_files(self) -> list[Path]:
        return [self.reports / name for name in ("lnt.json", "announcing.txt", "page.html", "report.json")]

    @property
    def writable(self) -> list[Path]:
        """Where the package writes."""
        return [self.temporary, self.store, self.recordings, self.reports]

    def stored(self) -> Baseline:
        """The one baseline of the store."""
        (path,) = Store(self.store).files()
        return Store.read(path)

    def add_store(self) -> list[str]:
        """Put a baseline with earlier sessions into the store: their ids."""
        shutil.copytree(template_store(), self.store)
        return [session.session for session in self.stored().sessions]

    def belongs_to(self, user: int) -> None:
        """Give everything to another user."""
        for path in [self.directory, *self.directory.rglob("*")]:
            os.chown(path, user, user)

    def profile(self, tracer: str, *options: str, output: str = "profile.ptreetime") -> list[str]:
        """The command that records the build once."""
        return [
            *(sys.executable, "-m", "pytest_ptreetime.cli", "profile", "--tracer", tracer, *options),
            *("-o", str(self.recordings / output), "--", "make", "-j2"),
        ]

    def pytest(self, tracer: str, *options: str) -> list[str]:
        """The command that measures the build, compares, stores and reports it."""
        lnt, announcing, page, json = self.report_files
        return [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "pytest_ptreetime.plugin"),
            f"--ptreetime-tracer={tracer}",
            *(f"--ptreetime-baseline={self.store}", f"--ptreetime-save-baseline={self.store}"),
            *(f"--ptreetime-record-dir={self.recordings}", f"--ptreetime-lnt-report={lnt}"),
            *(f"--ptreetime-report=announcing:{announcing}", f"--ptreetime-report=html:{page}"),
            *(f"--ptreetime-report=json:{json}", "--ptreetime-fail-on=never", *options),
        ]

    def environment(self, **more: str) -> dict[str, str]:
        """Of every command of the trial. Nothing of the caller's pytest gets in."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "TMPDIR": str(self.temporary),
            "STAGES": str(self.stages),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # what other plugins do in want of memory is theirs
            "LANG": "C.UTF-8",
            **more,
        }


@cache
def _template_directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="faults-template-")


@cache
def template_store() -> Path:
    """A store with earlier sessions of the project's test, made by a real run."""
    project = Project(Path(_template_directory().name))
    command = project.pytest("ptrace", f"--ptreetime-save-baseline={project.store}")
    command = [word for word in command if not word.startswith("--ptreetime-baseline")]
    run_undisturbed(project, command)
    baseline = project.stored()
    (made,) = baseline.sessions
    base = datetime.now(timezone.utc) - timedelta(days=EARLIER_SESSIONS)
    for number in range(1, EARLIER_SESSIONS):
        moment = (base + timedelta(days=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
        baseline.sessions.append(replace(made, session=uuid4().hex, time=moment))
    baseline.sessions.sort(key=lambda session: session.time)
    Store.write(baseline)
    return project.store


@cache
def expected_names(tracer: str) -> list[str | None]:
    """The programs of an undisturbed build, as this tracer sees them."""
    with tempfile.TemporaryDirectory(prefix="faults-expected-") as directory:
        project = Project(Path(directory))
        run_undisturbed(project, project.profile(tracer))
        return names(Recording.load(project.recordings / "profile.ptreetime"))


def names(recording: Recording) -> list[str | None]:
    return sorted((node.name for node in recording.tree()), key=str)


def as_user(user: int | None, command: list[str]) -> list[str]:
    """``command`` for another user, who may read all that root may: Python itself may be in root's home."""
    if user is None:
        return command
    reads = "+dac_read_search"
    return [
        *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"),
        *(f"--inh-caps={reads}", f"--ambient-caps={reads}", "--", *command),
    ]


def run_undisturbed(
    project: Project, command: list[str], environment: Mapping[str, str] | None = None, user: int | None = None
) -> str:
    """Run a command of the project to its end; its output."""
    reader = os.open(project.stages, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = subprocess.run(
            as_user(user, command),
            cwd=project.source,
            env=project.environment(**(environment or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=180,  # on a busy machine
        )
    finally:
        os.close(reader)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}")
    return done.stdout
