"""Sessions under one set of keys: whatever stands for one step in them is compared with itself.

Within a session rounds are matched to its first one (starring.py). Sessions are matched to the newest of the baseline,
the reference; a node that is matched takes the reference's key. Where all keys are equal nothing is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property

from pytest_ptreetime.decision.command_changes import CommandChange, command_changes
from pytest_ptreetime.decision.matching import match
from pytest_ptreetime.decision.matching_table import Table
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.rekeying import rekeyed
from pytest_ptreetime.decision.starring import OneKey, Starred, rounds_by_keys, shuffled, starred, table_of

__all__ = ["Alignment", "Level", "Unit", "align"]


@dataclass(frozen=True)
class Level:
    """A key on one side only with matched keys below it: a launcher, a wrapper. ``below`` are the nearest of these."""

    key: str
    below: tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """A key on one side only with nothing matched below it; ``members`` are it and all keys below, it first."""

    key: str
    members: tuple[str, ...]


@dataclass
class Alignment:
    """The sessions under one set of keys, and in what the current one differs from the reference.

    ``renamed`` has for each current round the new key of each key of its own that got another, ``renamed_before`` for
    each round of the reference. ``levels`` and
    ``added`` are of the current session, ``levels_removed`` and ``removed`` of the reference.
    """

    baseline: Sequence[Sequence[Profile]]
    current: Sequence[Profile]
    pinned: Sequence[Profile] | None = None
    renamed: Sequence[Mapping[str, str]] = ()
    renamed_before: Sequence[Mapping[str, str]] = ()
    pairs: list[CommandChange] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    levels_removed: list[Level] = field(default_factory=list)
    added: list[Unit] = field(default_factory=list)
    removed: list[Unit] = field(default_factory=list)

    @cached_property
    def comparable(self) -> float:
        """The share of the current rounds' nodes whose key the reference has; 1 where there are none."""
        known = set().union(*(one.keys() for one in rounds_by_keys(self.baseline[-1]))) if self.baseline else set()
        nodes = paired = 0.0
        for profile in self.current:
            for key, count in profile.counts().items():
                nodes += count
                paired += count if key in known else 0.0
        return paired / nodes if nodes else 1.0


def align(
    baseline: Sequence[Sequence[Profile]], current: Sequence[Profile], pinned: Sequence[Profile] | None = None
) -> Alignment:
    """Give sessions one set of keys.

    :param baseline: its sessions, the oldest first.
    :param pinned: a session that is compared with, too; may be one of the baseline.
    """
    sessions = [*baseline, current, *([pinned] if pinned else [])]
    if not baseline or not all(sessions):
        return Alignment(baseline, current, pinned, [{} for _ in current])
    if _have_equal_keys(sessions):
        pairs = command_changes(baseline[-1], current)
        return Alignment(baseline, current, pinned, [{} for _ in current], pairs=pairs)
    return _aligned(sessions, len(baseline))


def _have_equal_keys(sessions: Sequence[Sequence[Profile]]) -> bool:
    different = [rounds_by_keys(rounds) for rounds in sessions]
    keys = different[0][0].keys()
    return all(len(rounds) == 1 and rounds[0].keys() == keys for rounds in different)


def _aligned(sessions: Sequence[Sequence[Profile]], number: int) -> Alignment:
    """``sessions`` are ``number`` of the baseline, the current one and perhaps the pinned one."""
    alone = [starred(rounds) for rounds in sessions]
    reference = _Reference(alone[number - 1])
    found = [reference.names_of(session) for session in alone]
    names = [reference.after_all(own) for own in found]  # what the last session merges is merged in all
    done = [
        rekeyed(session.rounds, own, reference.shuffled.identities) for session, own in zip(alone, names, strict=True)
    ]
    before, after = _all_rows(done[number - 1]), _all_rows(done[number])
    levels, added = _alone(after, before)
    levels_removed, removed = _alone(before, after)
    return Alignment(
        baseline=done[:number],
        current=done[number],
        pinned=done[number + 1] if len(done) > number + 1 else None,
        renamed=[_renamed(profile, alone[number].joined, names[number]) for profile in sessions[number]],
        renamed_before=[
            _renamed(profile, alone[number - 1].joined, names[number - 1]) for profile in sessions[number - 1]
        ],
        pairs=command_changes(done[number - 1], done[number]),
        levels=levels,
        levels_removed=levels_removed,
        added=added,
        removed=removed,
    )


class _Reference:
    """The session that gives the keys."""

    def __init__(self, session: Starred) -> None:
        self._session = session
        self._table = _all_rows(session.rounds)
        self._keys = {row.key for row in self._table}
        self.shuffled = OneKey(self._table)

    def names_of(self, session: Starred) -> dict[str, str]:
        """The reference's key for each key of ``session`` that is the same step, where it is another."""
        table = _all_rows(session.rounds)
        if session is self._session or {row.key for row in table} == self._keys:
            return {}
        matching = match(self._table, table)
        names = {table[place].key: self._table[index].key for index, place in matching.pairs.items()}
        for leader, *rest in shuffled(self._table, table, matching):
            for row in rest:
                self.shuffled.join(leader.key, row)
        taken = set(names.values())
        for row in (table[place] for place in matching.only_after):
            like = self._session.joined.key_like(row)
            if like is not None:
                names[row.key] = like
            elif row.key in taken:  # which is another step there
                names[row.key] = _free(row.key, taken | self._keys)
        return {key: name for key, name in names.items() if key != name}

    def after_all(self, names: Mapping[str, str]) -> dict[str, str]:
        """``names`` after what is merely shuffled is merged."""
        new = dict(self.shuffled.names)
        new.update((key, self.shuffled.key_of(name)) for key, name in names.items())
        return new


def _free(key: str, taken: Set[str]) -> str:
    number = 2
    while f"{key} ({number})" in taken:
        number += 1
    return f"{key} ({number})"


def _renamed(profile: Profile, joined: OneKey, names: Mapping[str, str]) -> dict[str, str]:
    new = {}
    for key in profile.counts():
        alone = joined.key_of(key)
        name = names.get(alone, alone)
        if name != key:
            new[key] = name
    return new


def _all_rows(rounds: Sequence[Profile]) -> Table:
    """A row for each key of any round."""
    first, *others = rounds_by_keys(rounds)
    if not others:
        return table_of(first)
    together = Profile({}, {})
    for profile in (first, *others):
        for key, count in profile.counts().items():
            if key not in together.totals:
                together.totals[key] = {"count": count}
                together.parents[key] = profile.parents.get(key)
                if key in profile.identities:
                    together.identities[key] = profile.identities[key]
    return table_of(together)


def _alone(table: Table, other: Table) -> tuple[list[Level], list[Unit]]:
    """What the other table lacks: levels, and units by their topmost key."""
    known = {row.key for row in other}
    children: list[list[int]] = [[] for _ in table]
    for index, row in enumerate(table):
        if row.parent >= 0:
            children[row.parent].append(index)
    order = [index for index, row in enumerate(table) if row.parent < 0]
    for index in order:
        order.extend(children[index])
    nearest: dict[int, list[str]] = {}  # matched keys that are the first below
    for index in reversed(order):
        nearest[index] = [
            key
            for child in children[index]
            for key in ([table[child].key] if table[child].key in known else nearest[child])
        ]
    levels, units = [], []
    inside: set[int] = set()
    for index in order:
        row = table[index]
        if row.key in known or index in inside:
            continue
        if nearest[index]:
            levels.append(Level(row.key, tuple(nearest[index])))
            continue
        members = [index]
        for member in members:
            members.extend(children[member])
        inside.update(members)
        units.append(Unit(row.key, tuple(table[member].key for member in members)))
    return levels, units
