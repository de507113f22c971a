"""What this process was started with, where Python changed it before the package's first line ran.

Python ignores SIGPIPE and SIGXFSZ, and puts LC_CTYPE into the environment where no locale is set (PEP 538). Whether
that was there before is in /proc; the signals are told by the native program that the command `ptreetime` is
(libptreetime/command/ptreetime.c). Where that did not start us, both signals count as not ignored.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = [
    "first_ignored_signals",
    "given_environment",
    "ignored_signals",
    "inheritable_descriptors",
    "note_first_signals",
    "waiting_for_children",
]

_CHANGED_BY_PYTHON = frozenset(
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ", "SIGXFZ") if hasattr(signal, name)
)
_noted: frozenset[int] | None = None


def note_first_signals(text: str) -> None:
    """Take over what the native program saw: the numbers of the ignored signals, separated by commas."""
    global _noted
    _noted = frozenset(int(number) for number in text.split(",") if number)


def first_ignored_signals() -> frozenset[int]:
    """The signals that this process was started with ignored."""
    return ignored_signals() if _noted is None else _noted


def ignored_signals() -> frozenset[int]:
    """The signals that are ignored now, and not by Python's own doing; what a child of ``subprocess`` inherits."""
    # Python's own book of SIGCHLD is right, too, while waiting_for_children() has changed it behind its back.
    return frozenset(
        int(number)
        for number in signal.valid_signals() - _CHANGED_BY_PYTHON
        if signal.getsignal(number) is signal.SIG_IGN
    )


def given_environment() -> dict[str, str]:
    """The environment that this process was started with, with what the program has changed since, but not Python."""
    environment = dict(os.environ)
    try:
        block = Path("/proc/self/environ").read_bytes()
    except OSError:  # not Linux, or no /proc
        return environment
    given = next((entry for entry in block.split(b"\0") if entry.startswith(b"LC_CTYPE=")), None)
    if given is not None:
        environment["LC_CTYPE"] = os.fsdecode(given.partition(b"=")[2])
    else:
        environment.pop("LC_CTYPE", None)
    return environment


def inheritable_descriptors() -> list[int]:
    """The open descriptors that a program started by exec has too, but for the standard streams.

    None of them is Python's: all that it opens are closed by an exec.
    """
    names = os.listdir("/dev/fd")  # noqa: PTH208 - names are what is wanted
    return [number for name in names if (number := int(name)) > 2 and _is_inheritable(number)]


def _is_inheritable(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:  # it was that of the directory
        return False


_waiting = 0
_waiting_lock = threading.Lock()


@contextmanager
def waiting_for_children() -> Iterator[None]:
    """Let the end of children be seen, also where SIGCHLD is ignored, as a supervisor may leave it.

    Their exit status is lost otherwise: the kernel gives it to nobody, and ``subprocess`` makes a 0 of it.
    """
    global _waiting
    if signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN:
        yield
        return
    with _waiting_lock:
        _waiting += 1
        _set_disposition(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        with _waiting_lock:
            _waiting -= 1
            if _waiting == 0:
                _set_disposition(signal.SIGCHLD, signal.SIG_IGN)


def _set_disposition(number: int, disposition: int) -> None:
    """As signal.signal, which only the main thread may call and which would change what Python knows of it."""
    import ctypes

    set_signal = ctypes.CDLL(None).signal
    set_signal.argtypes, set_signal.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    set_signal(int(number), int(disposition))
