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


# Ctrl-C may come after any call: a name is known, and what has it will be removed, before anything has that name.


@contextmanager
def private_directory() -> Iterator[Path]:
    """A temporary directory that nobody else may enter, removed at the end.

    :raises OSError: there is no directory for temporary files, or it can't be written.
    """
    parent = Path(tempfile.gettempdir())
    _remove_leftovers(parent, _DIRECTORY)
    path, descriptor = parent / _directory_name(), None
    try:
        while (descriptor := _locked_directory(path)) is None:
            path = parent / _directory_name()
        yield path
    finally:
        try:
            if descriptor is not None:
                os.close(descriptor)
        finally:
            _remove(path)


def _directory_name() -> str:
    return f"ptreetime-private-{secrets.token_hex(8)}"


def _locked_directory(path: Path) -> int | None:
    """A new directory's descriptor, or None: it was taken for a leftover before it was locked."""
    path.mkdir(mode=0o700)
    with suppress(FileNotFoundError):
        return _locked_or_none(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    return None


def _remove(directory: Path) -> None:
    """Remove it with what it has, even if Ctrl-C comes meanwhile."""
    try:
        _remove_all(directory)
    except KeyboardInterrupt:
        _remove_all(directory)
        raise


def _remove_all(directory: Path) -> None:
    """As rmtree, with at most one descriptor where there are no directories inside: there may be no more left."""
    with suppress(OSError):
        for name in os.listdir(directory):  # noqa: PTH208 - closed before the next thing is done
            with suppress(OSError):
                (directory / name).unlink()
    with suppress(OSError):
        directory.rmdir()
        return
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def locked_file(target: Path, mode: int) -> Iterator[tuple[Path, int]]:
    """A new file beside ``target`` and its descriptor, which is the caller's; removed at the end unless it was renamed.

    :raises OSError: the directory is missing or can't be written.
    """
    _remove_leftovers(target.parent, _FILE)
    path = target.with_name(_file_name(target))
    try:
        while (descriptor := _locked_new_file(path, mode)) is None:
            path = target.with_name(_file_name(target))
        yield path, descriptor
    finally:
        with suppress(OSError):
            path.unlink()


def _file_name(target: Path) -> str:
    return f".{target.name[:100]}.{secrets.token_hex(8)}.ptreetime-new"


def _locked_new_file(path: Path, mode: int) -> int | None:
    """Its descriptor, or None: as for a directory."""
    return _locked_or_none(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))


def _locked_or_none(path: Path, descriptor: int) -> int | None:
    """The descriptor, locked; None where the file was taken for a leftover before it was."""
    if _locked(descriptor) is not False and _is_there(path, descriptor):
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


def _remove_leftovers(parent: Path, pattern: re.Pattern[str]) -> None:
    """Once in the life of a process and place: a large store is not read at each of its files."""
    place = (str(parent), pattern.pattern)
    if place in _looked_at:
        return
    _looked_at.add(place)
    with suppress(OSError):
        for name in os.listdir(parent):  # noqa: PTH208 - a large store has many
            if pattern.fullmatch(name) is not None:
                with suppress(OSError):
                    _remove_if_left(parent / name)


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
