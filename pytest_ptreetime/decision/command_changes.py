"""What changed in the commands of nodes that are compared with themselves.

The order of words is no change, nor is a word that looks drawn, or that differs between rounds of one build.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.decision.words import WORD, is_drawn, without_words

__all__ = ["CommandChange", "command_changes"]


@dataclass(frozen=True)
class CommandChange:
    """The command of ``key`` before and now. ``noise``: words that differ between rounds of one of the two builds."""

    key: str
    before: Identity
    after: Identity
    noise: frozenset[str] = frozenset()

    @cached_property
    def removed(self) -> tuple[str, ...]:
        """Words that only the old command has, in its order, with ``*`` for what is drawn."""
        return self._surplus(self.before, self.after)

    @cached_property
    def added(self) -> tuple[str, ...]:
        """Words that only the new command has."""
        return self._surplus(self.after, self.before)

    @cached_property
    def replaced(self) -> tuple[tuple[str, str], ...]:
        """Of both those that are one option with another value: ``("-O1", "-O2")``."""
        pairs = []
        rest = list(self.added)
        for old in self.removed:
            new = next((word for word in rest if _option(word) == _option(old) != ""), None)
            if new is not None:
                rest.remove(new)
                pairs.append((old, new))
        return tuple(pairs)

    def describe(self) -> str:
        """``-O2 instead of -O1, + -DVERSION=123, - -g``; empty where nothing changed but order and noise."""
        old, new = Counter(word for word, _ in self.replaced), Counter(word for _, word in self.replaced)
        return ", ".join(
            [f"{after} instead of {before}" for before, after in self.replaced]
            + [f"+ {word}" for word in (Counter(self.added) - new).elements()]
            + [f"- {word}" for word in (Counter(self.removed) - old).elements()]
        )

    def _surplus(self, one: Identity, other: Identity) -> tuple[str, ...]:
        known = Counter(map(self._quiet, other.words))
        surplus = []
        for word in map(self._quiet, one.words):
            if known[word]:
                known[word] -= 1
            else:
                surplus.append(word)
        return tuple(surplus)

    def _quiet(self, text: str) -> str:
        return without_words(text, lambda word: word in self.noise or is_drawn(word))


def _option(word: str) -> str:
    """What two values of one option have in common: ``-O`` of -O2, ``-std`` of -std=c99, ``--jobs`` of --jobs=2."""
    if not word.startswith("-"):
        return ""
    name, equals, _ = word.partition("=")
    if name.startswith("-D"):
        return name
    return name if equals or name.startswith("--") else name[:2]


def command_changes(before: Sequence[Profile], after: Sequence[Profile]) -> list[CommandChange]:
    """Of each key that both have, in the order of ``after``; for what a build ran first under a key."""
    ours, theirs = _first_identities(before), _first_identities(after)
    changes = []
    for key, new in theirs.items():
        old = ours.get(key)
        if old is not None and old.words != new.words:
            change = CommandChange(key, old, new, _noise(key, before) | _noise(key, after))
            if old.name != new.name or change.removed or change.added:
                changes.append(change)
    return changes


def _first_identities(rounds: Sequence[Profile]) -> Mapping[str, Identity]:
    return next((profile.identities for profile in rounds if profile.incomplete_reason is None), rounds[0].identities)


def _noise(key: str, rounds: Sequence[Profile]) -> frozenset[str]:
    """Words that the command of ``key`` has in some of the rounds only."""
    commands = {profile.identities[key].words for profile in rounds if key in profile.identities}
    if len(commands) < 2:
        return frozenset()
    of_each = [frozenset(WORD.findall(" ".join(words))) for words in commands]
    return frozenset.union(*of_each) - frozenset.intersection(*of_each)
