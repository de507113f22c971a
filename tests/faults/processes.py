"""The processes of a run: everything that descends from this process, orphans included.

Orphans come to this process because it is their subreaper (prctl(2)); the recorder has no environment to be known by.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it. ``state`` is one letter: R, S, D, T (stopped), t (stopped by its tracer), Z."""

    pid: int
    parent: int
    state: str
    name: str

    @property
    def command(self) -> bytes:
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/cmdline").read_bytes()
        return b""

    def __str__(self) -> str:
        shown = self.command.replace(b"\0", b" ").decode(errors="replace").strip()[:120]
        return f"{self.pid} ({self.name}) {self.state}, child of {self.parent}: {shown}"


def _process(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    name, rest = text[text.index(b"(") + 1 : text.rindex(b")")], text[text.rindex(b")") + 2 :].split()
    return Process(pid, int(rest[1]), rest[0].decode(), name.decode(errors="replace"))


def children(of: int) -> list[Process]:
    """Read from one file a thread (CONFIG_PROC_CHILDREN), not from all of /proc."""
    pids: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{of}/task").iterdir():
            with suppress(OSError):
                pids += map(int, (thread / "children").read_bytes().split())
    return [one for one in map(_process, pids) if one is not None]


def descendants(of: int) -> list[Process]:
    found = children(of)
    for one in found:  # which grows
        found.extend(children(one.pid))
    return found


@contextmanager
def subreaper() -> Iterator[set[int]]:
    """Be the parent of every orphan of a run; gives the pids that were below this process before."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield {one.pid for one in descendants(os.getpid())}
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def remaining(before: set[int], seconds: float) -> list[Process]:
    """What is left of a run after at most so many seconds. Orphans that are dead are reaped."""
    deadline = time.monotonic() + seconds
    while True:
        left = [one for one in descendants(os.getpid()) if one.pid not in before]
        for one in left:
            if one.state == "Z" and one.parent == os.getpid():
                with suppress(ChildProcessError):
                    os.waitpid(one.pid, os.WNOHANG)
        left = [one for one in left if one.state not in "ZX"]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.005)


def end(left: list[Process]) -> None:
    for one in left:
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
