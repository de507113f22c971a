"""The processes of this machine and what each has used the processor, from /proc: before something and after it.

The clocks of processes and their numbers in /proc/PID/stat are for everybody, and cost a process 20 us to read.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["ListeningSockets", "Process", "ancestors", "is_ours", "processes", "used_between"]

PF_KTHREAD = 0x200000
TICKS = os.sysconf("SC_CLK_TCK") if sys.platform == "linux" else 100


class Process(NamedTuple):
    """``began`` are ticks since the machine's start: with the pid they say which process it is. ``seconds`` of
    processor time are its own and those of its children that it has waited for.
    """

    parent: int
    began: int
    seconds: float


def processes() -> dict[int, Process]:
    """All that can be seen, by pid; threads of the kernel left out. None but on Linux."""
    found: dict[int, Process] = {}
    if sys.platform != "linux":
        return found
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - a Path for each takes as long as reading it
    except OSError:
        return found
    for name in names:
        if name.isdecimal():
            with suppress(OSError, ValueError, IndexError):
                process = _process(int(name))
                if process is not None:
                    found[int(name)] = process
    return found


def _process(pid: int) -> Process | None:
    descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    try:
        fields = os.read(descriptor, 4096).rpartition(b")")[2].split()  # the name before may have anything in it
    finally:
        os.close(descriptor)
    if int(fields[6]) & PF_KTHREAD:
        return None
    own = time.clock_gettime(~pid << 3 | 2)  # its clock: include/linux/posix-timers.h
    return Process(int(fields[1]), int(fields[19]), own + (int(fields[13]) + int(fields[14])) / TICKS)


def used_between(before: Mapping[int, Process], after: Mapping[int, Process]) -> dict[int, float]:
    """Seconds of processor time by pid, of those that were there before and are still there.

    What began meanwhile is part of those that it descends from: a server's compilers of the server. What was there
    before stands for itself, also where its parent has waited for it meanwhile.
    """
    stayed = {pid for pid, process in after.items() if pid in before and before[pid].began == process.began}
    used = {pid: after[pid].seconds - before[pid].seconds for pid in stayed}
    for pid, process in before.items():
        if pid not in stayed and process.parent in used:  # what it had used before is in its parent's sum now
            used[process.parent] = max(used[process.parent] - process.seconds, 0.0)
    for pid, process in after.items():
        if pid in stayed:
            continue
        above: int = process.parent
        passed = {pid}  # numbers that were given anew while they were read can make a circle
        while above in after and above not in stayed and above not in passed:
            passed.add(above)
            above = after[above].parent
        if above in used:
            used[above] += process.seconds
    return used


def ancestors(known: Mapping[int, Process]) -> set[int]:
    """Pids: this process and all above it."""
    found: set[int] = set()
    pid = os.getpid()
    while pid not in found and pid in known:
        found.add(pid)
        pid = known[pid].parent
    return found


def is_ours(pid: int) -> bool:
    """Whether it belongs to this user; to root all do."""
    try:
        return os.getuid() in (0, Path(f"/proc/{pid}").stat().st_uid)
    except OSError:
        return False


class ListeningSockets:
    """The sockets of this machine that wait for connections, by the names that they have in /proc/net.

    ``port 4226`` is a TCP port; a Unix socket has its path, one without a file an ``@`` and its name.
    """

    def __init__(self) -> None:
        self._names: dict[bytes, bytes] = {}  # by inode
        for line in _lines("/proc/net/unix"):
            fields = line.split(None, 7)
            with suppress(ValueError, IndexError):  # a name may have anything in it, an end of the line too
                if int(fields[3], 16) & 0x10000:
                    self._names[fields[6]] = fields[7] if len(fields) > 7 else b""
        for line in [*_lines("/proc/net/tcp"), *_lines("/proc/net/tcp6")]:
            fields = line.split()
            if fields[3] == b"0A":
                self._names[fields[9]] = b"port %d" % int(fields[1].rpartition(b":")[2], 16)

    def of(self, pid: int) -> set[bytes]:
        """The names of those that the process has open. Empty where it does not let us look."""
        names = set()
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    target = os.fsencode(descriptor.readlink())
                    name = self._names.get(target.removeprefix(b"socket:[").removesuffix(b"]"))
                    names |= {name} if name is not None and target.startswith(b"socket:") else set()
        return names


def _lines(path: str) -> list[bytes]:
    try:
        return Path(path).read_bytes().split(b"\n")[1:-1]
    except OSError:
        return []
