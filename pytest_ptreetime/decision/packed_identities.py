"""The identities of a session's keys, as a baseline's file keeps them: each word once, each command by what is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pytest_ptreetime.keys.identity import FORK, Identity

__all__ = ["PackedIdentities"]

#: Of all commands of a session together; the further commands of a larger build are kept without their words. So what
#: a file says it has can't fill the memory.
MOST_WORDS = 10_000_000


class PackedIdentities(msgspec.Struct):
    """What each of a list of keys stands for.

    ``words``: each word once. ``commands``: for each key nothing where it has no identity, else three numbers and then
    positions of words: how many keys before is the command that this one is like, and how many words it shares with
    that one at its beginning and at its end; between these are the words at the positions. ``names`` and ``subjects``
    have, with the key's position, those that its text does not tell.
    """

    words: list[str] = []
    commands: list[list[int]] = []
    names: list[tuple[int, str]] = []
    subjects: list[tuple[int, str]] = []

    @classmethod
    def of(cls, keys: Sequence[str], identities: Mapping[str, Identity]) -> PackedIdentities:
        """``identities`` of ``keys``, of which some can be without."""
        packed = cls(commands=[[] for _ in keys] if identities else [])
        index: dict[str, int] = {}
        last: dict[str, int] = {}  # where the last command of each program is
        commands: dict[int, tuple[str, ...]] = {}
        left = MOST_WORDS
        for position, key in enumerate(keys if identities else ()):
            identity = identities.get(key)
            if identity is None:
                continue
            name, subject = _told_by(key)
            if identity.name != name:
                packed.names.append((position, identity.name))
            if identity.subject != subject:
                packed.subjects.append((position, identity.subject))
            left -= len(identity.words)
            words = identity.words if left >= 0 else ()
            before = last.get(identity.name)
            begin, end = (0, 0) if before is None else _shared(commands[before], words)
            places = [index.setdefault(word, len(index)) for word in words[begin : len(words) - end]]
            packed.commands[position] = [0 if before is None else position - before, begin, end, *places]
            last[identity.name], commands[position] = position, words
        packed.words = list(index)
        return packed

    def check(self, keys: int) -> None:
        """Whether they can be those of so many keys.

        :raises msgspec.ValidationError: they can't.
        """
        if len(self.commands) not in (0, keys):
            raise msgspec.ValidationError(f"{len(self.commands)} commands of {keys} keys")
        if not all(0 <= position < keys for position, _ in (*self.names, *self.subjects)):
            raise msgspec.ValidationError("a name or a subject of no key")
        lengths: list[int] = []
        for command in self.commands:
            lengths.append(self._length(command, lengths))
        if sum(lengths) > MOST_WORDS:
            raise msgspec.ValidationError(f"commands of {sum(lengths)} words")

    def _length(self, command: list[int], lengths: list[int]) -> int:
        if not command:
            return 0
        if len(command) < 3 or min(command) < 0 or max(command[3:], default=-1) >= len(self.words):
            raise msgspec.ValidationError("a command with a word that is not there")
        back, begin, end = command[:3]
        if begin + end > (lengths[-back] if 0 < back <= len(lengths) else 0):
            raise msgspec.ValidationError("a command like one that is not there")
        return begin + end + len(command) - 3

    def unpacked(self, keys: Sequence[str]) -> dict[str, Identity]:
        """Those of ``keys``, in their order."""
        words, names, subjects = self.words, dict(self.names), dict(self.subjects)
        identities: dict[str, Identity] = {}
        commands: list[tuple[str, ...]] = []
        for position, (key, command) in enumerate(zip(keys, self.commands, strict=False)):
            full: tuple[str, ...] = ()
            if command:
                back, begin, end = command[:3]
                like = commands[-back] if back else ()
                full = like
                if len(command) > 3 or begin + end < len(like):
                    between = [words[place] for place in command[3:]]
                    full = (*like[:begin], *between, *like[len(like) - end :])
                name, subject = _told_by(key)
                identities[key] = Identity(names.get(position, name), subjects.get(position, subject), full)
            commands.append(full)
        return identities


def _told_by(key: str) -> tuple[str, str]:
    """Name and subject as a key tells them that was not cut and has no escapes."""
    path, bracket, rest = key.partition("[")
    name = path.rpartition("/")[2]
    if bracket:
        return name, rest.removesuffix("]")
    return (name.removesuffix(FORK), FORK) if name.endswith(FORK) else (name, "")


def _shared(before: Sequence[str], words: Sequence[str]) -> tuple[int, int]:
    """How many words the two have in common at the beginning, and at the end of what is left."""
    shortest = min(len(before), len(words))
    begin = next((place for place in range(shortest) if before[place] != words[place]), shortest)
    left = shortest - begin
    return begin, next((place for place in range(left) if before[-1 - place] != words[-1 - place]), left)
