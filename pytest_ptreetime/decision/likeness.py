"""How alike two nodes of different builds are: their commands, and what runs below them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import chain
from math import fsum, log

from pytest_ptreetime.decision.process_table import Node
from pytest_ptreetime.decision.programs import program_class
from pytest_ptreetime.decision.words import MOST_TEXTS, WORD, shape

__all__ = ["Likeness", "common_below", "likeness_of_names"]

_OF_PART = 0.35  # what a word or the shape of an argument weighs, the argument itself weighing 1
_UNSEEN = 0.1  # how much less weighs what the other side has nowhere: drawn, or a new option
_MOST_PARTS = 400
COMMON = 24  # commands of one feature from which on it proposes no candidates
_SHAPE, _PART = "\0", "\1"  # what no argument begins with

@lru_cache(MOST_TEXTS)
def _features_of_argument(argument: str) -> tuple[str, ...]:
    """The argument; with a mark before each, its shape and its parts."""
    found = [argument]
    form = shape(argument)
    if form != argument:
        found.append(_SHAPE + form)
    if " " in argument:  # a shell's text
        found += argument.split()[:_MOST_PARTS]
    parts = [part for part in WORD.findall(argument)[:_MOST_PARTS] if len(part) > 1]
    if parts and parts != [argument]:
        found += [_PART + part for part in parts]
    return tuple(found)


def _frequency(nodes: Sequence[Node]) -> dict[str, int]:
    """How many of the commands have a feature; where several arguments of one have it, that counts as several."""
    frequency: defaultdict[str, int] = defaultdict(int)
    for argument, number in Counter(chain.from_iterable(node.words for node in nodes)).items():
        for feature in _features_of_argument(argument):
            frequency[feature] += number
    return frequency


@lru_cache(65536)
def likeness_of_names(one: str, other: str) -> float:
    """1 for equal names, 0 for those that have nothing in common."""
    if one == other:
        return 1.0
    if program_class(one) == program_class(other):
        return 0.9
    one_shape, other_shape = shape(one), shape(other)
    if one_shape == other_shape != "@":
        return 0.9
    common = set(WORD.findall(one)) & set(WORD.findall(other))
    if any(len(word) > 1 and not word.isdigit() for word in common):
        return 0.8  # tmp.Ab12 and tmp.Cd34
    return 0.6 if "@" in one_shape and "@" in other_shape else 0.0


def common_below(one: Node, other: Node) -> float:
    """Dice's coefficient of what runs below the two: 1 where it is the same, 0 also where nothing does."""
    if not one.children or not other.children:
        return 0.0
    fewer, more = one.below, other.below
    if len(fewer) > len(more):
        fewer, more = more, fewer
    both = sum(min(number, more[step]) for step, number in fewer.items() if step in more)
    return 2 * both / (sum(fewer.values()) + sum(more.values()))


class Likeness:
    """The weighted Jaccard index of the features of commands of two lists of nodes.

    A feature (an argument, its shape, its words) weighs the less the more of the commands have it, whatever it is: no
    table of options is needed. The larger of the two sides' shares counts, for -O2 that all of one side have and none
    of the other is as common as -O1.
    """

    def __init__(self, left: Sequence[Node], right: Sequence[Node]) -> None:
        self._number_left, self._number_right = len(left), len(right)
        self._frequency_left, self._frequency_right = _frequency(left), _frequency(right)
        self._features = cache(_features)
        self._weight = cache(self._weight_of)
        self._sum = cache(self._sum_of)
        self._rare = cache(self._rare_of_argument)

    def of(self, one: Node, other: Node) -> float:
        """That of two nodes of the two lists."""
        if one.words == other.words:
            return 1.0
        ours, theirs = self._features(one.words), self._features(other.words)
        common = self._sum_of(ours & theirs)
        return common / (self._sum(ours) + self._sum(theirs) - common)

    def rare_features(self, node: Node) -> set[str]:
        """Those of a node that both lists have, but at most COMMON times: they propose what is worth comparing."""
        return set(chain.from_iterable(map(self._rare, node.words)))

    def _rare_of_argument(self, argument: str) -> list[str]:
        left, right = self._frequency_left, self._frequency_right
        if max(left.get(argument, 0), right.get(argument, 0)) > COMMON:  # then all of its features are as frequent
            return []
        return [
            feature
            for feature in _features_of_argument(argument)
            if 0 < left.get(feature, 0) <= COMMON and 0 < right.get(feature, 0) <= COMMON
        ]

    def _sum_of(self, features: frozenset[str]) -> float:
        return fsum(map(self._weight, features))  # the same in whichever order a set has them

    def _weight_of(self, feature: str) -> float:
        left, right = self._frequency_left.get(feature, 0), self._frequency_right.get(feature, 0)
        share = min(max(left / self._number_left, right / self._number_right), 1.0)
        weight = log(1 + 1 / share) * (1.0 if left and right else _UNSEEN)
        return weight * _OF_PART if feature[:1] in (_SHAPE, _PART) else weight


def _features(words: Sequence[str]) -> frozenset[str]:
    return frozenset(chain.from_iterable(map(_features_of_argument, words)))
