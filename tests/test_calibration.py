from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pytest_ptreetime.calibration import PARTS, calibrate
from pytest_ptreetime.host_speed import CalibrationShift


def test_calibration_gives_a_time_for_each_part() -> None:
    times = calibrate(repetitions=2)
    assert len(times) == len(PARTS)
    assert all(0 < seconds < 60 for seconds in times)


def test_calibration_leaves_no_process_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    calibrate(repetitions=1)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_calibration_shift_is_relative_to_the_stored_sessions() -> None:
    shift = CalibrationShift.of([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], [1.1, 2.2, 3.3])
    assert shift is not None
    assert [round(float(value), 4) for value in shift.current] == [0.0953] * 3
    assert not shift.sessions.any()


def test_calibration_shift_with_a_session_that_has_none_is_unknown() -> None:
    assert CalibrationShift.of([[1.0, 2.0, 3.0], []], [1.0, 2.0, 3.0]) is None
    assert CalibrationShift.of([[1.0, 2.0]], [1.0, 2.0, 3.0]) is None
    assert CalibrationShift.of(None, [1.0]) is None
