"""How fast this machine was in this session, and how long it was waited for."""

from __future__ import annotations

import time

from pytest_ptreetime.errors import RecordingFailed
from pytest_ptreetime.session.progress import Progress
from pytest_ptreetime.session.rounds import machine_lock
from pytest_ptreetime.system.calibration import Calibration, calibrate
from pytest_ptreetime.system.os_errors import os_errors_as

__all__ = ["MachineSpeed"]

MOST_CALIBRATIONS = 4


class MachineSpeed:
    """The calibrations of one session; ``waited`` are the seconds for other measurements on this machine."""

    def __init__(self) -> None:
        self.waited = 0.0
        self._calibration: Calibration | None = None
        self._calibrations = 0

    @property
    def calibration(self) -> Calibration:
        """All of this session's; measured now where there is none."""
        if self._calibration is None:
            self.calibrate()
        assert self._calibration is not None
        return self._calibration

    def calibrate(self, progress: Progress | None = None) -> None:
        """Measure it once more: it is done before each of the first builds, to see it vary."""
        if self._calibrations < MOST_CALIBRATIONS:
            self._calibrations += 1
            # neither in another measurement's way, nor disturbed by it
            with (
                machine_lock(progress, self.note_wait),
                os_errors_as(RecordingFailed, "the machine's speed can't be measured"),
            ):
                now = calibrate()
            self._calibration = now if self._calibration is None else self._calibration.joined(now)

    def note_wait(self, seconds: float) -> None:
        """Another measurement was waited for."""
        self.waited += seconds

    def clock(self) -> float:
        """Seconds on a clock that stands still while another measurement is waited for."""
        return time.monotonic() - self.waited
