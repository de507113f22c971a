"""Locks among one user's processes on one machine, of which nothing stays behind.

The files are in a directory that only this user can look into, below the temporary directory that everybody shares:
nobody else can put a symbolic link where a lock will be, hold it, or see when builds are measured. Who releases a lock
removes its file, and the directory when it is empty; who waited for a file that has been removed meanwhile begins anew.
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.system.os_errors import refused_as

__all__ = ["user_lock"]


@contextmanager
def user_lock(name: str, *, waiting: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold this user's lock ``name`` on this machine.

    :param waiting: called once where another process has it.
    :raises UsageError: its directory can't be made, or is somebody else's.
    """
    file = f"{name}.lock"
    descriptor = place = -1
    with refused_as(UsageError, f"the lock {name} can't be taken"):
        directory = Path(tempfile.gettempdir(), f"ptreetime-{os.geteuid()}")
        while descriptor < 0:
            place = _private(directory)
            try:
                descriptor = _acquired(file, place, waiting)
            except BaseException:
                os.close(place)
                raise
            if descriptor < 0:
                os.close(place)
                waiting = None
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(file, dir_fd=place)
        os.close(descriptor)
        os.close(place)
        with suppress(OSError):
            directory.rmdir()


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


def _acquired(file: str, place: int, waiting: Callable[[], object] | None) -> int:
    """A descriptor that holds the lock; -1 where the file was removed by who had it before."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place)
    except FileNotFoundError:
        return -1  # the directory has been removed
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(file, dir_fd=place, follow_symlinks=False), os.fstat(descriptor)):
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return -1
