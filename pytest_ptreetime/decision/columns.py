"""The rounds of a session as columns: a value a key, for each metric and round. What profiles are made of."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence

from pytest_ptreetime.decision.packed_identities import PackedIdentities
from pytest_ptreetime.keys.identity import Identity

__all__ = ["Columns"]


class Columns:
    """What is known of ``number`` rounds.

    ``values[metric]`` has for each round the values of all ``keys``, NaN where the key did not occur or the metric was
    not known. ``parents`` has the position of each key's parent, -1 for none. A key that occurs in no round is there as
    the parent of others. Keys are in the order in which they occur first.

    :param identities: what the keys stand for, where that is known; or
    :param packed: the same, as a file has it. Each is made of the other when it is first asked for.
    """

    __slots__ = ("_identities", "_key_set", "_packed", "keys", "number", "parents", "values")

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
        self._key_set: frozenset[str] | None = None

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

    def of_rounds(self, places: Sequence[int]) -> Columns:
        """These of its rounds."""
        if list(places) == list(range(self.number)):
            return self
        values = {metric: [rounds[place] for place in places] for metric, rounds in self.values.items()}
        return Columns(self.keys, self.parents, values, len(places), self._identities, self._packed)

    @classmethod
    def with_parents(
        cls,
        keys: Sequence[str],
        parents: Mapping[str, str | None],
        values: Mapping[str, list[array[float]]],
        number: int,
        identities: dict[str, Identity] | None = None,
    ) -> Columns:
        """With parents by name; a parent that is not among the keys is added to them."""
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

    @property
    def parent_names(self) -> dict[str, str | None]:
        """The key of each key's parent."""
        names = [*self.keys, None]
        return {key: names[parent] for key, parent in zip(self.keys, self.parents, strict=True)}

    def keys_in_order(self, place: int) -> list[str]:
        """The keys that occurred in one round, in their order."""
        return self.keys if self._all_occurred(place) else list(self.counts(place))

    def column(self, metric: str, place: int, places: Sequence[int] | None, size: int) -> array[float]:
        """The values of one round for ``size`` keys, its own at ``places`` (-1: none); NaN elsewhere."""
        rounds = self.values.get(metric)
        if rounds is not None and places is None:
            return rounds[place][:]
        column = array("d", [math.nan]) * size
        if rounds is not None and places is not None:
            for own, value in zip(places, rounds[place], strict=True):
                if own >= 0:
                    column[own] = value
        return column

    def occurring(self, place: int) -> frozenset[str]:
        """The keys that occurred in one round."""
        if not self._all_occurred(place):
            return frozenset(self.totals(place))
        if self._key_set is None:
            self._key_set = frozenset(self.keys)
        return self._key_set

    def _all_occurred(self, place: int) -> bool:
        return "count" in self.values and not math.isnan(sum(self.values["count"][place]))

    def counts(self, place: int) -> dict[str, float]:
        """How often each key ran that occurred in one round, 1 where that is not known."""
        if self._all_occurred(place):
            return dict(zip(self.keys, self.values["count"][place], strict=True))
        return {key: known.get("count", 1.0) for key, known in self.totals(place).items()}

    def totals(self, place: int) -> dict[str, dict[str, float]]:
        """What is known of one round: for each key that occurred its values by metric."""
        metrics = list(self.values)
        rows = zip(*(self.values[metric][place] for metric in metrics), strict=True)
        totals = {}
        for key, row in zip(self.keys, rows, strict=False):  # no rows where there are no metrics
            known = {metric: value for metric, value in zip(metrics, row, strict=True) if value == value}
            if known:
                totals[key] = known
        return totals

    def __eq__(self, other: object) -> bool:
        """Whether they hold the same; NaN is itself here."""
        if not isinstance(other, Columns):
            return NotImplemented
        return self._all() == other._all()

    __hash__ = None  # type: ignore[assignment] # its columns can change

    def _all(self) -> tuple[object, ...]:
        values = {metric: [column.tobytes() for column in columns] for metric, columns in self.values.items()}
        return self.number, self.keys, self.parents, self.packed_identities, values
