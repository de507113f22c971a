"""Locks among one user's processes on one machine, of which nothing stays behind.

The files are in a directory that only this user can look into, below the temporary directory that everybody shares:
nobody else can put a symbolic link where a lock will be, hold it, or see when builds are measured. Who releases a lock
removes its file, and the directory when it is empty; who waited for a file that has been removed meanwhile begins anew.

Who is started by the one that has it, such as a test suite that is measured and measures, does not wait for it: they
would wait for each other for ever. Who has it is asked for that (lock_holder.py).
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.system.lock_holder import answering, ask
from pytest_ptreetime.system.os_errors import os_errors_as

__all__ = ["user_lock"]

QUIET_SECONDS = 1.0  # a wait that is shorter is not told
POLL_SECONDS = 0.05
ASK_SUFFIX = ".ask"
_held: set[tuple[Path, int]] = set()  # with the thread that has it

Waiting = Callable[[int | None], object]


@contextmanager
def user_lock(name: str, *, waiting: Waiting | None = None) -> Iterator[float]:
    """Hold this user's lock ``name`` on this machine; gives the seconds that it had to be waited for.

    :param waiting: called once, with the pid of who has it or None, where it has to be waited for longer than a second;
        by default that is said on standard error.
    :raises UsageError: its directory can't be made, or is somebody else's.
    """

    def tell(holder: int | None) -> None:
        whose = "another process" if holder is None else f"process {holder}"
        sys.stderr.write(f"ptreetime: waiting for {whose}, which has the lock {name}\n")

    path = Path(tempfile.gettempdir(), f"ptreetime-{os.geteuid()}", f"{name}.lock")
    untold = [waiting or tell]
    began = time.monotonic()
    with os_errors_as(UsageError, f"the lock {name} can't be taken"):
        while (acquired := _acquired(path, untold, began)) is None:
            pass  # who had it before has removed it
    descriptor, ours = acquired
    try:
        if not ours:
            yield time.monotonic() - began
            return
        us = path, threading.get_ident()
        _held.add(us)
        try:
            with answering(path.with_suffix(ASK_SUFFIX)):
                yield time.monotonic() - began
        finally:
            _held.discard(us)
            with suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)
        with suppress(OSError):
            path.parent.rmdir()


def _make_private(directory: Path) -> None:
    """Make ``directory`` where it is missing.

    :raises UsageError: it can't be made, or is not this user's alone.
    :raises FileNotFoundError: somebody has removed it meanwhile.
    """
    help_ = "remove it, or set TMPDIR to a directory of your own"
    try:
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        status = directory.lstat()
    except FileNotFoundError:
        if directory.parent.is_dir():
            raise  # its last user has just removed it
        raise UsageError(f"there is no directory {directory.parent} for temporary files: set TMPDIR") from None
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{directory}, for this user's locks, is not a directory: {help_}")
    if status.st_uid != os.geteuid() or mode & 0o077:
        raise UsageError(
            f"the directory {directory} for this user's locks belongs to user {status.st_uid} with mode {mode:04o}, "
            f"instead of user {os.geteuid()} with 0700: {help_}"
        )


def _acquired(path: Path, untold: list[Waiting], began: float) -> tuple[int, bool] | None:
    """The descriptor of the file, and whether it is locked by us and not by an ancestor; None where it is removed."""
    with suppress(FileNotFoundError):
        _make_private(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            ours = _locked(descriptor, path, untold, began)
            if not ours or os.path.samestat(path.lstat(), os.fstat(descriptor)):
                return descriptor, ours
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    return None


def _locked(descriptor: int, path: Path, untold: list[Waiting], began: float) -> bool:
    """Lock the file, when it can be; False where the one that has it waits for us."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            pass
        answer = ask(path.with_suffix(ASK_SUFFIX), QUIET_SECONDS)
        if answer.descends or (path, threading.get_ident()) in _held:
            return False
        if time.monotonic() - began >= QUIET_SECONDS:
            break
        time.sleep(POLL_SECONDS)
    if untold:
        untold.pop()(answer.holder)
    # who does not answer yet, as it is stopped or very busy, would be waited for anyway
    if answer.holder is not None and answer.descends is None and ask(path.with_suffix(ASK_SUFFIX), None).descends:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return True
