"""Profiles under other keys: what falls together is added up."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence

from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.decision.rounds import Rounds
from pytest_ptreetime.metrics import metric_of

__all__ = ["rekeyed"]

Names = Mapping[str, str]


def rekeyed(rounds: Sequence[Profile], names: Names, identities: Mapping[str, Identity]) -> Sequence[Profile]:
    """``rounds`` with the keys of ``names``, whose keys are the old ones; the same objects where nothing changes.

    :param identities: of new keys, where they are not those of the first old one.
    """
    if not names:
        return rounds
    if isinstance(rounds, Rounds):
        return rounds if names.keys().isdisjoint(rounds.keys) else _rekeyed_columns(rounds, names, identities)
    return [
        profile if names.keys().isdisjoint(profile.totals) else _rekeyed(profile, names, identities)
        for profile in rounds
    ]


def _rekeyed(profile: Profile, names: Names, identities: Mapping[str, Identity]) -> Profile:
    totals: dict[str, dict[str, float]] = {}
    for key, values in profile.totals.items():
        new = names.get(key, key)
        known = totals.get(new)
        totals[new] = dict(values) if known is None else _sum(known, values)
    return Profile(
        totals=totals,
        parents=_parents(profile.parents, names),
        incomplete_reason=profile.incomplete_reason,
        critical_path=list(dict.fromkeys(names.get(key, key) for key in profile.critical_path)),
        identities=_identities(profile.identities, names, identities),
    )


def _sum(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    """Added up, or the larger (Metric.largest). What only one knows is that one's, as in Profile."""
    both = dict(one)
    for metric, value in other.items():
        if metric not in both:
            both[metric] = value
        else:
            both[metric] = max(both[metric], value) if metric_of(metric).largest else both[metric] + value
    return both


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


def _rekeyed_columns(rounds: Rounds, names: Names, identities: Mapping[str, Identity]) -> Rounds:
    keys = [names.get(key, key) for key in rounds.keys]
    index = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    places = [index[key] for key in keys]
    values = {
        metric: [_summed_columns(column, places, len(index), metric) for column in columns]
        for metric, columns in rounds.values.items()
    }
    of_old = {
        key: rounds.keys[parent] if parent >= 0 else None
        for key, parent in zip(rounds.keys, rounds.parents, strict=True)
    }
    parents = _parents(of_old, names)
    positions = [-1 if (above := parents[key]) is None else index[above] for key in index]
    return Rounds(list(index), positions, values, rounds.number, _identities(rounds.identities, names, identities))


def _summed_columns(column: array[float], places: Sequence[int], number: int, metric: str) -> array[float]:
    """As _sum(); NaN is what is not known."""
    new = array("d", [math.nan]) * number
    for place, value in zip(places, column, strict=True):
        known = new[place]
        if known != known:
            new[place] = value
        elif value == value:
            new[place] = max(known, value) if metric_of(metric).largest else known + value
    return new
