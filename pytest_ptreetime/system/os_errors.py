"""What the machine refuses (a full disk, no permission, no descriptor, process or memory left), in words of ours."""

from __future__ import annotations

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_ptreetime.errors import PtreetimeError

__all__ = ["REFUSALS", "refuse_without_room_for", "refused_as", "words_of"]

#: What Python raises then. A library that can't be loaded for want of memory or descriptors is an ImportError.
REFUSALS = (OSError, MemoryError, ImportError)

# Address space, measured with numpy 2.4 and scipy 1.17 for x86-64: of either, and of each thread of its OpenBLAS.
LIBRARY_BYTES = 60 << 20
OPENBLAS_THREAD_BYTES = 42 << 20
OPENBLAS_MOST_THREADS = 64  # as PyPI's wheels are built

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
        return f"{str(error) or 'there is no memory left'}: {_ADVICE[errno.ENOMEM]}"
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


def refuse_without_room_for(*libraries: str) -> None:
    """Call this before numpy or scipy.special are imported, with the names of those that will be.

    Each brings an OpenBLAS, which ends the process where it gets no memory, or hangs, and Python hears nothing of it.

    :raises MemoryError: the limit of address space (``ulimit -v``) leaves less than they take.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    missing = [library for library in libraries if library not in sys.modules]
    if limit == resource.RLIM_INFINITY or not missing:
        return
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # not Linux
        return
    left = limit - pages * resource.getpagesize()
    chosen = os.environ.get("OPENBLAS_NUM_THREADS", "")
    threads = int(chosen) if chosen.isdecimal() else os.cpu_count() or 1
    needed = len(missing) * (LIBRARY_BYTES + OPENBLAS_THREAD_BYTES * min(threads, OPENBLAS_MOST_THREADS))
    if left < needed:
        raise MemoryError(
            f"{' and '.join(missing)} take about {needed >> 20} MB of address space, and {left >> 20} MB are left"
        )
