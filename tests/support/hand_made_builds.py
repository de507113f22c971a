"""Builds written by hand, as their tree: one line a process, its children below it, two columns further right.

    make
      gcc -O1 -c a.c  :: a.c
        cc1 a.c

A line is a command; what it works on stands behind ``::``, or is all arguments. ``(fork)`` never called exec.
"""

from __future__ import annotations

from pytest_ptreetime.decision.matching_table import Row
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.decision.starring import table_of


def build(text: str, cpu: float = 0.1) -> Profile:
    """The profile of a build, ``cpu`` seconds a process, with keys as the product gives them."""
    profile = Profile({}, {})
    above: list[tuple[int, str, str]] = []  # indentation, path, key
    for line in text.splitlines():
        if not line.strip():
            continue
        indentation = len(line) - len(line.lstrip())
        command, _, subject = line.strip().partition(" :: ")
        name, *words = command.split()
        if words == ["(fork)"]:
            words = []
            subject = "(fork)"
        subject = subject.strip() or " ".join(words)
        while above and above[-1][0] >= indentation:
            above.pop()
        path = above[-1][1] if above else ""
        brackets = subject if subject == "(fork)" else f"[{subject}]" if subject else ""
        key = f"{path}{name}{brackets}"
        totals = profile.totals.setdefault(key, {"count": 0.0, "cpu": 0.0, "max_rss": 1e6})
        totals["count"] += 1
        totals["cpu"] += cpu
        profile.parents.setdefault(key, above[-1][2] if above else None)
        profile.identities.setdefault(key, Identity(name, subject, tuple(words)))
        above.append((indentation, f"{path}{name}/", key))
    return profile


def table(text: str) -> list[Row]:
    return list(table_of(build(text)))
