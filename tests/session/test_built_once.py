"""A round's tree and profile are made once, whoever asks for them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scripted_tracer import ScriptedTracer

from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports.results import from_recordings
from pytest_ptreetime.reports.terminal import properties
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.hooks import Hooks
from pytest_ptreetime.session.label import Label
from pytest_ptreetime.session.measuring_session import MeasuringSession
from pytest_ptreetime.settings import resolve

PLAN = "cc1 a.c = 0.5\ncc1 b.c = 0.25\n"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a tree and a profile was made."""
    count: Counter[str] = Counter()
    tree, from_tree = Recording.tree, Profile.from_tree

    def counted_tree(self: Recording) -> Any:
        count["trees"] += 1
        return tree(self)

    def counted_profile(*args: Any, **options: Any) -> Profile:
        count["profiles"] += 1
        return from_tree(*args, **options)

    monkeypatch.setattr(Recording, "tree", counted_tree)
    monkeypatch.setattr(Profile, "from_tree", counted_profile)
    return count


def test_tree_and_profile_of_a_round_are_made_once_in_a_session(tmp_path: Path, made: Counter[str]) -> None:
    (tmp_path / "plan").write_text(PLAN)
    settings = resolve({"rounds": "3", "warmup": "1"}, {}, {})
    session = MeasuringSession(settings, Hooks(), directory=tmp_path)
    label = Label.unique("test_it.py::test_build", None, set())
    tracer = ScriptedTracer(tmp_path / "log")
    evaluation, rounds = session.measure(Build(["make"], cwd=str(tmp_path)), settings, label=label, tracer=tracer)
    session.evaluate(evaluation)
    measurement = evaluation.measurement
    properties(measurement)
    assert [profile.totals for profile in measurement.profiles] == [
        Profile.from_tree(done.recording.tree()).totals for done in rounds
    ]
    assert len(measurement.trees) == 3
    assert made == {"trees": 4 + 3, "profiles": 3 + 3}  # with those that this test has made


def test_profile_of_a_recording_has_its_own_keys_though_the_tree_has_other_names_by_now(tmp_path: Path) -> None:
    (tmp_path / "plan").write_text(PLAN)
    tracer = ScriptedTracer(tmp_path / "log")
    session = MeasuringSession(resolve({}, {}, {}), Hooks(), directory=tmp_path)
    label = Label.unique("test_it.py::test_build", None, set())
    _, (done,) = session.measure(Build(["make"], cwd=str(tmp_path)), session.settings, label=label, tracer=tracer)
    measurement = from_recordings([done.recording], name="build").measurements[0]
    measurement.names = [{"make/cc1[a.c]": "make/cc1[b.c]", "make/cc1[b.c]": "make/cc1[c.c]"}]
    assert [node.key for node in measurement.tree] == ["make", "make/cc1[b.c]", "make/cc1[c.c]"]
    assert list(measurement.profiles[0].totals) == ["make", "make/cc1[b.c]", "make/cc1[c.c]"]
