"""What a difference of structure costs, and whether that fails a build.

A difference is judged by the processor time that it adds to the build, not by being one. In these words:

- A *level* is a program on one side only with matched programs below it: a wrapper. It is told, with its own cost; what
  is below it is compared with itself.
- A *unit* is a program on one side only with nothing matched below: with all that it starts it is one thing, a driver
  and its compiler; of a script or a ``make`` each compilation is one by itself. Units are summed by the class of their
  program, so that thirty small ones count as what they cost.
- What a program does *again*, the same file compiled twice, is a fault by itself, whatever else the build saves.

Added units fail where their sum is at least the minimum effect of the build's cpu, what was added less what was removed
is, too, and the build as a whole did not become much cheaper. Removed ones never fail, and are worth a finding where
what was removed less what was added is as much: renaming is no improvement. Programs that do little but start, an
``echo`` in each recipe, have to add up to ten times as many seconds: of a small build the start of a process is much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.explain import subtree_sums
from pytest_ptreetime.decision.finding import Finding
from pytest_ptreetime.decision.profile import Identity
from pytest_ptreetime.decision.programs import is_driver, is_told_by_its_file, program_class
from pytest_ptreetime.decision.structure import CountChange
from pytest_ptreetime.keys.identity import FORK, main_file

__all__ = ["Sides", "StructureLimits", "judge_structure"]

Array = npt.NDArray[np.float64]
Parents = npt.NDArray[np.intp]

#: Work done again fails from this part of the build's cpu on, where the program is known to do work.
AGAIN_PART = 0.001
#: The least amount is that of :class:`StructureLimits`, or this part of the build's cpu where the build is tiny.
TINY_PART = 0.1
#: A program whose run costs no more than this (seconds) does little but start: an ``echo``, a ``mkdir``, a ``sh -c``.
#: Such ones fail where they add up to so many times the least amount.
ONLY_STARTS = 0.003
STARTS_FACTOR = 10
#: A build that became cheaper by this part and by more than what was added does not fail for what was added.
CHEAPER_PART = 0.1
#: What a wrapper starts besides what it wraps belongs to it, but for work: from this part of the build's cpu on.
HELPERS_PART = 0.1
#: What replaces something, a renamed file, costs as much but for the noise of both: this part of it.
REPLACED_NOISE = 0.25
#: A driver that changed by this part of what its steps cost does their work itself, or did.
TAKEN_OVER = 0.5
#: Subjects that say nothing of what a run works on.
_NO_SUBJECT = frozenset({"", FORK})


@dataclass(frozen=True)
class StructureLimits:
    """The smallest cost that matters: this part of the build's cpu, and no less than so many seconds."""

    part: float = 0.01
    seconds: float = 0.010


@dataclass(frozen=True)
class Sides:
    """Typical rounds of both sides, by position; cpu in seconds a round, at the baseline's machine speed."""

    keys: Sequence[str]
    identities: Mapping[str, Identity]
    parents_before: Parents
    parents_now: Parents
    cpu_before: Array
    cpu_now: Array
    counts_before: Array
    counts_now: Array
    cpu_known: bool = True

    @property
    def build_before(self) -> float:
        return float(self.cpu_before.sum())

    @property
    def build_now(self) -> float:
        return float(self.cpu_now.sum())

    @cached_property
    def both(self) -> npt.NDArray[np.bool_]:
        """Which keys run on both sides."""
        return np.asarray((self.counts_before > 0) & (self.counts_now > 0))

    @cached_property
    def below_before(self) -> Array:
        """The cpu of each key and everything below it, before."""
        return subtree_sums(self.cpu_before, self.parents_before)

    @cached_property
    def below_now(self) -> Array:
        """The same now."""
        return subtree_sums(self.cpu_now, self.parents_now)

    def name(self, position: int) -> str:
        """The program's."""
        return self.identity(position).name

    def identity(self, position: int) -> Identity:
        key = self.keys[position]
        return self.identities.get(key) or Identity.of_key(key)


@dataclass
class _Unit:
    """One topmost difference and what belongs to it."""

    change: CountChange
    members: list[int]
    cost: float
    costliest: int
    again: bool = False
    helper: bool = False

    @property
    def is_worse(self) -> bool:
        return self.change.now > self.change.before


@dataclass
class _Level:
    position: int
    cost: float
    added: bool


@dataclass
class _Found:
    units: list[_Unit] = field(default_factory=list)
    levels: list[_Level] = field(default_factory=list)


def judge_structure(changes: Sequence[CountChange], sides: Sides, limits: StructureLimits) -> list[Finding]:
    """A finding for each unit, level and changed count; those that are no reason to fail have ``matters`` false.

    The costliest program of a unit stands for it; the others of the unit are explained by it.
    """
    found = _Found()
    by_position = {change.position: change for change in changes}
    for added in (True, False):
        _collect(by_position, sides, found, added=added)
    _collect_counts(by_position, sides, found)
    grave = _grave(found, sides, limits)
    findings = []
    for unit in found.units:
        findings += _findings_of(unit, by_position, sides, matters=id(unit) in grave)
    findings += [_finding_of_level(level, by_position[level.position], sides) for level in found.levels]
    return findings


def _collect(changes: Mapping[int, CountChange], sides: Sides, found: _Found, *, added: bool) -> None:
    """Units and levels of one side: those that are only now there, or only were before."""
    kind = "added" if added else "removed"
    parents = sides.parents_now if added else sides.parents_before
    own, cpu = {n for n, change in changes.items() if change.kind == kind}, sides.cpu_now if added else sides.cpu_before
    if not own:
        return
    levels = own & _above(np.flatnonzero(sides.both), parents)
    matched = _subjects(sides) if added else set()
    steps = _steps(own - levels, parents, sides)
    children = _children(own - levels - steps, parents)
    for position in sorted(own):
        parent = int(parents[position])
        if position in levels:
            found.levels.append(_Level(position, float(cpu[position]), added))
            continue
        if parent in own and parent not in levels and position not in steps:
            continue
        members = _members(position, children)
        cost = float(cpu[members].sum())
        driver = _driver_above(position, parents, sides)
        if driver >= 0:
            cost = min(cost, _change_of_driver(driver, cost, sides, added=added))
        costliest = max(members, key=lambda member: (cpu[member], -member))
        name = sides.name(costliest)
        identity = sides.identity(position)
        found.units.append(
            _Unit(
                changes[position],
                members,
                cost,
                costliest,
                again=(program_class(identity.name), main_file(identity.subject)) in matched,
                helper=parent in levels and not is_told_by_its_file(name),
            )
        )


def _steps(own: set[int], parents: Parents, sides: Sides) -> set[int]:
    """The topmost compilers and linkers, with their drivers: the new ``make`` above twenty of them is none of them."""
    known = {position for position in own if is_told_by_its_file(sides.name(position))}

    def is_below_known(position: int) -> bool:
        above = int(parents[position])
        while above in own and above not in known:
            above = int(parents[above])
        return above in known

    return {position for position in known if not is_below_known(position)}


def _collect_counts(changes: Mapping[int, CountChange], sides: Sides, found: _Found) -> None:
    """Programs of both sides that run more or less often, the topmost of each chain."""
    counted = {n: change for n, change in changes.items() if change.kind == "count"}
    children = _children(set(counted), sides.parents_now)
    for position, change in sorted(counted.items()):
        above = counted.get(int(sides.parents_now[position]))
        if above is not None and (above.now > above.before) == (change.now > change.before):
            continue
        more = change.now > change.before
        members = _members(position, children)
        cost = sum(_cost_of_count(counted[member], sides) for member in members)
        costliest = max(members, key=lambda member: (sides.cpu_now[member], -member))
        asked = sides.identity(position).subject.startswith(
            "-"
        )  # no file: go asks its tools for -V=full, by chance twice
        again = more and change.now >= 2 * change.before and not asked
        found.units.append(_Unit(change, members, cost, costliest, again=again))


def _cost_of_count(change: CountChange, sides: Sides) -> float:
    """Of the further runs, or those that are no more, without what is below them: a second ``make`` finds all done."""
    more = change.now > change.before
    cpu, count = (sides.cpu_now, change.now) if more else (sides.cpu_before, change.before)
    cost = float(cpu[change.position]) / max(count, 1.0) * abs(change.now - change.before)
    if is_told_by_its_file(sides.name(change.position)):  # each run does the same
        return cost
    changed = float(sides.cpu_now[change.position] - sides.cpu_before[change.position])
    return min(cost, max(changed if more else -changed, 0.0))


def _grave(found: _Found, sides: Sides, limits: StructureLimits) -> set[int]:
    """The ids of the units that count: added ones that fail the build, removed ones that are worth a finding."""
    if not sides.cpu_known or sides.build_before <= 0:  # nothing tells what they cost
        return {id(unit) for unit in found.units}
    total = sides.build_before
    least = max(limits.part * total, min(limits.seconds, TINY_PART * total))
    least_of_starts = max(limits.part * total, min(STARTS_FACTOR * limits.seconds, TINY_PART * total))
    for worse in (True, False):
        helpers = [unit for unit in found.units if unit.helper and unit.is_worse is worse]
        if sum(unit.cost for unit in helpers) >= HELPERS_PART * total:
            for unit in helpers:
                unit.helper = False
    working = {_class_of(unit, sides) for unit in found.units if not _only_starts(unit, sides)}
    sums: dict[tuple[str, bool, bool], float] = {}
    for unit in found.units:
        if not unit.helper:
            sums[_class_of(unit, sides)] = sums.get(_class_of(unit, sides), 0.0) + unit.cost
    added = sum(unit.cost for unit in found.units if unit.is_worse)
    removed = sum(unit.cost for unit in found.units if not unit.is_worse)
    net = added - removed + sum(level.cost if level.added else -level.cost for level in found.levels)
    enough = least + REPLACED_NOISE * min(added, removed)
    saved = total - sides.build_now
    grave = set()
    for unit in found.units:
        cost = sums.get(_class_of(unit, sides), 0.0)
        large = cost >= (least if _class_of(unit, sides) in working else least_of_starts) and not unit.helper
        if unit.is_worse:
            cheaper = saved > max(CHEAPER_PART * total, cost)
            again = unit.again and is_told_by_its_file(sides.name(unit.costliest)) and cost >= AGAIN_PART * total
            if (large and net >= enough and not cheaper) or again:
                grave.add(id(unit))
        elif large and -net >= enough:
            grave.add(id(unit))
    return grave


def _only_starts(unit: _Unit, sides: Sides) -> bool:
    runs = max(abs(unit.change.now - unit.change.before), 1.0) * len(unit.members)
    return unit.cost <= ONLY_STARTS * runs and not is_told_by_its_file(sides.name(unit.costliest))


def _class_of(unit: _Unit, sides: Sides) -> tuple[str, bool, bool]:
    return program_class(sides.name(unit.costliest)), unit.again, unit.is_worse


def _findings_of(unit: _Unit, changes: Mapping[int, CountChange], sides: Sides, *, matters: bool) -> list[Finding]:
    standing = changes.get(unit.costliest, unit.change)
    build = sides.build_before
    findings = []
    for position in sorted(unit.members, key=lambda member: member != unit.costliest):
        change = changes.get(position, standing)
        stands = position == unit.costliest
        findings.append(
            Finding(
                key=sides.keys[position],
                metric="count",
                kind=change.kind,
                baseline=change.before,
                current=change.now,
                ratio=change.now / change.before if change.before and change.now else None,
                cost=(unit.cost if unit.is_worse else -unit.cost) if stands and sides.cpu_known else None,
                cost_metric="cpu" if stands and sides.cpu_known else None,
                part=unit.cost / build if stands and build else None,
                matters=matters,
                again=unit.again,
                compiles=_compiles(position, sides) if unit.again and change.kind == "added" else None,
                explained_by=None if stands else sides.keys[unit.costliest],
                explained_by_metric=None if stands else "count",
            )
        )
    return findings


def _finding_of_level(level: _Level, change: CountChange, sides: Sides) -> Finding:
    build = sides.build_before
    return Finding(
        key=sides.keys[level.position],
        metric="count",
        kind=change.kind,
        baseline=change.before,
        current=change.now,
        cost=(level.cost if level.added else -level.cost) if sides.cpu_known else None,
        cost_metric="cpu" if sides.cpu_known else None,
        part=level.cost / build if build else None,
        matters=False,
        level=True,
    )


def _above(positions: npt.NDArray[np.intp], parents: Parents) -> set[int]:
    """All that stand above any of ``positions``."""
    above: set[int] = set()
    for position in positions.tolist():
        parent = int(parents[position])
        while parent >= 0 and parent not in above:
            above.add(parent)
            parent = int(parents[parent])
    return above


def _children(among: set[int], parents: Parents) -> dict[int, list[int]]:
    """Of each parent those of ``among`` that hang on it."""
    children: dict[int, list[int]] = {}
    for position in sorted(among):
        children.setdefault(int(parents[position]), []).append(position)
    return children


def _members(top: int, children: Mapping[int, list[int]]) -> list[int]:
    """``top`` and all that hangs on it."""
    members = [top]
    for member in members:
        members += children.get(member, ())
    return members


def _compiles(position: int, sides: Sides) -> tuple[float, float] | None:
    """How often the file of a compiler or driver is compiled on each side, whatever the output."""
    name, subject = sides.name(position), main_file(sides.identity(position).subject)
    if not is_told_by_its_file(name):
        return None
    same = [n for n in range(len(sides.keys)) if _is_of_file(sides.identity(n), program_class(name), subject)]
    return float(sides.counts_before[same].sum()), float(sides.counts_now[same].sum())


def _is_of_file(identity: Identity, program: str, file: str) -> bool:
    return main_file(identity.subject) == file and program_class(identity.name) == program


def _subjects(sides: Sides) -> set[tuple[str, str]]:
    """What the matched programs of the build work on."""
    found = set()
    for position in np.flatnonzero(sides.both).tolist():
        identity = sides.identity(position)
        if identity.subject not in _NO_SUBJECT:
            found.add((program_class(identity.name), main_file(identity.subject)))
    return found


def _driver_above(position: int, parents: Parents, sides: Sides) -> int:
    """The topmost driver above that is matched, -1 for none."""
    top, step = -1, int(parents[position])
    while step >= 0:
        if sides.both[step] and is_driver(sides.name(step)):
            top = step
        step = int(parents[step])
    return top


def _change_of_driver(driver: int, cost: float, sides: Sides, *, added: bool) -> float:
    """What steps that a driver has more, or less, cost at most: by how much the driver changed with all below it.

    ``-save-temps`` makes it preprocess apart; clang does in its own process what gcc starts a compiler and an assembler
    for, so that nothing of their ``cost`` is saved, or new.
    """
    sign = 1.0 if added else -1.0
    growth = sign * float(sides.below_now[driver] - sides.below_before[driver])
    took_over = sign * float(sides.cpu_before[driver] - sides.cpu_now[driver]) >= TAKEN_OVER * cost
    return 0.0 if took_over else max(growth, 0.0)
