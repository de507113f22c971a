"""A baseline's file: its sessions are compared with one another, and written again."""

from __future__ import annotations

import pathlib
import zlib

from fuzz.bounds import Violation
from pytest_ptreetime.baselines.store import Baseline, Store
from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import BaselineError, UsageError

_ROUND = Profile.from_dict({"make": {"wall": 1.0, "cpu": 1.0}})
compare([[_ROUND]] * 2, [_ROUND])  # the modules that it imports when it is called

WRITTEN = pathlib.Path("/dev/shm") if pathlib.Path("/dev/shm").is_dir() else pathlib.Path("/tmp")


class Content(type(pathlib.Path())):  # type: ignore[misc] # the class for this system is only known when it runs
    """A path whose file is in memory."""

    content = b""

    def read_bytes(self) -> bytes:
        return self.content


def one_input(data: bytes) -> None:
    path = Content("input.jsonl")
    path.content = data
    try:
        baseline = Store.read(path)
    except BaselineError:
        return
    if not baseline.sessions:
        return
    baseline.describe()
    baseline.keep(20)
    choice = zlib.crc32(data) % 64
    if choice == 0:
        _compare(baseline)
    elif choice == 1:
        _is_kept(baseline)


def _compare(baseline: Baseline) -> None:
    sessions = [session.profiles() for session in baseline.sessions]
    pinned = baseline.pinned_session
    try:
        compare(
            sessions,
            sessions[-1],
            pinned=None if pinned is None else pinned.profiles(),
            baseline_calibration=[session.calibration for session in baseline.sessions],
            current_calibration=baseline.sessions[-1].calibration,
        )
    except UsageError:
        return


def _is_kept(baseline: Baseline) -> None:
    path = baseline.path = WRITTEN / "ptreetime-fuzz" / "main" / "input.jsonl"
    try:
        Store.write(baseline)
        again = Store.read(path)
    except BaselineError:
        return
    if again.sessions != baseline.sessions:
        raise Violation("what was written is not what is read")
