"""A run's totals for each key and metric: what is compared and stored."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_ptreetime.decision.columns import Columns
from pytest_ptreetime.decision.command_words import starred
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.keys.identity import Identity
from pytest_ptreetime.metrics import METRICS, known_sums, no_sums
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.tree.critical_path import Segment, critical_segments, nodes_of

if TYPE_CHECKING:
    from pytest_ptreetime.keys.keyer import Keyer
    from pytest_ptreetime.tree.node import ProcessNode
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["METRICS", "Identity", "Profile", "columns_of"]

_Value = TypeVar("_Value")

_PLACES = {metric: place for place, metric in enumerate(("count", *METRICS))}

#: A wait below this many seconds is not noted: it is the time that any program takes to start and to end.
LEAST_WAIT = 0.001


class Profile:
    """One run, by key.

    ``totals[key][metric]``: ``count`` is the number of nodes, the others are the metrics of metrics.py in their units:
    sums, of ``max_rss`` the largest. ``waiting`` are the seconds in which the build waited for these nodes and they
    neither ran nor wanted to. What is the whole build's (``peak_memory``) is in the root's row. A metric that no
    node of the key knows is absent; one that only some know is the sum of those, but for ``instructions``,
    which are then absent too. ``parents`` has the key of what started the node, by a fork or by becoming it (exec),
    None for the root's; following them always ends.
    ``critical_path`` are the keys along it (tree/critical_path.py), by time, each once. ``outside`` are the processor
    seconds of processes outside the tree that worked for it, by name.

    A round of a stored session is a view: it is a place in the session's columns, and the rest is made when it is used.
    """

    def __init__(
        self,
        totals: dict[str, dict[str, float]],
        parents: dict[str, str | None] | None = None,
        incomplete_reason: str | None = None,
        critical_path: Sequence[str] = (),
        identities: dict[str, Identity] | None = None,
        outside: dict[str, float] | None = None,
    ) -> None:
        self._view: tuple[Columns, int] | None = None
        self.totals, self.parents = totals, {} if parents is None else parents
        self.identities = {} if identities is None else identities
        self.incomplete_reason, self.critical_path = incomplete_reason, list(critical_path)
        self.outside = outside or {}

    @classmethod
    def of_round(
        cls, columns: Columns, place: int, incomplete_reason: str | None = None, critical_path: Sequence[str] = ()
    ) -> Profile:
        """A view of one round of ``columns``."""
        made = cls.__new__(cls)
        made._view = columns, place
        made.incomplete_reason, made.critical_path = incomplete_reason, list(critical_path)
        made.outside = {}
        return made

    @classmethod
    def rounds_of(cls, columns: Columns) -> list[Profile]:
        """A view of each round."""
        return [cls.of_round(columns, place) for place in range(columns.number)]

    def view(self) -> tuple[Columns, int]:
        """The columns that have this run, and its place in them."""
        return self._view or (_own_columns(self), 0)

    def keys(self) -> frozenset[str]:
        """The keys of the nodes that ran."""
        return frozenset(self.totals) if self._view is None else self._view[0].occurring(self._view[1])

    def counts(self) -> dict[str, float]:
        """How often each key ran, 1 where that is not known."""
        if self._view is not None:
            return self._view[0].counts(self._view[1])
        return {key: known.get("count", 1.0) for key, known in self.totals.items()}

    @cached_property
    def totals(self) -> dict[str, dict[str, float]]:
        """For each key its values by metric."""
        columns, place = self.view()
        return columns.totals(place)

    @cached_property
    def parents(self) -> dict[str, str | None]:
        """For each key that of its parent."""
        return self._of_those_that_occur(self.view()[0].parent_names)

    @cached_property
    def identities(self) -> dict[str, Identity]:
        """What the keys stand for, where that is known."""
        return self._of_those_that_occur(self.view()[0].identities)

    def _of_those_that_occur(self, values: dict[str, _Value]) -> dict[str, _Value]:
        occurring = self.keys()
        return {key: value for key, value in values.items() if key in occurring}

    def __eq__(self, other: object) -> bool:
        return self._all() == other._all() if isinstance(other, Profile) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # it can change

    def __repr__(self) -> str:
        return f"Profile({self.totals!r}, {self.parents!r})"

    def _all(self) -> tuple[object, ...]:
        return self.totals, self.parents, self.incomplete_reason, self.critical_path, self.identities, self.outside

    @classmethod
    @without_collector()
    def from_tree(cls, tree: ProcessTree, keyer: Keyer | None = None, *, comparable: bool = True) -> Profile:
        """The totals of ``tree``.

        :param keyer: how nodes are named; the default rules without it.
        :param comparable: with what the keys stand for, which is what a comparison finds them again by. Without it, for
            those who only show figures, a profile of a hundred thousand keys is made in half of the time.
        """
        from pytest_ptreetime.keys.keyer import Keyer

        keyer = keyer or Keyer()
        keys, identities = keyer.named(tree) if comparable else (keyer.keys_in_preorder(tree), {})
        key_of = dict(zip(tree, keys, strict=True))
        sums: dict[str, list[int]] = {}
        one_parent: dict[str, str | None] = {}
        candidates: dict[str, set[str | None]] = {}  # of those keys that have several
        for node, key in key_of.items():
            of_key = sums.get(key)
            above = node.previous_image or node.parent  # what becomes another program stands in front of it
            parent = None if above is None else key_of[above]
            if of_key is None:
                of_key = sums[key] = no_sums()
                one_parent[key] = parent
            elif parent != one_parent[key]:
                candidates.setdefault(key, {one_parent[key]}).add(parent)
            node.add_metrics(of_key)
        totals = {key: {"count": float(of_key[0]), **known_sums(of_key)} for key, of_key in sums.items()}
        memory_bytes = tree.peak_memory_bytes
        if memory_bytes is not None:
            totals[keys[0]]["peak_memory"] = float(memory_bytes)
        segments = critical_segments(tree)
        for node, seconds in _waits(segments):
            row = totals[key_of[node]]
            row["waiting"] = row.get("waiting", 0.0) + seconds
        return cls(
            totals=totals,
            parents=_one_parent_each(one_parent, candidates),
            incomplete_reason=tree.incomplete_reason,
            critical_path=list(dict.fromkeys(map(key_of.__getitem__, nodes_of(segments)))),
            identities=identities,
            outside=_used_outside(tree),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Mapping[str, Any]]) -> Profile:
        """A profile from ``{key: {metric: value}}``; an entry ``"parent": key`` names the parent.

        ``cpu`` is the sum of ``user`` and ``sys`` where it is not given.
        Without a ``parent`` it is the one key whose names, the arguments in brackets aside, are the longest part of the
        key's up to a ``/``: ``make/gcc[-c a.c]`` of ``make/gcc/cc1[a.c]``.

        :raises UsageError: a value is not a number, or the parents form a cycle.
        """
        totals: dict[str, dict[str, float]] = {}
        parents: dict[str, str | None] = {}
        by_names: dict[str, list[str]] = {}
        for key in data:
            by_names.setdefault(_names(key), []).append(key)
        for key, entries in data.items():
            totals[key] = {}
            for metric, value in entries.items():
                if metric == "parent":
                    continue
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    raise UsageError(f"profile: {metric} of {key!r} is {value!r}: give a number")
                totals[key][metric] = float(value)
            if "cpu" not in entries and "user" in entries and "sys" in entries:
                totals[key]["cpu"] = totals[key]["user"] + totals[key]["sys"]
            parent = entries.get("parent")
            if parent is not None and not isinstance(parent, str):
                raise UsageError(f"profile: the parent of {key!r} is {parent!r}: give a key")
            parents[key] = parent if "parent" in entries else _parent_by_path(key, by_names)
        for key in _circles(parents):
            raise UsageError(f"profile: {key!r} is its own ancestor: correct the parents")
        return cls(totals=totals, parents=parents)


def columns_of(profiles: Sequence[Profile]) -> Columns:
    """Rounds put together; where parents differ the last round's are taken, where words differ ``*``."""
    views = [profile.view() for profile in profiles]
    if views and all(columns is views[0][0] for columns, _ in views):
        return views[0][0].of_rounds([place for _, place in views])
    parents: dict[str, str | None] = {}
    for profile in profiles:
        parents.update(profile.parents)
    identities = _common_identities(profiles)
    keys = list(dict.fromkeys(chain(identities, *(columns.keys_in_order(place) for columns, place in views))))
    present = dict.fromkeys(chain.from_iterable(columns.values for columns, _ in views))
    metrics = sorted(present, key=lambda metric: _PLACES.get(metric, len(_PLACES)))
    index = {key: position for position, key in enumerate(keys)}
    values: dict[str, list[array[float]]] = {metric: [] for metric in metrics}
    for columns, place in views:
        own = None if columns.keys == keys else [index.get(key, -1) for key in columns.keys]
        for metric in metrics:
            values[metric].append(columns.column(metric, place, own, len(keys)))
    return Columns.with_parents(keys, parents, values, len(profiles), identities)


def _own_columns(profile: Profile) -> Columns:
    """Those of one round that is no view: in the order of its identities, as far as they are known."""
    totals, identities = profile.totals, profile.identities
    keys = list(dict.fromkeys(chain(filter(totals.__contains__, identities), totals)))
    present = dict.fromkeys(chain.from_iterable(totals.values()))
    metrics = sorted(present, key=lambda metric: _PLACES.get(metric, len(_PLACES)))
    values = {metric: [array("d", [totals[key].get(metric, math.nan) for key in keys])] for metric in metrics}
    return Columns.with_parents(keys, profile.parents, values, 1, {k: identities[k] for k in keys if k in identities})


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


def _used_outside(tree: ProcessTree) -> dict[str, float]:
    used: dict[str, float] = {}
    for process in tree.outside:
        used[process.name] = used.get(process.name, 0.0) + process.cpu
    return used


def _waits(segments: Sequence[Segment]) -> list[tuple[ProcessNode, float]]:
    """The nodes that the build waited for, and how long they neither ran nor were in the run queue meanwhile."""
    waited: dict[ProcessNode, float] = {}
    for segment in segments:
        waited[segment.node] = waited.get(segment.node, 0.0) + segment.seconds
    idle = _Idle(waited)
    waits = []
    for node, most in waited.items():
        seconds = idle[node] if most >= LEAST_WAIT else 0.0
        above = node.parent
        while above is not None and seconds >= LEAST_WAIT:  # what ran above it meanwhile: a tracer (proot, strace)
            ran = min(max(-idle[above], 0.0), seconds)
            idle[above] += ran
            seconds -= ran
            above = above.parent
        if seconds >= LEAST_WAIT:
            waits.append((node, seconds))
    return waits


class _Idle(dict["ProcessNode", float]):
    """The seconds that the build waited for a node, without those in which it ran or wanted to; 0 if not known."""

    def __init__(self, waited: Mapping[ProcessNode, float]) -> None:
        super().__init__()
        self._waited = waited

    def __missing__(self, node: ProcessNode) -> float:
        cpu = node.cpu if node in self._waited else None
        self[node] = idle = 0.0 if cpu is None else self._waited[node] - (cpu + (node.run_delay or 0.0))
        return idle


def _one_parent_each(
    parents: dict[str, str | None], candidates: Mapping[str, set[str | None]]
) -> dict[str, str | None]:
    """One parent for each key, the same whatever the order in which the nodes came, and no circles.

    Nodes of one key can have parents of several keys (where a wrapper is used here and not there, or a shell forks
    itself): the one of ``candidates`` that sorts first is taken. Two wrappers around each other in both orders make a
    circle: the first of its keys gets no parent.
    """
    for key, several in candidates.items():
        several.discard(key)
        several.discard(None)
        parents[key] = min(several, key=str)
    if candidates:
        for key in _circles(parents):
            parents[key] = None
    return parents


def _circles(parents: Mapping[str, str | None]) -> list[str]:
    """Of each circle of keys that are their own ancestors, the one that sorts first."""
    safe: set[str] = set()
    circles = []
    for start in parents:
        trail: dict[str, int] = {}
        key: str | None = start
        while key is not None and key not in safe and key not in trail:
            trail[key] = len(trail)
            key = parents.get(key)
        if key is not None and key in trail:
            circles.append(min(list(trail)[trail[key] :]))
        safe.update(trail)
    return circles


def _names(key: str) -> str:
    """The names of a key without the arguments in brackets: ``make/gcc`` of ``make/gcc[-c a.c]``."""
    names = key.partition("[")[0]
    return names + "[" if names == "" or names.endswith("/") else names  # there is a program called [


def _parent_by_path(key: str, by_names: Mapping[str, list[str]]) -> str | None:
    """The key whose names are the next part of ``key``'s; None where several have them, which is ambiguous."""
    prefix = _names(key)
    while "/" in prefix:
        prefix = prefix.rpartition("/")[0]
        found = by_names.get(prefix, [])
        if len(found) == 1:
            return found[0]
    return None
