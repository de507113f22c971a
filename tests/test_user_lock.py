from __future__ import annotations

import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.session.measure import SilentProgress, machine_lock
from pytest_ptreetime.system.host import host_facts
from pytest_ptreetime.system.user_lock import user_lock

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
        assert sorted(path.name for path in directory.iterdir()) == ["one.lock", "two.lock"]
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


def test_who_has_to_wait_is_told_once(shared: Path) -> None:
    told = threading.Event()
    order = []

    def wait() -> None:
        with user_lock("one", waiting=told.set):
            order.append("second")

    thread = threading.Thread(target=wait)
    with user_lock("one"):
        thread.start()
        assert told.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]


def test_saving_a_baseline_leaves_no_lock_behind(shared: Path) -> None:
    from pytest_ptreetime.baselines.store import Session, Store
    from pytest_ptreetime.decision.profile import Profile

    store = Store(shared / "store", "main")
    session = Session.from_profiles([Profile.from_dict({"make": {"count": 1}})], commit=None, tracer="ptrace")
    store.add("test", host_facts(), session)
    assert [path.name for path in shared.iterdir()] == ["store"]
