from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.session.progress import SilentProgress
from pytest_ptreetime.session.rounds import machine_lock
from pytest_ptreetime.system.host import host_facts
from pytest_ptreetime.system.user_lock import QUIET_SECONDS, user_lock

pytestmark = pytest.mark.promise("private-temporary-files")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory in place of the one that all users share."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_lock_is_in_a_private_directory_and_nothing_is_left_of_it(shared: Path) -> None:
    with user_lock("one"), user_lock("two"):
        (directory,) = shared.iterdir()
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert sorted(path.name for path in directory.iterdir()) == ["one.ask", "one.lock", "two.ask", "two.lock"]
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in directory.iterdir())
    assert not list(shared.iterdir())
    with machine_lock(SilentProgress()):
        assert list(shared.iterdir())
    assert not list(shared.iterdir())


def test_directory_that_is_a_symbolic_link_or_open_to_others_is_refused(shared: Path) -> None:
    victim = shared / "victim"
    victim.mkdir(mode=0o700)
    place = shared / f"ptreetime-{os.geteuid()}"
    place.symlink_to(victim)
    with pytest.raises(UsageError, match="set TMPDIR"), user_lock("one"):
        pass
    assert not list(victim.iterdir())
    place.unlink()
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(UsageError, match="with mode 0777"), user_lock("one"):
        pass
    if os.geteuid() == 0:
        place.chmod(0o700)
        os.chown(place, 65534, 65534)
        with pytest.raises(UsageError, match="belongs to user 65534"), user_lock("one"):
            pass


def test_lock_that_is_a_symbolic_link_is_not_followed(shared: Path) -> None:
    victim = shared / "victim"
    victim.write_text("precious")
    place = shared / f"ptreetime-{os.geteuid()}"
    place.mkdir(mode=0o700)
    (place / "one.lock").symlink_to(victim)
    with pytest.raises(UsageError, match="symbolic link"), user_lock("one"):
        pass
    assert victim.read_text() == "precious"


def test_only_one_has_the_lock_however_many_want_it(shared: Path) -> None:
    holders: list[int] = []
    most = []

    def work() -> None:
        for _ in range(50):
            with user_lock("one"):
                holders.append(1)
                most.append(len(holders))
                holders.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 300
    assert max(most) == 1
    assert not list(shared.iterdir())


def test_who_has_to_wait_is_told_once_and_for_whom(shared: Path) -> None:
    told = threading.Event()
    order: list[str] = []
    holders: list[int | None] = []

    def tell(holder: int | None) -> None:
        holders.append(holder)
        told.set()

    def wait() -> None:
        with user_lock("one", waiting=tell) as waited:
            assert waited >= QUIET_SECONDS
            order.append("second")

    thread = threading.Thread(target=wait)
    with user_lock("one"):
        thread.start()
        assert told.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
    assert holders == [os.getpid()]


NESTED = """
import sys, time
from pytest_ptreetime.system.user_lock import QUIET_SECONDS, user_lock
def tell(holder):
    print("waits for", holder, flush=True)
with user_lock("one", waiting=tell):
    print("has it", flush=True)
"""


def started_from_a_shell(script: str) -> list[str]:
    """A process whose parent is a shell whose parent is this one."""
    return ["/bin/sh", "-c", '"$0" -c "$1"; exit $?', sys.executable, script]


@pytest.mark.parametrize("namespace", [[], ["unshare", "-pf"], ["unshare", "-pf", "--mount-proc"]], ids=" ".join)
@pytest.mark.parametrize("length", [1, 150])
def test_descendant_of_who_has_the_lock_does_not_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, namespace: list[str], length: int
) -> None:
    if namespace and subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no pid namespace can be made here")
    shared = tmp_path / ("x" * length)
    shared.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    environment = {**os.environ, "TMPDIR": str(shared)}
    with user_lock("one"):
        done = subprocess.run(
            [*namespace, *started_from_a_shell(NESTED)], env=environment, stdout=subprocess.PIPE, timeout=60
        )
        assert done.stdout == b"has it\n"
        assert done.returncode == 0
        assert sorted(path.name for path in shared.glob("*/*")) == ["one.ask", "one.lock"], "it is still ours"
        with user_lock("one"):  # a set-up that measures, in the same thread
            pass
    assert not list(shared.iterdir())


@pytest.mark.parametrize("stopped", [False, True])
def test_who_was_started_by_another_process_waits(shared: Path, stopped: bool) -> None:
    environment = {**os.environ, "TMPDIR": str(shared)}
    hold = [sys.executable, "-c", f"{NESTED}    sys.stdin.read()"]
    with subprocess.Popen(hold, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"has it\n"
        if stopped:  # it can't answer
            holder.send_signal(signal.SIGSTOP)
        with subprocess.Popen(started_from_a_shell(NESTED), env=environment, stdout=subprocess.PIPE) as waiter:
            assert waiter.stdout is not None
            assert waiter.stdout.readline() == f"waits for {holder.pid}\n".encode()
            holder.send_signal(signal.SIGCONT)
            holder.stdin.close()
            assert waiter.stdout.readline() == b"has it\n"
    assert not list(shared.iterdir())


def test_wait_that_nobody_was_named_for_is_told_on_standard_error(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    has_it = threading.Event()

    def hold() -> None:
        with user_lock("one"):
            has_it.set()
            time.sleep(QUIET_SECONDS + 0.5)

    thread = threading.Thread(target=hold)
    thread.start()
    assert has_it.wait(30)
    with user_lock("one"):
        pass
    thread.join(30)
    assert f"waiting for process {os.getpid()}, which has the lock one" in capsys.readouterr().err


def test_saving_a_baseline_leaves_no_lock_behind(shared: Path) -> None:
    from pytest_ptreetime.baselines.store import Session, Store
    from pytest_ptreetime.decision.profile import Profile

    store = Store(shared / "store", "main")
    session = Session.from_profiles([Profile.from_dict({"make": {"count": 1}})], commit=None, tracer="ptrace")
    store.add("test", host_facts(), session)
    assert [path.name for path in shared.iterdir()] == ["store"]
