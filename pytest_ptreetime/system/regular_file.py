"""Reading a file that a user names: a FIFO would let us wait for ever, and a device might never end."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["read_file"]

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFDIR: "a directory",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The content of a regular file, or of a pipe that this process was given (``/dev/stdin``, ``<(...)`` of a shell).

    :raises OSError: it can't be read, or is something else; ``strerror`` says what.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        if not (stat.S_ISFIFO(status.st_mode) and _is_open_here(status)):
            raise _other(path, status)
        return Path(path).read_bytes()
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # does not wait, whatever is there by now
    with os.fdopen(descriptor, "rb") as file:
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode):
            raise _other(path, opened)
        return file.read()


def _is_open_here(status: os.stat_result) -> bool:
    for name in os.listdir("/dev/fd"):  # noqa: PTH208 - names are what is wanted
        with suppress(OSError):
            if os.path.samestat(os.fstat(int(name)), status):
                return True
    return False


def _other(path: str | os.PathLike[str], status: os.stat_result) -> OSError:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
    return OSError(None, f"it is {kind}, not a file", os.fspath(path))
