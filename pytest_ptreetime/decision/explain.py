"""Which findings are causes, and what follows from them: one cause, one finding.

- A process's wall time contains its children's: where descendants' findings account for it, the largest explains it.
- User, system and wall time of a node follow its cpu time; all of them follow its count.
- A process slower by what all are slower, and the build as a whole, need no cause of their own; nor does the wall time
  of what waited.
- More wall time at the same cpu time, spent in the run queue, is contention.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.finding import BUILD_KEY, COMMON_KEY, Finding
from pytest_ptreetime.decision.metric_noise import metric_noise

__all__ = ["BuildChange", "explain", "label_of", "mark_contention", "subtree_sums"]

Array = npt.NDArray[np.float64]

#: Of one node's findings, the earlier metric explains the later.
_CAUSES_FIRST = ("count", "cpu", "user", "sys", "wall")
#: A parent is explained when no more than this part of its change is left over by its descendants' findings.
LEFT_OVER = 0.3
#: The build as a whole is explained by findings of its processes that account for this part of its change.
ACCOUNTED = 0.3
#: Contention: at least this part of the wall time was waiting for a processor, and cpu grew by no more than that part.
WAITED_PART = 0.5
FLAT_CPU_PART = 0.25


@dataclass(frozen=True)
class BuildChange:
    """How the whole build changed: amounts of a round for each metric and key, at the baseline's machine speed."""

    keys: list[str]
    parents: npt.NDArray[np.intp]
    before: Mapping[str, Array]
    now: Mapping[str, Array]

    def difference(self, metric: str) -> Array | None:
        """Of each key; 0 where it is not known."""
        if metric not in self.now:
            return None
        return np.asarray(np.nan_to_num(self.now[metric]) - np.nan_to_num(self.before[metric]), dtype=float)

    def total(self, metric: str) -> float | None:
        """Of the build: the roots' for a metric that contains the children's, else the sum."""
        difference = self.difference(metric)
        if difference is None:
            return None
        return float(difference[self.parents < 0].sum() if metric_noise(metric).cumulative else difference.sum())

    def amount_before(self, metric: str) -> float | None:
        """Of the build, before: the roots' for a metric that contains the children's, else the sum."""
        if metric not in self.before:
            return None
        amounts = np.nan_to_num(self.before[metric])
        return float(amounts[self.parents < 0].sum() if metric_noise(metric).cumulative else amounts.sum())

    def subtree_sums(self, metric: str) -> Array | None:
        """The difference of each key and everything below it."""
        difference = self.difference(metric)
        if difference is None:
            return None
        return subtree_sums(difference, self.parents)

    def deepest_first(self) -> list[int]:
        """All keys, children before their parents."""
        return deepest_first(self.parents)


def subtree_sums(amounts: Array, parents: npt.NDArray[np.intp]) -> Array:
    """Of each position and everything below it."""
    sums: Array = amounts.copy()
    for position in deepest_first(parents):
        parent = int(parents[position])
        if parent >= 0:
            sums[parent] += sums[position]
    return sums


def deepest_first(parents: npt.NDArray[np.intp]) -> list[int]:
    """All positions, children before their parents."""
    children: dict[int, list[int]] = {}
    for position, parent in enumerate(parents.tolist()):
        children.setdefault(parent if parent >= 0 else -1, []).append(position)
    levels = [children.get(-1, [])]
    while levels[-1]:
        levels.append(sorted(child for parent in levels[-1] for child in children.get(parent, ())))
    return [position for level in reversed(levels) for position in level]


def label_of(key: str, parent: str | None) -> str:
    """The node's own part of a key: ``cc1 src/lvm.c`` of ``make/gcc/cc1[src/lvm.c]`` (keys/keyer.py)."""
    path, bracket, arguments = key.partition("[")
    name = path.rpartition("/")[2]
    if bracket:
        return f"{name} {arguments.removesuffix(']')}".rstrip()
    if parent is not None and key.startswith(parent + "/"):
        return key[len(parent) + 1 :]
    return name or key


def explain(findings: Sequence[Finding], build: BuildChange, whole_drivers: Collection[int] = ()) -> None:
    """Fill in ``explained_by`` of every finding.

    :param whole_drivers: positions whose cpu time is that of all that they run (driver_steps.py).
    """
    index = {key: position for position, key in enumerate(build.keys)}
    _explain_by_common_shift(findings)
    _explain_by_steps(findings, build, index, whole_drivers)
    _explain_by_own_metrics(findings)
    _explain_by_waiting(findings)
    _explain_wall_by_descendants(findings, build, index)
    _explain_build(findings)
    _follow_to_causes(findings)


def _explained(finding: Finding, cause: Finding) -> None:
    finding.explained_by, finding.explained_by_metric = cause.key, cause.metric


def _same_direction(one: Finding, other: Finding) -> bool:
    return (one.current > one.baseline) == (other.current > other.baseline)


def _explain_by_common_shift(findings: Sequence[Finding]) -> None:
    """What is slower by what all are slower: the shared factor lies in the node's interval."""
    shared = {finding.metric: finding for finding in findings if finding.key == COMMON_KEY}
    for finding in findings:
        cause = shared.get(finding.metric)
        if cause is None or finding is cause or finding.interval is None or cause.ratio is None:
            continue
        if finding.interval[0] <= cause.ratio <= finding.interval[1] and finding.against == cause.against:
            _explained(finding, cause)


def _explain_by_steps(
    findings: Sequence[Finding], build: BuildChange, index: Mapping[str, int], whole_drivers: Collection[int]
) -> None:
    """A driver that is compared with all that it runs: by the steps below it that are new, or gone."""
    steps: dict[int, list[Finding]] = {}
    for step in findings:
        position = index.get(step.key, -1) if step.metric == "count" and step.is_cause and step.cost else -1
        while position >= 0:
            if position in whole_drivers:
                steps.setdefault(position, []).append(step)
            position = int(build.parents[position])
    for finding in findings:
        change = finding.current - finding.baseline
        causes = [one for one in steps.get(index.get(finding.key, -1), ()) if (one.cost or 0.0) * change > 0]
        if finding.metric == "cpu" and causes:
            dearest = max(causes, key=lambda one: abs(one.cost or 0.0))
            if sum(abs(one.cost or 0.0) for one in causes) >= (1 - LEFT_OVER) * abs(change):
                _explained(finding, dearest)


def _explain_by_own_metrics(findings: Sequence[Finding]) -> None:
    by_key: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.metric in _CAUSES_FIRST:
            by_key.setdefault(finding.key, []).append(finding)
    for own in by_key.values():
        own.sort(key=lambda finding: (_CAUSES_FIRST.index(finding.metric), finding.against))
        for position, finding in enumerate(own):
            cause = next((earlier for earlier in own[:position] if _same_direction(earlier, finding)), None)
            if cause is not None and finding.explained_by is None:
                _explained(finding, cause)


def _explain_build(findings: Sequence[Finding]) -> None:
    """The build as a whole costs more because its processes do: by the costliest of those that account for it."""
    whole = next((finding for finding in findings if finding.key == BUILD_KEY), None)
    if whole is None:
        return
    causes = [f for f in findings if f.is_cause and f is not whole and f.cost_metric == "cpu" and f.cost]
    causes = [f for f in causes if f.key != whole.key and ((f.cost or 0.0) > 0) == (whole.current > whole.baseline)]
    if sum(abs(f.cost or 0.0) for f in causes) >= ACCOUNTED * abs(whole.current - whole.baseline):
        _explained(whole, max(causes, key=lambda f: (f.key == COMMON_KEY, abs(f.cost or 0.0))))


def _explain_by_waiting(findings: Sequence[Finding]) -> None:
    """The wall times that grew because the build waited follow from that, wherever on the path they are."""
    cause = next((finding for finding in findings if finding.waited is not None), None)
    if cause is None or cause.explained_by is not None:
        return
    worked = {finding.key for finding in findings if finding.metric in ("cpu", "count")}
    for finding in findings:
        same = finding.metric == "wall" and finding is not cause and _same_direction(finding, cause)
        if same and finding.explained_by is None and finding.key not in worked:
            _explained(finding, cause)


@dataclass
class _Below:
    """The causes among a node's descendants that make it slower (or faster): what they cost, and the costliest."""

    cost: float = 0.0
    costliest: float = 0.0
    rank: int = 0
    cause: Finding | None = None

    def add(self, cost: float, costliest: float, rank: int, cause: Finding) -> None:
        self.cost += cost
        if self.cause is None or (abs(costliest), -rank) > (abs(self.costliest), -self.rank):
            self.costliest, self.rank, self.cause = costliest, rank, cause


def _explain_wall_by_descendants(findings: Sequence[Finding], build: BuildChange, index: Mapping[str, int]) -> None:
    """From the leaves up: a parent's wall time against what the causes below it cost."""
    walls = {index[finding.key]: finding for finding in findings if finding.metric == "wall" and finding.key in index}
    wall = build.difference("wall")
    if not walls or wall is None:
        return
    own: dict[int, list[tuple[int, Finding]]] = {}
    for rank, finding in enumerate(findings):
        if finding.key in index and finding.metric in _CAUSES_FIRST:
            own.setdefault(index[finding.key], []).append((rank, finding))
    below: dict[int, tuple[_Below, _Below]] = {}
    for position in build.deepest_first():
        found = below.pop(position, None)
        if found is not None and position in walls:
            _explain_by_what_is_below(walls[position], float(wall[position]), found)
        causes = [one for one in own.get(position, ()) if one[1].explained_by is None]
        if not causes:  # what is slower as all are makes what waits for it slower
            causes = [one for one in own.get(position, ()) if one[1].explained_by == COMMON_KEY][:1]
        parent = int(build.parents[position])
        if parent < 0 or not (causes or found):
            continue
        sums = below.setdefault(parent, (_Below(), _Below()))
        for rank, cause in causes:
            # what it costs its ancestors is wall time; a node without one has at least its cpu time
            cost = float(wall[position]) or (cause.cost or 0.0)
            if cost:
                sums[cost > 0].add(cost, cost, rank, cause)
        for into, part in zip(sums, found or (), strict=False):
            if part.cause is not None:
                into.add(part.cost, part.costliest, part.rank, part.cause)


def _explain_by_what_is_below(finding: Finding, change: float, below: tuple[_Below, _Below]) -> None:
    change = change or (finding.current - finding.baseline)
    causes = below[change > 0]
    if finding.explained_by is not None or causes.cause is None:
        return
    if abs(change) - abs(causes.cost) <= LEFT_OVER * abs(change):
        _explained(finding, causes.cause)


def _follow_to_causes(findings: Sequence[Finding]) -> None:
    """Explanations name the cause itself, not a step on the way."""
    by_name = {(finding.key, finding.metric): finding for finding in reversed(findings)}
    for finding in findings:
        seen = {(finding.key, finding.metric)}
        while finding.explained_by is not None:
            step = (finding.explained_by, finding.explained_by_metric or "")
            cause = by_name.get(step)
            if step in seen or cause is None or cause.explained_by is None:
                break
            seen.add(step)
            finding.explained_by, finding.explained_by_metric = cause.explained_by, cause.explained_by_metric


def mark_contention(findings: Sequence[Finding], build: BuildChange) -> None:
    """Mark the findings of wall time that waiting for a processor accounts for, while the work stayed the same."""
    waited, worked = build.subtree_sums("run_delay"), build.subtree_sums("cpu")
    if waited is None or worked is None:
        return
    index = {key: position for position, key in enumerate(build.keys)}
    more_work = {f.key for f in findings if f.metric in ("cpu", "user", "sys", "count") and f.is_worse}
    for finding in findings:
        if finding.metric != "wall" or finding.kind != "regression" or finding.key in more_work:
            continue
        if finding.waited is not None:  # for something else than a processor
            continue
        position = index.get(finding.key)
        roots = build.parents < 0
        waiting = float(waited[roots].sum()) if position is None else float(waited[position])
        working = float(worked[roots].sum()) if position is None else float(worked[position])
        change = float(build.total("wall") or 0.0) if position is None else finding.current - finding.baseline
        if waiting >= WAITED_PART * change > 0 and working <= FLAT_CPU_PART * change:
            finding.contention = True
