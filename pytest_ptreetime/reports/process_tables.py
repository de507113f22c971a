"""Tables of a build's processes: the original's aggregate per name and depth, and the keys that cost most."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

from tabulate import tabulate

from pytest_ptreetime.metrics import PLACES, known_sums, no_sums
from pytest_ptreetime.reports.fitted_names import fitted, least_room, without_path
from pytest_ptreetime.system.figures import part, seconds
from pytest_ptreetime.system.untrusted_text import shown
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["TOP_ORDERS", "Cost", "aggregate_table", "costs", "own_wall", "top_table"]

TITLE = "Aggregate Times"
_AGGREGATED = ("wall", "user", "sys", "startlag", "exitlag")
_TABLE_EDGES = 2  # columns that tabulate puts between two columns
WIDE_FOR_KEYS = 120  # columns from which a node is called by its whole key
_HEADER_PADDING = 2  # by which tabulate makes a column wider than its header


def aggregate_table(roots: Iterable[ProcessNode], *, width: int = 80) -> str:
    """The original's table: the sums of all nodes of one name at one depth below ``roots``, the longest wall first.

    As there, a process whose start or end is not known is left out with all that it started; a last line says how many.
    """
    sums: dict[tuple[str, int], list[int]] = {}
    left_out = 0
    for root in roots:
        waiting = [(root, 0)]
        while waiting:
            node, depth = waiting.pop()
            if node.exit_ns is None:
                left_out += 1
                continue
            row = sums.get((node.name, depth))
            if row is None:
                row = sums[node.name, depth] = no_sums()
            node.add_metrics(row)
            waiting.extend(zip(reversed(node.children), repeat(depth + 1)))
    rows = [(f"{name} @ {depth}", row[PLACES["count"]], known_sums(row)) for (name, depth), row in sums.items()]
    rows.sort(key=lambda row: row[2]["wall"], reverse=True)
    figures = [[*(seconds(values.get(metric)) for metric in _AGGREGATED), str(count)] for _, count, values in rows]
    names = [shown(name) for name, *_ in rows]
    table = table_with_names(["name", *_AGGREGATED, "count"], names, figures, width=width)
    note = f"\n({left_out} without a known start or end left out, with what they started)" if left_out else ""
    return f"{TITLE}\n{'-' * len(TITLE)}\n{table}{note}"


def table_with_names(
    headers: Sequence[str],
    names: Sequence[str],
    figures: Sequence[Sequence[str]],
    *,
    width: int,
    fit: Callable[[str, int], str] = fitted,
    expendable: Sequence[int] = (),
) -> str:
    """A table whose first column gives way where the line would get longer than ``width``.

    :param fit: how a name is shortened.
    :param expendable: columns to leave out, in this order, before any name is cut inside a file's name.
    """
    gone: set[int] = set()
    least = len(headers[0]) + _HEADER_PADDING
    for column in expendable:
        if _room_for_names(headers, figures, width, gone) >= max(least_room(names), least):
            break
        gone.add(column)
    kept = [column for column in range(1, len(headers)) if column not in gone]
    headers = [headers[0], *(headers[column] for column in kept)]
    figures = [[row[column - 1] for column in kept] for row in figures]
    room = max(_room_for_names(headers, figures, width, ()), least)
    rows = [[fit(name, room), *row] for name, row in zip(names, figures, strict=True)]
    return tabulate(
        rows,
        headers=headers,
        tablefmt="simple",
        disable_numparse=True,
        colalign=["left", *["right"] * (len(headers) - 1)] if rows else None,
    )


def _room_for_names(
    headers: Sequence[str], figures: Sequence[Sequence[str]], width: int, without: Collection[int]
) -> int:
    """The columns that are left for the names without some columns of figures."""
    widths = [max(map(len, header.split("\n"))) + _HEADER_PADDING for header in headers]
    taken = sum(
        max(widths[column], *(visible_length(row[column - 1]) for row in figures), 0) + _TABLE_EDGES
        for column in range(1, len(headers))
        if column not in without
    )
    return width - taken


def visible_length(text: str) -> int:
    """The columns of ``text``, colour sequences not counted."""
    return len(re.sub("\x1b\\[[0-9;]*m", "", text))


@dataclass
class Cost:
    """What all nodes with one key cost, in seconds: themselves, and together with everything that they started.

    ``own_wall`` is the time in which none of a node's children ran.
    """

    key: str
    count: int = 0
    own_cpu: float | None = None
    total_cpu: float | None = None
    own_wall: float | None = None
    wall: float | None = None


TOP_ORDERS: dict[str, Callable[[Cost], float]] = {
    "own": lambda cost: cost.own_cpu or 0.0,
    "total": lambda cost: cost.total_cpu or 0.0,
    "own-wall": lambda cost: cost.own_wall or 0.0,
    "wall": lambda cost: cost.wall or 0.0,
}


def costs(tree: ProcessTree) -> list[Cost]:
    """The costs of every key, in no particular order."""
    nodes = list(tree)
    total_cpu: dict[int, float | None] = {}
    for node in reversed(nodes):  # preorder reversed: children before their parents
        total = node.cpu
        for child in node.children:
            total = _sum(total, total_cpu[id(child)])
        total_cpu[id(node)] = total
    by_key: dict[str, Cost] = {}
    open_keys: list[str] = []  # of the node's ancestors: a key inside itself must not be summed twice
    for node in nodes:
        del open_keys[node.depth :]
        nested = node.key in open_keys
        open_keys.append(node.key)
        cost = by_key.setdefault(node.key, Cost(node.key))
        cost.count += 1
        cost.own_cpu = _sum(cost.own_cpu, node.cpu)
        cost.own_wall = _sum(cost.own_wall, own_wall(node))
        if not nested:
            cost.total_cpu = _sum(cost.total_cpu, total_cpu[id(node)])
            cost.wall = _sum(cost.wall, node.wall)
    return list(by_key.values())


def own_wall(node: ProcessNode) -> float | None:
    """The seconds of ``node``'s life in which none of its children was alive."""
    if node.wall is None or node.exit_ns is None:
        return None
    covered = 0
    reached = node.start_ns
    for begin, end in sorted((child.start_ns, child.exit_ns or node.exit_ns) for child in node.children):
        begin, end = max(begin, reached), min(end, node.exit_ns)
        if end > begin:
            covered += end - begin
            reached = end
    return max(node.wall - covered / 1e9, 0.0)


def top_table(tree: ProcessTree, *, sort: str = "own", limit: int = 20, width: int = 80) -> str:
    """The ``limit`` keys that cost most, by one of :data:`TOP_ORDERS`."""
    every = costs(tree)
    ranked = sorted(every, key=TOP_ORDERS[sort], reverse=True)[:limit]
    whole = sum(cost.own_cpu or 0.0 for cost in every)
    figures = [
        [
            seconds(cost.own_cpu),
            part((cost.own_cpu or 0.0) / whole if whole else None),
            seconds(cost.total_cpu),
            seconds(cost.own_wall),
            seconds(cost.wall),
            str(cost.count),
        ]
        for cost in ranked
    ]
    table = table_with_names(
        ["node", "own cpu", "share", "cum. cpu", "own wall", "wall", "count"],
        _names(ranked, width),
        figures,
        width=width,
        expendable=(4, 6, 2, 3, 5),
    )
    left_out = len(every) - len(ranked)
    return f"{table}\n({left_out} more)" if left_out else table


def _names(ranked: Sequence[Cost], width: int) -> list[str]:
    """The keys; on a narrow terminal without their paths, where that leaves them different."""
    labels = [without_path(cost.key) for cost in ranked]
    repeated = Counter(labels)
    return [
        shown(cost.key if width >= WIDE_FOR_KEYS or repeated[label] > 1 else label)
        for cost, label in zip(ranked, labels, strict=True)
    ]


def _sum(one: float | None, other: float | None) -> float | None:
    if one is None:
        return other
    return one if other is None else one + other
