"""The tree of a recording by swift-llbuild's ptreetime, with the numbers that it printed.

Its rules, which differ from ours (builder.py):

- Events are taken by time, those of one microsecond in the order of the file.
- A process is in the tree from its creation. An exit without a creation (a stray: dtrace reports the whole system) and
  everything below such a process is left out, and counted.
- A user exec in a process whose arguments are known ends its image and starts the next one, below the process that is
  then its parent; else it gives the arguments (of a fork that execs). The user and system times of an image are the
  process's so far, not a difference.
- Of several startups and user exits of an image the last one counts. A name is that which the exit gave, before that
  the base name of argument 0.

One thing is done otherwise: it kept only the newest spawn's arguments of each parent, so that spawns from several
threads got each other's command lines. Here they are given out in the order of the spawns.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.events import Usage, date
from pytest_ptreetime.recording.original import (
    OriginalCreate,
    OriginalEnd,
    OriginalEvent,
    OriginalExit,
    OriginalStart,
    OriginalUserExec,
    OriginalUserExit,
    OriginalUserSpawn,
    OriginalUserStartup,
    Rusage,
)
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.tree.builder import mark_reparented, preorder
from pytest_ptreetime.tree.completeness import Completeness
from pytest_ptreetime.tree.node import ProcessNode
from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["build_original_tree"]

_time = operator.attrgetter("ts")


def build_original_tree(
    events: Sequence[OriginalEvent],
    *,
    command: Sequence[str] = (),
    tracer: str | None = None,
    incomplete_reason: str | None = None,
) -> ProcessTree:
    """The tree of ``events``, which may come in any order.

    :raises FileUnreadable: there is no START event, which names the root.
    """
    with without_collector():
        times = list(map(_time, events))
        ordered = events if all(map(operator.le, times, times[1:])) else sorted(events, key=_time)
        start = next((event for event in ordered if type(event) is OriginalStart), None)
        if start is None:
            raise FileUnreadable("the recording has no START event, so the root is not known")
        builder = _Builder(start, list(command))
        builder.take(ordered)
        nodes = builder.finish()
    reasons = [*([incomplete_reason] if incomplete_reason else []), *builder.completeness.reasons()]
    return ProcessTree(
        builder.root,
        completeness=builder.completeness,
        incomplete_reason="; ".join(reasons) or None,
        tracer=tracer,
        command=command,
        started=date(start.ts * 1000),
        nodes=nodes,
    )


class _Builder:
    """One method for each kind of event; a pid's newest image is in ``_active`` until the process exits."""

    def __init__(self, start: OriginalStart, command: list[str]) -> None:
        self.root = ProcessNode(start.target, None, start.ts * 1000, _execed=True, _args=command or None)
        self.completeness = Completeness(started=True)
        self._active = {start.target: self.root}
        self._attached = {id(self.root)}  # the images that were created, the others are only known by their pid
        self._unattached: list[ProcessNode] = []  # kept alive, so that no id is used twice
        self._spawns: dict[int, deque[list[str]]] = {}

    def take(self, events: Sequence[OriginalEvent]) -> None:
        handlers: dict[type, Callable[[Any], None]] = {
            OriginalStart: lambda event: None,
            OriginalEnd: self._end,
            OriginalCreate: self._create,
            OriginalExit: self._exit,
            OriginalUserStartup: self._user_startup,
            OriginalUserExec: self._user_exec,
            OriginalUserSpawn: self._user_spawn,
            OriginalUserExit: self._user_exit,
        }
        for event in events:
            handlers[type(event)](event)

    def _end(self, event: OriginalEnd) -> None:
        self.completeness.ended = True

    def _record(self, pid: int) -> ProcessNode:
        node = self._active.get(pid)
        if node is None:
            self._active[pid] = node = ProcessNode(pid, None, 0)
            self._unattached.append(node)
        return node

    def _create(self, event: OriginalCreate) -> None:
        pid = event.pid
        node = self._active.get(pid)
        if pid == event.parent or node is self.root:
            self.completeness.contradictions += 1
            return
        if node is None:
            self._active[pid] = node = ProcessNode(pid, None, event.ts * 1000)
        elif id(node) in self._attached:  # its exit was not seen
            self.completeness.contradictions += 1
            self._active[pid] = node = ProcessNode(pid, None, event.ts * 1000)
        else:
            node.start_ns = event.ts * 1000
        self._attached.add(id(node))
        node.parent = parent = self._active.get(event.parent) or self._record(event.parent)
        parent.children.append(node)
        node._args = None
        waiting = self._spawns.get(event.parent)
        if waiting:
            self._set_arguments(node, waiting.popleft())

    def _set_arguments(self, node: ProcessNode, args: list[str]) -> None:
        node._args = args
        node._execed = True
        node._name = args[0].rpartition("/")[2] if args else None

    def _user_startup(self, event: OriginalUserStartup) -> None:
        node = self._active.get(event.pid) or self._record(event.pid)
        node._startup_ns = event.ts * 1000

    def _user_exec(self, event: OriginalUserExec) -> None:
        node = self._active.get(event.pid) or self._record(event.pid)
        if node is self.root:
            return
        if node._args is not None:
            time_ns = event.ts * 1000
            node.exit_ns = node._user_exit_ns = time_ns
            node._usage_after = _usage(event.utime, event.stime)
            parent = self._record(event.parent)
            image = ProcessNode(event.pid, parent, time_ns)
            if parent is node.parent:
                image.previous_image, node.next_image = node, image
            parent.children.append(image)
            self._attached.add(id(image))
            self._active[event.pid] = node = image
        self._set_arguments(node, event.args)

    def _user_spawn(self, event: OriginalUserSpawn) -> None:
        self._spawns.setdefault(event.pid, deque()).append(event.args)

    def _user_exit(self, event: OriginalUserExit) -> None:
        node = self._active.get(event.pid) or self._record(event.pid)
        node._user_exit_ns = event.ts * 1000
        node._usage_after = _usage(event.utime, event.stime)

    def _exit(self, event: OriginalExit) -> None:
        node = self._active.pop(event.pid, None)
        self._spawns.pop(event.pid, None)
        if node is None or id(node) not in self._attached:
            self.completeness.foreign_exits += 1
            return
        node.exit_ns = event.ts * 1000
        node._name = event.name
        self.completeness.exits += 1

    def finish(self) -> list[ProcessNode]:
        nodes = preorder(self.root)
        completeness = self.completeness
        for node in nodes:
            if node.parent is not None:
                node.depth = node.parent.depth + 1
                completeness.creates += node.previous_image is None
            completeness.without_end += node.exit_ns is None
            completeness.without_args += node._args is None
            completeness.unknown_cpu += node._usage_after is None
        mark_reparented(nodes)
        return nodes


def _usage(utime: Rusage, stime: Rusage) -> Usage:
    return Usage(None, utime.ns, stime.ns)
