"""A project whose builds are scripted, and runs of pytest in it: a plugin with the fixture ``project``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy  # noqa: F401 # pytester would import it anew in each run, and numpy can't be
import pytest
import scipy.special  # likewise
import scipy.stats  # noqa: F401 # likewise
from scripted_tracer import capture_of, runs

from pytest_ptreetime.baselines.store import Session, Store
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.options.table import OPTIONS
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.session import machine_speed
from pytest_ptreetime.system.calibration import PARTS, Calibration
from pytest_ptreetime.system.host import HostFacts, host_facts

#: Ten compiles. In CHANGED one takes three times as long, and another that much less: the build as a whole does not.
PLAN = {f"cc1 {name}.c": 0.2 for name in "abcdefghij"}
CHANGED = {**PLAN, "cc1 b.c": 0.3, "cc1 d.c": 0.1}
MORE = {**PLAN, "uname": 0.2}
FEWER = {name: seconds for name, seconds in PLAN.items() if name != "cc1 j.c"}
FIRST_DAY = datetime(2026, 11, 1, tzinfo=timezone.utc)
TEST = "test_build.py::test_build"

CONFTEST = """
from pathlib import Path
from scripted_tracer import ScriptedTracer

def pytest_ptreetime_tracers():
    log = Path(__file__).parent / "runs.jsonl"
    return {"scripted": lambda: ScriptedTracer(log), "other": lambda: ScriptedTracer(log, "other")}
"""

TEST_FILE = """
import pytest

{marker}
def test_build(ptreetime):
    {body}
"""


class Project:
    """The directory of a build and its test."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        pytester.makeconftest(CONFTEST)
        pytester.syspathinsert()
        self.plan(PLAN)

    def plan(self, processes: Mapping[str, float], *more: str) -> None:
        """What the build starts from now on."""
        (self.path / "plan").write_text(plan_of(processes, *more))

    def hook(self, source: str) -> None:
        """Add a hook to the project's conftest.py."""
        with (self.path / "conftest.py").open("a") as conftest:
            conftest.write(f"\n\n{source}\n")

    def store(
        self,
        processes: Mapping[str, float] = PLAN,
        *,
        name: str = "main",
        host: HostFacts | None = None,
        sessions: int = 3,
        calibration: Calibration | None = None,
        first_day: int = 0,
    ) -> Path:
        """Put sessions of the build into the store, as earlier runs would have."""
        for day in range(sessions):
            rounds = [capture_of(["build"], plan_of(processes), day + number) for number in range(5)]
            recordings = [Recording.from_capture(one, command=["build"], tracer="scripted") for one in rounds]
            session = Session.from_profiles(
                [Profile.from_tree(recording.tree()) for recording in recordings],
                commit=None,
                tracer="scripted",
                calibration=calibration,
                time=FIRST_DAY + timedelta(days=first_day + day),
            )
            path = Store(self.path / ".ptreetime", name).add(TEST, host or host_facts(), session)
        return path

    def run(
        self,
        *flags: str,
        ini: Mapping[str, str] | None = None,
        marker: Mapping[str, Any] | None = None,
        body: str = 'ptreetime(["build"])',
        given: tuple[str, str, str] | None = None,
        tracer: str | None = "scripted",
        directory: str = ".",
        source: str | None = None,
    ) -> pytest.RunResult:
        """pytest, in this process, on a test that is ``body`` (or whose file is ``source``).

        :param given: a place (flag, ini, marker), the name of an option, and its value there.
        """
        if given is not None:
            place, option, value = given
            if place == "flag":
                switch = next(one for one in OPTIONS if one.name == option).switch
                flags = (*flags, f"--ptreetime-{option}" + ("" if switch else f"={value}"))
            elif place == "ini":
                ini = {**(ini or {}), "ptreetime_" + option.replace("-", "_"): value}
            else:
                marker = {**(marker or {}), option.replace("-", "_"): value}
        lines = "".join(f"{name} = {value}\n" for name, value in (ini or {}).items())
        self.pytester.makeini(f"[pytest]\n{lines}")
        marks = f"@pytest.mark.ptreetime(**{dict(marker)!r})" if marker else ""
        if source is None:
            source = TEST_FILE.format(marker=marks, body=body)
        (self.path / "test_build.py").write_text(source)
        flags = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *flags)
        if tracer is not None:
            flags = (f"--ptreetime-tracer={tracer}", *flags)
        here = Path.cwd()
        os.chdir(self.path / directory)
        try:
            return self.pytester.runpytest_inprocess(*flags)
        finally:
            os.chdir(here)

    @property
    def runs(self) -> list[dict[str, Any]]:
        """What was run."""
        return runs(self.path / "runs.jsonl")

    def stored(self, name: str = "main") -> list[Session]:
        """The sessions in the store."""
        files = Store(self.path / ".ptreetime", name).files()
        return [session for path in files for session in Store.read(path).sessions]


def plan_of(processes: Mapping[str, float], *more: str) -> str:
    return "\n".join([*(f"{name} = {seconds}" for name, seconds in processes.items()), *more]) + "\n"


def calibration(speed: float = 1.0) -> Calibration:
    """That of a machine which is so many times as slow as this one."""
    times = [speed * 0.01 * (1 + thousandths / 1000) for thousandths in (0, 1, -1, 2, -2)]
    return Calibration(dict.fromkeys(PARTS, times), dict.fromkeys(PARTS, times))


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project on a machine whose speed does not change, outside of any CI job."""
    for name in ("PYTEST_ADDOPTS", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine_speed, "calibrate", calibration)
    monkeypatch.setenv("COLUMNS", "100")
    return Project(pytester)


def words_of(result: pytest.RunResult) -> str:
    """The output, its line breaks and indents as blanks."""
    return " ".join("\n".join(result.outlines + result.errlines).split())


def places(name: str) -> pytest.MarkDecorator:
    """Runs a test with ``place`` being each place that the option can be given at."""
    option = next(one for one in OPTIONS if one.name == name)
    return pytest.mark.parametrize("place", ["flag", "ini", *(["marker"] if option.marker else [])])
