"""Errors of the operating system (a full disk, no permission, no descriptor, process or memory left), as messages."""

from __future__ import annotations

import errno
import importlib
import os
import resource
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from pytest_ptreetime.errors import PtreetimeError
from pytest_ptreetime.system.inherited import waiting_for_children

__all__ = ["MACHINE_ERRORS", "message_of", "os_errors_as", "require_memory_for"]

#: What Python raises then. A library that can't be loaded because memory or descriptors ran out is an ImportError.
MACHINE_ERRORS = (OSError, MemoryError, ImportError)

# Of an import that is tried: both libraries take about 1 s of processor time.
IMPORT_CPU_SECONDS = 5
IMPORT_SECONDS = 60

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


def message_of(error: BaseException) -> str:
    """The reason, with its place and with what would help where that is known."""
    if isinstance(error, MemoryError):
        return f"{str(error) or 'there is no memory left'}: {_ADVICE[errno.ENOMEM]}"
    if not isinstance(error, OSError) or error.errno is None:
        return str(error) or type(error).__name__
    place = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, (str, bytes)) else ""
    advice = f": {_ADVICE[error.errno]}" if error.errno in _ADVICE else ""
    return f"{error.strerror}{place}{advice}"


@contextmanager
def os_errors_as(kind: type[PtreetimeError], what: str) -> Iterator[None]:
    """Raise ``kind`` with ``what`` and the reason where the machine refuses something in this block."""
    try:
        yield
    except MACHINE_ERRORS as error:
        raise kind(f"{what}: {message_of(error)}") from None


def require_memory_for(*libraries: str) -> None:
    """Call this before numpy or scipy.special are imported, with the names of those that will be.

    Each brings an OpenBLAS, which ends the process with status 1 where it gets no memory, or hangs, and Python hears
    nothing of it. So where address space is limited (``ulimit -v``) a forked child tries the import first.

    :raises MemoryError: it did not get through.
    """
    missing = [library for library in libraries if library not in sys.modules]
    if not missing or resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        return
    with waiting_for_children(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads: Python 3.12
        child = os.fork()
        if child == 0:
            _import_and_exit(missing)
        _, status = os.waitpid(child, 0)
    if status != 0:
        raise MemoryError(f"{' and '.join(missing)} can't be imported in the address space that is left")


def _import_and_exit(libraries: list[str]) -> NoReturn:
    """In the child: exit status 0 where they can be imported; killed where that hangs; nothing is said."""
    try:
        for number in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, IMPORT_CPU_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, IMPORT_SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        for library in libraries:
            importlib.import_module(library)
        os._exit(0)
    finally:
        os._exit(1)
