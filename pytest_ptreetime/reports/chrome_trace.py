"""Trace Event JSON, which Perfetto (ui.perfetto.dev), chrome://tracing and speedscope load.

Every measurement is a "process" of the trace, every lane (lanes.py) a "thread" of it, every process of the build a
complete event (``"ph": "X"``) with its arguments; a counter holds the number of processes that were alive. Times are
microseconds from the start of the build, to the nanosecond. Shown is the round with the median wall time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import msgspec

from pytest_ptreetime.metrics import TABLE
from pytest_ptreetime.reports.lanes import end_of, places
from pytest_ptreetime.system.untrusted_text import shell_line, shown, valid_unicode

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import Measurement, SessionResult
    from pytest_ptreetime.tree.process_tree import ProcessNode

__all__ = ["ChromeTraceReport", "alive_steps"]

_NUMBERS = (*(metric.column for metric in TABLE), "exit_code", "signal")


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
        for number, measurement in enumerate(session.measurements, 1):
            for event in _events(number, measurement):
                out.write(separator + msgspec.json.encode(event))
                separator = b",\n"
        out.write(b"\n]}\n")


def _events(number: int, measurement: Measurement) -> Iterator[dict[str, Any]]:
    tree = measurement.tree
    nodes = list(tree)
    begin = tree.root.start_ns
    end = max((node.exit_ns or node.start_ns for node in nodes), default=begin)
    critical = {id(node) for node in tree.critical_path()}
    where = places(nodes, end)
    label = shown(measurement.name)
    yield {"ph": "M", "name": "process_name", "pid": number, "tid": 0, "args": {"name": label}}
    yield {"ph": "M", "name": "process_sort_index", "pid": number, "tid": 0, "args": {"sort_index": number}}
    for lane in range(max((place.lane for place in where), default=-1) + 1):
        yield {"ph": "M", "name": "thread_name", "pid": number, "tid": lane + 1, "args": {"name": f"lane {lane + 1}"}}
    # A viewer nests by the order of events that begin together: the outer one has to come first.
    order = sorted(range(len(nodes)), key=lambda index: (where[index].lane, nodes[index].start_ns, where[index].level))
    for index in order:
        node = nodes[index]
        yield {
            "ph": "X",
            "name": valid_unicode(node.name),
            "cat": "critical" if id(node) in critical else "process",
            "pid": number,
            "tid": where[index].lane + 1,
            "ts": _microseconds(node.start_ns - begin),
            "dur": _microseconds(end_of(node, end) - node.start_ns),
            "args": _arguments(node, id(node) in critical),
        }
    for time_ns, alive in alive_steps(nodes, end):
        yield {
            "ph": "C",
            "name": "processes alive",
            "pid": number,
            "tid": 0,
            "ts": _microseconds(time_ns - begin),
            "args": {"alive": alive},
        }


def alive_steps(nodes: list[ProcessNode], recording_end_ns: int) -> Iterator[tuple[int, int]]:
    """Every time at which the number of processes that were alive changed, and the number from then on.

    The images of one process count once.
    """
    steps: dict[int, int] = {}
    for node in nodes:
        end = end_of(node, recording_end_ns)
        steps[node.start_ns] = steps.get(node.start_ns, 0) + 1
        steps[end] = steps.get(end, 0) - 1
        if node.parent is not None and node.parent.pid == node.pid:  # the root's later images are its children
            steps[node.start_ns] -= 1
            steps[end] += 1
    alive = 0
    for time_ns in sorted(steps):
        if steps[time_ns]:
            alive += steps[time_ns]
            yield time_ns, alive


def _arguments(node: ProcessNode, critical: bool) -> dict[str, Any]:
    """What a viewer shows beside a slice; what is unknown is left out."""
    details: dict[str, Any] = {"pid": node.pid}
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
