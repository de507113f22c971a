"""The processes of a build, found in /proc: those that have its log in their environment, and their descendants.

A process is missed that has cleared its environment and whose parent is dead. One of another user can't be looked
into, and can't be ended: it is a member where its parent is one.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["end_members", "members"]

_PROC = Path("/proc")


def members(entry: bytes | None, root_pid: int) -> set[int]:
    """The living processes of the build.

    :param entry: what is in the environment of its processes and of no other, ``NAME=VALUE``; None: nothing is.
    """
    parents = dict(_parents())
    found = {pid for pid in parents if pid == root_pid or (entry is not None and _has_entry(pid, entry))}
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found and pid not in found}
        found |= more
        grew = bool(more)
    found.discard(os.getpid())
    return found


def end_members(entry: bytes | None, root_pid: int, seconds: float) -> set[int]:
    """Kill the build's processes until there are none, also those that are forked meanwhile.

    :return: those that were left after ``seconds``, or that belong to another user.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = members(entry, root_pid)
        killed = {pid for pid in found if _killed(pid)}
        if not killed or time.monotonic() > deadline:
            return found
        _wait_for_any(killed, deadline)


def _parents() -> Iterator[tuple[int, int]]:
    """Every process that is not dead, with its parent."""
    for directory in _PROC.iterdir():
        if directory.name.isdigit():
            try:
                stat = (directory / "stat").read_bytes()
            except OSError:
                continue  # it has ended meanwhile
            state, parent = stat[stat.rindex(b")") + 2 :].split()[:2]
            if state not in b"ZX":
                yield int(directory.name), int(parent)


def _has_entry(pid: int, entry: bytes) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return entry in environment.split(b"\0")


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _wait_for_any(pids: set[int], deadline: float) -> None:
    """Return when one of the processes is dead, or soon: the others are looked for again anyway."""
    poll = select.poll()
    opened = []
    try:
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except OSError:
                return  # dead, or a kernel before 5.3
            opened.append(descriptor)
            poll.register(descriptor, select.POLLIN)
        poll.poll(max(0.0, min(0.1, deadline - time.monotonic())) * 1000)
    finally:
        for descriptor in opened:
            os.close(descriptor)
