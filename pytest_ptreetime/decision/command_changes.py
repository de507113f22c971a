"""What changed in the commands of nodes that are compared with themselves.

The order of words does not matter, nor does a word that looks random or that differs between rounds of one build.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pytest_ptreetime.decision.command_words import WORD, is_drawn, shape, starred, without_words
from pytest_ptreetime.decision.finding import CommandDifference
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.keys.program_arguments import is_temporary

__all__ = ["CommandChange", "command_changes"]

# Also in a directory for temporary files that only this user has, where rounds have shown the name to be drawn.
_TEMPORARY = re.compile(r"\bTMP/[^\s'\":;,=]*|[^\s'\":;,=@*]*/\*(?:\.\w+)*(?=$|[\s'\":;,=])")
_PROGRESS = re.compile(r"(?<=^--progress-num=)[\d,]+")  # CMake numbers all steps anew when there is one more
_WITH_STAR = re.compile(r"[\w-]*\*[\w*-]*", re.ASCII)  # a drawn name of several words: base64 has - and _, too
_AMOUNT = re.compile(r"[A-Za-z]*\d{1,6}")  # more digits are a date, a time or a hash
_SETTING = re.compile(r"-?-?\w+=")
DRAWN = 6  # letters of the shortest drawn name


@dataclass(frozen=True)
class CommandChange:
    """The command of ``key`` before and now. ``noise``: words that differ between rounds of one of the two builds.

    ``repeated``: both have several rounds, so that a number which is the same in them was not drawn.
    """

    key: str
    before: Identity
    after: Identity
    noise: frozenset[str] = frozenset()
    repeated: bool = False

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
        """Of both those that are one option with another value: ``("-O1", "-O2")``; the only other word, too."""
        pairs = []
        rest = list(self.added)
        for old in self.removed:
            new = next((word for word in rest if _option(word) == _option(old) != ""), None)
            if new is not None:
                rest.remove(new)
                pairs.append((old, new))
        others = [word for word in self.removed if word not in [old for old, _ in pairs]]
        if len(others) == len(rest) == 1 and not _option(others[0]) and not _option(rest[0]):
            pairs.append((others[0], rest[0]))
        return tuple(pairs)

    @cached_property
    def difference(self) -> CommandDifference:
        """Another program first, then other directories, values, new words, missing words.

        Without parts where nothing changed but order and noise.
        """
        old, new = Counter(word for word, _ in self.replaced), Counter(word for _, word in self.replaced)
        parts: list[tuple[str | None, str | None]] = [*self._program_replaced(), *self._moved, *self.replaced]
        parts += [(None, word) for word in (Counter(self.added) - new).elements()]
        parts += [(word, None) for word in (Counter(self.removed) - old).elements()]
        return CommandDifference(tuple(parts[:MOST_PARTS]), max(len(parts) - MOST_PARTS, 0))

    @cached_property
    def _moved(self) -> list[tuple[str, str]]:
        """The directories of the file that it works on, where that is in another one now: ``("src", "code")``."""
        before, after = self._quiet(self.before.subject), self._quiet(self.after.subject)
        if (
            before == after
            or " " in before + after
            or _is_drawn_alike(before, after)
            or not before.endswith(name := after.rpartition("/")[2])
        ):
            return []
        while before and after and before.rpartition("/")[2] == after.rpartition("/")[2]:
            before, after = before.rpartition("/")[0], after.rpartition("/")[0]
        return [(before or ".", after or ".")] if name else []

    def _program_replaced(self) -> list[tuple[str, str]]:
        """Another program that does the same, but for a drawn name."""
        names = (without_words(identity.name, is_drawn) for identity in (self.before, self.after))
        before, after = (_WITH_STAR.sub("*", name) for name in names)
        return [] if before == after else [(self.before.name, self.after.name)]

    def _surplus(self, one: Identity, other: Identity) -> tuple[str, ...]:
        """The words that ``other`` lacks, but for those that stand there with other drawn names."""
        our_words, their_words = _single_words(one), _single_words(other)
        for old, new in self._moved:
            here, there = (old, new) if one is self.before else (new, old)
            moved = {_in_directory(word, there, here): word for word in their_words}
            our_words = [moved.get(word, word) for word in our_words]
        ours, theirs = self._without(our_words, their_words), self._without(their_words, our_words)
        surplus = []
        for word in ours:
            like = next((candidate for candidate in theirs if _is_drawn_alike(word, candidate)), None)
            if like is None:
                surplus.append(self._quiet(word))
            else:
                theirs.remove(like)
        return tuple(surplus)

    def _without(self, words: Sequence[str], others: Sequence[str]) -> list[str]:
        known = Counter(_WITH_STAR.sub("*", self._quiet(word)) for word in others)
        rest = []
        for word in words:
            quiet = _WITH_STAR.sub("*", self._quiet(word))
            if known[quiet]:
                known[quiet] -= 1
            else:
                rest.append(word)
        return rest

    def _quiet(self, text: str) -> str:
        text = _PROGRESS.sub("", text)
        option, equals, file = text.rpartition("=")
        if is_temporary(file):
            return f"{option}{equals}TMP/*"
        return _TEMPORARY.sub("TMP/*", without_words(text, lambda word: word in self.noise or self._is_drawn(word)))

    def _is_drawn(self, word: str) -> bool:
        """A number of a few digits can be an amount or a year: ``--functions=2000``, ``es2022``."""
        return is_drawn(word) and not (self.repeated and _AMOUNT.fullmatch(word))


def _single_words(identity: Identity) -> list[str]:
    """Also those of a shell's text; without the number of steps that CMake tells its progress display."""
    words = [word for argument in identity.words for word in _split(argument)]
    return [word for word in words if not word.isdigit()] if "cmake_progress_start" in words else words


def _split(argument: str) -> list[str]:
    """The words of a shell's text; ``CC=ccache gcc`` is one, with quotes around it or without."""
    if " " not in argument or _SETTING.match(argument):
        return [argument]
    if "'" in argument or '"' in argument:
        try:
            return shlex.split(argument)
        except ValueError:  # an apostrophe
            pass
    return argument.split()


def _in_directory(word: str, old: str, new: str) -> str:
    """``word`` with its directory ``old`` renamed: ``code/a.c`` and ``-Icode`` from ``src``."""
    if old == ".":
        if word in (".", "-I."):
            return word[:-1] + new
        return word if word.startswith("-") else f"{new}/{word}"
    moved = re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w.-])|(?<=^-I){re.escape(old)}(?![\w.-])", new, word)
    return moved.removeprefix("./") if new == "." else moved


def _is_drawn_alike(one: str, other: str) -> bool:
    """Whether two names of files differ only in words of one length, of which one mixes letters as drawn ones do."""
    if "/" in one and len(ours := one.split("/")) == len(theirs := other.split("/")):
        return all(a == b or _is_drawn_component(a, b) for a, b in zip(ours, theirs, strict=True))
    if not re.search("[./]", one) or starred(one, other) is None:
        return False
    return all(
        ours == theirs
        or (is_drawn(ours) and is_drawn(theirs))
        or (len(ours) == len(theirs) >= DRAWN and "@" in (shape(ours), shape(theirs)))
        for ours, theirs in zip(WORD.findall(one), WORD.findall(other), strict=False)
    )


def _is_drawn_component(one: str, other: str) -> bool:
    """Whether a part of a path was drawn: it has the other's length or a ``*``, and one of them looks it."""
    if one.isdigit() and other.isdigit():  # /proc/123, /dev/fd/22
        return True
    masked = [without_words(part, is_drawn) for part in (one, other)]
    alike = len(one) == len(other) >= DRAWN or "*" in one + other or masked[0] == masked[1]
    return alike and any("*" in part or "@" in shape(part) for part in masked)


#: So many parts of a difference are told.
MOST_PARTS = 4


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
        if old is not None and (old.name, old.words) != (new.name, new.words):
            repeated = min(_rounds_with(key, before), _rounds_with(key, after)) > 1
            change = CommandChange(key, old, new, _noise(key, before) | _noise(key, after), repeated)
            if change.difference.parts:
                changes.append(change)
    return changes


def _first_identities(rounds: Sequence[Profile]) -> Mapping[str, Identity]:
    return next((profile.identities for profile in rounds if profile.incomplete_reason is None), rounds[0].identities)


def _rounds_with(key: str, rounds: Sequence[Profile]) -> int:
    return sum(key in profile.identities for profile in rounds)


def _noise(key: str, rounds: Sequence[Profile]) -> frozenset[str]:
    """Words that the command of ``key`` has in some of the rounds only."""
    commands = {profile.identities[key].words for profile in rounds if key in profile.identities}
    if len(commands) < 2:
        return frozenset()
    of_each = [frozenset(WORD.findall(" ".join(words))) for words in commands]
    return frozenset.union(*of_each) - frozenset.intersection(*of_each)
