"""A process tree as text: branches, the critical path marked, equal siblings folded into one line unless costly."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_ptreetime.keys.brief import brief
from pytest_ptreetime.reports.fitted_names import without_directories
from pytest_ptreetime.reports.terminal_colours import paint
from pytest_ptreetime.system.figures import amount, seconds
from pytest_ptreetime.system.untrusted_text import clip, middle, shell_line, shown
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["SORT_ORDERS", "draw_tree"]

FOLD_FROM = 3  # two equal siblings are still read faster one by one
COSTLY_PART = 0.02  # of the build's processor time: what used more, with all below, stands alone
COSTLY_FACTOR, LEAST_COSTLY_PART = 3.0, 0.002  # so does what used so many times its group's median, unless it is tiny
WIDE = 100  # columns from which the lags have a place beside the tree
NARROW = 80  # columns below which user and sys have none: their sum has

#: By name the key of a sort; the totals are processor time with everything below, by the nodes' identity.
SORT_ORDERS: dict[str, Callable[[ProcessNode, Mapping[int, float]], tuple[float, str]]] = {
    "start": lambda node, _: (node.start_ns or 0, ""),
    "wall": lambda node, _: (-(node.wall or 0.0), ""),
    "cpu": lambda node, totals: (-totals[id(node)], ""),
    "name": lambda node, _: (0.0, node.name or ""),
}


@dataclass(frozen=True)
class Line:
    """One line of the drawing: one node, or several equal ones, or (``hidden``) those that are left out here."""

    nodes: Sequence[ProcessNode]
    branch: str
    hidden: bool = False

    def total(self, metric: str) -> float | None:
        """The sum over the nodes that know the metric; None where none does."""
        known = [value for node in self.nodes if (value := getattr(node, metric)) is not None]
        return sum(known) if known else None


def draw_tree(
    tree: ProcessTree,
    *,
    sort: str = "start",
    depth: int | None = None,
    min_time: float = 0.0,
    fold: bool = True,
    width: int = 80,
    colour: bool = False,
    root: ProcessNode | None = None,
) -> str:
    """``tree``, or what is below ``root``, one line for each process, in ``width`` columns.

    :param sort: one of :data:`SORT_ORDERS`.
    :param depth: how many levels below the root to show.
    :param min_time: leave out what took less wall time, in seconds; its number and sum are shown.
    """
    metrics = ["wall", "user", "sys", "startlag", "exitlag"]
    metrics = metrics if width >= WIDE else metrics[:3] if width >= NARROW else ["wall", "cpu"]
    critical = {id(node) for node in tree.critical_path()}
    top = tree.root if root is None else root
    header = " ".join(f"{metric:>9}" for metric in metrics) + "  process (* critical path)"
    lines = [header]
    for line in _lines(top, critical, sort, depth, min_time, fold):
        times = " ".join(f"{seconds(line.total(metric)):>9}" for metric in metrics)
        room = max(width - len(times) - 2, 10)
        marked = not line.hidden and len(line.nodes) == 1 and id(line.nodes[0]) in critical
        begin = f"{line.branch}{'* ' if marked else ''}"
        text = clip(f"{begin}{_label(line, critical, room - len(begin))}", room)
        lines.append(f"{times}  {paint(text, 'bold', colour) if marked else text}".rstrip())
    return "\n".join(lines)


def _label(line: Line, critical: set[int], room: int) -> str:
    """What a line says of its processes; where the arguments are longer than ``room``, what matters of them."""
    if line.hidden:
        some_critical = any(id(node) in critical for node in line.nodes)
        return f"({len(line.nodes)} more{', some of them critical' if some_critical else ''})"
    node = line.nodes[0]
    if len(line.nodes) > 1:
        text = f"{shown(node.name or '?')} x {len(line.nodes)}"
        return next((f"{text}{told}" for told in _spreads(line.nodes) if len(text) + len(told) <= room), text)
    marks = []
    if node.exit_code:
        marks.append(f"exit {node.exit_code}")
    if node.signal:
        marks.append(f"signal {node.signal}")
    if node.still_running:
        marks.append("still running")
    if node.reparented:
        marks.append("reparented")
    arguments = shown(shell_line(node.args[1:])) if node.args else ""
    note = f" [{', '.join(marks)}]" if marks else ""
    name = shown(node.name or "?")
    whole = f"{name}{note} {arguments}".rstrip()
    if len(whole) <= room or not node.args:
        return whole
    words = shown(brief(node.name or "?", node.args)).removeprefix(name)
    left = max(room - len(name) - len(note) - 2, 1)
    return f"{name}{note}{words if len(words) <= left else middle(without_directories(words), left)} …"


def _spreads(nodes: Sequence[ProcessNode]) -> list[str]:
    """What a group's processes took, the longest wording first."""
    walls = [node.wall for node in nodes if node.wall is not None]
    if not walls:
        return []
    most = f"most {amount(max(walls), 's')})"
    return [f" (median {amount(statistics.median(walls), 's')}, {most}", f" ({most}"]


def _lines(
    root: ProcessNode, critical: set[int], sort: str, depth: int | None, min_time: float, fold: bool
) -> Iterator[Line]:
    shapes = _shapes(root) if fold else {}
    totals = _totals(root)
    # What waits to be drawn: its line, the prefix that its children inherit, its level.
    waiting: list[tuple[Line, str, int]] = [(Line([root], ""), "", 0)]
    while waiting:
        line, prefix, level = waiting.pop()
        yield line
        if line.hidden:
            continue
        children = [child for node in line.nodes for child in node.children]
        children.sort(key=lambda node: SORT_ORDERS[sort](node, totals))
        if depth is not None and level >= depth:
            if children:
                yield Line(children, f"{prefix}└─ ", hidden=True)
            continue
        groups = _groups(children, shapes, critical, totals, totals[id(root)], single_parent=len(line.nodes) == 1)
        kept = [group for group in groups if sum(node.wall or 0.0 for node in group) >= min_time]
        short = [node for group in groups if group not in kept for node in group] if len(kept) < len(groups) else []
        below = [(group, False) for group in kept] + ([(short, True)] if short else [])
        for position, (group, hidden) in reversed(list(enumerate(below))):
            last = position == len(below) - 1
            branch = f"{prefix}{'└─ ' if last else '├─ '}"
            waiting.append((Line(group, branch, hidden), f"{prefix}{'   ' if last else '│  '}", level + 1))


def _groups(
    children: Sequence[ProcessNode],
    shapes: Mapping[int, int],
    critical: set[int],
    totals: Mapping[int, float],
    whole: float,
    *,
    single_parent: bool,
) -> list[list[ProcessNode]]:
    """``children`` in their order, equal ones in one group where there are enough of them.

    Below a fold everything equal is one group: its lines are sums over the folded parents. What is on the critical
    path, or costly, stays by itself.
    """
    if not shapes:
        return [[child] for child in children]
    by_shape: dict[int, list[ProcessNode]] = {}
    for child in children:
        by_shape.setdefault(shapes[id(child)], []).append(child)
    groups: list[list[ProcessNode]] = []
    for members in by_shape.values():
        usual = COSTLY_FACTOR * statistics.median(totals[id(member)] for member in members)
        costly = min(COSTLY_PART * whole, max(usual, LEAST_COSTLY_PART * whole))
        stands_alone = {id(one) for one in members if id(one) in critical or totals[id(one)] > costly > 0}
        alone = [member for member in members if id(member) in stands_alone]
        rest = [member for member in members if id(member) not in stands_alone]
        if single_parent and len(rest) < FOLD_FROM:
            alone, rest = members, []
        groups += [[member] for member in alone] + ([rest] if rest else [])
    places = {id(child): place for place, child in enumerate(children)}
    return sorted(groups, key=lambda group: places[id(group[0])])


def _totals(root: ProcessNode) -> dict[int, float]:
    """Processor seconds of each node with everything below it, by its identity."""
    order = [root]
    for node in order:  # it grows
        order.extend(node.children)
    totals: dict[int, float] = {}
    for node in reversed(order):
        totals[id(node)] = (node.cpu or 0.0) + sum(totals[id(child)] for child in node.children)
    return totals


def _shapes(root: ProcessNode) -> dict[int, int]:
    """For each node (by identity) a number that is the same for equal subtrees: names and counts, not arguments."""
    order: list[ProcessNode] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting.extend(node.children)
    numbers: dict[tuple[str | None, frozenset[tuple[int, int]]], int] = {}
    shapes: dict[int, int] = {}
    for node in reversed(order):  # children before their parents, and no recursion: trees can be thousands deep
        below = Counter(shapes[id(child)] for child in node.children)
        shapes[id(node)] = numbers.setdefault((node.name, frozenset(below.items())), len(numbers) + 1)
    return shapes
