"""Whether an event of the interposer can be of the process that the kernel has under the number in it.

A process in a PID namespace of its own (a container, a sandboxed step) sees itself and its parent under other numbers,
and the number may be another process's outside. It is not its own where its parent is not, or where two programs tell
of one start. Then it is taken for neither process.
"""

from __future__ import annotations

from pytest_ptreetime.recording.events import UserExec, UserExit, UserSpawn, UserStartup
from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["UserEvents"]


class UserEvents:
    """What fits, event by event, in their order."""

    def __init__(self, root: ProcessNode) -> None:
        self._root = root
        self._root_parent_pid: int | None = None
        self._doubtful: set[int] = set()  # images, by their id

    def fits(self, node: ProcessNode, event: UserStartup | UserExec | UserSpawn | UserExit) -> bool:
        """Whether ``event`` can be of the living ``node``."""
        return id(node) not in self._doubtful and self._has_parent(node, event.parent_pid)

    def _has_parent(self, node: ProcessNode, parent_pid: int) -> bool:
        if node is self._root or (node.pid == self._root.pid and node.parent is self._root):  # of no known parent
            if self._root_parent_pid is None:
                self._root_parent_pid = parent_pid
            return parent_pid == self._root_parent_pid
        forker = node.parent
        if forker is None or parent_pid == forker.pid:
            return True
        # Who forks with CLONE_PARENT makes a child of its own parent; an orphan is anybody's child.
        return (forker.parent is not None and parent_pid == forker.parent.pid) or _has_ended(forker)

    def starts_twice(self, node: ProcessNode) -> None:
        """A second program has told that it is the one of ``node``: nothing of its lags is known."""
        self._doubtful.add(id(node))
        node._startup_ns = node._user_exit_ns = None


def _has_ended(node: ProcessNode) -> bool:
    """Whether its process has, by what is known so far: an exec ends an image only."""
    while node.next_image is not None:
        node = node.next_image
    return node.exit_ns is not None
