"""Profiles under other keys: what falls together is added up."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence

from pytest_ptreetime.decision.columns import Columns
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.metrics import metric_of

__all__ = ["rekeyed"]

Names = Mapping[str, str]


def rekeyed(rounds: Sequence[Profile], names: Names, identities: Mapping[str, Identity]) -> Sequence[Profile]:
    """``rounds`` with the keys of ``names``, whose keys are the old ones; the same objects where nothing changes.

    :param identities: of new keys, where they are not those of the first old one.
    """
    if not names:
        return rounds
    done: dict[int, tuple[Columns, Columns]] = {}  # by the identity of the old one, which is kept
    new = []
    for profile in rounds:
        columns, place = profile.view()
        if names.keys().isdisjoint(columns.keys):
            new.append(profile)
            continue
        if id(columns) not in done:
            done[id(columns)] = columns, _rekeyed(columns, names, identities)
        path = dict.fromkeys(names.get(key, key) for key in profile.critical_path)
        renamed = Profile.of_round(done[id(columns)][1], place, profile.incomplete_reason, list(path))
        renamed.outside = profile.outside
        new.append(renamed)
    return new


def _parents(parents: Mapping[str, str | None], names: Names) -> dict[str, str | None]:
    """Each new key's parent. Of several the first that is another key, and that does not lead back to the key."""
    new: dict[str, str | None] = {}
    for key, parent in parents.items():
        own, above = names.get(key, key), None if parent is None else names.get(parent, parent)
        if new.get(own) is None:
            new[own] = None if above is None or _leads_to(own, above, new) else above
    return new


def _leads_to(key: str, start: str, parents: Mapping[str, str | None]) -> bool:
    above: str | None = start
    while above is not None and above != key:
        above = parents.get(above)
    return above == key


def _identities(of_old: Mapping[str, Identity], names: Names, of_new: Mapping[str, Identity]) -> dict[str, Identity]:
    new: dict[str, Identity] = {}
    for key, identity in of_old.items():
        own = names.get(key, key)
        new.setdefault(own, of_new.get(own, identity))
    return new


def _rekeyed(old: Columns, names: Names, identities: Mapping[str, Identity]) -> Columns:
    keys = [names.get(key, key) for key in old.keys]
    index = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    places = [index[key] for key in keys]
    values = {
        metric: [_summed(column, places, len(index), largest=metric_of(metric).largest) for column in columns]
        for metric, columns in old.values.items()
    }
    parents = _parents(old.parent_names, names)
    positions = [-1 if (above := parents[key]) is None else index[above] for key in index]
    return Columns(list(index), positions, values, old.number, _identities(old.identities, names, identities))


def _summed(column: array[float], places: Sequence[int], number: int, *, largest: bool) -> array[float]:
    """Added up, or the largest; what only one knows is that one's. NaN is what is not known."""
    new = array("d", [math.nan]) * number
    for place, value in zip(places, column, strict=True):
        known = new[place]
        if known != known:
            new[place] = value
        elif value == value:
            new[place] = max(known, value) if largest else known + value
    return new
