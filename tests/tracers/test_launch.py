from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from pytest_ptreetime.errors import NativeHelperMissing, RecordingFailed
from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import Lost
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.launch import launched
from pytest_ptreetime.tracers.preload import LOGGING

try:
    helper("ptreetime-gate")
except NativeHelperMissing as error:
    pytest.skip(str(error), allow_module_level=True)


class Broken(Exception):
    pass


def test_command_when_its_tracer_breaks_runs_to_its_end_before_the_error_is_raised(tmp_path: Path) -> None:
    script = f"sleep 0.2; touch {tmp_path}/finished"
    with pytest.raises(Broken), launched(Command(["/bin/sh", "-c", script])) as child:
        child.open_gate()
        raise Broken
    assert (tmp_path / "finished").exists()
    assert child.process.returncode == 0


def test_command_when_its_tracer_breaks_is_ended_with_all_its_children_at_its_timeout() -> None:
    command = Command(["/bin/sh", "-c", "sleep 1000 & echo $!; wait"], timeout=0.2, interpose=False)
    reader, writer = os.pipe()
    with os.fdopen(reader) as output:
        with pytest.raises(Broken), launched(Command(**{**vars(command), "stdout": writer})) as child:
            os.close(writer)
            child.open_gate()
            sleeping = int(output.readline())
            raise Broken
        assert output.read() == "", "nobody holds the other end of the pipe"
    assert child.process.returncode == -signal.SIGKILL
    if sys.platform == "linux":
        assert not Path(f"/proc/{sleeping}/exe").exists()


def test_command_that_was_never_let_through_does_not_run(tmp_path: Path) -> None:
    with pytest.raises(Broken), launched(Command(["/usr/bin/touch", str(tmp_path / "ran")])):
        raise Broken
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("moment", ["before the tracer is named", "before it opens"])
def test_gate_that_is_killed_is_an_error_that_says_so(moment: str) -> None:
    with pytest.raises(RecordingFailed, match="gate ended by signal 9"), launched(Command(["/bin/true"])) as child:
        if moment == "before it opens":
            child.allow_tracer(os.getpid())
        child.process.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        if moment == "before it opens":
            child.open_gate()
        else:
            child.allow_tracer(os.getpid())


@pytest.mark.parametrize("what", ["the log", "its directory"])
def test_log_that_was_deleted_is_a_loss(what: str) -> None:
    with launched(Command(["/bin/true"]), interposer=LOGGING) as child:
        child.open_gate()
        child.process.wait()
        assert child.interposer_log is not None
        if what == "the log":
            child.interposer_log.path.unlink()
        else:
            shutil.rmtree(child.interposer_log.path.parent)
        *_, lost = child.interposer_events()
    assert isinstance(lost, Lost)
    assert "deleted" in lost.what


def test_place_for_temporary_files_when_it_is_not_there_is_an_error_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(OSError, match="missing"), launched(Command(["/usr/bin/touch", str(tmp_path / "ran")])):
        raise AssertionError("there is no directory for its log")
    assert not (tmp_path / "ran").exists()
