"""Temporary files and directories of a process that may be killed at any moment: the next one removes them.

Each is locked (flock) for as long as its process needs it. One that is no longer locked was left behind by a process
that was killed; it is removed by the next process of the same user that makes one in the same place. The kernel takes a
lock away however its process ends, and no pid is asked that could have become another process's. The standard library's
tempfile leaves what it made where the process is killed, and nothing would tell it from what is in use.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["locked_file", "private_directory"]

_OURS = re.compile(r"ptreetime-private-[0-9a-f]{16}|\..*\.[0-9a-f]{16}\.ptreetime-new")
_PROC = Path("/proc")

_looked_at: set[Path] = set()


# Ctrl-C may come after any call: a name is known, and what has it will be removed, before anything has that name.


@contextmanager
def private_directory() -> Iterator[Path]:
    """A temporary directory that nobody else may enter, removed at the end.

    :raises OSError: there is no directory for temporary files, or it can't be written.
    """

    def make(path: Path) -> int | None:
        path.mkdir(mode=0o700)
        with suppress(FileNotFoundError):  # taken for stale before it is locked
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return None

    with _locked_new(Path(tempfile.gettempdir()), "ptreetime-private-", "", make) as (path, descriptor):
        try:
            yield path
        finally:
            os.close(descriptor)


@contextmanager
def locked_file(target: Path, mode: int) -> Iterator[tuple[Path, int]]:
    """A new file beside ``target`` and its descriptor, which is the caller's; removed at the end unless it was renamed.

    :raises OSError: the directory is missing or can't be written.
    """

    def make(path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)

    with _locked_new(target.parent, f".{target.name[:100]}.", ".ptreetime-new", make) as made:
        yield made


@contextmanager
def _locked_new(
    parent: Path, before: str, after: str, make: Callable[[Path], int | None]
) -> Iterator[tuple[Path, int]]:
    """The path and the locked descriptor of what ``make`` makes, its name drawn anew if taken for stale."""
    _remove_stale(parent)
    path, descriptor = parent, None
    try:
        while descriptor is None:
            path = parent / f"{before}{secrets.token_hex(8)}{after}"
            descriptor = _locked_or_none(path, make(path))
        yield path, descriptor
    finally:
        if path != parent:
            _remove(path)


def _remove(path: Path) -> None:
    """Remove it with what it has, even if Ctrl-C comes meanwhile."""
    try:
        _remove_all(path)
    except KeyboardInterrupt:
        _remove_all(path)
        raise


def _remove_all(path: Path) -> None:
    """As rmtree, with at most one descriptor where there are no directories inside: there may be no more left."""
    with suppress(OSError):
        path.unlink()
        return
    with suppress(OSError):
        for name in os.listdir(path):  # noqa: PTH208 - closed before the next thing is done
            with suppress(OSError):
                (path / name).unlink()
    with suppress(OSError):
        path.rmdir()
        return
    shutil.rmtree(path, ignore_errors=True)


def _locked_or_none(path: Path, descriptor: int | None) -> int | None:
    """The descriptor, locked where this file system has locks; None where it was taken for stale before."""
    if descriptor is None or (_locked(descriptor) is not False and _is_there(path, descriptor)):
        return descriptor
    os.close(descriptor)
    return None


def _locked(descriptor: int) -> bool | None:
    """Whether it is locked by us now; None where this file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_there(path: Path, descriptor: int) -> bool:
    """Whether the name still means what is open."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _remove_stale(parent: Path) -> None:
    """Once in the life of a process and place: a large store is not read at each of its files."""
    if parent in _looked_at:
        return
    _looked_at.add(parent)
    with suppress(OSError):
        for name in os.listdir(parent):  # noqa: PTH208 - a large store has many
            if _OURS.fullmatch(name) is not None:
                with suppress(OSError):
                    _remove_if_stale(parent / name)


def _remove_if_stale(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or _locked(descriptor) is not True or not _is_there(path, descriptor):
            return
        if stat.S_ISREG(status.st_mode):
            path.unlink()
        elif stat.S_ISDIR(status.st_mode) and not _is_used_by_a_build(path):
            shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(descriptor)


def _is_used_by_a_build(directory: Path) -> bool:
    """Whether a process has the directory in its environment: a build that goes on though its measurer was killed."""
    name = os.fsencode(directory)
    for environment in _PROC.glob("[0-9]*/environ"):
        with suppress(OSError):  # another user's, or it has ended
            if name in environment.read_bytes():
                return True
    return False
