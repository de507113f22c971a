"""Events, in order, to nodes: one method for each kind of event.

What contradicts what came before is counted in `completeness` and otherwise let be: a build's recording is worth
showing even where part of it is missing. The rules are in docs/explanation/architecture.md; beyond them:

- An event of the root's pid before its first exec is the gate's, and is ignored.
- A process whose creation was not seen is put under the process that its first user event names as its parent, else
  under the root, and marked ``reparented``.
- In a recording without creations and execs (the interposer's raw log) a startup in an image that has started is a new
  image, and the user's exit is the only end that there is.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from pytest_ptreetime.recording.events import (
    Create,
    End,
    Event,
    Exec,
    Exit,
    Lost,
    Outside,
    Start,
    Usage,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
)
from pytest_ptreetime.tree.completeness import Completeness
from pytest_ptreetime.tree.node import ProcessNode
from pytest_ptreetime.tree.outside import OutsideProcess
from pytest_ptreetime.tree.program import Program
from pytest_ptreetime.tree.user_events import UserEvents

__all__ = ["TreeBuilder", "mark_reparented", "preorder"]

MISSING_WORDS = "processes are missing: "  # how a tracer says that no event was lost, but that there were none
LOST_WORDS = 10  # in how many ways it is said what was lost: a tracer knows three


class TreeBuilder:
    """Takes events in order (recording/event_order.py), then :meth:`finish` closes the tree.

    :param root_pid: the process whose first Exec starts the tree.
    :param root_start_ns: the time of that Exec; None without one, and then the root exists from the beginning.
    :param first_ns: where the root starts without an Exec.
    """

    def __init__(self, root_pid: int, root_start_ns: int | None, first_ns: int, *, interposer_only: bool) -> None:
        self.root = ProcessNode(root_pid, None, first_ns if root_start_ns is None else root_start_ns)
        self.completeness = Completeness(interposer_only=interposer_only)
        self.outside: list[OutsideProcess] = []
        self._interposer_only = interposer_only
        self._user_events = UserEvents(self.root)
        # The newest image of every pid, also of those that have ended.
        self._current: dict[int, ProcessNode] = {}
        if root_start_ns is None:
            self._current[root_pid] = self.root
        self._paths: dict[bytes | None, bytes | None] = {}
        self._several_images: dict[int, ProcessNode] = {}
        self._user_execs: dict[int, UserExec] = {}
        self._spawned: dict[int, UserSpawn] = {}
        self._spawns: dict[int, deque[UserSpawn]] = {}
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            Start: self._start,
            Create: self._create,
            Exec: self._exec,
            Exit: self._exit,
            UserStartup: self._user_startup,
            UserExec: self._user_exec,
            UserSpawn: self._user_spawn,
            UserExit: self._user_exit,
            Lost: self._lost,
            End: self._end,
            Outside: self._outside,
        }

    def take(self, events: Iterable[Event]) -> None:
        """Add ``events`` to the tree."""
        handlers = self._handlers
        for event in events:
            handlers[type(event)](event)

    # The recording itself

    def _start(self, event: Start) -> None:
        if self.completeness.started:
            self.completeness.contradictions += 1
        self.completeness.started = True

    def _end(self, event: End) -> None:
        if self.completeness.ended:
            self.completeness.contradictions += 1
            return
        self.completeness.ended = True
        self.completeness.alive = event.alive

    def _lost(self, event: Lost) -> None:
        missing = event.what.startswith(MISSING_WORDS)
        said = self.completeness.missing if missing else self.completeness.lost_what
        self.completeness.lost += 0 if missing else event.count
        if len(said) < LOST_WORDS and event.what not in said:
            said.append(event.what)

    def _outside(self, event: Outside) -> None:
        if event.name is not None and event.cpu_ns is not None:
            self.outside.append(OutsideProcess.of(event))

    # The kernel's events

    def _create(self, event: Create) -> None:
        pid, time_ns = event.pid, event.time_ns
        before = self._current.get(pid)
        if before is not None and before.exit_ns is None:
            twice = before.parent is not None and before.parent.pid == event.parent_pid and before.start_ns == time_ns
            if twice or before is self.root:
                self.completeness.contradictions += 1
                return
        elif pid == self.root.pid and before is None:
            return  # the gate's
        self.completeness.creates += 1
        parent = self._current.get(event.parent_pid)
        if parent is None:
            self.completeness.contradictions += 1
            self._add(pid, self.root, time_ns, reparented=True)
        elif parent.exit_ns is not None:
            self.completeness.contradictions += 1
            self._add(pid, parent, time_ns, reparented=True)
        else:
            self._current[pid] = node = ProcessNode(pid, parent, time_ns, parent.depth + 1, _program=parent._program)
            parent.children.append(node)

    def _exec(self, event: Exec) -> None:
        pid = event.pid
        node = self._current.get(pid)
        if node is None and pid == self.root.pid:
            self._current[pid] = node = self.root
            node._usage_before = event.usage  # without it the gate's own milliseconds count as the root's
        elif node is None or node.exit_ns is not None:
            self.completeness.unseen_creates += 1
            node = self._add(pid, self.root, event.time_ns, reparented=True)
            node._usage_before_known = event.usage is not None
            node._usage_before = event.usage
        elif node._execed:
            ended, node = node, self._next_image(node, event)
            if node is None:
                return
            _set_startup(ended, event.loading_ns)
        node._execed = True
        node._exec_ns = event.time_ns
        node._program = Program.of(event, self._paths) if event.args is not None else self._with_arguments(event, node)
        self._user_execs.pop(pid, None)

    def _next_image(self, node: ProcessNode, event: Exec) -> ProcessNode | None:
        if node._exec_ns == event.time_ns:
            self.completeness.contradictions += 1
            return None
        usage = event.usage
        if usage is None and (call := self._user_execs.get(node.pid)) is not None:
            usage = Usage(utime_ns=call.user_ns, stime_ns=call.sys_ns)
        return self._image_after(node, event.time_ns, usage)

    def _image_after(self, node: ProcessNode, time_ns: int, usage: Usage | None) -> ProcessNode:
        parent = node.parent or self.root
        image = ProcessNode(node.pid, parent, time_ns, parent.depth + 1, reparented=node.reparented)
        image.previous_image = node
        image._usage_before = usage
        image._usage_before_known = usage is not None
        node.next_image = image
        node.exit_ns = time_ns
        node._usage_after = usage
        node._user_exit_ns = None
        self._current[node.pid] = image
        parent.children.append(image)
        self._several_images[id(parent)] = parent
        return image

    def _with_arguments(self, event: Exec, node: ProcessNode) -> Program:
        """What ``event`` says, with the arguments that the interposer saw where the tracer could not read them."""
        call: UserExec | UserSpawn | None = self._user_execs.get(event.pid)
        if call is None and node.previous_image is None and node.parent is not None:
            call = self._spawned.pop(event.pid, None)
            waiting = self._spawns.get(node.parent.pid)
            if call is None and waiting:
                call = waiting.popleft()
        if call is None:
            return Program.of(event, self._paths)
        return Program(event.name, event.exe or call.path, tuple(call.args), event.cwd)

    def _exit(self, event: Exit) -> None:
        node = self._current.get(event.pid)
        if node is None or node.exit_ns is not None:
            self.completeness.stray_exits += 1
            return
        self.completeness.exits += 1
        node.exit_ns = event.time_ns
        _set_startup(node, event.loading_ns)
        if event.leaving_ns is not None:
            node._user_exit_ns = event.time_ns - event.leaving_ns
        status = event.status
        if status is not None:
            if status & 0x7F:
                node.signal = status & 0x7F
                node.exit_code = None
            else:
                node.exit_code = status >> 8 & 0xFF
        if event.usage is not None:
            node._usage_after = event.usage
        if node._program is None and event.name is not None:
            node._name = os.fsdecode(event.name)

    # The interposer's events

    def _user_startup(self, event: UserStartup) -> None:
        node = self._node_of(event)
        if node is None:
            return
        if node._startup_ns is not None:
            if not self._interposer_only:
                self._user_events.starts_twice(node)
                return
            call = self._user_execs.get(event.pid)
            time_ns = event.time_ns if call is None else call.time_ns
            node = self._image_after(node, time_ns, Usage(utime_ns=event.user_ns, stime_ns=event.sys_ns))
        node._startup_ns = event.time_ns
        if event.args is not None and (not node._execed or node._program is None or node._program.args is None):
            node._program = Program.of(event, self._paths)
            node._execed = True

    def _user_exec(self, event: UserExec) -> None:
        if self._node_of(event) is not None:
            self._user_execs[event.pid] = event

    def _user_spawn(self, event: UserSpawn) -> None:
        node = self._current.get(event.pid)
        if node is not None and node.exit_ns is None and not self._fits(node, event):
            return
        if event.child_pid is None:
            self._spawns.setdefault(event.pid, deque()).append(event)
            return
        self._spawned[event.child_pid] = event
        if self._interposer_only and event.child_pid not in self._current:
            parent = self._current.get(event.pid)
            if parent is not None:
                child = self._add(event.child_pid, parent, event.time_ns, reparented=False)
                child._program, child._execed = Program.of(event, self._paths), True
                self.completeness.unseen_creates += 1

    def _user_exit(self, event: UserExit) -> None:
        node = self._node_of(event)
        if node is None:
            return
        if node._user_exit_ns is not None:
            return
        node._user_exit_ns = event.time_ns
        node._usage_after = Usage(utime_ns=event.user_ns, stime_ns=event.sys_ns)
        if self._interposer_only and event.status is not None:
            node.exit_code = event.status & 0xFF

    def _fits(self, node: ProcessNode, event: UserStartup | UserExec | UserSpawn | UserExit) -> bool:
        """Whether the event is of the living ``node``. Where nobody else tells of processes, all are."""
        if self._interposer_only or self._user_events.fits(node, event):
            return True
        self.completeness.foreign_user_events += 1
        return False

    def _node_of(self, event: UserStartup | UserExec | UserExit) -> ProcessNode | None:
        """The node that tells of itself; None where the event can't be of the process that bears its number."""
        node = self._current.get(event.pid)
        if node is None or node.exit_ns is not None:
            return self._adopt(event) if self._adopts(event) else None
        return node if self._fits(node, event) else None

    def _adopts(self, event: UserStartup | UserExec | UserExit) -> bool:
        """Whether a user event of an unknown process makes it known.

        Where creations are recorded it does not: it comes from a process that sees itself under another pid, in a
        container.
        """
        if self._interposer_only and event.pid != self.root.pid:
            return True
        if event.pid != self.root.pid:
            self.completeness.foreign_user_events += 1
        return False

    def _adopt(self, event: UserStartup | UserExec | UserExit) -> ProcessNode:
        self.completeness.unseen_creates += 1
        parent = self._current.get(event.parent_pid)
        return self._add(event.pid, parent or self.root, event.time_ns, reparented=parent is None)

    def _add(self, pid: int, parent: ProcessNode, time_ns: int, *, reparented: bool) -> ProcessNode:
        node = ProcessNode(pid, parent, time_ns, parent.depth + 1, reparented=reparented, _program=parent._program)
        parent.children.append(node)
        self._current[pid] = node
        return node

    # The end

    def finish(self) -> list[ProcessNode]:
        """Close the tree: the nodes in preorder, the root first."""
        self._group_images()
        nodes = preorder(self.root)
        self._end_root()
        self._settle(nodes)
        return nodes

    def _group_images(self) -> None:
        """Put the images of one process next to each other among their siblings."""
        for parent in self._several_images.values():
            grouped: list[ProcessNode] = []
            for child in parent.children:
                if child.previous_image is not None and child.previous_image is not self.root:
                    continue
                image: ProcessNode | None = child
                while image is not None:
                    grouped.append(image)
                    image = image.next_image
            parent.children[:] = grouped

    def _end_root(self) -> None:
        """The root stands for its whole process: it has the end and the exit status of the last image."""
        last = self.root
        while last.next_image is not None:
            last = last.next_image
        if last is not self.root:
            self.root.exit_ns, self.root.exit_code, self.root.signal = last.exit_ns, last.exit_code, last.signal
            if self.root.exit_ns is not None:
                self.root._user_exit_ns = last._user_exit_ns

    def _settle(self, nodes: list[ProcessNode]) -> None:
        completeness = self.completeness
        for node in nodes:
            if node.exit_ns is None:
                if self._interposer_only and node._user_exit_ns is not None:
                    node.exit_ns = node._user_exit_ns
                else:
                    node.still_running = completeness.ended and completeness.alive != 0
                    completeness.without_end += not completeness.ended
            if node._program is None or node._program.args is None:
                completeness.without_args += 1
            if node._usage_after is None or not node._usage_before_known:
                completeness.unknown_cpu += 1
        mark_reparented(nodes)


def _set_startup(node: ProcessNode, loading_ns: int | None) -> None:
    """What the kernel tells; the interposer's constructor, where there is one, is nearer to the definition."""
    if loading_ns is not None and node._exec_ns is not None and node._startup_ns is None:
        node._startup_ns = node._exec_ns + loading_ns


def mark_reparented(nodes: list[ProcessNode]) -> None:
    """Mark those of ``nodes``, a tree in preorder, that outlived their parent's process."""
    ends: dict[int, int | None] = {}  # of processes, by the id of each of their images that an exec ended
    for node in reversed(nodes):  # a later image comes before the earlier one
        if node.next_image is not None and node.parent is not None:
            ends[id(node)] = ends.get(id(node.next_image), node.next_image.exit_ns)
        if node.children:
            end_ns = ends.get(id(node), node.exit_ns)
            if end_ns is not None:
                for child in node.children:
                    outlived = child.still_running if child.exit_ns is None else child.exit_ns > end_ns
                    if (outlived or child.start_ns > end_ns) and child.pid != node.pid:
                        child.reparented = True


def preorder(root: ProcessNode) -> list[ProcessNode]:
    """``root`` and everything below it, parents before children, siblings in their order."""
    nodes = []
    stack = [root]
    while stack:
        node = stack.pop()
        nodes.append(node)
        if node.children:
            stack.extend(reversed(node.children))
    return nodes
