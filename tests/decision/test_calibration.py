from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest

from pytest_ptreetime.decision.host_speed import Calibrations
from pytest_ptreetime.system.calibration import PARTS, Calibration, calibrate


def steady(factor: float = 1.0) -> Calibration:
    times = {part: [factor * value for value in (0.01, 0.0101, 0.0099)] for part in PARTS}
    return Calibration(times, times)


def test_calibration_gives_wall_and_cpu_times_of_every_repetition_of_each_part() -> None:
    calibration = calibrate(repetitions=2)
    for clock in (calibration.wall, calibration.cpu):
        assert tuple(clock) == PARTS
        assert all(0 < seconds < 60 for times in clock.values() for seconds in times)
        assert {len(times) for times in clock.values()} == {2}


def test_calibration_counts_the_cpu_time_of_the_processes_it_starts() -> None:
    calibration = calibrate(repetitions=3)
    assert min(calibration.cpu["fork"]) > 0.0005


def children() -> set[str]:
    """The processes of this one; other tests may have left some that they still need."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_calibration_leaves_no_process_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = children()
    calibrate(repetitions=1)
    assert list(tmp_path.iterdir()) == []
    assert children() == before


def test_calibrations_joined_have_the_repetitions_of_both() -> None:
    joined = steady().joined(steady(2.0))
    assert joined.wall["compute"] == [0.01, 0.0101, 0.0099, 0.02, 0.0202, 0.0198]
    assert joined.disturbance is not None


def test_calibration_survives_being_stored() -> None:
    assert msgspec.json.decode(msgspec.json.encode(steady()), type=Calibration) == steady()


def test_steady_calibration_is_not_disturbed() -> None:
    assert steady().disturbance is None


def test_calibration_that_waited_for_a_processor_says_so() -> None:
    cpu = {part: [0.01, 0.0101, 0.0099] for part in PARTS}
    waited = Calibration({part: [0.018, 0.018, 0.018] for part in PARTS}, cpu)
    assert waited.disturbance == "its work took 1.8 times its cpu time"


def test_calibration_whose_repetitions_differ_says_so() -> None:
    cpu = {part: [0.01, 0.015, 0.02] for part in PARTS}
    assert Calibration(cpu, cpu).disturbance == "its repetitions differed by 43 %"


def test_shift_is_relative_to_the_stored_sessions() -> None:
    shift = Calibrations.of([steady(), steady()], steady(1.1)).shift("cpu", [0, 1])
    assert shift is not None
    assert [round(value, 4) for value in (shift.low, shift.high)] == [0.0953, 0.0953]
    assert not shift.sessions.any()


def test_shift_with_a_session_that_has_no_calibration_is_unknown() -> None:
    partly = Calibrations.of([steady(), None], steady())
    assert partly.shift("cpu", [0, 1]) is None
    assert partly.shift("cpu", [0]) is not None
    assert Calibrations.of(None, steady()).shift("cpu", [0]) is None
    assert Calibrations.of([steady()], None).shift("cpu", [0]) is None
