"""OpenMetrics text: for GitLab's metrics reports and everything that reads what Prometheus scrapes.

One gauge for each figure of the whole build, and of the nodes that cost most; a series for every node of a large build
would be more than such systems are made for, and its name would change with every source file.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

from pytest_ptreetime.metrics import MAIN, Metric
from pytest_ptreetime.system.untrusted_text import shown

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import Measurement, SessionResult

__all__ = ["OpenMetricsReport"]

NODES_SHOWN = 20

_UNITS = {"s": "seconds", "B": "bytes", "": ""}


def _family(metric: Metric) -> str:
    if metric.name == "count":
        return "ptreetime_processes"
    return f"ptreetime_{metric.column}" + ("_seconds" if metric.unit == "s" else "")


class OpenMetricsReport:
    """Gauges for every measurement, labelled by its name; those of a node have a label ``node`` too."""

    name = "openmetrics"
    suffix = ".metrics.txt"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        rows = [row for measurement in session.measurements for row in _rows(measurement)]
        for metric in MAIN:
            family, unit = _family(metric), _UNITS[metric.unit]
            lines = [
                f"{family}{{{labels}}} {value!r}"
                for labels, figures in rows
                if (value := figures.get(metric.name)) is not None
            ]
            if not lines:
                continue
            header = [f"# TYPE {family} gauge", *([f"# UNIT {family} {unit}"] if unit else [])]
            explained = f"# HELP {family} {metric.description}, median of the rounds."
            out.write("\n".join([*header, explained, *lines, ""]).encode())
        out.write(b"# EOF\n")


def _rows(measurement: Measurement) -> list[tuple[str, dict[str, float]]]:
    test = f'test="{_label(measurement.name)}"'
    now = measurement.now
    rows = [(test, measurement.whole)]
    ranked = sorted(now.totals.items(), key=lambda item: item[1].get("cpu", item[1].get("wall", 0.0)), reverse=True)
    rows += [(f'{test},node="{_label(key)}"', dict(metrics)) for key, metrics in ranked[:NODES_SHOWN]]
    return rows


def _label(text: str) -> str:
    return re.sub(r'(["\\])', r"\\\1", shown(text))
