"""Trace Event JSON, which Perfetto (ui.perfetto.dev), chrome://tracing and speedscope load.

Every measurement is a "process" of the trace, or two, before and now, where both were recorded; every lane (lanes.py) a
"thread" of it, every process of the build a complete event (``"ph": "X"``) that is called by its program and its file;
a counter holds the processors that ran the build, and that it waited for. Times are microseconds from the start of the
build, to the nanosecond. Shown is the round with the median wall time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import msgspec

from pytest_ptreetime.keys.brief import label_of_node
from pytest_ptreetime.metrics import TABLE
from pytest_ptreetime.reports.lanes import end_of, places
from pytest_ptreetime.system.untrusted_text import shell_line, shown, valid_unicode

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import Measurement, SessionResult
    from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["ChromeTraceReport", "arguments_of", "processors", "tracks_of"]

MOST_COUNTS = 1000
_NUMBERS = (*(metric.column for metric in TABLE if not metric.of_build), "exit_code", "signal")


class ChromeTraceReport:
    """The processes of every measurement as nested slices on lanes."""

    name = "chrome-trace"
    suffix = ".trace.json"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        out.write(b'{"displayTimeUnit":"ms","otherData":')
        other = {
            "host": session.host.hostname,
            "cpu": f"{session.host.cpu_count} x {session.host.cpu_model}",
            "commit": session.commit or "unknown",
        }
        out.write(msgspec.json.encode({key: shown(value) for key, value in other.items()}))
        out.write(b',"traceEvents":[\n')
        separator = b""
        tracks = [track for measurement in session.measurements for track in tracks_of(measurement)]
        for number, (label, tree, found) in enumerate(tracks, 1):
            for event in _events(number, label, tree, found):
                out.write(separator + msgspec.json.encode(event))
                separator = b",\n"
        out.write(b"\n]}\n")


def tracks_of(measurement: Measurement) -> Iterator[tuple[str, ProcessTree, Mapping[str, str]]]:
    """What is shown of a measurement: a name, a tree, and what was found, by key."""
    comparison, before = measurement.comparison, measurement.tree_before
    found = {} if comparison is None else {cause.key: cause.kind for cause in reversed(comparison.causes)}
    name = shown(measurement.name)
    if before is not None:
        yield f"{name}: before", before, found
    yield name if before is None else f"{name}: now", measurement.tree, found


def _events(number: int, label: str, tree: ProcessTree, found: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    nodes = list(tree)
    begin = tree.root.start_ns
    end = max((node.exit_ns or node.start_ns for node in nodes), default=begin)
    critical = {id(node) for node in tree.critical_path()}
    where = places(nodes, end)
    yield {"ph": "M", "name": "process_name", "pid": number, "tid": 0, "args": {"name": label}}
    yield {"ph": "M", "name": "process_sort_index", "pid": number, "tid": 0, "args": {"sort_index": number}}
    for lane in range(max((place.lane for place in where), default=-1) + 1):
        yield {"ph": "M", "name": "thread_name", "pid": number, "tid": lane + 1, "args": {"name": f"lane {lane + 1}"}}
    # A viewer nests by the order of events that begin together: the outer one has to come first.
    order = sorted(range(len(nodes)), key=lambda index: (where[index].lane, nodes[index].start_ns, where[index].level))
    for index in order:
        node = nodes[index]
        categories = ["critical" if id(node) in critical else "process", found.get(node.key)]
        yield {
            "ph": "X",
            "name": valid_unicode(label_of_node(node)),
            "cat": ",".join(filter(None, categories)),
            "pid": number,
            "tid": where[index].lane + 1,
            "ts": _microseconds(node.start_ns - begin),
            "dur": _microseconds(end_of(node, end) - node.start_ns),
            "args": arguments_of(node, id(node) in critical),
        }
    for time_ns, running, waiting in processors(nodes, end):
        counts = {"running": round(running, 3), "waiting": round(waiting, 3)}
        ts = _microseconds(time_ns - begin)
        yield {"ph": "C", "name": "processors", "pid": number, "tid": 0, "ts": ts, "args": counts}


def processors(nodes: Sequence[ProcessNode], recording_end_ns: int) -> list[tuple[int, float, float]]:
    """The processors that ran ``nodes``, and that they waited for: ``(time, running, waiting)`` from that time on.

    A process's times are known as sums: they are spread evenly over its life. At most MOST_COUNTS means over stretches
    of equal length, and zeros at the end.
    """
    begin = min((node.start_ns for node in nodes), default=0)
    span = max(recording_end_ns - begin, 1)
    steps = max(min(MOST_COUNTS, 2 * len(nodes)), 1)
    sums = [[0.0] * (steps + 1) for _ in range(2)]
    for node in nodes:
        first, last = node.start_ns - begin, end_of(node, recording_end_ns) - begin
        for row, seconds in zip(sums, (node.cpu, node.run_delay), strict=True):
            if seconds and last > first:
                _spread(row, first * steps / span, last * steps / span, seconds * 1e9 * steps / span)
    times = [begin + place * span // steps for place in range(steps + 1)]
    rows = list(zip(times, sums[0], sums[1], strict=True))
    return [row for place, row in enumerate(rows) if not place or row[1:] != rows[place - 1][1:]]


def _spread(row: list[float], first: float, last: float, amount: float) -> None:
    """Add ``amount`` to the elements from ``first`` to ``last``, in proportion to their part of it."""
    rate = amount / (last - first)
    place = int(first)
    while place < last and place < len(row) - 1:
        row[place] += rate * (min(last, place + 1) - max(first, place))
        place += 1


def arguments_of(node: ProcessNode, critical: bool) -> dict[str, Any]:
    """What a viewer shows beside a slice; what is unknown is left out."""
    details: dict[str, Any] = {"pid": node.pid} if node.pid else {}
    if node.args is not None:
        details["command"] = valid_unicode(shell_line(node.args))
    for name in ("exe", "cwd"):
        if (text := getattr(node, name)) is not None:
            details[name] = valid_unicode(text)
    for name in _NUMBERS:
        if (value := getattr(node, name)) is not None:
            details[name] = round(value, 9) if isinstance(value, float) else value
    if critical:
        details["critical_path"] = True
    return details


def _microseconds(nanoseconds: int) -> float:
    return round(nanoseconds / 1000, 3)
