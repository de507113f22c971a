"""The metrics of nodes, summed: a list of whole numbers, so that a million nodes are added up in a second.

Place 0 counts the nodes, the places behind it are those of METRICS, in nanoseconds and bytes, and the last one has a
bit for each place of which a value is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["METRICS", "MIN_EFFECTS", "known_sums", "no_sums", "unknown_names"]

#: What is totalled besides ``count``; the attributes of a node say what each is.
METRICS = ("wall", "user", "sys", "cpu", "max_rss", "startlag", "exitlag", "run_delay", "read", "written")

#: What a smallest change worth an alarm can be given for.
MIN_EFFECTS = (*METRICS, "structure")

COUNT, WALL, USER, SYS, CPU, MAX_RSS, STARTLAG, EXITLAG, RUN_DELAY, READ, WRITTEN, KNOWN = range(len(METRICS) + 2)

# In the order in which a profile has them, and so its report as JSON.
_PLACES = (
    *(("wall", WALL, 1e9), ("exitlag", EXITLAG, 1e9), ("startlag", STARTLAG, 1e9), ("max_rss", MAX_RSS, 1.0)),
    *(("user", USER, 1e9), ("sys", SYS, 1e9), ("cpu", CPU, 1e9), ("run_delay", RUN_DELAY, 1e9)),
    *(("read", READ, 1.0), ("written", WRITTEN, 1.0)),
)


def no_sums() -> list[int]:
    """The sums of no nodes."""
    return [0] * (KNOWN + 1)


def known_sums(sums: list[int]) -> dict[str, float]:
    """What is known, by metric, in seconds and bytes. ``max_rss`` is the largest."""
    known = sums[KNOWN]
    return {name: sums[place] / unit for name, place, unit in _PLACES if known >> place & 1}


def unknown_names(names: Iterable[str], known: Sequence[str], kind: str) -> str | None:
    """In words, which of ``names`` do not exist, and which do; None where all of them exist."""
    unknown = [name for name in names if name not in known]
    if not unknown:
        return None
    return f"there is no {kind} {', '.join(map(repr, unknown))}: choose of {', '.join(known)}"
