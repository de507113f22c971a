"""What is different in the build without being a reason to fail: commands, wrappers, small programs come or gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_ptreetime.decision.finding import Change, CommandDifference, CountKind, Finding
from pytest_ptreetime.decision.profile import Identity
from pytest_ptreetime.decision.programs import is_driver, program_class

__all__ = ["changes_of"]

_KINDS: tuple[CountKind, ...] = ("added", "removed", "count")


def changes_of(
    differences: Sequence[Finding],
    commands: Mapping[str, CommandDifference],
    identities: Mapping[str, Identity],
    parents: Mapping[str, str],
) -> list[Change]:
    """Kind by kind, of each the largest first; what changed alike is one change.

    :param differences: findings of structure; those that matter are told elsewhere.
    :param commands: by key, how the command differs; where a compiler's driver's does, too, its own follows from that.
    """
    names = {key: (identities.get(key) or Identity.of_key(key)).name for key in {*commands, *parents.values()}}
    minor = [finding for finding in differences if not finding.matters]
    changes = _changed_commands(commands, names, parents)
    changes += [
        Change("wrapper", group[0].program, len(group), findings=group)
        for group in _of_one_program(f for f in minor if f.level)
    ]
    for kind in _KINDS:
        units = [f for f in minor if not f.level and f.kind == kind and f.is_cause]
        changes += [Change(kind, group[0].program, len(group), findings=group) for group in _of_one_program(units)]
    return changes


def _changed_commands(
    commands: Mapping[str, CommandDifference], names: Mapping[str, str], parents: Mapping[str, str]
) -> list[Change]:
    counts: dict[tuple[str, CommandDifference], int] = {}
    for key, difference in commands.items():
        parent = parents.get(key)
        if parent is None or parent not in commands or not is_driver(names[parent]):
            group = names[key], difference
            counts[group] = counts.get(group, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [Change("command", program, count, difference) for (program, difference), count in ordered]


def _of_one_program(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Groups, the costliest first, as are the findings of each."""
    groups: dict[tuple[str, bool], list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: -abs(finding.cost or 0.0)):
        groups.setdefault((program_class(finding.program), finding.kind == "removed"), []).append(finding)
    return sorted(groups.values(), key=lambda group: -abs(sum(finding.cost or 0.0 for finding in group)))
