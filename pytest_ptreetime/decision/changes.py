"""What is different in the build without being a reason to fail: commands, wrappers, small programs come or gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pytest_ptreetime.decision.finding import Finding
from pytest_ptreetime.decision.profile import Identity
from pytest_ptreetime.decision.programs import is_driver, program_class
from pytest_ptreetime.decision.sentences import cost_in_words, together_in_words
from pytest_ptreetime.system.figures import counted

__all__ = ["changes_in_words"]

#: So many of a kind are told, those of most processes first.
MOST_TOLD = 3


def changes_in_words(
    differences: Sequence[Finding],
    commands: Mapping[str, str],
    identities: Mapping[str, Identity],
    parents: Mapping[str, str],
) -> list[str]:
    """In sentences, the largest first.

    :param differences: findings of structure; those that matter are told elsewhere.
    :param commands: by key, how the command differs; where a compiler's driver's does, too, its own follows from that.
    """
    own = {key: text for key, text in commands.items() if not _follows(parents.get(key), commands, identities)}
    told = _commands(own, identities)
    trifles = [finding for finding in differences if not finding.matters]
    told += _few(list(_levels([f for f in trifles if f.level], identities)), "wrapper")
    for kind in ("added", "removed", "count"):
        told += _few(list(_units([f for f in trifles if not f.level and f.kind == kind], identities)), "difference")
    return told


def _commands(commands: Mapping[str, str], identities: Mapping[str, Identity]) -> list[str]:
    groups: dict[tuple[str, str], list[str]] = {}
    for key, text in commands.items():
        groups.setdefault((_name(key, identities), text), []).append(key)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    texts = [
        f"command changed: {f'{len(keys)} x ' if len(keys) > 1 else ''}{name}, {text}" for (name, text), keys in ordered
    ]
    return _few(texts, "changed command")


def _follows(parent: str | None, commands: Mapping[str, str], identities: Mapping[str, Identity]) -> bool:
    return parent is not None and parent in commands and is_driver(_name(parent, identities))


def _levels(findings: Sequence[Finding], identities: Mapping[str, Identity]) -> Iterable[str]:
    """One sentence for all wrappers of one program."""
    for levels in _of_one_program(findings, identities):
        added, several = levels[0].kind != "removed", len(levels) > 1
        if several:
            now = "stand in front now" if added else "no longer stand in front"
            yield f"{together_in_words(levels, _name(levels[0].key, identities), now)}"
        else:
            now = "stands in front now" if added else "no longer stands in front"
            yield f"{levels[0].label or levels[0].key} {now}{cost_in_words(levels[0])}"


def _of_one_program(findings: Iterable[Finding], identities: Mapping[str, Identity]) -> list[list[Finding]]:
    """Groups, the dearest first, as are the findings of each."""
    groups: dict[tuple[str, bool], list[Finding]] = {}
    for finding in _dearest(findings):
        label = program_class(_name(finding.key, identities)), finding.kind == "removed"
        groups.setdefault(label, []).append(finding)
    return sorted(groups.values(), key=lambda group: -abs(sum(finding.cost or 0.0 for finding in group)))


def _units(findings: Sequence[Finding], identities: Mapping[str, Identity]) -> Iterable[str]:
    """One sentence for all units of one program."""
    for units in _of_one_program((f for f in findings if f.is_cause), identities):
        first = units[0]
        if len(units) == 1:
            yield first.sentence
            continue
        verb = {"added": "are new", "removed": "no longer run"}.get(first.kind, "run another number of times")
        yield together_in_words(units, (first.label or first.key).partition(" ")[0], verb)


def _dearest(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: -abs(finding.cost or 0.0))


def _few(texts: list[str], noun: str) -> list[str]:
    left_out = len(texts) - MOST_TOLD
    if left_out <= 0:
        return texts
    return [*texts[:MOST_TOLD], counted(left_out, f"more {noun}")]


def _name(key: str, identities: Mapping[str, Identity]) -> str:
    return (identities.get(key) or Identity.of_key(key)).name
