"""The rounds of one stored session as columns: what a store holds and a comparison takes, profiles only on demand."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import overload

from pytest_ptreetime.decision.profile import Profile

__all__ = ["Rounds"]


class Rounds(Sequence[Profile]):
    """A sequence of profiles, of which each is made when it is asked for.

    ``values[metric]`` has for each round the values of all ``keys``, NaN where the key did not occur or the metric was
    not known. ``parents`` has the position of each key's parent, -1 for none. A key that occurs in no round is there as
    the parent of others.
    """

    __slots__ = ("keys", "number", "parents", "values")

    def __init__(
        self, keys: list[str], parents: list[int], values: Mapping[str, list[array[float]]], number: int
    ) -> None:
        self.keys, self.parents, self.values, self.number = keys, parents, values, number

    @classmethod
    def of(cls, profiles: Sequence[Profile]) -> Rounds:
        """Those of ``profiles``, the keys sorted; where parents differ the last round's are taken."""
        parents: dict[str, str | None] = {}
        for profile in profiles:
            parents.update(profile.parents)
        keys = sorted({key for profile in profiles for key in profile.totals})
        rows = [[profile.totals.get(key, {}) for key in keys] for profile in profiles]
        metrics = sorted({metric for profile in profiles for row in profile.totals.values() for metric in row})
        values = {
            metric: [array("d", [row.get(metric, math.nan) for row in one_round]) for one_round in rows]
            for metric in metrics
        }
        return cls.with_parents(keys, parents, values, len(profiles))

    @classmethod
    def with_parents(
        cls,
        keys: Sequence[str],
        parents: Mapping[str, str | None],
        values: Mapping[str, list[array[float]]],
        number: int,
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
        return cls(list(index), positions + [-1] * unseen, values, number)

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
        return (self.number, self.keys, self.parents, self._bytes()) == (
            other.number,
            other.keys,
            other.parents,
            other._bytes(),
        )

    __hash__ = None  # type: ignore[assignment] # its columns can change

    def _bytes(self) -> dict[str, list[bytes]]:
        return {metric: [column.tobytes() for column in columns] for metric, columns in self.values.items()}

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
        return Profile(totals=totals, parents=parents)
