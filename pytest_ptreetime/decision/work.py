"""What a node's counts of input and output say of its time: they hardly vary, so a difference is one of its work.

Only counts that agree with themselves over all rounds of a side are used. They inform: nothing fails by them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_ptreetime.decision.finding import Finding
from pytest_ptreetime.decision.panel import Panel
from pytest_ptreetime.metrics import metric_of

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
            finding.work = _work(panel, position)


def _work(panel: Panel, position: int) -> dict[str, tuple[float, float]] | None:
    """None where nothing can be said: nothing differs, and not everything is known."""
    changes = {name: change for name in WORK if (change := _change(panel, name, position)) is not None}
    differs = any(before != now for before, now in changes.values())
    does_any = len(changes) == len(WORK) and any(before for before, _ in changes.values())
    return changes if differs or does_any else None


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
