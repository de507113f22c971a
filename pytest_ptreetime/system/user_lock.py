"""Locks among one user's processes on one machine, of which nothing stays behind.

The files are in a directory that only this user can look into, below the temporary directory that everybody shares:
nobody else can put a symbolic link where a lock will be, hold it, or see when builds are measured. Who releases a lock
removes its file, and the directory when it is empty; who waited for a file that has been removed meanwhile begins anew.

The file says who has it: the pid, the thread and the process's birth. Who is started by the one that has it, such as a
test suite that is measured and measures, does not wait for it: they would wait for each other for ever.
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
from dataclasses import dataclass
from pathlib import Path

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.system.ancestors import birth_of, is_ancestor
from pytest_ptreetime.system.os_errors import refused_as

__all__ = ["user_lock"]

QUIET_SECONDS = 1.0  # a wait that is shorter is not told
POLL_SECONDS = 0.05

Waiting = Callable[[int | None], object]


@dataclass(frozen=True)
class Holder:
    """Who has a lock."""

    pid: int
    thread: int
    birth: str

    @classmethod
    def this_thread(cls) -> Holder:
        return cls(os.getpid(), threading.get_native_id(), birth_of(os.getpid()) or "-")

    @classmethod
    def written_in(cls, descriptor: int) -> Holder | None:
        """What the file of a lock says; None where it does not say it yet."""
        pid, thread, birth, end = [*os.pread(descriptor, 1000, 0).decode(errors="replace").split("\n"), *[""] * 4][:4]
        known = pid.isdecimal() and thread.isdecimal() and end == "end"
        return cls(int(pid), int(thread), birth) if known else None

    def write(self, descriptor: int) -> None:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{self.pid}\n{self.thread}\n{self.birth}\nend".encode(), 0)

    def waits_for_us(self) -> bool:
        """Whether it is what this thread is a part of, and will not let go before this thread is done."""
        if self.pid == os.getpid():
            return self.thread == threading.get_native_id()
        return is_ancestor(self.pid, self.birth)


@contextmanager
def user_lock(name: str, *, waiting: Waiting | None = None) -> Iterator[float]:
    """Hold this user's lock ``name`` on this machine; gives the seconds that it had to be waited for.

    :param waiting: called once, with the pid of who has it or None, where it has to be waited for longer than a second;
        by default that is said on standard error.
    :raises UsageError: its directory can't be made, or is somebody else's.
    """
    file = f"{name}.lock"
    descriptor = place = -1
    told = _once(waiting or _tell_of(name))
    began = time.monotonic()
    with refused_as(UsageError, f"the lock {name} can't be taken"):
        directory = Path(tempfile.gettempdir(), f"ptreetime-{os.geteuid()}")
        while descriptor < 0:
            place = _private(directory)
            try:
                descriptor, held_for_us = _acquired(file, place, told, began)
            except BaseException:
                os.close(place)
                raise
            if descriptor < 0:
                os.close(place)
    try:
        yield time.monotonic() - began
    finally:
        if not held_for_us:
            with suppress(OSError):
                os.unlink(file, dir_fd=place)
        os.close(descriptor)
        os.close(place)
        with suppress(OSError):
            directory.rmdir()


def _once(waiting: Waiting) -> Waiting:
    left = [waiting]

    def tell(holder: int | None) -> None:
        if left:
            left.pop()(holder)

    return tell


def _tell_of(name: str) -> Waiting:
    def tell(holder: int | None) -> None:
        whose = "another process" if holder is None else f"process {holder}"
        sys.stderr.write(f"ptreetime: waiting for {whose}, which has the lock {name}\n")

    return tell


def _private(directory: Path) -> int:
    """A descriptor of ``directory``, which is made where it is missing, and is nobody else's."""
    while True:
        try:
            with suppress(FileExistsError):
                directory.mkdir(mode=0o700)
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            if directory.parent.is_dir():
                continue  # its last user has just removed it
            raise UsageError(f"there is no directory {directory.parent} for temporary files: set TMPDIR") from None
        except OSError as error:
            raise UsageError(
                f"the directory {directory} for this user's locks can't be used ({error.strerror}): remove what is "
                "there, or set TMPDIR to a directory of your own"
            ) from None
        status = os.fstat(descriptor)
        if status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077:
            return descriptor
        os.close(descriptor)
        raise UsageError(
            f"the directory {directory} for this user's locks belongs to user {status.st_uid} with mode "
            f"{stat.S_IMODE(status.st_mode):04o}, instead of user {os.geteuid()} with 0700: remove it, or set "
            "TMPDIR to a directory of your own"
        )


def _acquired(file: str, place: int, waiting: Waiting, began: float) -> tuple[int, bool]:
    """A descriptor that holds the lock, and whether an ancestor holds it for us.

    The descriptor is -1 where the file was removed by who had it before.
    """
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place)
    except FileNotFoundError:
        return -1, False  # the directory has been removed
    try:
        if not _locked(descriptor, waiting, began):
            return descriptor, True
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(file, dir_fd=place, follow_symlinks=False), os.fstat(descriptor)):
                with suppress(OSError):  # a full disk: nobody can be told then
                    Holder.this_thread().write(descriptor)
                return descriptor, False
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return -1, False


def _locked(descriptor: int, waiting: Waiting, began: float) -> bool:
    """Lock the file, when it can be; False where the one that has it waits for us."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = Holder.written_in(descriptor)
        else:
            return True
        if holder is not None and holder.waits_for_us():
            return False
        if time.monotonic() - began >= QUIET_SECONDS:
            break
        time.sleep(POLL_SECONDS)
    waiting(None if holder is None else holder.pid)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return True
