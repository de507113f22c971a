"""Which node of one build is which of another: found as git finds renames, not by equal texts alone.

    matching = match(before, after)      # tables (matching_table.py)
    matching.pairs                       # index in before -> index in after, never two to one

Equal keys first, wherever they are. What is left is looked for under matched parents, from a virtual root above both
builds downwards, by the steps of STEPS in turn: each pairs what it is sure of and leaves the rest to the next. A level
that one side lacks is stepped over (stepping_over.py). At last what moved elsewhere, and the two roots, which always
are each other's. Compilers and linkers are never paired with another file.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pytest_ptreetime.decision.command_words import Masks, vocabulary
from pytest_ptreetime.decision.likeness import Likeness, common_below
from pytest_ptreetime.decision.matching_table import Node, Row, Table, tree_of
from pytest_ptreetime.decision.programs import is_driver
from pytest_ptreetime.decision.stepping_over import most_alike
from pytest_ptreetime.keys.identity import FORK, main_file
from pytest_ptreetime.system.garbage_collection import without_collector

__all__ = ["Matching", "Row", "Table", "match"]

MOST_COMPARED = 40_000  # pairs of nodes of one subject that are compared each with each
ENOUGH_BELOW = 0.3  # Dice of what is below, from which the only two of a class are one step
MOST_DESCENDANTS_ASKED = 1000  # nodes below another that are asked whose they are
MOST_VOTES = 0.5  # share of the matched children of a node that are another's children, from which the two are one

_Label = TypeVar("_Label", bound=Hashable)
_Pairs = Iterable[tuple[Node, Node]]


@dataclass(frozen=True)
class Matching:
    """Pairs of indexes, and those that have no partner."""

    pairs: dict[int, int]
    only_before: list[int]
    only_after: list[int]


def match(before: Table, after: Table, *, same_build: bool = False) -> Matching:
    """Pair the rows of two tables.

    :param same_build: they are rounds of one build, in which nothing can have been renamed: files of compilers that
        differ in numbers only are one.
    """
    pairs = _equal_keys(before, after)
    if len(pairs) < len(before) and len(pairs) < len(after):
        with without_collector():
            pairs = _matched(before, after, pairs, same_build)
    taken = set(pairs.values())
    return Matching(
        pairs,
        [index for index in range(len(before)) if index not in pairs],
        [index for index in range(len(after)) if index not in taken],
    )


def _matched(before: Table, after: Table, equal: dict[int, int], same_build: bool) -> dict[int, int]:
    """The pairs whichever side is called before: the steps take one side first, and that is always the same one."""
    if _order_of(before) <= _order_of(after):
        return _Matcher(before, after, equal, same_build).run()
    turned = {place: index for index, place in equal.items()}
    found = _Matcher(after, before, turned, same_build).run()
    return {index: place for place, index in sorted(found.items(), key=lambda pair: pair[1])}


def _order_of(table: Table) -> tuple[int, list[str]]:
    return len(table), [row.key for row in table]


def _equal_keys(before: Table, after: Table) -> dict[int, int]:
    """Those of equal key. Where the same key stands for another program or subject, the steps may find better."""
    places = {row.key: index for index, row in enumerate(after)}
    pairs = {}
    for index, row in enumerate(before):
        place = places.get(row.key)
        if place is not None and (row.name, row.subject) == (after[place].name, after[place].subject):
            pairs[index] = place
    return pairs


class _Matcher:
    """The state of one match()."""

    def __init__(self, before: Table, after: Table, equal: dict[int, int], same_build: bool) -> None:
        self._keys_before = [row.key for row in before]
        self._keys_after = [row.key for row in after]
        self._root_before, self._before = tree_of(before)
        self._root_after, self._after = tree_of(after)
        self._mask_before = Masks(lambda: _words_of(after))
        self._mask_after = Masks(lambda: _words_of(before))
        self._same_build = same_build
        self._queue: deque[tuple[Node, Node]] = deque()
        self._pair(self._root_before, self._root_after)
        for index, place in equal.items():
            self._pair(self._before[index], self._after[place])
        # breadth first: what is found under an outer pair can't be claimed by an inner one
        self._queue = deque(
            sorted(
                (pair for pair in self._queue if _has_unmatched(pair[0]) and _has_unmatched(pair[1])),
                key=lambda pair: sum(1 for _ in pair[0].ancestors()),
            )
        )

    def run(self) -> dict[int, int]:
        self._drain()
        for find in (self._equal_by_key, self._moved, self._roots):
            self._take(find())
            self._drain()
        return {node.index: node.partner.index for node in self._before if node.partner is not None}

    def _drain(self) -> None:
        steps: tuple[Callable[[Node, Node, list[Node], list[Node]], _Pairs], ...] = (
            self._of_equal_command,
            self._of_equal_subject,
            self._of_equal_subject_and_class,
            self._of_equal_main_file,
            self._above_matched,
            self._of_equal_masked_command,
            self._of_equal_command_but_for_numbers,
            self._of_equal_file_name,
            self._sole_of_driver,
            self._only_of_class,
            self._of_equal_shape,
            lambda above, below, left, right: most_alike(left, right),
        )
        while self._queue:
            above_left, above_right = self._queue.popleft()
            left, right = above_left.children, above_right.children
            for step in steps:
                left, right = _unmatched(left), _unmatched(right)
                if not left or not right:
                    break
                self._take(step(above_left, above_right, left, right))

    def _take(self, pairs: _Pairs) -> None:
        for left, right in pairs:
            if left.partner is None and right.partner is None:
                self._pair(left, right)

    def _pair(self, left: Node, right: Node) -> None:
        left.partner, right.partner = right, left
        if left.children and right.children:
            self._queue.append((left, right))

    # Each step: the matched parents, and their children that have no partner yet.

    def _of_equal_command(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        for ours, theirs in _meeting(left, right, lambda node: (node.name, node.subject, node.words)):
            yield from zip(ours, theirs, strict=False)

    def _of_equal_subject(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        for ours, theirs in _meeting(left, right, lambda node: (node.name, node.subject)):
            yield from self._of_one_subject(ours, theirs)

    def _of_equal_subject_and_class(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        for ours, theirs in _meeting(left, right, lambda node: (node.program, node.subject)):
            yield from self._of_one_subject(ours, theirs)

    def _of_equal_main_file(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        """The output tells compiles apart where one build has several of a file (``a.c -> pic/a.o``)."""

        def label(node: Node) -> Hashable:
            return (node.program, main_file(node.subject)) if node.told_by_file else None

        for ours, theirs in _meeting(left, right, label):
            if label(ours[0]) is not None:
                yield from self._of_one_subject(ours, theirs)

    def _of_one_subject(self, left: list[Node], right: list[Node]) -> _Pairs:
        """Several commands (PIC and not, conftest): first those equal but for what the other side lacks."""
        if len(left) == len(right) == 1:
            yield left[0], right[0]
            return
        labels_left = _grouped(left, lambda node: self._mask_before.masked(node.words))
        labels_right = _grouped(right, lambda node: self._mask_after.masked(node.words))
        for label, ours in labels_left.items():
            theirs = labels_right.get(label, ())
            if len(ours) == len(theirs):
                yield from zip(ours, theirs, strict=True)
        left, right = _unmatched(left), _unmatched(right)
        if len(left) * len(right) > MOST_COMPARED:
            yield from zip(left, right, strict=False)
        elif left and right:
            yield from _likest(left, right)

    def _above_matched(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        """Above what already is each other's: a shell whose text changed, above the same compilers.

        A driver too: its own file may stand in a file of arguments (``gcc @a.rsp``) or be a temporary one.
        """
        candidates = {id(node): node for node in right}
        for node in left:
            matched = list(_nearest_matched(node))
            above = (id(other) for partner in matched for other in partner.ancestors())
            for most, number in Counter(filter(candidates.__contains__, above)).most_common(1):
                other = candidates[most]
                may_be = node.program == other.program and (is_driver(node.name) or not node.told_by_file)
                if number > MOST_VOTES * len(matched) and may_be:
                    yield node, other

    def _of_equal_masked_command(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        for ours, theirs in self._meeting_of_one_name(left, right, self._masked_label, self._masked_label_after):
            ours, theirs = yield from _of_same_below(ours, theirs)
            if len(ours) == len(theirs):
                yield from zip(ours, theirs, strict=True)

    def _of_equal_command_but_for_numbers(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        def label(mask: Masks) -> Callable[[Node], Hashable]:
            # whether anything runs below it is left out: children of one key are shown below one parent only
            return lambda node: self._label(node, mask, mask.drawn(node.words, numbered=True))[:-1]

        for ours, theirs in self._meeting_of_one_name(left, right, label(self._mask_before), label(self._mask_after)):
            ours, theirs = yield from _of_same_below(ours, theirs)
            yield from zip(ours, theirs, strict=False)

    def _meeting_of_one_name(
        self,
        left: list[Node],
        right: list[Node],
        label: Callable[[Node], Hashable],
        label_right: Callable[[Node], Hashable],
    ) -> Iterator[tuple[list[Node], list[Node]]]:
        """As _meeting(); no commands are masked of programs that the other side lacks."""

        def name(mask: Masks) -> Callable[[Node], str]:
            return lambda node: mask.file(node.name, same_build=True)

        for ours, theirs in _meeting(left, right, name(self._mask_before), name(self._mask_after)):
            yield from _meeting(ours, theirs, label, label_right)

    def _masked_label(self, node: Node) -> Hashable:
        return self._label(node, self._mask_before, self._mask_before.telling(node.words))

    def _masked_label_after(self, node: Node) -> Hashable:
        return self._label(node, self._mask_after, self._mask_after.telling(node.words))

    def _label(self, node: Node, mask: Masks, words: tuple[str, ...]) -> tuple[Hashable, ...]:
        name = mask.file(node.name, same_build=True)
        if node.told_by_file:
            return name, mask.file(node.tail, same_build=self._same_build), bool(node.children)
        return name, node.subject == FORK, words, bool(node.children)

    def _of_equal_file_name(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        """``u3.c`` became ``src/u3.c``, and there is only one such on either side."""
        for ours, theirs in _meeting(left, right, lambda node: (node.name, node.tail)):
            if len(ours) == len(theirs) == 1:
                yield ours[0], theirs[0]

    def _sole_of_driver(self, above: Node, below: Node, left: list[Node], right: list[Node]) -> _Pairs:
        if is_driver(above.name) and is_driver(below.name):
            for ours, theirs in _meeting(left, right, lambda node: node.name):
                if len(ours) == len(theirs) <= 2:
                    yield from zip(ours, theirs, strict=True)

    def _only_of_class(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        """The only one of its class on both sides, if anything else speaks for it."""
        for ours, theirs in _meeting(left, right, lambda node: node.program):
            if len(ours) == len(theirs) == 1 and _may_be_one(ours[0], theirs[0]):
                yield ours[0], theirs[0]

    def _of_equal_shape(self, _a: Node, _b: Node, left: list[Node], right: list[Node]) -> _Pairs:
        """As many that differ in nothing but numbers and names that look drawn: which is which says nothing."""

        def label(node: Node) -> Hashable:
            return None if node.children or node.told_by_file else node.shape

        for ours, theirs in _meeting(left, right, label):
            if len(ours) == len(theirs) and label(ours[0]) is not None:
                yield from zip(ours, theirs, strict=True)

    # When all levels are done: the whole trees.

    def _equal_by_key(self) -> _Pairs:
        places = {self._keys_after[node.index]: node for node in self._after if node.partner is None}
        for node in self._before:
            other = places.get(self._keys_before[node.index])
            if node.partner is None and other is not None:
                yield node, other

    def _moved(self) -> _Pairs:
        ours, theirs = _only_ones(self._before), _only_ones(self._after)
        for label, node in ours.items():
            other = theirs.get(label)
            if other is not None and node.partner is None and other.partner is None:
                yield node, other

    def _roots(self) -> _Pairs:
        if self._before and self._after:
            yield self._root_before.children[0], self._root_after.children[0]


def _unmatched(nodes: Iterable[Node]) -> list[Node]:
    return [node for node in nodes if node.partner is None]


def _nearest_matched(node: Node) -> Iterator[Node]:
    """The partners of what is matched below ``node`` with nothing matched between, as far as is worth looking."""
    rest = list(node.children)
    for below in rest:
        if len(rest) > MOST_DESCENDANTS_ASKED:
            break
        if below.partner is not None:
            yield below.partner
        else:
            rest += below.children


def _has_unmatched(node: Node) -> bool:
    return any(child.partner is None for child in node.children)


def _words_of(table: Table) -> set[str]:
    return vocabulary(word for row in table for word in (row.name, *row.words))


def _grouped(nodes: Iterable[Node], label: Callable[[Node], _Label]) -> dict[_Label, list[Node]]:
    groups: defaultdict[_Label, list[Node]] = defaultdict(list)
    for node in nodes:
        groups[label(node)].append(node)
    return groups


def _meeting(
    left: list[Node],
    right: list[Node],
    label: Callable[[Node], Hashable],
    label_right: Callable[[Node], Hashable] | None = None,
) -> Iterator[tuple[list[Node], list[Node]]]:
    """The nodes of each label that both sides have."""
    theirs = _grouped(right, label_right or label)
    for of_label, ours in _grouped(left, label).items():
        if of_label in theirs:
            yield ours, theirs[of_label]


def _work_below(node: Node, *, exact: bool) -> tuple[int, float]:
    return node.signature(exact=exact), node.count


def _of_same_below(
    left: list[Node], right: list[Node]
) -> Generator[tuple[Node, Node], None, tuple[list[Node], list[Node]]]:
    """Pair those of several that have the same below them and run as often; returns what is left."""
    for exact in (True, False):
        if len(left) == len(right) == 1:
            break
        as_many = len(left) == len(right)
        for ours, theirs in _meeting(left, right, partial(_work_below, exact=exact)):
            if ours[0].children or as_many:
                yield from zip(ours, theirs, strict=False)
        left, right = _unmatched(left), _unmatched(right)
    return left, right


def _likest(left: list[Node], right: list[Node]) -> _Pairs:
    """All pairs, the likest first: of the same command, as often run, with the same below, at the same place."""
    likeness = Likeness(left, right)

    def rank(i: int, j: int) -> tuple[float, float]:
        one, other = left[i], right[j]
        counts = sorted((one.count or 1.0, other.count or 1.0))
        alike = (
            likeness.of(one, other)
            + 0.3 * counts[0] / counts[1]
            + 0.2 * (one.signature(exact=False) == other.signature(exact=False))
        )
        return -alike, abs(i / len(left) - j / len(right))

    ranked = sorted((*rank(i, j), i, j) for i in range(len(left)) for j in range(len(right)))
    return ((left[i], right[j]) for _, _, i, j in ranked)


def _may_be_one(one: Node, other: Node) -> bool:
    if one.told_by_file:
        return one.tail == other.tail
    if FORK in (one.subject, other.subject) or bool(one.children) != bool(other.children):
        return False
    return common_below(one, other) >= ENOUGH_BELOW if one.children else len(one.words) == len(other.words)


def _only_ones(nodes: list[Node]) -> dict[tuple[str, str], Node]:
    """The nodes of whose name and subject there is no other in the whole build."""
    groups = _grouped(nodes, lambda node: (node.name, node.subject))
    return {label: group[0] for label, group in groups.items() if len(group) == 1 and label[1] not in ("", FORK)}
