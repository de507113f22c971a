"""What the machine refuses (a full disk, no permission, no descriptor, process or memory left), in words of ours."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_ptreetime.errors import PtreetimeError

__all__ = ["REFUSALS", "refused_as", "words_of"]

#: What Python raises then. A library that can't be loaded for want of memory or descriptors is an ImportError.
REFUSALS = (OSError, MemoryError, ImportError)

_ADVICE = {
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room there, or name another place",
    errno.EROFS: "name a place that can be written",
    errno.EACCES: "name a place that can be written",
    errno.EPERM: "name a place that can be written",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)",
    errno.EAGAIN: "raise the limit of processes (ulimit -u)",
    errno.ENOMEM: "raise the limit of memory (ulimit -v, or the container's)",
}


def words_of(error: BaseException) -> str:
    """The reason, with its place and with what would help where that is known."""
    if isinstance(error, MemoryError):
        return f"there is no memory left: {_ADVICE[errno.ENOMEM]}"
    if not isinstance(error, OSError) or error.errno is None:
        return str(error) or type(error).__name__
    place = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, (str, bytes)) else ""
    advice = f": {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""
    return f"{error.strerror}{place}{advice}"


@contextmanager
def refused_as(kind: type[PtreetimeError], what: str) -> Iterator[None]:
    """Raise ``kind`` with ``what`` and the reason where the machine refuses something in this block."""
    try:
        yield
    except REFUSALS as error:
        raise kind(f"{what}: {words_of(error)}") from None
