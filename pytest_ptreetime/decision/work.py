"""What a node's counts of input and output say of its time: they hardly vary, so a difference is one of its work.

Only counts that agree with themselves over all rounds of a side are believed. They inform: nothing fails by them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_ptreetime.decision.finding import Finding
from pytest_ptreetime.decision.panel import Panel
from pytest_ptreetime.metrics import metric_of
from pytest_ptreetime.system.figures import amount

__all__ = ["WORK", "note_work"]

#: Bytes and calls of reading, and of writing, in this order.
WORK = ("read_bytes", "reads", "written_bytes", "writes")


def note_work(findings: Sequence[Finding], panel: Panel) -> None:
    """Fill in ``work`` of the causes that are times of a node's own."""
    index = {key: position for position, key in enumerate(panel.keys)}
    for finding in findings:
        metric = metric_of(finding.metric)
        position = index.get(finding.key)
        own_time = metric.unit == "s" and not metric.cumulative and finding.against == "baseline"
        if own_time and finding.is_cause and position is not None:
            finding.work = _work_in_words([_change(panel, name, position) for name in WORK])


def _change(panel: Panel, metric: str, position: int) -> tuple[float, float] | None:
    """Before and now, where both are the same in all rounds."""
    column = panel.metric(metric)
    if column is None:
        return None
    before = np.concatenate([rounds[:, column, position] for rounds in panel.baseline])
    now = panel.current[:, column, position]
    if (before == before[0]).all() and (now == now[0]).all():  # what is unknown, NaN, is no number's equal
        return float(before[0]), float(now[0])
    return None


def _work_in_words(changes: list[tuple[float, float] | None]) -> str | None:
    """As ``it reads 124 KiB more in 14 more reads``."""
    texts = [
        _direction(verb, *pair)
        for verb, pair in zip(("read", "write"), (changes[:2], changes[2:]), strict=True)
        if any(change is not None and change[0] != change[1] for change in pair)
    ]
    if texts:
        return f"it {' and '.join(texts)}"
    known = [change for change in changes if change is not None]
    if len(known) < len(changes) or not any(before for before, _ in known):
        return None
    return "it does the same input and output"


def _direction(verb: str, amounts: tuple[float, float] | None, calls: tuple[float, float] | None) -> str:
    parts = []
    if amounts is not None:
        parts.append(_more(amounts, "read_bytes") or "as much")
    if calls is not None and calls[0] != calls[1]:
        count = f"{_more(calls, 'reads')} {verb}{'s' if abs(calls[1] - calls[0]) != 1 else ''}"
        parts.append(f"in {count}" if amounts is not None else f"with {count}")
    return " ".join([f"{verb}s", *parts])


def _more(change: tuple[float, float], metric: str) -> str:
    """``124 KiB more`` of bytes, ``14 more`` of calls; empty where nothing changed."""
    difference = change[1] - change[0]
    if difference == 0:
        return ""
    comparative = "more" if difference > 0 else "less" if metric == "read_bytes" else "fewer"
    return f"{amount(abs(difference), metric_of(metric).unit)} {comparative}"
