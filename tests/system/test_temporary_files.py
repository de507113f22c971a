from __future__ import annotations

import dis
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from spent_descriptors import spending_descriptors

from pytest_ptreetime.system import temporary_files
from pytest_ptreetime.system.atomic_write import replace_file
from pytest_ptreetime.system.temporary_files import private_directory

ROOT = Path(temporary_files.__file__).parents[1]

# Holds what it made until it is killed; the line that it prints says that it is there.
HOLDING = {
    "directory": """
import os, signal
from pytest_ptreetime.system.temporary_files import private_directory
with private_directory() as directory:
    (directory / "content").write_text("x")
    print(directory, flush=True)
    signal.pause()
""",
    "file": """
import signal, sys
from pathlib import Path
from pytest_ptreetime.system.atomic_write import replace_file
def content():
    yield b"the first half"
    print("begun", flush=True)
    signal.pause()
replace_file(Path("file"), content())
""",
}


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files below tmp_path, and a process that has not looked at any place yet."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(temporary_files, "_looked_at", set())
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def holder(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """Another process that has a temporary directory or file."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING[request.param]], stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
        process.kill()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def make_another(tmp_path: Path) -> None:
    """What makes this process look for stale files."""
    temporary_files._looked_at.clear()
    with private_directory():
        pass
    replace_file(tmp_path / "other", b"")


@pytest.mark.promise("killed-run-is-cleaned-up")
@pytest.mark.parametrize("holder", ["directory", "file"], indirect=True)
def test_stale_file_when_its_process_was_killed_is_removed_by_the_next(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert len(list(tmp_path.iterdir())) == 1
    holder.kill()
    holder.wait()
    make_another(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize("holder", ["directory", "file"], indirect=True)
def test_temporary_when_its_process_lives_is_left_alone(holder: subprocess.Popen[str], tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    make_another(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before | {"other"}


@pytest.mark.parametrize("holder", ["directory"], indirect=True)
def test_directory_when_a_build_that_goes_on_uses_it_is_removed_after_that(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    (directory,) = tmp_path.iterdir()
    with subprocess.Popen(["sleep", "100"], env={"PTREETIME_LOG": f"{directory}/interposer.events"}) as build:
        while not Path(f"/proc/{build.pid}/environ").read_bytes():
            time.sleep(0.001)  # exec closes Popen's pipe before its environment can be seen
        holder.kill()
        holder.wait()
        make_another(tmp_path)
        assert (directory / "content").exists()
        build.send_signal(signal.SIGKILL)
    make_another(tmp_path)
    assert not directory.exists()


@pytest.mark.parametrize(
    "name", ["ptreetime-private-mine", "ptreetime-ci.0123456789abcdef", ".file.0123456789abcdef", ".file.ptreetime-new"]
)
def test_file_when_its_name_is_not_exactly_ours_is_left_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    make_another(tmp_path)
    assert (tmp_path / name).exists()


def test_link_with_such_a_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    link = tmp_path / "ptreetime-private-0123456789abcdef"
    link.symlink_to("precious")
    make_another(tmp_path)
    assert (tmp_path / "precious" / "file").exists()


def test_private_directory_when_no_descriptor_is_left_is_removed_all_the_same(tmp_path: Path) -> None:
    with spending_descriptors() as taken, private_directory() as directory:
        (directory / "log").touch()
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                taken.append(os.open(tmp_path, os.O_RDONLY))
    assert not list(tmp_path.iterdir())


def test_private_directory_is_its_owners_only_and_gone_at_the_end(tmp_path: Path) -> None:
    with private_directory() as directory:
        assert directory.parent == tmp_path
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.iterdir())


def replace_and_be_done() -> None:
    replace_file(Path("file"), b"content")
    Path("file").unlink()


def make_directory_and_be_done() -> None:
    with private_directory() as directory:
        (directory / "content").touch()


def interrupted(work: Callable[[], None], step: int) -> bool:
    """Whether Ctrl-C came: before the instruction with this number of those of ours that follow a call, where Python
    looks for signals.
    """
    ours = {temporary_files.__file__, replace_file.__code__.co_filename}
    steps = 0
    called: set[FrameType] = set()

    def press(frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        nonlocal steps
        if frame.f_code.co_filename not in ours:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if frame in called:
                steps += 1
                if steps == step:
                    raise KeyboardInterrupt
            called.discard(frame)
            if dis.opname[frame.f_code.co_code[frame.f_lasti]].startswith("CALL"):
                called.add(frame)
        return press

    before = sys.gettrace()
    sys.settrace(press)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.promise("ctrl-c")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that nobody closes any more
@pytest.mark.parametrize("work", [replace_and_be_done, make_directory_and_be_done])
def test_file_or_directory_when_ctrl_c_comes_at_any_instruction_is_not_left(
    work: Callable[[], None], tmp_path: Path
) -> None:
    step, left = 1, []
    while interrupted(work, step):
        (tmp_path / "file").unlink(missing_ok=True)
        left += [(step, path.name) for path in tmp_path.iterdir()]
        for path in tmp_path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        temporary_files._looked_at.clear()
        step += 1
    assert step > 10
    assert not left
