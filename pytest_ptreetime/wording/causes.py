"""Why a node changed, in words: what its command has now, what it reads and writes."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_ptreetime.decision.finding import CommandDifference
from pytest_ptreetime.metrics import metric_of
from pytest_ptreetime.system.figures import amount
from pytest_ptreetime.system.untrusted_text import middle

__all__ = ["difference_in_words", "work_in_words"]

LONGEST_PART = 60

_Change = tuple[float, float]


def difference_in_words(difference: CommandDifference) -> str:
    """``clang instead of gcc, -O2 instead of -O1, + -DVERSION=123, - -g``."""
    parts = [middle(_part(*each), LONGEST_PART) for each in difference.parts]
    return ", ".join([*parts, f"{difference.more} more"] if difference.more else parts)


def _part(before: str | None, now: str | None) -> str:
    if before is None:
        return f"+ {now}"
    return f"- {before}" if now is None else f"{now} instead of {before}"


def work_in_words(work: Mapping[str, _Change]) -> str:
    """As ``it reads 124 KiB more in 14 more reads``."""
    directions = [
        _direction(verb, work.get(amounts), work.get(calls))
        for verb, amounts, calls in (("read", "read_bytes", "reads"), ("write", "written_bytes", "writes"))
        if any(name in work and work[name][0] != work[name][1] for name in (amounts, calls))
    ]
    return f"it {' and '.join(directions)}" if directions else "it does the same input and output"


def _direction(verb: str, amounts: _Change | None, calls: _Change | None) -> str:
    parts = []
    if amounts is not None:
        parts.append(_more(amounts, "read_bytes") or "as much")
    if calls is not None and calls[0] != calls[1]:
        count = f"{_more(calls, 'reads')} {verb}{'s' if abs(calls[1] - calls[0]) != 1 else ''}"
        parts.append(f"in {count}" if amounts is not None else f"with {count}")
    return " ".join([f"{verb}s", *parts])


def _more(change: _Change, metric: str) -> str:
    """``124 KiB more`` of bytes, ``14 more`` of calls; empty where nothing changed."""
    difference = change[1] - change[0]
    if difference == 0:
        return ""
    comparative = "more" if difference > 0 else "less" if metric == "read_bytes" else "fewer"
    return f"{amount(abs(difference), metric_of(metric).unit)} {comparative}"
