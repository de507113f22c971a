"""What is different in the build without being a reason to fail: commands, wrappers, small programs come or gone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

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
    changes = _changed_commands(commands, names, parents, identities)
    changes += [
        Change("wrapper", group[0].program, len(group), findings=group)
        for group in _of_one_program(f for f in minor if f.level)
    ]
    for kind in _KINDS:
        units = [f for f in minor if not f.level and f.kind == kind and f.is_cause]
        changes += [Change(kind, group[0].program, len(group), findings=group) for group in _of_one_program(units)]
    return changes


def _changed_commands(
    commands: Mapping[str, CommandDifference],
    names: Mapping[str, str],
    parents: Mapping[str, str],
    identities: Mapping[str, Identity],
) -> list[Change]:
    groups: dict[tuple[str, CommandDifference], list[CommandDifference]] = {}
    for key, difference in commands.items():
        parent = parents.get(key)
        if parent is None or parent not in commands or not is_driver(names[parent]):
            subject = identities[key].subject if key in identities else ""
            groups.setdefault((names[key], _of_any_file(difference, subject)), []).append(difference)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [
        Change("command", program, len(members), general if len(set(members)) > 1 else members[0])
        for (program, general), members in ordered
    ]


def _of_any_file(difference: CommandDifference, subject: str) -> CommandDifference:
    """``difference`` with ``*`` for the name of the file that the program works on: ``@a.o.rsp`` is ``@*.o.rsp``."""
    names = {PurePosixPath(file).name.partition(".")[0] for file in subject.split(" ")} - {""}
    if not any(name in word for name in names for pair in difference.parts for word in pair if word is not None):
        return difference
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(names)))})(?!\w)")
    parts = tuple(
        (old if old is None else pattern.sub("*", old), new if new is None else pattern.sub("*", new))
        for old, new in difference.parts
    )
    return msgspec.structs.replace(difference, parts=parts)


def _of_one_program(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Groups, the costliest first, as are the findings of each."""
    groups: dict[tuple[str, bool], list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: -abs(finding.cost or 0.0)):
        groups.setdefault((program_class(finding.program), finding.kind == "removed"), []).append(finding)
    return sorted(groups.values(), key=lambda group: -abs(sum(finding.cost or 0.0 for finding in group)))
