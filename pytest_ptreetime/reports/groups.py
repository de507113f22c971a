"""A build's processor time by tool and by directory: "cc1plus: 212 processes, 61 % of cpu"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_ptreetime.decision.profile import Profile

__all__ = ["GROUPINGS", "Group", "directory_of", "grouped", "tool_of"]

NO_FILE = "(no file)"


@dataclass
class Group:
    """What the nodes of one group add up to: their number, and seconds; ``before`` is None without another side."""

    name: str
    count: float = 0.0
    now: float = 0.0
    before: float | None = None
    share: float = 0.0


def tool_of(key: str) -> str:
    """``cc1`` of ``make/gcc/cc1[src/lvm.c]``."""
    names = key.partition("[")[0]
    return names.rpartition("/")[2] or key


def directory_of(key: str) -> str | None:
    """``src`` of ``make/gcc/cc1[src/lvm.c]``, ``.`` of ``cc1[lvm.c]``; None where the key names no file."""
    words = [word.strip("'\"") for word in key.partition("[")[2].removesuffix("]").split(" ")]
    files = [word for word in words if word and not word.startswith("-")]
    for word in files:
        if "/" in word:
            return word.rpartition("/")[0] or "/"
    return "." if any("." in word.strip(".") for word in files) else None


GROUPINGS: Mapping[str, Callable[[str], str]] = {
    "tool": tool_of,
    "directory": lambda key: directory_of(key) or NO_FILE,
}


def grouped(now: Profile, before: Profile | None, name_of: Callable[[str], str]) -> Sequence[Group]:
    """The groups, the costliest first. ``share`` is that of all processor time of now."""
    groups: dict[str, Group] = {}
    for key, metrics in now.totals.items():
        group = groups.setdefault(name_of(key), Group(name_of(key)))
        group.count += metrics.get("count", 1.0)
        group.now += metrics.get("cpu", 0.0)
    whole = sum(group.now for group in groups.values())
    if before is not None:
        for key, metrics in before.totals.items():
            group = groups.setdefault(name_of(key), Group(name_of(key)))
            group.before = (group.before or 0.0) + metrics.get("cpu", 0.0)
    for group in groups.values():
        group.share = group.now / whole if whole else 0.0
    return sorted(groups.values(), key=lambda group: max(group.now, group.before or 0.0), reverse=True)
