from __future__ import annotations

import os
import platform
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_ptreetime.errors import NativeHelperMissing, RecordingFailed
from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import Lost
from pytest_ptreetime.tracers import ChildOptions, Command
from pytest_ptreetime.tracers.launch import launched
from pytest_ptreetime.tracers.preload import LOGGING

try:
    helper("ptreetime-gate")
except NativeHelperMissing as error:
    pytest.skip(str(error), allow_module_level=True)


ADDR_NO_RANDOMIZE = 0x0040000
PERSONALITY = {"x86_64": 135, "aarch64": 92}.get(platform.machine())


class Broken(Exception):
    pass


def refusing(call: int | None) -> bytes:
    """A seccomp filter that answers system call ``call`` with EPERM and allows all others."""
    load_number, jump_if_equal, answer = 0x20, 0x15, 0x06
    refused, allowed = 0x00050000 | 1, 0x7FFF0000
    program = ((load_number, 0, 0, 0), (jump_if_equal, 0, 1, call), (answer, 0, 0, refused), (answer, 0, 0, allowed))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


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


@pytest.mark.skipif(sys.platform != "linux", reason="personality(2) is Linux's")
@pytest.mark.parametrize("no_aslr", [False, True])
def test_addresses_of_a_build_are_fixed_where_that_is_asked_for(tmp_path: Path, no_aslr: bool) -> None:
    script = "sh -c 'cat /proc/self/personality' > persona"
    command = Command(["/bin/sh", "-c", script], cwd=str(tmp_path), child=ChildOptions(no_aslr=no_aslr))
    with launched(command) as child:
        child.open_gate()
    persona = int((tmp_path / "persona").read_text(), 16)
    assert bool(persona & ADDR_NO_RANDOMIZE) == no_aslr
    assert not int(Path("/proc/self/personality").read_text(), 16) & ADDR_NO_RANDOMIZE, "ours stay as they were"


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bwrap is not installed: it loads the filter")
@pytest.mark.skipif(PERSONALITY is None, reason="the number of personality(2) is not known here")
def test_addresses_when_a_filter_forbids_to_fix_them_are_an_error_with_the_way_out(tmp_path: Path) -> None:
    probe = """
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.tracers import ChildOptions, Command
from pytest_ptreetime.tracers.launch import launched
with launched(Command(['true'], child=ChildOptions(no_aslr=True))) as child:
    try:
        child.open_gate()
    except UsageError as error:
        print(error)
"""
    filter_path = tmp_path / "filter"
    filter_path.write_bytes(refusing(PERSONALITY))
    with filter_path.open("rb") as loaded:
        result = subprocess.run(
            ["bwrap", "--dev-bind", "/", "/", "--seccomp", str(loaded.fileno()), sys.executable, "-c", probe],
            pass_fds=[loaded.fileno()],
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode != 0 and "bwrap" in result.stderr:
        pytest.skip(f"bwrap does not work here: {result.stderr.strip()}")
    assert result.stderr == ""
    assert "leave --ptreetime-no-aslr out" in result.stdout
