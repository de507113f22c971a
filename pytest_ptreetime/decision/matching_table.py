"""A build as a table, a row for each key, and the tree that its rows form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_ptreetime.decision.command_words import file_names, shape, without_drawn
from pytest_ptreetime.decision.programs import is_told_by_its_file, program_class

__all__ = ["Node", "Row", "Table", "tree_of"]

MOST_BELOW = 2000  # different steps in what is compared of that which runs below two nodes


@dataclass(frozen=True)
class Row:
    """A key of a build, its Identity, how often it runs; ``parent`` is the index of its parent's row, -1 for none."""

    key: str
    parent: int
    name: str
    subject: str
    words: tuple[str, ...]
    count: float = 1.0


Table = Sequence[Row]


class Node:
    """A row in its tree, and the node of the other tree that it is matched with."""

    __slots__ = (
        "_below",
        "_shape",
        "_signatures",
        "_step",
        "children",
        "count",
        "index",
        "name",
        "parent",
        "partner",
        "program",
        "size",
        "subject",
        "tail",
        "told_by_file",
        "words",
    )

    def __init__(self, index: int, row: Row) -> None:
        self.index, self.name, self.subject, self.words, self.count = index, row.name, row.subject, row.words, row.count
        self.program = program_class(row.name)
        is_probe = len(row.words) > 1 and row.subject == " ".join(row.words)  # no file, and all arguments instead
        self.told_by_file = is_told_by_its_file(row.name) and not is_probe
        self.tail = file_names(row.subject)
        self.parent: Node | None = None
        self.children: list[Node] = []
        self.partner: Node | None = None
        self.size = 1
        self._below: Counter[tuple[str, str]] | None = None
        self._shape: str | None = None
        self._signatures: dict[bool, int] = {}
        self._step: tuple[str, str] | None = None

    def ancestors(self) -> Iterator[Node]:
        """Its parent, that one's parent and so on."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent

    @property
    def below(self) -> Counter[tuple[str, str]]:
        """How often each step runs below it but for drawn names, at most MOST_BELOW different ones."""
        if self._below is None:
            steps: Counter[tuple[str, str]] = Counter()
            rest = list(self.children)
            while rest and len(steps) < MOST_BELOW:
                node = rest.pop()
                if node._step is None:
                    node._step = shape(node.name), without_drawn(node.tail)
                steps[node._step] += round(node.count) or 1
                rest += node.children
            self._below = steps
        return self._below

    @property
    def shape(self) -> str:
        """Its command with all that could be drawn or counted taken out, whatever the order of its words."""
        if self._shape is None:
            self._shape = " ".join([shape(self.name), *sorted(map(shape, self.words))])
        return self._shape

    def signature(self, *, exact: bool) -> int:
        """A hash of what runs below it but for drawn names; if not ``exact`` of the programs and compilers' files."""
        known = self._signatures
        if exact not in known:
            rest = [self]
            while rest:
                node = rest[-1]
                unknown = [child for child in node.children if exact not in child._signatures]
                if unknown:
                    rest += unknown
                else:
                    rest.pop()
                    parts = sorted(child._part_of_signature(exact) for child in node.children)
                    node._signatures[exact] = hash(tuple(parts)) if parts else 0
        return known[exact]

    def _part_of_signature(self, exact: bool) -> tuple[str, str, float, int]:
        text = self.subject if exact else self.tail if self.told_by_file else ""
        return shape(self.program), without_drawn(text), self.count, self._signatures[exact]


def tree_of(table: Table) -> tuple[Node, list[Node]]:
    """A virtual root above all that has no parent, and the nodes by index."""
    root = Node(-1, Row("", -1, "", "", ()))
    nodes = [Node(index, row) for index, row in enumerate(table)]
    for node, row in zip(nodes, table, strict=True):
        above = nodes[row.parent] if row.parent >= 0 else root
        node.parent = above
        above.children.append(node)
    order = [root]
    for node in order:
        order.extend(node.children)
    for node in reversed(order):
        if node.parent is not None:
            node.parent.size += node.size
    return root, nodes
