"""The rounds of one stored session as columns: what a store holds and a comparison takes, profiles only on demand."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import overload

from pytest_ptreetime.decision.command_words import starred
from pytest_ptreetime.decision.packed_identities import PackedIdentities
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.metrics import METRICS

__all__ = ["Rounds"]

_PLACES = {metric: place for place, metric in enumerate(("count", *METRICS))}


class Rounds(Sequence[Profile]):
    """A sequence of profiles, of which each is made when it is asked for.

    ``values[metric]`` has for each round the values of all ``keys``, NaN where the key did not occur or the metric was
    not known. ``parents`` has the position of each key's parent, -1 for none. A key that occurs in no round is there as
    the parent of others. Keys are in the order in which they occur first. ``incomplete_reason`` and ``critical_path``
    are the last round's; stored rounds are complete, and have no path.

    :param identities: what the keys stand for, where that is known; or
    :param packed: the same, as a file has it. Each is made of the other when it is first asked for.
    """

    __slots__ = ("_identities", "_packed", "critical_path", "incomplete_reason", "keys", "number", "parents", "values")

    def __init__(
        self,
        keys: list[str],
        parents: list[int],
        values: Mapping[str, list[array[float]]],
        number: int,
        identities: dict[str, Identity] | None = None,
        packed: PackedIdentities | None = None,
    ) -> None:
        self.keys, self.parents, self.values, self.number = keys, parents, values, number
        self._identities, self._packed = identities, packed
        self.incomplete_reason: str | None = None
        self.critical_path: list[str] = []

    @property
    def identities(self) -> dict[str, Identity]:
        """What the keys stand for, those of all rounds."""
        if self._identities is None:
            self._identities = {} if self._packed is None else self._packed.unpacked(self.keys)
        return self._identities

    @property
    def packed_identities(self) -> PackedIdentities:
        """The same, as a file has it."""
        if self._packed is None:
            self._packed = PackedIdentities.of(self.keys, self.identities)
        return self._packed

    @classmethod
    def of(cls, profiles: Sequence[Profile]) -> Rounds:
        """Those of ``profiles``; where parents differ the last round's are taken, where words differ ``*``."""
        if isinstance(profiles, Rounds):
            return profiles
        parents: dict[str, str | None] = {}
        for profile in profiles:
            parents.update(profile.parents)
        identities = _common_identities(profiles)
        occurring = dict.fromkeys(chain.from_iterable(profile.totals for profile in profiles))
        keys = list(dict.fromkeys(chain(filter(occurring.__contains__, identities), occurring)))
        rows = [[profile.totals.get(key, {}) for key in keys] for profile in profiles]
        present = dict.fromkeys(chain.from_iterable(chain.from_iterable(rows)))
        metrics = sorted(present, key=lambda metric: _PLACES.get(metric, len(_PLACES)))
        values = {
            metric: [array("d", [row.get(metric, math.nan) for row in one_round]) for one_round in rows]
            for metric in metrics
        }
        rounds = cls.with_parents(keys, parents, values, len(profiles), identities)
        if profiles:
            rounds.incomplete_reason, rounds.critical_path = profiles[-1].incomplete_reason, profiles[-1].critical_path
        return rounds

    @classmethod
    def with_parents(
        cls,
        keys: Sequence[str],
        parents: Mapping[str, str | None],
        values: Mapping[str, list[array[float]]],
        number: int,
        identities: dict[str, Identity] | None = None,
    ) -> Rounds:
        """With parents by name; one that is no key becomes one."""
        names = [parents.get(key) for key in keys]
        index = {key: position for position, key in enumerate(keys)}
        for name in names:
            if name is not None:
                index.setdefault(name, len(index))
        unseen = len(index) - len(keys)
        for columns in values.values():
            for column in columns:
                column.extend([math.nan] * unseen)
        positions = [-1 if name is None else index[name] for name in names]
        return cls(list(index), positions + [-1] * unseen, values, number, identities)

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[Profile]:
        return (self._profile(place) for place in range(self.number))

    @overload
    def __getitem__(self, index: int) -> Profile: ...
    @overload
    def __getitem__(self, index: slice) -> list[Profile]: ...
    def __getitem__(self, index: int | slice) -> Profile | list[Profile]:
        places = range(self.number)[index]
        return self._profile(places) if isinstance(places, int) else [self._profile(place) for place in places]

    def __eq__(self, other: object) -> bool:
        """Whether they hold the same; NaN is itself here."""
        if not isinstance(other, Rounds):
            return NotImplemented
        return self._all() == other._all()

    __hash__ = None  # type: ignore[assignment] # its columns can change

    def _all(self) -> tuple[object, ...]:
        values = {metric: [column.tobytes() for column in columns] for metric, columns in self.values.items()}
        return self.number, self.keys, self.parents, self.packed_identities, values

    def _profile(self, place: int) -> Profile:
        metrics = list(self.values)
        rows = zip(*(self.values[metric][place] for metric in metrics), strict=True)
        totals = {}
        for key, row in zip(self.keys, rows, strict=False):  # no rows where there are no metrics
            known = {metric: value for metric, value in zip(metrics, row, strict=True) if value == value}
            if known:
                totals[key] = known
        parents = {
            key: self.keys[parent] if parent >= 0 else None
            for key, parent in zip(self.keys, self.parents, strict=True)
            if key in totals
        }
        identities = self.identities
        if len(totals) < len(self.keys):
            identities = {key: identity for key, identity in identities.items() if key in totals}
        return Profile(totals=totals, parents=parents, identities=identities)


def _common_identities(profiles: Sequence[Profile]) -> dict[str, Identity]:
    """Those of all rounds, in the order in which they occur first; a word that differs between them is ``*``."""
    common: dict[str, Identity] = {}
    for profile in profiles:
        for key, identity in profile.identities.items():
            known = common.setdefault(key, identity)
            if known.words != identity.words and len(known.words) == len(identity.words):
                words = zip(known.words, identity.words, strict=True)
                stable = tuple([starred(one, other) or "*" for one, other in words])
                common[key] = Identity(known.name, known.subject, stable)
    return common
