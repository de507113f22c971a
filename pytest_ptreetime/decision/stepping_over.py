"""What is most alike of the unmatched nodes under two matched parents, also where one side has a level more.

A launcher, a wrapper or another shell stands between a node and its parent on one side only. So candidates are the
unmatched children and all that is below them. They are paired greedily: programs of one class first, larger subtrees
first (else thousands of small pairs forbid the one that holds them all), then the likest. No pair crosses another.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from heapq import nlargest
from itertools import chain, repeat

from pytest_ptreetime.decision.likeness import Likeness, common_below, likeness_of_names
from pytest_ptreetime.decision.matching_table import Node
from pytest_ptreetime.keys.identity import FORK

__all__ = ["most_alike"]

THRESHOLD = 0.45  # likeness from which two nodes are one step; measured: 0.3 to 0.7 give the same
ENOUGH_BELOW = 0.5  # Dice of what is below, from which two nodes at different levels are one
LEVEL = 0.04  # what a level of difference costs
OF_COMMAND, OF_BELOW = 0.35, 0.65
MOST_LEVELS = 8
MOST_CANDIDATES = 50_000
ALL_WITH_ALL = 2_500  # pairs up to which each is compared with each
CHILDREN_WITH_CHILDREN = 40_000
LARGEST = 50  # subtrees that are compared before all others
SMALL = 4  # nodes up to which the size of a subtree says nothing

_Pool = list[tuple[Node, int]]  # a node, and how many levels it is below the children


def most_alike(left: Sequence[Node], right: Sequence[Node]) -> Iterator[tuple[Node, Node]]:
    """Pairs among ``left``, ``right`` and what is below them; each may be taken when it comes."""
    order = _Order()
    ours, theirs = _with_all_below(left), _with_all_below(right)
    if len(ours) * len(theirs) > ALL_WITH_ALL:
        # a wrapper around the whole build: one pair, and below it everything is looked for by itself
        yield from _pairs(_largest(ours), _largest(theirs), order)
        yield from _equal_steps(_with_all_below(left), _with_all_below(right), order)
        ours, theirs = _with_all_below(left), _with_all_below(right)
    if ours and theirs:
        yield from _pairs(ours, theirs, order)


def _with_all_below(children: Sequence[Node]) -> _Pool:
    pool = [(node, 0) for node in children if node.partner is None]
    for node, level in pool:
        if len(pool) > MOST_CANDIDATES:
            break
        if level < MOST_LEVELS:
            pool.extend((child, level + 1) for child in node.children if child.partner is None)
    return pool


def _largest(pool: _Pool) -> _Pool:
    return nlargest(LARGEST, (entry for entry in pool if entry[0].size >= SMALL), key=lambda entry: entry[0].size)


def _equal_steps(left: _Pool, right: _Pool, order: _Order) -> Iterator[tuple[Node, Node]]:
    """The same step with the same below it, of which either side has only one: a launcher stands before it, or did."""
    theirs = _only_ones(right)
    for step, one in _only_ones(left).items():
        other = theirs.get(step)
        if other is not None and order.allows(one, other):
            order.add(one, other)
            yield one, other


def _only_ones(pool: _Pool) -> dict[Hashable, Node]:
    """By what they do those of which there are no two, the outermost first."""
    found: dict[Hashable, Node] = {}
    several = set()
    for node, _ in pool:
        command = node.tail if node.told_by_file else (node.subject, node.words)
        step = node.name, command, node.signature(exact=False)
        if node.subject == FORK or found.setdefault(step, node) is not node:
            several.add(step)
    return {step: node for step, node in found.items() if step not in several}


def _pairs(left: _Pool, right: _Pool, order: _Order) -> Iterator[tuple[Node, Node]]:
    scores = _Scores(left, right)
    ranked = []
    for i, candidates in enumerate(_candidates(left, right, scores, order)):
        one = left[i][0]
        for j in candidates:
            score = scores.of(i, j)
            if score >= THRESHOLD:
                other = right[j][0]
                near = abs(one.index - other.index) / (1 + max(one.index, other.index))
                size = min(one.size, other.size)
                alien = not likeness_of_names(one.name, other.name)
                ranked.append((alien, -size if size >= SMALL else -1, -score, near, i, j))
    ranked.sort()
    for *_, i, j in ranked:
        one, other = left[i][0], right[j][0]
        if one.partner is None and other.partner is None and order.allows(one, other):
            order.add(one, other)
            yield one, other


def _candidates(left: _Pool, right: _Pool, scores: _Scores, order: _Order) -> Iterator[Iterable[int]]:
    """For each node of ``left`` the positions in ``right`` that are worth comparing."""
    if len(left) * len(right) <= ALL_WITH_ALL:
        yield from repeat(range(len(right)), len(left))
        return
    likeness, size = scores.likeness, len(right)
    of_step: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    of_shape: defaultdict[str, list[int]] = defaultdict(list)
    of_feature: defaultdict[str, list[int]] = defaultdict(list)
    place = {id(node): j for j, (node, _) in enumerate(right)}
    children = [j for j, (_, level) in enumerate(right) if level == 0]
    few = sum(level == 0 for _, level in left) * len(children) <= CHILDREN_WITH_CHILDREN
    for j, (node, level) in enumerate(right):
        of_step[node.name, node.tail].append(j)
        if level == 0 and not few:
            of_shape[node.shape].append(j)
        for feature in likeness.rare_features(node):
            of_feature[feature].append(j)
    for node, level in left:
        found = set(of_step.get((node.name, node.tail), ())[:20])
        shared = Counter(chain.from_iterable(of_feature[feature] for feature in likeness.rare_features(node)))
        if len(shared) > 8:  # what shares most; as one number each, of which the position is the rest
            shared_most = sorted([number * size - j for j, number in shared.items()], reverse=True)[:8]
            found.update(-number % size for number in shared_most)
        else:
            found.update(shared)
        found.update(place[above] for above in order.above_partners_of(node) if above in place)
        if level == 0:
            found.update(children if few else of_shape.get(node.shape, ())[:4])
        yield found


class _Scores:
    """How surely two nodes of two pools are one step: 0 to 1."""

    def __init__(self, left: _Pool, right: _Pool) -> None:
        self._left, self._right = left, right

    @cached_property
    def likeness(self) -> Likeness:
        """That of their commands."""
        return Likeness([node for node, _ in self._left], [node for node, _ in self._right])

    @cached_property
    def _numbers(self) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
        left, right = (Counter((node.name, node.tail) for node, _ in pool) for pool in (self._left, self._right))
        return left, right

    def of(self, i: int, j: int) -> float:
        (one, level), (other, other_level) = self._left[i], self._right[j]
        if (one.subject == FORK) != (other.subject == FORK) and not (one.children and other.children):
            return 0.0
        if level or other_level:
            levels = abs(level - other_level) + (0.5 if level and other_level else 0.0)
            return self._at_other_level(i, j) - LEVEL * levels
        if one.told_by_file and one.tail != other.tail:
            return 0.0
        alike = likeness_of_names(one.name, other.name)
        if not alike:
            return 0.5 * common_below(one, other)  # another shell, another wrapper
        command = alike * self.likeness.of(one, other)
        if not one.children and not other.children:
            return command
        if not one.children or not other.children:
            return 0.85 * command
        below = common_below(one, other)
        enough = below >= 0.2 or min(one.size, other.size) <= 2
        return max(OF_COMMAND * command + OF_BELOW * below, command if enough else 0.8 * command)

    def _at_other_level(self, i: int, j: int) -> float:
        """What is common proves nothing here: the same below, or the same step, and as many of it on both sides."""
        one, other = self._left[i][0], self._right[j][0]
        if one.children and other.children:
            alike = likeness_of_names(one.name, other.name)
            below = common_below(one, other) if alike else 0.0
            command = alike * self.likeness.of(one, other) if below >= ENOUGH_BELOW else 0.0
            return OF_COMMAND * command + OF_BELOW * below if command else 0.0
        step = one.name, one.tail
        if one.children or other.children or step != (other.name, other.tail):
            return 0.0
        number, number_right = (numbers[step] for numbers in self._numbers)
        sure = number == number_right and (one.subject or number == 1)
        return 0.5 + 0.5 * self.likeness.of(one, other) if sure else 0.0


class _Order:
    """Keeps ancestors above what is below them: no pair may cross another."""

    def __init__(self) -> None:
        self._partner: dict[int, Node] = {}
        self._partners_below: defaultdict[int, list[Node]] = defaultdict(list)

    def allows(self, one: Node, other: Node) -> bool:
        """Whether nothing above is paired (its own level is looked at later), and what is below stays below."""
        for node, partner in ((one, other), (other, one)):
            if any(id(above) in self._partner for above in node.ancestors()):
                return False
            for below in self._partners_below.get(id(node), ()):
                if all(above is not partner for above in below.ancestors()):
                    return False
        return True

    def above_partners_of(self, node: Node) -> set[int]:
        """The ids of all that is above the partners of what is below ``node``."""
        return {id(above) for partner in self._partners_below.get(id(node), ())[:3] for above in partner.ancestors()}

    def add(self, one: Node, other: Node) -> None:
        for node, partner in ((one, other), (other, one)):
            self._partner[id(node)] = partner
            for above in node.ancestors():
                self._partners_below[id(above)].append(partner)
