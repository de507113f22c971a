"""A recording's events, rebuilt as the tree of its processes.

:func:`build_tree` puts the events in order (recording/event_order.py) and lets the builder (builder.py) make the nodes
(node.py). The rules are "Tree rules" in docs/explanation/architecture.md. What they leave open:

- The root has no siblings: its later images are its children. The root node stands for the whole process, from the
  first exec to the process's end, so that ``tree.wall`` is the build's; its cpu time is its first image's own.
- A process that never execed runs what its parent ran when it was forked.
- An image is ``reparented`` when it outlived its parent's process.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from pytest_ptreetime.errors import RecordingFailed
from pytest_ptreetime.recording.event_order import in_order
from pytest_ptreetime.recording.events import Create, Event, Exec, Start, date
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.system.host import HostFacts
from pytest_ptreetime.tree.builder import TreeBuilder, preorder
from pytest_ptreetime.tree.completeness import Completeness
from pytest_ptreetime.tree.memory import memory_of
from pytest_ptreetime.tree.node import ProcessNode
from pytest_ptreetime.tree.outside import OutsideProcess

__all__ = ["ProcessNode", "ProcessTree", "build_tree"]


class ProcessTree:
    """The processes of one run of a command. Iteration is in preorder; ``len`` counts the nodes.

    ``started`` is the root's start in seconds since the epoch, None where the recording has no date. ``rounds`` are the
    trees of all measured rounds, this one included; ``stdout`` and ``stderr`` the command's output where it was kept.
    ``completeness`` has the counts behind ``incomplete_reason``. ``outside`` are processes that are not in the tree and
    worked for it: compile servers, daemons.
    """

    def __init__(
        self,
        root: ProcessNode,
        *,
        completeness: Completeness | None = None,
        incomplete_reason: str | None = None,
        host: HostFacts | None = None,
        tracer: str | None = None,
        command: Sequence[str] = (),
        started: float | None = None,
        nodes: list[ProcessNode] | None = None,
        outside: Sequence[OutsideProcess] = (),
    ) -> None:
        self.root = root
        self.completeness = completeness or Completeness()
        self.incomplete_reason = incomplete_reason
        self.host = host
        self.tracer = tracer
        self.command = list(command)
        self.started = started
        self.outside = list(outside)
        self.rounds: list[ProcessTree] = [self]
        self.stdout: str | None = None
        self.stderr: str | None = None
        self._nodes = preorder(root) if nodes is None else nodes
        self._sums: dict[str, float | None] = {}

    @property
    def complete(self) -> bool:
        """Whether nothing is known to be missing."""
        return self.incomplete_reason is None

    @property
    def wall(self) -> float | None:
        """Seconds from the root's start to its end."""
        return self.root.wall

    @property
    def user(self) -> float | None:
        """Processor seconds in user mode, summed over the nodes that know; None where none does."""
        return self._sum("user")

    @property
    def sys(self) -> float | None:
        """Processor seconds in the kernel, likewise."""
        return self._sum("sys")

    @property
    def cpu(self) -> float | None:
        """Processor seconds, likewise. ``completeness.unknown_cpu`` counts the nodes that don't know."""
        return self._sum("cpu")

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most memory that all processes together can have held: an upper bound (tree/memory.py)."""
        memory = memory_of(self.root)
        return None if memory is None else memory.peak

    @property
    def exit_code(self) -> int | None:
        """The root's exit code, minus the signal's number where a signal killed it, as ``subprocess`` has it."""
        return self.root.exit_code if self.root.signal is None else -self.root.signal

    def find(
        self,
        name: str | None = None,
        args: str | Sequence[str] | None = None,
        where: Callable[[ProcessNode], bool] | None = None,
    ) -> list[ProcessNode]:
        """The nodes, in preorder, that have all of what is asked for.

        :param name: the node's name, or a pattern for it (``fnmatch``, case-sensitive).
        :param args: an argument or several, or patterns; each must occur among the node's arguments.
        :param where: anything else.
        """
        wanted = [_matcher(one) for one in ([args] if isinstance(args, str) else args or ())]
        names = None if name is None else _matcher(name)
        return [
            node
            for node in self._nodes
            if (names is None or names(node.name))
            and (not wanted or all(any(map(one, node.args or ())) for one in wanted))
            and (where is None or where(node))
        ]

    def ran(self) -> list[str]:
        """What ran, by label: the root's name, then ``cc1 src/lvm.c`` and the like in alphabetical order.

        Where an assertion about it fails, the message lists what ran and must not. A program that
        ran twice is there twice; the forks of a program, which run it on, are not programs that ran.

        :raises RecordingFailed: the tree is not complete.
        """
        from pytest_ptreetime.keys.programs_run import ran

        return ran(self)

    def compiled(self) -> frozenset[str]:
        """The main source files that compilers worked on, relative to the build's directory.

        :raises RecordingFailed: the tree is not complete.
        """
        from pytest_ptreetime.keys.programs_run import compiled

        return compiled(self)

    def critical_path(self) -> list[ProcessNode]:
        """The chain of nodes that the end of the root waited for, by time; see critical_path.py."""
        from pytest_ptreetime.tree.critical_path import critical_path

        return critical_path(self)

    def _sum(self, metric: str) -> float | None:
        if metric not in self._sums:
            known = [value for node in self._nodes if (value := getattr(node, metric)) is not None]
            self._sums[metric] = sum(known) if known else None
        return self._sums[metric]

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[ProcessNode]:
        return iter(self._nodes)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        wall = "no end" if self.wall is None else f"{self.wall:.3f} s"
        note = "" if self.complete else ", incomplete"
        return f"<ProcessTree of {self.root.name}: {len(self)} nodes, {wall}{note}>"


def build_tree(
    events: Iterable[Event],
    *,
    are_in_order: bool = False,
    host: HostFacts | None = None,
    tracer: str | None = None,
    command: Sequence[str] = (),
    incomplete_reason: str | None = None,
) -> ProcessTree:
    """The tree of ``events``, which may come in any order.

    :param are_in_order: they come as in_order() has them.
    :param incomplete_reason: what the tracer knows to be missing besides what the events say.
    :raises RecordingFailed: there are no events of any process.
    """
    with without_collector():
        rest = iter(events if are_in_order else in_order(list(events)))
        seen: list[Event] = []

        def from_the_beginning() -> Iterator[Event]:
            yield from seen
            for event in rest:
                seen.append(event)
                yield event

        start = next((event for event in from_the_beginning() if isinstance(event, Start)), None)
        root_pid = _guess_root(from_the_beginning()) if start is None else start.root_pid
        execs = (event for event in from_the_beginning() if type(event) is Exec and event.pid == root_pid)
        first_exec = next(execs, None)
        kinds = map(type, from_the_beginning())
        builder = TreeBuilder(
            root_pid,
            None if first_exec is None else first_exec.time_ns,
            next(from_the_beginning()).time_ns if start is None else start.time_ns,
            interposer_only=not any(kind is Create or kind is Exec for kind in kinds),
        )
        builder.take(chain(seen, rest))
        nodes = builder.finish()
    reasons = [*([incomplete_reason] if incomplete_reason else []), *builder.completeness.reasons()]
    started = None
    if start is not None:
        started = date(start.realtime_ns + builder.root.start_ns - start.time_ns)
    return ProcessTree(
        builder.root,
        completeness=builder.completeness,
        incomplete_reason="; ".join(reasons) or None,
        host=host,
        tracer=tracer,
        command=command,
        started=started,
        nodes=nodes,
        outside=builder.outside,
    )


def _guess_root(events: Iterable[Event]) -> int:
    """The root's pid where START is missing: the process that forked first, else the one that is seen first."""
    seen: int | None = None
    for event in events:
        if isinstance(event, Create):
            return event.parent_pid
        if seen is None:
            seen = getattr(event, "pid", None)
    if seen is None:
        raise RecordingFailed("the recording has no events of any process: nothing was traced")
    return seen


def _matcher(pattern: str) -> Callable[[str], object]:
    if not any(special in pattern for special in "*?["):
        return pattern.__eq__
    match = re.compile(fnmatch.translate(pattern)).match
    return lambda text: text == pattern or match(text)
