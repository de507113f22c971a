"""What bounds a build: the least wall time that is possible, what stood alone, and the memory of all together.

Bounds, not guesses: no schedule is invented, because the dependencies of a build are not known.

- A build can't be shorter than its processor time divided by the processors, nor than its *longest chain*: the
  processor time of what certainly runs in order. A driver or a shell of which no two children overlapped runs them one
  after another, so that their times add up; of everything else only the longest child counts. A process is taken to
  have one thread.
- The memory of the whole tree at a moment is at most the sum of the peaks of the programs that are alive: an upper
  bound, because pages that are shared count twice, and peaks need not coincide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_ptreetime.decision.programs import program_class
from pytest_ptreetime.keys.brief import label_of_node
from pytest_ptreetime.reports.lanes import end_of
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["Bounds", "Memory", "bounds_of", "longest_chain", "memory_of", "stretches_alone"]

_IN_ORDER = frozenset({"cc", "sh", "collect2"})


@dataclass(frozen=True)
class Bounds:
    """Seconds.

    ``chain`` is the longest chain, ``chain_of`` the process of it that used most. ``alone`` has, the longest first, how
    long a process was the only one at work.
    """

    wall: float
    cpu: float
    processors: int
    chain: float
    chain_of: str
    alone: list[tuple[float, str]] = field(default_factory=list)

    @property
    def least(self) -> float:
        """The least wall time possible with so many processors."""
        return max(self.cpu / self.processors, self.chain)

    @property
    def idle(self) -> float:
        """The processor seconds that the build left unused."""
        return max(self.processors * self.wall - self.cpu, 0.0)


@dataclass(frozen=True)
class Memory:
    """``peak`` bytes at ``seconds`` from the start, held by the processes named, the largest first."""

    peak: int
    seconds: float
    holders: list[tuple[int, str]]


def bounds_of(tree: ProcessTree, processors: int) -> Bounds | None:
    """None where the build's times are not known."""
    if tree.wall is None or not tree.cpu:
        return None
    chain, leaf = longest_chain(tree)
    return Bounds(tree.wall, tree.cpu, processors, chain, label_of_node(leaf), stretches_alone(tree))


def longest_chain(tree: ProcessTree) -> tuple[float, ProcessNode]:
    """The processor seconds of the longest chain, and the process of it that used most."""
    found: dict[int, tuple[float, ProcessNode]] = {}
    for node in reversed(list(tree)):  # children before their parents
        own = node.cpu or 0.0
        below = [found[id(child)] for child in node.children]
        longest = max(below, key=lambda each: each[0], default=(0.0, node))
        if program_class(node.name or "") in _IN_ORDER and not _overlap(node.children):
            total = own + sum(seconds for seconds, _ in below)
        else:
            total = max(own, longest[0])
        dearest = longest[1] if longest[0] > own else node
        found[id(node)] = total, dearest
    return found[id(tree.root)]


def _overlap(children: Sequence[ProcessNode]) -> bool:
    """Whether two of them, in the order of their starts, ran at once."""
    reached = 0
    for child in sorted(children, key=lambda child: child.start_ns):
        if child.start_ns < reached:
            return True
        reached = max(reached, child.exit_ns or child.start_ns)
    return False


def stretches_alone(tree: ProcessTree) -> list[tuple[float, str]]:
    """For each process that was ever the only one without a living child: for how many seconds, the longest first."""
    nodes = list(tree)
    end = max(node.exit_ns or node.start_ns for node in nodes)
    steps = sorted(
        (moment, begins, place)
        for place, node in enumerate(nodes)
        for moment, begins in ((node.start_ns, True), (end_of(node, end), False))
    )
    place_of = {id(node): place for place, node in enumerate(nodes)}
    children, alive, leaves = [0] * len(nodes), [False] * len(nodes), set[int]()
    seconds: dict[int, float] = {}
    last = steps[0][0]
    for moment, begins, place in steps:
        if len(leaves) == 1 and moment > last:
            (only,) = leaves
            seconds[only] = seconds.get(only, 0.0) + (moment - last) / 1e9
        last = moment
        alive[place] = begins
        if begins and not children[place]:
            leaves.add(place)
        elif not begins:
            leaves.discard(place)
        parent = nodes[place].parent
        if parent is not None:
            above = place_of[id(parent)]
            children[above] += 1 if begins else -1
            if children[above]:
                leaves.discard(above)
            elif alive[above]:
                leaves.add(above)
    told = [(alone, label_of_node(nodes[place])) for place, alone in seconds.items()]
    return sorted(told, reverse=True)


def memory_of(tree: ProcessTree) -> Memory | None:
    """The highest sum of the peaks of programs alive at once; None where no peak is known."""
    end = max(node.exit_ns or node.start_ns for node in tree)
    steps = []
    for node in tree:
        if node.max_rss_bytes is None:
            continue
        images = [child.start_ns for child in node.children if child.pid == node.pid]  # the root's later programs
        until = min([end_of(node, end), *images])
        steps += [(node.start_ns, 1, node), (until, 0, node)]
    if not steps:
        return None
    steps.sort(key=lambda step: step[:2])  # who ends goes before who begins
    alive: dict[int, ProcessNode] = {}
    total = peak = 0
    when, holders = 0, [steps[0][2]]
    for moment, begins, node in steps:
        total += (node.max_rss_bytes or 0) * (1 if begins else -1)
        if begins:
            alive[id(node)] = node
        else:
            alive.pop(id(node), None)
        if total > peak:
            peak, when, holders = total, moment, list(alive.values())
    held = sorted(((node.max_rss_bytes or 0, label_of_node(node)) for node in holders), reverse=True)
    return Memory(peak, (when - tree.root.start_ns) / 1e9, held)
