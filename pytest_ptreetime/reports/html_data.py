"""What the page's scripts read: the processes of a measurement as columns, deflated, in base64.

Times are whole microseconds from the root's start; ``start`` holds differences, which deflate well. Texts that repeat
(names, keys, paths) are numbers of ``strings``. A column with one value throughout, as where a tracer does not know a
metric, is ``{"all": value}``. The command lines are a block of their own, a line each, because they are most of the
data and the first picture does not need them. Base64 has no sign that could end a script element.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_ptreetime.keys.brief import brief
from pytest_ptreetime.metrics import TABLE, Metric
from pytest_ptreetime.reports.groups import directory_of
from pytest_ptreetime.reports.history import since, sparkline
from pytest_ptreetime.reports.lanes import end_of, places
from pytest_ptreetime.system.figures import amount
from pytest_ptreetime.system.untrusted_text import shell_line, shown
from pytest_ptreetime.wording.measurements import Changes

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import Measurement
    from pytest_ptreetime.tree.process_tree import ProcessNode

__all__ = ["FINDINGS_SHOWN", "column_block", "command_blocks", "diff_rows"]

MOST_COMMAND_BYTES = 9_000_000  # of all command lines together, in the file: the whole is to stay below 15 MB
COMMAND_LENGTHS = (100_000, 4_000, 1_000, 300, 100)  # characters to which each is cut until they fit
LONGEST_LABEL = 60
FINDINGS_SHOWN = 200
_TIMES = ("wall", "cpu")
_METRICS = ("count", "wall", "cpu", "max_rss")
_OF_PROCESS = [metric for metric in TABLE if metric.name != "wall" and not metric.of_build]  # the page works out wall


class _Strings:
    """Each different text once; texts are made safe to show on the way in."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        if text is None:
            return -1
        return self.numbers.setdefault(shown(text), len(self.numbers))


def column_block(measurement: Measurement, rows: Sequence[dict[str, Any]]) -> str:
    """Everything but the command lines: the round that is shown, one of before where there is one, the differences.

    :param rows: those of :func:`diff_rows`.
    """
    strings = _Strings()
    tree, before = measurement.tree, measurement.tree_before
    comparison = measurement.comparison
    causes = [] if comparison is None else comparison.causes
    data: dict[str, Any] = {
        "now": {
            **_bars(list(tree), strings, tree.critical_path()),
            "pid": [node.pid for node in tree],
            "exe": _column([strings.number(node.exe) for node in tree]),
            "cwd": _column([strings.number(node.cwd) for node in tree]),
        },
        "before": None if before is None else _bars(list(before), strings, before.critical_path()),
        "metrics": [{"name": metric.name, "label": metric.label, "unit": metric.unit} for metric in _OF_PROCESS],
        "cpus": tree.host.cpu_count if tree.host is not None else None,
        "found": [
            {"key": shown(cause.key), "number": number, "kind": cause.kind}
            for number, cause in enumerate(causes[:FINDINGS_SHOWN], 1)
        ],
        "machine": {} if comparison is None else {name: comparison.machine_shifts.get(name, 1.0) for name in _TIMES},
        "diff": _diff_columns(rows, strings),
        "strings": [],
    }
    data["strings"] = list(strings.numbers)
    return _block(msgspec.json.encode(data))


def _bars(nodes: Sequence[ProcessNode], strings: _Strings, critical: Sequence[ProcessNode]) -> dict[str, Any]:
    """The columns of one run's processes, in preorder, each with its place in the timeline."""
    begin = nodes[0].start_ns
    end = max(node.exit_ns or node.start_ns for node in nodes)
    index = {id(node): position for position, node in enumerate(nodes)}
    where = places(nodes, end)
    levels: dict[int, int] = {}
    for place in where:
        levels[place.lane] = max(levels.get(place.lane, 0), place.level + 1)
    first_row: list[int] = [0]
    for lane in range(len(levels)):
        first_row.append(first_row[-1] + levels[lane])
    starts = [(node.start_ns - begin) // 1000 for node in nodes]
    return {
        "name": [strings.number(node.name) for node in nodes],
        "key": [strings.number(node.key) for node in nodes],
        "label": _column([strings.number(_label(node)) for node in nodes]),
        "directory": _column([strings.number(directory_of(node.key)) for node in nodes]),
        "parent": [-1 if node.parent is None else index[id(node.parent)] for node in nodes],
        "start": [starts[0], *(later - earlier for earlier, later in pairwise(starts))],
        "duration": [(end_of(node, end) - begin) // 1000 - start for node, start in zip(nodes, starts, strict=True)],
        "row": [first_row[place.lane] + place.level for place in where],
        "rows": first_row[-1],
        "critical": [index[id(node)] for node in critical],
        "numbers": {
            **{metric.name: _column(_amounts(nodes, metric)) for metric in _OF_PROCESS},
            "exit_code": _column([node.exit_code for node in nodes]),
            "signal": _column([node.signal for node in nodes]),
        },
        "marks": [[position, mark] for position, node in enumerate(nodes) if (mark := _mark(node))],
    }


def _label(node: ProcessNode) -> str | None:
    """What a bar is called where its key would be too long to read; None for the name with what is in the key."""
    return brief(node.name, node.args) if node.name and node.args and len(node.key) > LONGEST_LABEL else None


def command_blocks(measurements: Sequence[Measurement]) -> list[str]:
    """The command lines of each measurement; all cut to one length where they are too much for one file."""
    blocks: list[str] = []
    for longest in COMMAND_LENGTHS:
        blocks = [_block("\n".join(_commands(measurement.tree, longest)).encode()) for measurement in measurements]
        if sum(map(len, blocks)) <= MOST_COMMAND_BYTES:
            break
    return blocks


def _commands(nodes: Iterable[ProcessNode], longest: int) -> Iterable[str]:
    for node in nodes:
        command = "" if node.args is None else shown(shell_line(node.args))
        left_out = len(command) - longest
        yield command if left_out <= 0 else f"{command[:longest]}… ({left_out} more characters are in the recording)"


def diff_rows(measurement: Measurement) -> list[dict[str, Any]]:
    """A row for each key of either side: its parent, its metrics before and now, and what was found about it."""
    now, before = measurement.now, measurement.before
    findings: dict[str, str] = {}
    changes = Changes(measurement.comparison)
    if measurement.comparison is not None:
        for finding in measurement.comparison.causes:
            findings.setdefault(finding.key, finding.kind)
    lines = _sparklines(measurement)
    rows = []
    for key in dict.fromkeys([*now.totals, *(before.totals if before is not None else ())]):
        here = now.totals.get(key)
        there = before.totals.get(key) if before is not None else None
        parents = now.parents if here is not None or before is None else before.parents
        kind = "" if before is None else "added" if there is None else "removed" if here is None else ""
        found = findings.get(key, "")
        rows.append(
            {
                "key": shown(key),
                "parent": None if (parent := parents.get(key)) is None else shown(parent),
                "now": _few(here),
                "before": _few(there),
                "ratio": _ratios(changes, key, there, here),
                "kind": kind,
                "finding": "" if found == kind else found,
                "history": lines.get(key, ("", "")),
            }
        )
    return rows


def _sparklines(measurement: Measurement) -> dict[str, tuple[str, str]]:
    """By key the stored sessions with the present one as a sparkline, and in words."""
    history = measurement.history
    if history is None:
        return {}
    lines = {}
    for series in history.series:
        values = [*series.values, measurement.now.totals.get(series.key, {}).get(history.metric)]
        told = [
            f"{name} {amount(value, 's')}"
            for name, value in zip([*(point.name for point in history.points), "now"], values, strict=True)
            if value is not None
        ]
        lines[series.key] = " ".join(filter(None, [sparkline(values), since(history, series)])), ", ".join(told)
    return lines


def _diff_columns(rows: Sequence[dict[str, Any]], strings: _Strings) -> dict[str, Any]:
    """The same as columns; the sides are null where a node does not occur on them."""
    texts = {
        "parent": [row["parent"] for row in rows],
        "kind": [row["kind"] for row in rows],
        "finding": [row["finding"] for row in rows],
        "line": [row["history"][0] for row in rows],
        "sessions": [row["history"][1] for row in rows],
    }
    return {
        "key": [strings.number(row["key"]) for row in rows],
        **{name: _column([strings.number(text) for text in column]) for name, column in texts.items()},
        **{
            side: {metric: _column([(row[side] or {}).get(metric) for row in rows]) for metric in _METRICS}
            for side in ("now", "before")
        },
        "ratio": {metric: _column([row["ratio"].get(metric) for row in rows]) for metric in _TIMES},
    }


def _ratios(
    changes: Changes, key: str, before: Mapping[str, float] | None, now: Mapping[str, float] | None
) -> dict[str, float]:
    """What each time was multiplied by at the baseline's machine speed, where that is known."""
    ratios = {
        metric: changes.ratio(key, metric, (before or {}).get(metric), (now or {}).get(metric)) for metric in _TIMES
    }
    return {metric: round(ratio, 6) for metric, ratio in ratios.items() if ratio is not None}


def _few(metrics: dict[str, float] | None) -> dict[str, float] | None:
    if metrics is None:
        return None
    return {metric: round(metrics[metric], 6) for metric in _METRICS if metric in metrics}


def _amounts(nodes: Sequence[ProcessNode], metric: Metric) -> list[int | None]:
    values = [getattr(node, metric.column) for node in nodes]
    if metric.unit != "s":
        return values
    return [None if value is None else round(value * 1e6) for value in values]


def _column(values: list[Any]) -> list[Any] | dict[str, Any]:
    return {"all": values[0]} if values and values.count(values[0]) == len(values) else values


def _mark(node: ProcessNode) -> str:
    marks = [("still running", node.still_running), ("outlived its parent", node.reparented)]
    return ", ".join(name for name, is_so in marks if is_so)


def _block(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 6)).decode("ascii")
