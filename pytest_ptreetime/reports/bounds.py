"""What bounds a build: the least wall time that is possible, what stood alone, and how many jobs fit in a memory.

Bounds, not guesses: no schedule is invented, because the dependencies of a build are not known.

- A build can't be shorter than its processor time divided by the processors, nor than its *longest chain*: the
  processor time of what certainly runs in order. A driver or a shell of which no two children overlapped runs them one
  after another, so that their times add up; of everything else only the longest child counts. A process is taken to
  have one thread.
- *Launchers* run several things at once, and whatever is above them is there with them; everything else below them is
  a job. With N jobs at once no more memory is needed than that of all launchers and of the N largest jobs
  (tree/memory.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from pytest_ptreetime.decision.programs import program_class
from pytest_ptreetime.keys.brief import label_of_node
from pytest_ptreetime.reports.lanes import end_of
from pytest_ptreetime.system.figures import amount, amounts, counted
from pytest_ptreetime.system.untrusted_text import shown
from pytest_ptreetime.tree.critical_path import critical_segments
from pytest_ptreetime.tree.memory import memory_of
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["Bounds", "Jobs", "bounds_in_words", "bounds_of", "jobs_of", "longest_chain", "stretches_alone"]

STRETCHES_SHOWN = 5
HOLDERS_SHOWN = 5
ALONE_FROM = 0.02  # of the build's wall time

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
class Jobs:
    """Bytes: what all launchers hold, and each job, the largest first."""

    launchers: int
    jobs: list[int]

    def together(self, number: int) -> int:
        """What so many jobs hold at most, with the launchers."""
        return self.launchers + sum(self.jobs[:number])

    def fitting(self, memory_bytes: int) -> int:
        """How many fit, whichever they are."""
        sums = accumulate(self.jobs, initial=self.launchers)
        return sum(each <= memory_bytes for each in sums) - 1


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
        heaviest = longest[1] if longest[0] > own else node
        found[id(node)] = total, heaviest
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


def jobs_of(tree: ProcessTree) -> Jobs | None:
    """None where nothing ran at once, or no peak is known."""
    launching: set[int] = set()
    for node in reversed(list(tree)):  # children before their parents
        launches = program_class(node.name or "") not in _IN_ORDER and _overlap(node.children)
        if launches or any(id(child) in launching for child in node.children):
            launching.add(id(node))
    jobs, launchers = [], 0
    for node in tree:
        if id(node) in launching:
            launchers += node.max_rss_bytes or 0
        elif node.parent is not None and id(node.parent) in launching and (memory := memory_of(node)) is not None:
            jobs.append(memory.peak)
    return Jobs(launchers, sorted(jobs, reverse=True)) if jobs else None


def bounds_in_words(tree: ProcessTree) -> list[str]:
    """A sentence for each bound; empty where nothing is known."""
    lines = _waited_for(tree)
    bounds = bounds_of(tree, tree.host.cpu_count) if tree.host is not None else None
    if bounds is not None:
        least, wall, chain, cpu = amounts([bounds.least, bounds.wall, bounds.chain, bounds.cpu], "s")
        processors = counted(bounds.processors, "processor")
        lines.append(
            f"With {processors} the build can't take less than {least} (it took {wall}): it uses {cpu} of processor "
            f"time, and the longest chain that certainly runs in order is {chain}, with {bounds.chain_of}."
        )
        idle = amount(bounds.idle, "s")
        lines.append(f"Of {processors} x {wall} the build left {idle} of processor time unused.")
        alone = [each for each in bounds.alone if each[0] >= ALONE_FROM * bounds.wall][:STRETCHES_SHOWN]
        if alone and bounds.processors > 1:
            told = "; ".join(f"{amount(seconds, 's')} of {wall} only {label} ran" for seconds, label in alone)
            lines.append(f"Stretches with one process at work: {told}.")
    return [shown(line) for line in [*lines, *_memory_in_words(tree)]]


def _waited_for(tree: ProcessTree) -> list[str]:
    """The critical path: the processes that the end of the build waited for the longest."""
    seconds: dict[int, float] = {}
    nodes: dict[int, ProcessNode] = {}
    for segment in critical_segments(tree):
        nodes[id(segment.node)] = segment.node
        seconds[id(segment.node)] = seconds.get(id(segment.node), 0.0) + segment.seconds
    if not seconds:
        return []
    longest = sorted(seconds, key=lambda node: -seconds[node])
    told = [f"{label_of_node(nodes[node])} {amount(seconds[node], 's')}" for node in longest[:STRETCHES_SHOWN]]
    if len(longest) > STRETCHES_SHOWN:
        rest = sum(seconds[node] for node in longest[STRETCHES_SHOWN:])
        told.append(f"and {amount(rest, 's')} for {len(longest) - STRETCHES_SHOWN} others")
    return [f"The end of the build waited for (the critical path): {', '.join(told)}."]


def _memory_in_words(tree: ProcessTree) -> list[str]:
    memory = memory_of(tree.root)
    if memory is None:
        return []
    held = ", ".join(
        f"{label_of_node(node)} {amount(node.max_rss_bytes, 'B')}" for node in memory.holders[:HOLDERS_SHOWN]
    )
    peak, when = amount(memory.peak, "B"), amount((memory.peak_ns - tree.root.start_ns) / 1e9, "s")
    lines = [f"All processes together held at most {peak} (an upper bound: the sum of their peaks), at {when}: {held}."]
    jobs = jobs_of(tree)
    if jobs is not None and tree.host is not None:
        lines.append(_fitting_in_words(jobs, tree.host.memory_bytes))
    return lines


def _fitting_in_words(jobs: Jobs, memory_bytes: int) -> str:
    number, machine = jobs.fitting(memory_bytes), amount(memory_bytes, "B")
    if number <= 0:
        return (
            f"Its largest job alone may need {amount(jobs.together(1), 'B')}, more than the {machine} of this machine."
        )
    held = f"hold at most {amount(jobs.together(number), 'B')}"
    if number == len(jobs.jobs):
        return f"Any -j fits in the {machine} of this machine: all its {number} jobs at once {held}."
    return f"-j{number} fits in the {machine} of this machine whichever jobs meet: the {number} largest {held}."
