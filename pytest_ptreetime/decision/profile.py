"""A run's totals for each key and metric: what is compared and stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.keys.identity import Identity
from pytest_ptreetime.metrics import METRICS, known_sums, no_sums
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.tree.critical_path import Segment, critical_segments, nodes_of

if TYPE_CHECKING:
    from pytest_ptreetime.keys.keyer import Keyer
    from pytest_ptreetime.tree.node import ProcessNode
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["METRICS", "Identity", "Profile"]

#: A wait below this many seconds is not noted: it is the time that any program takes to start and to end.
LEAST_WAIT = 0.001


class Profile(msgspec.Struct):
    """One run, by key.

    ``totals[key][metric]``: ``count`` is the number of nodes, the others are the metrics of metrics.py in their units:
    sums, of ``max_rss`` the largest. ``waiting`` are the seconds in which the build waited for these nodes and they
    neither ran nor wanted to. What is the whole build's (``peak_memory``) is in the root's row. A metric that no
    node of the key knows is absent; one that only some know is the sum of those. ``parents`` has the key of what
    started the node, by a fork or by becoming it (exec), None for the root's; following them always ends.
    ``critical_path`` are the keys along it (tree/critical_path.py), by time, each once.
    """

    totals: dict[str, dict[str, float]]
    parents: dict[str, str | None] = {}
    incomplete_reason: str | None = None
    critical_path: list[str] = []
    identities: dict[str, Identity] = {}

    @classmethod
    def from_tree(cls, tree: ProcessTree, keyer: Keyer | None = None, *, comparable: bool = True) -> Profile:
        """The totals of ``tree``.

        :param keyer: how nodes are named; the default rules without it.
        :param comparable: with what the keys stand for, which is what a comparison finds them again by. Without it, for
            those who only show figures, a profile of a hundred thousand keys is made in half of the time.
        """
        from pytest_ptreetime.keys.keyer import Keyer

        keyer = keyer or Keyer()
        keys, identities = keyer.named(tree) if comparable else (keyer.keys_in_preorder(tree), {})
        key_of = dict(zip(map(id, tree), keys, strict=True))
        sums: dict[str, list[int]] = {}
        one_parent: dict[str, str | None] = {}
        candidates: dict[str, set[str | None]] = {}  # of those keys that have several
        with without_collector():
            for node, key in zip(tree, keys, strict=True):
                of_key = sums.get(key)
                above = node.previous_image or node.parent  # what becomes another program stands in front of it
                parent = None if above is None else key_of[id(above)]
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
            row = totals[key_of[id(node)]]
            row["waiting"] = row.get("waiting", 0.0) + seconds
        return cls(
            totals=totals,
            parents=_one_parent_each(one_parent, candidates),
            incomplete_reason=tree.incomplete_reason,
            critical_path=list(dict.fromkeys(key_of[id(node)] for node in nodes_of(segments))),
            identities=identities,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Mapping[str, Any]]) -> Profile:
        """A profile from ``{key: {metric: value}}``; an entry ``"parent": key`` names the parent.

        ``cpu`` is the sum of ``user`` and ``sys`` where it is not given.
        Without a ``parent`` it is the one key whose names, the arguments in brackets aside, are the longest part of the
        key's up to a ``/``: ``make/gcc[-c a.c]`` of ``make/gcc/cc1[a.c]``.

        :raises UsageError: a value is no number, or the parents go round in a circle.
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


def _waits(segments: Sequence[Segment]) -> list[tuple[ProcessNode, float]]:
    """The nodes that the build waited for, and how long they neither ran nor were in the run queue meanwhile."""
    waited: dict[int, tuple[ProcessNode, float]] = {}
    for segment in segments:
        seconds = waited.get(id(segment.node), (segment.node, 0.0))[1]
        waited[id(segment.node)] = (segment.node, seconds + segment.seconds)
    idle = {number: seconds - _busy(node) for number, (node, seconds) in waited.items() if node.cpu is not None}
    waits = []
    for number, (node, _) in waited.items():
        seconds = idle.get(number, 0.0)
        above = node.parent
        while above is not None and seconds >= LEAST_WAIT:  # what ran above it meanwhile: a tracer (proot, strace)
            ran = min(max(-idle.get(id(above), 0.0), 0.0), seconds)
            if ran:
                idle[id(above)] += ran
                seconds -= ran
            above = above.parent
        if seconds >= LEAST_WAIT:
            waits.append((node, seconds))
    return waits


def _busy(node: ProcessNode) -> float:
    """The seconds in which it ran or wanted to."""
    return (node.cpu or 0.0) + (node.run_delay or 0.0)


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
    """The key whose names are the next part of ``key``'s; where several have them, who it was can't be said."""
    prefix = _names(key)
    while "/" in prefix:
        prefix = prefix.rpartition("/")[0]
        found = by_names.get(prefix, [])
        if len(found) == 1:
            return found[0]
    return None
