"""Histories for people: a line a node with its sparkline on a terminal, and a page of plots."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from pytest_ptreetime.decision.history import History, Series
from pytest_ptreetime.metrics import metric_of
from pytest_ptreetime.reports.process_tables import table_with_names
from pytest_ptreetime.system.figures import UNKNOWN, amount, amounts, change, ratio_of
from pytest_ptreetime.system.untrusted_text import shown

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["history_page", "history_table", "since", "sparkline", "told_series"]

_BARS = "▁▂▃▄▅▆▇█"
LONGEST_SPARKLINE = 30
FLAT_BELOW = 0.02  # a spread of less than this part is drawn as flat as it is


def sparkline(values: Sequence[float | None], most: int = LONGEST_SPARKLINE) -> str:
    """The last ``most`` values as bars from the smallest to the largest; a blank for a missing one."""
    last = values[-most:]
    known = [value for value in last if value is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)
    span = max(span, FLAT_BELOW * max(abs(max(known)), 1e-12))
    return "".join(
        " " if value is None else _BARS[int((value - low) / span * (len(_BARS) - 1) + 0.5)] for value in last
    )


def since(history: History, series: Series) -> str:
    """Where it changed last: ``since 4f2a1c9``; empty where it did not."""
    return f"since {history.points[series.changes[-1]].name}" if series.changes else ""


def told_series(history: History, limit: int) -> list[Series]:
    """The build, then what changed, then what is largest."""
    build, rest = history.series[:1], history.series[1:]
    return build + sorted(rest, key=lambda series: not series.changes)[: max(limit - 1, 0)]


def history_table(history: History, *, width: int = 80, limit: int = 20) -> str:
    """A line for each series: its sparkline, the first and the last value, the change, since which session."""
    unit = metric_of(history.metric).unit
    told = told_series(history, limit)
    rows = []
    for series in told:
        first, last = series.known[0], series.known[-1]
        before, now = amounts([first, last], unit)
        rows.append([sparkline(series.values), before, now, change(ratio_of(first, last)), since(history, series)])
    heads = [history.metric, "sessions", "first", "last", "change", "changed"]
    if not any(row[-1] for row in rows):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    names = [shown(series.key) for series in told]
    table = table_with_names(heads, names, rows, width=width, expendable=(2, 3))
    rest = len(history.series) - len(told)
    return f"{table}\n({rest} more)" if rest else table


def history_page(histories: Sequence[tuple[str, History]], *, limit: int) -> str:
    """A page with a plot for each series, one section for each name."""
    sections = [
        {
            "name": shown(name),
            "metric": history.metric,
            "first": history.points[0].name,
            "last": history.points[-1].name,
            "plots": [_plot(history, series) for series in told_series(history, limit)],
        }
        for name, history in histories
    ]
    style = resources.files(__package__).joinpath("page").joinpath("history.css").read_text(encoding="utf-8")
    return _template().render(sections=sections, style=style)


PLOT_WIDTH, PLOT_HEIGHT = 420, 110
_EDGE = 8


def _plot(history: History, series: Series) -> dict[str, Any]:
    """The places of the points, from 0 at the bottom."""
    unit = metric_of(history.metric).unit
    top = max(series.known) * 1.05 or 1.0
    wide, high = PLOT_WIDTH - 2 * _EDGE, PLOT_HEIGHT - 2 * _EDGE
    dots = []
    for place, (point, value) in enumerate(zip(history.points, series.values, strict=True)):
        if value is not None:
            x = _EDGE + wide * (place / (len(series.values) - 1) if len(series.values) > 1 else 0.5)
            told = f"{point.name}, {point.time[:10]}: {amount(value, unit)}"
            dots.append(
                {"x": round(x, 1), "y": round(PLOT_HEIGHT - _EDGE - high * value / top, 1), "told": shown(told)}
            )
    changes = [_EDGE + wide * (place - 0.5) / (len(series.values) - 1) for place in series.changes]
    return {
        "key": shown(series.key),
        "dots": dots,
        "line": " ".join(f"{dot['x']},{dot['y']}" for dot in dots),
        "changes": [round(x, 1) for x in changes],
        "first": amount(series.known[0], unit),
        "last": amount(series.known[-1], unit),
        "change": change(ratio_of(series.known[0], series.known[-1])) or UNKNOWN,
        "since": since(history, series),
        "width": PLOT_WIDTH,
        "height": PLOT_HEIGHT,
    }


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files(__package__).joinpath("page").joinpath("history.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)
