"""How alike two nodes of different builds are: their commands, and what runs below them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from pytest_ptreetime.decision.process_table import Node
from pytest_ptreetime.decision.programs import program_class
from pytest_ptreetime.decision.words import WORD, shape

__all__ = ["Likeness", "common_below", "likeness_of_names"]

_OF_PART = 0.35  # what a word or the shape of an argument weighs, the argument itself weighing 1
_UNSEEN = 0.1  # how much less weighs what the other side has nowhere: drawn, or a new option
_MOST_PARTS = 400

_Features = dict[str, float]


@lru_cache(65536)
def _features_of_argument(argument: str) -> tuple[tuple[str, float], ...]:
    found = [(argument, 1.0)]
    form = shape(argument)
    if form != argument:
        found.append(("\0" + form, _OF_PART))
    if " " in argument:  # a shell's text
        found += [(word, 1.0) for word in argument.split()[:_MOST_PARTS]]
    parts = [part for part in WORD.findall(argument)[:_MOST_PARTS] if len(part) > 1]
    if parts and parts != [argument]:
        found += [("\1" + part, _OF_PART) for part in parts]
    return tuple(found)


def _features(node: Node) -> _Features:
    found: _Features = {}
    for argument in node.words:
        found.update(_features_of_argument(argument))
    return found


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
        self.left = [_features(node) for node in left]
        self.right = [_features(node) for node in right]
        self.frequency_left = Counter(feature for features in self.left for feature in features)
        self.frequency_right = Counter(feature for features in self.right for feature in features)
        self._weights: dict[str, float] = {}

    def of(self, left: int, right: int) -> float:
        """That of the commands at these positions of the lists."""
        ours, theirs = self.left[left], self.right[right]
        if not ours and not theirs:
            return 1.0
        weight = self._weight
        common = union = 0.0
        for feature, base in ours.items():
            weighed = weight(feature) * base
            union += weighed
            if feature in theirs:
                common += weighed
        for feature, base in theirs.items():
            if feature not in ours:
                union += weight(feature) * base
        return common / union if union else 1.0

    def _weight(self, feature: str) -> float:
        known = self._weights.get(feature)
        if known is None:
            left, right = self.frequency_left[feature], self.frequency_right[feature]
            share = max(left / len(self.left), right / len(self.right))
            known = math.log(1 + 1 / share) * (1.0 if left and right else _UNSEEN)
            self._weights[feature] = known
        return known
