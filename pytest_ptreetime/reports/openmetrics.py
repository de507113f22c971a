"""OpenMetrics text: for GitLab's metrics reports and everything that reads what Prometheus scrapes.

One gauge for each figure of the whole build, and of the nodes that cost most; a series for every node of a large build
would be more than such systems are made for, and its name would change with every source file.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

from pytest_ptreetime.system.untrusted_text import shown

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import Measurement, SessionResult

__all__ = ["OpenMetricsReport"]

NODES_SHOWN = 20

_FAMILIES = {
    # metric of a profile: (family, unit, help)
    "wall": ("ptreetime_wall_seconds", "seconds", "Wall time, median of the rounds."),
    "user": ("ptreetime_user_seconds", "seconds", "Processor time in user mode, median of the rounds."),
    "sys": ("ptreetime_sys_seconds", "seconds", "Processor time in the kernel, median of the rounds."),
    "cpu": ("ptreetime_cpu_seconds", "seconds", "Processor time, median of the rounds."),
    "max_rss": ("ptreetime_max_rss_bytes", "bytes", "Peak resident size, median of the rounds."),
    "count": ("ptreetime_processes", "", "Number of processes, median of the rounds."),
}


class OpenMetricsReport:
    """Gauges for every measurement, labelled by its name; those of a node have a label ``node`` too."""

    name = "openmetrics"
    suffix = ".metrics.txt"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        samples: dict[str, list[str]] = {metric: [] for metric in _FAMILIES}
        for measurement in session.measurements:
            for labels, figures in _rows(measurement):
                for metric, lines in samples.items():
                    if (value := figures.get(metric)) is not None:
                        lines.append(f"{_FAMILIES[metric][0]}{{{labels}}} {value!r}")
        for metric, lines in samples.items():
            if not lines:
                continue
            family, unit, explained = _FAMILIES[metric]
            header = [f"# TYPE {family} gauge", *([f"# UNIT {family} {unit}"] if unit else [])]
            out.write("\n".join([*header, f"# HELP {family} {explained}", *lines, ""]).encode())
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
