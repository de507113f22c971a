"""How alike two nodes of different builds are: their commands, and what runs below them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from math import fsum, log

from pytest_ptreetime.decision.command_words import MOST_TEXTS, WORD, shape
from pytest_ptreetime.decision.matching_table import Node
from pytest_ptreetime.decision.programs import program_class

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
        self._weights: dict[str, float] = {}
        self._known: dict[tuple[str, ...], tuple[frozenset[str], float]] = {}
        self._rare: dict[str, list[str]] = {}

    def of(self, one: Node, other: Node) -> float:
        """That of two nodes of the two lists."""
        if one.words == other.words:
            return 1.0
        ours, of_ours = self._known.get(one.words) or self._weighed(one.words)
        theirs, of_theirs = self._known.get(other.words) or self._weighed(other.words)
        common = fsum(map(self._weights.__getitem__, ours & theirs))  # exact, in whichever order a set has them
        return common / (of_ours + of_theirs - common)

    def rare_features(self, node: Node) -> set[str]:
        """Those of a node that both lists have, but at most COMMON times: they propose what is worth comparing."""
        rare = self._rare
        lists = [rare[word] if word in rare else self._rare_of_argument(word) for word in node.words]
        return set(chain.from_iterable(lists))

    def _rare_of_argument(self, argument: str) -> list[str]:
        left, right = self._frequency_left, self._frequency_right
        found = [
            feature
            for feature in _features_of_argument(argument)
            if 0 < left.get(feature, 0) <= COMMON and 0 < right.get(feature, 0) <= COMMON
        ]
        self._rare[argument] = found
        return found

    def _weighed(self, words: tuple[str, ...]) -> tuple[frozenset[str], float]:
        features = frozenset(chain.from_iterable(map(_features_of_argument, words)))
        weights = self._weights
        known = features, fsum([weights.get(feature) or self._weight(feature) for feature in features])
        self._known[words] = known
        return known

    def _weight(self, feature: str) -> float:
        left, right = self._frequency_left.get(feature, 0), self._frequency_right.get(feature, 0)
        share = min(max(left / self._number_left, right / self._number_right), 1.0)
        weight = log(1 + 1 / share) * (1.0 if left and right else _UNSEEN)
        if feature[:1] in (_SHAPE, _PART):
            weight *= _OF_PART
        self._weights[feature] = weight
        return weight
