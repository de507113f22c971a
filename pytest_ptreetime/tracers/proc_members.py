"""The processes of a build, found in /proc: those that have its log in their environment, and their descendants.

A process is missed that has cleared its environment and whose parent is dead. One of another user can't be looked
into, and can't be ended: it is a member where its parent is one.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = ["Seen", "end_members", "kill_if_the_same", "look", "members", "processes"]

_PROC = Path("/proc")


class Seen(NamedTuple):
    """A process as it was looked at. Its number may be another's a moment later: ``began`` tells them apart."""

    pid: int
    parent: int
    began: int  # in the kernel's ticks since the boot


def members(entry: bytes | None, root_pid: int) -> set[int]:
    """The living processes of the build.

    :param entry: what is in the environment of its processes and of no other, ``NAME=VALUE``; None: nothing is.
    """
    return {seen.pid for seen in _members(entry, root_pid)}


def _members(entry: bytes | None, root_pid: int) -> list[Seen]:
    """Each after the one that started it: a shell that is killed first does not see its command killed."""
    living = {seen.pid: seen for seen in processes()}
    found = {pid for pid in living if pid == root_pid or (entry is not None and _has_entry(pid, entry))}
    grew = True
    while grew:
        more = {seen.pid for seen in living.values() if seen.parent in found and seen.pid not in found}
        found |= more
        grew = bool(more)
    found.discard(os.getpid())
    return sorted((living[pid] for pid in found), key=lambda seen: _levels_above(seen, living))


def _levels_above(seen: Seen, living: Mapping[int, Seen]) -> int:
    levels = 0
    while (parent := living.get(seen.parent)) is not None and levels < len(living):  # /proc is not read at one moment
        seen, levels = parent, levels + 1
    return levels


def end_members(entry: bytes | None, root_pid: int, seconds: float) -> set[int]:
    """Kill the build's processes until none is left, including those forked meanwhile.

    :return: those that were left after ``seconds``, or that belong to another user.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = _members(entry, root_pid)
        killed = {seen.pid for seen in found if kill_if_the_same(seen)}
        if not killed or time.monotonic() > deadline:
            return {seen.pid for seen in found}
        _wait_for_any(killed, deadline)


def processes() -> Iterator[Seen]:
    """Every process that is not dead."""
    for directory in _PROC.iterdir():
        if directory.name.isdigit() and (seen := look(int(directory.name))) is not None:
            yield seen


def look(pid: int) -> Seen | None:
    """The process with this pid; None where it does not exist or is dead."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # from the third of proc(5) on: its state
    return None if fields[0] in b"ZX" else Seen(pid, int(fields[1]), int(fields[19]))


def _has_entry(pid: int, entry: bytes) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return entry in environment.split(b"\0")


def kill_if_the_same(seen: Seen) -> bool:
    """Kill the process that was seen, and no other one that has its number now.

    :return: False where it is another user's, and lives on.
    """
    try:
        descriptor = os.pidfd_open(seen.pid)
    except ProcessLookupError:
        return True
    except OSError:  # a kernel before 5.3, or a sandbox
        descriptor = -1
    try:
        now = look(seen.pid)  # after the descriptor was opened: it is of this process, or of one that is dead by now
        if now is not None and now.began == seen.began:
            if descriptor < 0:
                os.kill(seen.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    finally:
        if descriptor >= 0:
            os.close(descriptor)
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
