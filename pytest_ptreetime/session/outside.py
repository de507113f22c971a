"""Work that is done for a build outside its tree: by a compile server or a daemon that was there before.

The tracer ebpf sees whom the tree's processes connect to. Under the others there is a hint: who waits for connections
and worked meanwhile. Of either, what they used the processor is what their clocks say before and after.

Only processes of the same user are named, all of them where root measures.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pytest_ptreetime.keys.brief import brief
from pytest_ptreetime.recording.events import Event, Outside
from pytest_ptreetime.redaction.redactor import Redactor
from pytest_ptreetime.system.other_processes import (
    ListeningSockets,
    Process,
    ancestors,
    is_ours,
    processes,
    used_between,
)

__all__ = ["with_work_outside"]

#: Seconds of processor time from which on a process is named: one that was seen to be connected to, and another one.
LEAST_CONNECTED = 0.01
LEAST_GUESSED = 0.05
INIT = 1
_INTERPRETERS = re.compile(r"(?:python|pypy|perl|ruby|node|java|php|lua|bash|dash|sh)[\d.]*")


def with_work_outside(
    events: Sequence[Event], before: Mapping[int, Process], redactor: Redactor, *, sees_connections: bool
) -> list[Event]:
    """The events of a run, with what the processes that it connected to have used the processor.

    :param before: the processes before the run.
    :param sees_connections: whether the tracer does: else there are guesses.
    """
    connections = [event for event in events if isinstance(event, Outside)]
    others: list[Event] = [event for event in events if not isinstance(event, Outside)]
    if not before or (sees_connections and not connections):
        return others
    after = processes()
    used = used_between(before, after)
    not_meant = {os.getpid(), INIT} if sees_connections else {INIT, *ancestors(after)}
    least = LEAST_CONNECTED if sees_connections else LEAST_GUESSED
    worked = {pid: s for pid, s in used.items() if s >= least and pid not in not_meant and is_ours(pid)}
    if not worked:
        return others
    by_pid = {one.pid: one.socket for one in connections}
    by_name = {one.socket for one in connections}
    sockets = ListeningSockets()
    now_ns = max(time.monotonic_ns(), *(event.time_ns for event in events[-1:]))
    for pid, seconds in worked.items():
        names = sockets.of(pid)
        connected = min(names & by_name, default=by_pid.get(pid))
        if connected is not None or (names and not sees_connections):
            others.append(Outside(now_ns, pid, connected, _name_of(pid, redactor), round(seconds * 1e9)))
    return others


def _name_of(pid: int, redactor: Redactor) -> bytes:
    """Its program; of an interpreter also the script, without its directory."""
    name = "?"
    with suppress(OSError):
        name = os.fsdecode(Path(f"/proc/{pid}/comm").read_bytes().rstrip(b"\n"))
        if _INTERPRETERS.fullmatch(name):
            args = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")).split("\0")
            words = brief(name, redactor.arguments(args)).split(" ")
            name = " ".join([name, *(word.rpartition("/")[2] for word in words[1:])])
    return os.fsencode(name)
