"""Replays leave no trace, do what the build did, and are refused where they don't."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from replayed_builds import ONLY_LINUX, BusyBuild, busy_build, replayed, replayer_or_skip, suspect, tree_hash
from trap_programs import Programs

from pytest_ptreetime.confirmation.refused import Refused

pytestmark = ONLY_LINUX
ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be somebody else")

#: By an interpreter that everybody may start, with the packages of this one.
_REPLAY = """
import sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from replayed_builds import BusyBuild, replayed
print(len(replayed(BusyBuild(Path(sys.argv[1]), {"a": 3000}))))
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


def mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


@pytest.mark.promise("replays-leave-no-trace")
@pytest.mark.parametrize("how", ["", "append", "remove"])
def test_files_when_a_process_was_replayed_are_the_same_to_the_byte(
    tmp_path: Path, programs: Programs, how: str
) -> None:
    build = busy_build(tmp_path / "b", programs, how)
    kept = build.captured()
    build.write_work()  # what "remove" took away
    before, mounted = tree_hash(tmp_path), mounts()
    with replayer_or_skip([suspect(kept)] * 2) as replays:
        assert all(replays.cpu(number % 2) > 0 for number in range(4))  # each finds what the first one found
    assert tree_hash(tmp_path) == before
    assert mounts() == mounted


@pytest.mark.promise("replays-leave-no-trace")
@ROOT_ONLY
@pytest.mark.parametrize("who", ["nobody", "root without rights to mount"])
def test_files_when_a_user_replays_are_the_same_to_the_byte(who: str, programs: Programs) -> None:
    # pytest's own directory is closed to others; below another user's in /tmp replays are refused (noisy-machines.md)
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        build = busy_build(directory / "b", programs)
        command = [sys.executable, "-c", _REPLAY, str(build.directory), *map(str, map(Path, sys.path))]
        if who == "nobody":
            for path in (directory, *directory.rglob("*")):
                os.chown(path, 65534, 65534)
            command[0] = "/usr/bin/python3"
            become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
        else:
            become = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
        subprocess.run([*become, "sh", "build.sh"], cwd=build.directory, check=True)
        before = contents(directory)
        done = subprocess.run([*become, *command], capture_output=True, text=True, check=False, env={"TMPDIR": name})
        if any(words in done.stderr + done.stdout for words in ("no sandbox", "Permission denied", "ImportError")):
            pytest.skip(f"{who} can make no sandbox here, or not start this Python")
        assert (done.stdout, done.stderr) == ("3\n", "")
        assert contents(directory) == before


def contents(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.promise("replays-leave-no-trace")
def test_sandbox_when_who_asks_is_killed_in_the_middle_of_a_replay_leaves_nothing(
    tmp_path: Path, programs: Programs
) -> None:
    build = busy_build(tmp_path / "b", programs, thousands=300_000)
    sides = [suspect(build.captured())] * 2
    before, mounted = tree_hash(tmp_path), mounts()
    asking = os.fork()
    if asking == 0:
        with suppress(BaseException), replayer_or_skip(sides) as replays:
            replays.cpu(0)
        os._exit(1)
    deadline = time.monotonic() + 60
    replaying: list[int] = []
    while not replaying and time.monotonic() < deadline and Path(f"/proc/{asking}/stat").exists():
        replaying = [below for child in children_of(asking) for below in children_of(child)]
        time.sleep(0.005)
    os.kill(asking, signal.SIGKILL)
    os.waitpid(asking, 0)
    if not replaying:
        pytest.skip("no replay was seen: no sandbox can be made here")
    while any(is_running(pid) for pid in replaying) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [pid for pid in replaying if is_running(pid)]
    assert tree_hash(tmp_path) == before
    assert mounts() == mounted


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def children_of(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def test_replay_when_it_is_as_in_the_build_takes_its_time(tmp_path: Path, programs: Programs) -> None:
    build = busy_build(tmp_path / "b", programs, thousands=20_000)
    node = suspect(build.captured()).node
    assert node.cpu is not None
    times = replayed(build, 6)
    assert 0.3 < sorted(times)[2] / node.cpu < 3


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("connect", "talks to a server"),
        ("remove", "ends with exit status 1"),
        ("input", "from a pipe"),
    ],
)
def test_process_when_it_can_not_be_run_again_is_refused_in_words(
    tmp_path: Path, programs: Programs, how: str, words: str
) -> None:
    build = busy_build(tmp_path / "b", programs, how)
    if how == "input":
        (build.directory / "build.sh").write_text("head -c 100000 /dev/zero | ./busy a a.out input\n")
    with pytest.raises(Refused, match=words):
        replayed(build)


def test_personality_when_addresses_are_fixed_is_the_same_in_replays(tmp_path: Path, programs: Programs) -> None:
    build = busy_build(tmp_path / "b", programs)
    (build.directory / "build.sh").write_text("setarch -R ./busy a a.out\n")
    side = suspect(build.captured(), "busy[")
    assert side.image.personality & 0x0040000  # ADDR_NO_RANDOMIZE
    with replayer_or_skip([side] * 2) as replays:
        assert replays.cpu(0) > 0


def test_program_that_runs_others_when_they_do_the_work_is_refused(tmp_path: Path, programs: Programs) -> None:
    build = busy_build(tmp_path / "b", programs, thousands=20_000)
    with pytest.raises(Refused, match="runs other programs"):
        suspect(build.captured(), "sh[")


def test_process_that_runs_twice_when_one_is_wanted_is_refused(tmp_path: Path, programs: Programs) -> None:
    build = BusyBuild.made(tmp_path / "b", programs, {"a": 10})
    (build.directory / "build.sh").write_text("./busy a a.out\n" * 2)
    with pytest.raises(Refused, match="runs 2 times"):
        suspect(build.captured())


@pytest.mark.promise("environments-stay-in-memory")
def test_environment_when_captured_is_the_process_s_own_and_is_not_shown(
    tmp_path: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTREETIME_TEST_SECRET", "hunter2")
    build = busy_build(tmp_path / "b", programs)
    (build.directory / "build.sh").write_text("HERE=1 ./busy a a.out\n")
    kept = build.captured()
    image = suspect(kept).image
    assert image.env[b"PTREETIME_TEST_SECRET"] == b"hunter2"
    assert image.env[b"HERE"] == b"1"
    assert (image.args, image.cwd) == ([b"./busy", b"a", b"a.out"], os.fsencode(build.directory))
    assert "hunter2" not in repr(kept) + repr(image)
    assert b"hunter2" not in repr(kept.tree).encode()
