"""Instructions counted under an emulator: +1 % of work is seen in one run of each side."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from replayed_builds import ONLY_LINUX, busy_build, replayer_or_skip, suspect
from trap_programs import Programs

from pytest_ptreetime.confirmation import counting
from pytest_ptreetime.confirmation.confirming import confirm
from pytest_ptreetime.confirmation.counting import count, counters
from pytest_ptreetime.decision.finding import Finding

pytestmark = ONLY_LINUX


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.mark.parametrize("name", ["qemu", "valgrind"])
def test_one_percent_more_work_when_counted_is_one_percent(
    tmp_path: Path, programs: Programs, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [counter for counter in counters() if counter.name == name]
    if not own:
        pytest.skip(f"{name} is not installed")
    monkeypatch.setattr(counting, "counters", lambda: iter(own))
    sides = [
        suspect(busy_build(tmp_path / side, programs, thousands=thousands).captured())
        for side, thousands in (("a", 2000), ("b", 2020))
    ]
    with replayer_or_skip(sides) as replays:
        counted = count(replays)
    assert counted is not None
    assert counted.by == name
    assert counted.before > 2_000_000
    assert counted.spread < 1e-3
    assert counted.ratio == pytest.approx(1.01, abs=0.002)


def test_counting_when_nothing_is_installed_gives_nothing(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert list(counters()) == []


def test_finding_when_confirmed_says_how_many_more_instructions(tmp_path: Path, programs: Programs) -> None:
    if not list(counters()):
        pytest.skip("neither qemu-user nor valgrind is installed")
    before = busy_build(tmp_path / "a", programs, thousands=6000).captured()
    after = busy_build(tmp_path / "b", programs, thousands=9000).captured()
    with replayer_or_skip([suspect(before), suspect(after)]):
        pass
    (key,) = {key for key in before.keys if "busy" in key}
    outcome = confirm([Finding(key, "cpu", "regression", 0.0, 0.0)], (before, after), budget=300).outcomes[key]
    assert outcome.outcome == "confirmed"
    assert outcome.instructions == pytest.approx(1.5, abs=0.02)
