"""What differs between two rounds of one unchanged build is noise, whatever it looks like: it becomes ``*`` in the key.

Later rounds of a session are matched to its first complete one. Where two matched keys differ in words only (runs of
letters and digits), each such word is replaced, and both have that key. Whole words: what ``conf12345`` and
``conf12399`` share says nothing. Other matched keys take the first round's.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from pytest_ptreetime.decision.command_words import shape
from pytest_ptreetime.decision.command_words import starred as starred_text
from pytest_ptreetime.decision.matching import Matching, match
from pytest_ptreetime.decision.matching_table import Row, Table
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.decision.programs import is_told_by_its_file
from pytest_ptreetime.decision.rekeying import rekeyed

__all__ = ["OneKey", "Starred", "identity_of", "rounds_by_keys", "shuffled", "starred", "table_of"]


@dataclass
class Starred:
    """A session under keys without noise: ``joined`` says which of its keys became which."""

    rounds: Sequence[Profile]
    joined: OneKey


def starred(rounds: Sequence[Profile]) -> Starred:
    """``rounds`` of one unchanged build with ``*`` for what differs between them."""
    first, *others = map(table_of, rounds_by_keys(rounds))
    joined = OneKey(first)
    for table in others:
        matching = match(first, table, same_build=True)
        for index, place in matching.pairs.items():
            joined.join(first[index].key, table[place])
        for leader, *rest in shuffled(first, table, matching):
            for row in rest:
                joined.join(leader.key, row)
    for table in (first, *others):
        joined.join_alike(table)
    return Starred(rekeyed(rounds, joined.names, joined.identities), joined)


class OneKey:
    """Keys of a session that stand for one step, each group of them under the key of its leader with stars.

    ``names`` has the new key of each that gets another, ``identities`` those of new keys.
    """

    def __init__(self, leaders: Table) -> None:
        self._rows = {row.key: row for row in leaders}
        self._leaders: dict[str, str] = {}  # of those that joined
        self._keys: dict[str, str] = {}  # the leaders' new ones
        self._identities: dict[str, Identity] = {}
        self._templates: dict[str, str] = {}

    @property
    def names(self) -> dict[str, str]:
        new = {key: self.key_of(key) for key in (*self._leaders, *self._keys)}
        return {key: name for key, name in new.items() if key != name}

    @property
    def identities(self) -> dict[str, Identity]:
        return {self._keys[leader]: identity for leader, identity in self._identities.items()}

    def key_of(self, key: str) -> str:
        """What became of ``key``."""
        leader = self._leaders.get(key, key)
        return self._keys.get(leader, leader)

    def join(self, leader: str, row: Row) -> None:
        """``row`` is the same step as the key ``leader``; the first that says so counts."""
        leader = self._leaders.get(leader, leader)
        if row.key in self._leaders or row.key == leader or row.key in self._keys:
            return
        known = self._identities.get(leader) or identity_of(self._rows[leader])
        self._identities[leader] = identity = _without_differences(known, row)
        self._keys[leader] = _starred_key(self._keys.get(leader, leader), row.key, identity)
        self._leaders[row.key] = leader
        self._templates[shape(leader)] = self._templates[shape(row.key)] = leader

    def join_alike(self, table: Table) -> None:
        """Keys that another round lacks, and that differ from a key with stars in nothing but these words."""
        for row in table:
            leader = self._leader_like(row)
            if leader is not None:
                self.join(leader, row)

    def key_like(self, row: Row) -> str | None:
        """The key with stars that ``row`` has, too, if it has."""
        leader = self._leader_like(row)
        return None if leader is None else self._keys[leader]

    def _leader_like(self, row: Row) -> str | None:
        leader = self._templates.get(shape(row.key))
        fits = leader is not None and starred_text(self._keys[leader], row.key) == self._keys[leader]
        return leader if fits else None


def identity_of(row: Row) -> Identity:
    """The row's."""
    return Identity(row.name, row.subject, row.words)


def _without_differences(identity: Identity, row: Row) -> Identity:
    words = identity.words
    if len(words) == len(row.words):
        words = tuple([starred_text(one, other) or one for one, other in zip(words, row.words, strict=True)])
    return Identity(
        starred_text(identity.name, row.name) or identity.name,
        starred_text(identity.subject, row.subject) or identity.subject,
        words,
    )


def _starred_key(key: str, other: str, identity: Identity) -> str:
    """``key`` with stars; the hash in a key that was cut becomes that of what it stands for now."""
    new = starred_text(key, other) or key
    if "…*…" in new:
        digest = hashlib.sha256(identity.subject.encode("utf-8", "surrogatepass")).hexdigest()[:10]
        new = new.replace("…*…", f"…{digest}…")
    return new


def rounds_by_keys(rounds: Sequence[Profile]) -> list[Profile]:
    """One round for each set of keys that any has; the first complete round comes first."""
    different: dict[frozenset[str], Profile] = {}
    for profile in sorted(rounds, key=lambda profile: profile.incomplete_reason is not None):
        different.setdefault(profile.keys(), profile)
    return list(different.values())


def table_of(profile: Profile) -> Table:
    """A row for each key, in the order of their first processes as far as it is known."""
    counts = profile.counts()
    keys = [key for key in profile.identities if key in counts]
    keys += [key for key in counts if key not in profile.identities]
    index = {key: place for place, key in enumerate(keys)}
    rows = []
    for key in keys:
        identity = profile.identities.get(key) or Identity.of_key(key)
        parent = index.get(profile.parents.get(key) or "", -1)
        rows.append(Row(key, parent, identity.name, identity.subject, identity.words, counts[key]))
    return rows


def shuffled(before: Table, after: Table, matching: Matching) -> Iterator[list[Row]]:
    """Groups of leaves of one shape under matched parents, as many on both sides, only spread otherwise over keys.

    Descriptor numbers in arguments do so. Compilers and linkers are told by their file, and never are in such a group.
    """
    if not matching.only_before and not matching.only_after:
        return
    to_before = {place: index for index, place in matching.pairs.items()} | {-1: -1}
    unchanged = {index: index for index in matching.pairs} | {-1: -1}
    parents = {before[index].parent for index in matching.only_before}
    parents |= {to_before.get(after[place].parent, -2) for place in matching.only_after}
    ours, theirs = _leaves_by_form(before, unchanged, parents), _leaves_by_form(after, to_before, parents)
    alone = {before[index].key for index in matching.only_before} | {after[place].key for place in matching.only_after}
    for form, rows in ours.items():
        group = rows + theirs.get(form, [])
        number = sum(row.count for row in rows)
        if 2 * number == sum(row.count for row in group) and any(row.key in alone for row in group):
            yield group


_Form = tuple[int, str, str]


def _leaves_by_form(table: Table, to_before: Mapping[int, int], parents: Set[int]) -> dict[_Form, list[Row]]:
    """Leaves below ``parents`` by their parent and shape; ``to_before`` has each matched index as one of before."""
    with_children = {row.parent for row in table}
    groups: defaultdict[_Form, list[Row]] = defaultdict(list)
    for index, row in enumerate(table):
        parent = to_before.get(row.parent)
        if parent is None or parent not in parents or index in with_children:
            continue
        if not is_told_by_its_file(row.name):
            groups[parent, shape(row.name), " ".join(sorted(shape(row.subject).split()))].append(row)
    return groups
