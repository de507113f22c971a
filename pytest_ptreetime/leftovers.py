"""Temporary files and directories of a process that may be killed at any moment: the next one removes them.

Each is locked (flock) for as long as its process needs it. One that nobody has locked any more was left by a process
that was killed; it is removed by the next process of the same user that makes one in the same place. The kernel takes a
lock away however its process ends, and no pid is asked that could have become another process's.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["locked_file", "private_directory"]

_DIRECTORY = re.compile(r"ptreetime-private-[0-9a-f]{16}")
_FILE = re.compile(r"\..*\.[0-9a-f]{16}\.ptreetime-new")
_PROC = Path("/proc")

_looked_at: set[tuple[str, str]] = set()


@contextmanager
def private_directory() -> Iterator[Path]:
    """A temporary directory that nobody else may enter, removed at the end.

    :raises OSError: there is no directory for temporary files, or it can't be written.
    """
    parent = Path(tempfile.gettempdir())
    _remove_leftovers(parent, _DIRECTORY)
    path, descriptor = _made(parent)
    try:
        yield path
    finally:
        os.close(descriptor)
        _remove(path)


def _remove(directory: Path) -> None:
    """As rmtree, with one descriptor where there are no directories inside: there may be no more left."""
    with suppress(OSError):
        for name in os.listdir(directory):  # noqa: PTH208 - closed before the next thing is done
            with suppress(OSError):
                (directory / name).unlink()
        directory.rmdir()
        return
    shutil.rmtree(directory, ignore_errors=True)


def _made(parent: Path) -> tuple[Path, int]:
    while True:
        path = parent / f"ptreetime-private-{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except BaseException as error:
            with suppress(OSError):
                path.rmdir()
            if isinstance(error, FileNotFoundError):  # taken for a leftover before it was locked
                continue
            raise
        if _locked(descriptor) is not False and _is_there(path, descriptor):
            return path, descriptor
        os.close(descriptor)


def locked_file(target: Path, mode: int) -> tuple[Path, int]:
    """A new file beside ``target``, to be renamed to it or unlinked, and its descriptor.

    :raises OSError: the directory is missing or can't be written.
    """
    _remove_leftovers(target.parent, _FILE)
    while True:
        path = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}.ptreetime-new")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        if _locked(descriptor) is not False and _is_there(path, descriptor):
            return path, descriptor
        os.close(descriptor)


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


def _remove_leftovers(parent: Path, pattern: re.Pattern[str]) -> None:
    """Once in the life of a process and place: a large store is not read at each of its files."""
    place = (str(parent), pattern.pattern)
    if place in _looked_at:
        return
    _looked_at.add(place)
    with suppress(OSError):
        for entry in list(os.scandir(parent)):
            if pattern.fullmatch(entry.name) is not None:
                with suppress(OSError):
                    _remove_if_left(Path(entry.path))


def _remove_if_left(path: Path) -> None:
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
    return any(name in _environment(process) for process in _PROC.glob("[0-9]*"))


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # another user's, or it has ended
        return b""
