"""The whole builds' figures for services that keep the history of benchmarks.

- github-action-benchmark, the tool ``customSmallerIsBetter``: a list of names, units and values
  (https://github.com/benchmark-action/github-action-benchmark).
- Bencher Metric Format, for ``bencher run --adapter json``: by benchmark and measure a value with its bounds
  (https://bencher.dev/docs/reference/bencher-metric-format).

A value is that of the typical round; the range and the bounds are the smallest and the largest round's.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import msgspec

from pytest_ptreetime.metrics import MAIN
from pytest_ptreetime.reports.results import whole_of
from pytest_ptreetime.system.figures import counted
from pytest_ptreetime.system.untrusted_text import shown
from pytest_ptreetime.wording.measurements import label_of

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import Measurement, SessionResult

__all__ = ["BencherReport", "GithubActionBenchmarkReport"]

_UNITS = {"s": "s", "B": "bytes", "": "processes"}


class GithubActionBenchmarkReport:
    """A list of ``{name, unit, value, range}``."""

    name = "github-action-benchmark"
    suffix = ".benchmark.json"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        rows = []
        for measurement in session.measurements:
            for metric in MAIN:
                if metric.name in measurement.whole:
                    low, high = _bounds(measurement, metric.name)
                    rows.append(
                        {
                            "name": f"{shown(measurement.name)}: {label_of(metric.name)}",
                            "unit": _UNITS[metric.unit],
                            "value": round(measurement.whole[metric.name], 6),
                            "range": f"{low:.6g} to {high:.6g}",
                            "extra": f"{counted(len(measurement.rounds), 'round')}, verdict {measurement.verdict}",
                        }
                    )
        out.write(msgspec.json.format(msgspec.json.encode(rows), indent=2) + b"\n")


class BencherReport:
    """``{benchmark: {measure: {value, lower_value, upper_value}}}``, seconds, bytes and numbers."""

    name = "bencher"
    suffix = ".bencher.json"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        benchmarks: dict[str, Any] = {}
        for measurement in session.measurements:
            measures = benchmarks.setdefault(shown(measurement.name), {})
            for metric in MAIN:
                if metric.name in measurement.whole:
                    low, high = _bounds(measurement, metric.name)
                    measure = label_of(metric.name).replace(" ", "-")
                    value = round(measurement.whole[metric.name], 6)
                    measures[measure] = {"value": value, "lower_value": low, "upper_value": high}
        out.write(msgspec.json.format(msgspec.json.encode(benchmarks), indent=2) + b"\n")


def _bounds(measurement: Measurement, metric: str) -> tuple[float, float]:
    values = [whole_of(profile).get(metric, 0.0) for profile in measurement.profiles]
    return round(min(values), 6), round(max(values), 6)
