"""A build while it runs: which of its processes work at this moment, and on which slots.

A process that has a living child waits for it, as make, a shell or a compiler's driver does; each of the others fills
a slot. It keeps its slot until it ends, a child takes over the slot of the parent that waits for it, and the parent has
it back afterwards: so a compile is in one slot from its shell to its assembler.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_ptreetime.keys.brief import brief
from pytest_ptreetime.recording.events import Create, Event, Exec, Exit, Start, UserSpawn, UserStartup

__all__ = ["RunningBuild", "RunningProcess"]


@dataclass
class RunningProcess:
    """A process that lives; ``since_ns`` is when its present program began."""

    pid: int
    since_ns: int
    name: str = ""
    args: Sequence[str] = ()
    parent: RunningProcess | None = None
    children: int = 0
    slot: int | None = None

    def label(self) -> str:
        """Its name and what tells it from its like: ``cc1 src/lvm.c``."""
        return brief(self.name, self.args)


class RunningBuild:
    """What is known of it from the events so far; they may come late and not quite in order."""

    def __init__(self) -> None:
        self._processes: dict[int, RunningProcess] = {}
        self._ended_ns: dict[int, int] = {}
        self.seen = 0
        self.began_ns: int | None = None

    def take(self, events: Iterable[Event]) -> None:
        """Add what has happened."""
        for event in sorted(events, key=lambda event: event.time_ns):
            if self.began_ns is None:
                self.began_ns = event.time_ns
            if isinstance(event, Start):
                self._begin(event.root_pid, event.time_ns, None)
            elif isinstance(event, Create):
                self._begin(event.pid, event.time_ns, event.parent_pid)
            elif isinstance(event, UserSpawn) and event.child_pid is not None:
                self._run(event.child_pid, event.time_ns, event.pid, event.path, event.args)
            elif isinstance(event, Exec):
                self._run(event.pid, event.time_ns, None, event.name or event.exe, event.args)
            elif isinstance(event, UserStartup) and event.args is not None:
                self._run(event.pid, event.time_ns, event.parent_pid, event.exe, event.args)
            elif isinstance(event, Exit):
                self._end(event.pid, event.time_ns)

    def working(self) -> dict[int, RunningProcess]:
        """Who fills which slot, the slots counted from 0. A process keeps its slot from call to call."""
        slots: dict[int, RunningProcess] = {}
        without: list[RunningProcess] = []
        waiting = sorted(self._working(), key=lambda process: (process.slot is None, process.since_ns))
        for process in waiting:
            wanted = process.slot
            if wanted is None and process.parent is not None:
                wanted = process.parent.slot
            if wanted is None or wanted in slots:
                without.append(process)
            else:
                slots[wanted] = process
        free = (slot for slot in range(len(waiting)) if slot not in slots)
        for process in without:
            slots[next(free)] = process
        for slot, process in slots.items():
            process.slot = slot
        return dict(sorted(slots.items()))

    def _working(self) -> list[RunningProcess]:
        return [process for process in self._processes.values() if process.children == 0]

    def _begin(self, pid: int, time_ns: int, parent_pid: int | None) -> RunningProcess | None:
        if time_ns <= self._ended_ns.get(pid, -1):
            return None  # its end came before its beginning
        if pid in self._processes:
            return self._processes[pid]
        parent = None if parent_pid is None else self._processes.get(parent_pid)
        process = RunningProcess(pid, time_ns, parent=parent)
        if parent is not None:
            parent.children += 1
            process.name, process.args = parent.name, parent.args
        self._processes[pid] = process
        self.seen += 1
        return process

    def _run(
        self, pid: int, time_ns: int, parent_pid: int | None, program: bytes | None, args: Sequence[bytes] | None
    ) -> None:
        process = self._begin(pid, time_ns, parent_pid)
        if process is None:
            return
        process.since_ns = time_ns
        process.args = [os.fsdecode(word) for word in args or ()]
        name = os.fsdecode(program) if program else (process.args[0] if process.args else process.name)
        process.name = name.rpartition("/")[2] or name

    def _end(self, pid: int, time_ns: int) -> None:
        self._ended_ns[pid] = time_ns
        process = self._processes.pop(pid, None)
        if process is not None and process.parent is not None:
            process.parent.children -= 1
