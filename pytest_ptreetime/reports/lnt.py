"""LNT reports: format 1 for LNT's own ``compile`` suite, as the original wrote it, and format 2 for our own suite.

Format 1, one entry for each test and metric; ``Data`` has a sample for each round, the total of all processes with that
name::

    {"Machine": {"Name": "builder-1", "Info": {}},
     "Run": {"Start Time": "2026-11-23 10:00:00", "End Time": "2026-11-23 10:05:00",
             "Info": {"tag": "compile", "run_order": "101", "__report_version__": "1"}},
     "Tests": [{"Name": "compile.NAME.wall", "Info": {}, "Data": [10.0, 10.1]}, ...]}

Format 2 is flat: ``machine`` and ``run`` hold further strings beside their names, ``tests`` an entry for each name with
its metrics as keys. Its suite is described by ``lnt_schema.yaml``, which a server needs first (``ptreetime lnt
schema``); ``lnt_compile_schema.yaml`` is the ``compile`` suite for servers that lack it.

NAME is the measurement's name for the whole build, and with its key for each node (lnt_names.py). What LNT wants of
names, numbers and times, and what it answers otherwise, was seen on llvm-lnt 0.4.20 with SQLite and PostgreSQL.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib import resources
from typing import IO, TYPE_CHECKING, Any

from pytest_ptreetime.decision.rekeying import rekeyed
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.metrics import COUNT, TABLE, Metric
from pytest_ptreetime.reports.lnt_names import MAX_NAME_LENGTH, key_in_lnt, lnt_name
from pytest_ptreetime.reports.results import SessionResult, whole_of
from pytest_ptreetime.system.untrusted_text import shown

if TYPE_CHECKING:
    from pytest_ptreetime.decision.profile import Profile

__all__ = [
    "SUITES",
    "LntOwnSuiteReport",
    "LntReport",
    "checked_run_order",
    "lnt_report",
    "lnt_schema",
    "render_lnt",
    "samples_of_profiles",
]

SUITES = ("compile", "ptreetime")
ORDER_WIDTH = 10  # digits of an epoch second from 2001 to 2286

Samples = dict[str, dict[str, list[float]]]
"""Per test name and metric of a profile, a value for each round."""

_COMPILE_METRICS = ("wall", "user", "sys")

# LNT ignores a change below 0.01 of a metric's own unit, so times are in milliseconds: in seconds it would never see a
# compiler run of 50 ms become one of 58.
_UNITS = {"s": ("milliseconds", "ms"), "B": ("bytes", "B")}
_OWN_METRICS = [metric for metric in (*TABLE, COUNT) if metric.lnt_title is not None]


def _own_name(metric: Metric) -> str:
    if metric is COUNT:
        return "process_count"
    return f"{metric.name}_ms" if metric.unit == "s" else metric.name


class LntReport:
    """Format 1 for the ``compile`` suite; with ``suite="ptreetime"`` format 2 for our own.

    ``amend`` may change the report in place before it is rendered: the hook ``pytest_ptreetime_lnt_report``.
    """

    name = "lnt"
    suffix = ".lnt.json"

    def __init__(self, suite: str = "compile", amend: Callable[[dict[str, Any]], object] | None = None) -> None:
        self.suite = suite
        self.amend = amend

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        samples: Samples = {}
        for measurement in session.measurements:
            samples.update(samples_of_profiles(measurement.name, measurement.profiles))
        report = lnt_report(
            samples,
            machine=session.machine,
            run_order=session.run_order or default_run_order(session.commit_time, session.started),
            started=session.started,
            ended=session.ended,
            suite=self.suite,
            machine_fields=machine_fields(session, self.suite),
            run_fields=run_fields(session) if self.suite != "compile" else {},
        )
        if self.amend is not None:
            self.amend(report)
        out.write(render_lnt(report).encode())


class LntOwnSuiteReport(LntReport):
    """Format 2 for the suite that ``lnt_schema.yaml`` describes."""

    name = "lnt-ptreetime"

    def __init__(self, suite: str = "ptreetime", amend: Callable[[dict[str, Any]], object] | None = None) -> None:
        super().__init__(suite, amend)


def samples_of_profiles(name: str, profiles: Sequence[Profile]) -> Samples:
    """The samples of one measurement: of the build and of each key a value for each round, by metric."""
    samples: Samples = {name: {}}
    for profile in profiles:
        (named,) = rekeyed([profile], {key: key_in_lnt(key) for key in profile.totals}, {})
        rows = {name: whole_of(profile), **{f"{name}/{key}": metrics for key, metrics in named.totals.items()}}
        for row, metrics in rows.items():
            for metric, number in metrics.items():
                samples.setdefault(row, {}).setdefault(metric, []).append(float(number))
    return samples


def lnt_report(
    samples: Samples,
    *,
    machine: str,
    run_order: str,
    started: float,
    ended: float,
    suite: str = "compile",
    machine_fields: Mapping[str, str] | None = None,
    run_fields: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The report as JSON values. ``started`` and ``ended`` are seconds since the epoch.

    :raises UsageError: the suite is unknown, or LNT could not order by ``run_order``.
    """
    order = checked_run_order(run_order)
    if suite == "compile":
        return {
            "Machine": {"Name": lnt_name(machine), "Info": _strings(machine_fields)},
            "Run": {
                "Start Time": _naive_utc(started),
                "End Time": _naive_utc(ended),
                "Info": {**_strings(run_fields), "tag": suite, "run_order": order, "__report_version__": "1"},
            },
            "Tests": [
                {"Name": f"{suite}.{lnt_name(name)}.{metric}", "Info": {}, "Data": values}
                for name, metrics in samples.items()
                for metric in _COMPILE_METRICS
                if (values := _finite(metrics.get(metric, [])))
            ],
        }
    if suite == "ptreetime":
        return {
            "format_version": "2",
            "machine": {**_strings(machine_fields), "name": lnt_name(machine)},
            "run": {
                **_strings(run_fields),
                "llvm_project_revision": order,
                "start_time": _naive_utc(started),
                "end_time": _naive_utc(ended),
            },
            "tests": [entry for name, metrics in samples.items() if (entry := _own_entry(name, metrics)) is not None],
        }
    raise UsageError(f"there is no LNT suite {suite!r}: choose one of {', '.join(SUITES)}")


def _own_entry(name: str, metrics: Mapping[str, list[float]]) -> dict[str, Any] | None:
    entry: dict[str, Any] = {}
    for metric in _OWN_METRICS:
        factor = 1e3 if metric.unit == "s" else 1.0
        values = _finite(value * factor for value in metrics.get(metric.name, []))
        if values:  # a single sample as lnt.testing renders it
            entry[_own_name(metric)] = values if len(values) > 1 else values[0]
    return {**entry, "name": lnt_name(name)} if entry else None


def render_lnt(report: Mapping[str, Any]) -> str:
    """``report`` as text, byte for byte as ``lnt.testing.Report.render()`` would write it."""
    return json.dumps(report, sort_keys=True, indent=4, allow_nan=False)


def lnt_schema(suite: str = "ptreetime") -> str:
    """The YAML file that an LNT instance needs in its ``schemas`` directory for reports of ``suite``.

    :raises UsageError: the suite is unknown.
    """
    if suite not in SUITES:
        raise UsageError(f"there is no LNT suite {suite!r}: choose one of {', '.join(SUITES)}")
    own = suite == "ptreetime"
    file = "lnt_schema.yaml" if own else "lnt_compile_schema.yaml"
    text = resources.files(__package__).joinpath(file).read_text(encoding="utf-8")
    return text.replace("metrics:\n", "\n".join(["metrics:", *map(_schema_line, _OWN_METRICS), ""])) if own else text


def _schema_line(metric: Metric) -> str:
    unit, abbreviation = _UNITS.get(metric.unit, (metric.label, "''"))
    return (
        f"- {{name: {_own_name(metric)}, type: Real, display_name: {metric.lnt_title}, "
        f"unit: {unit}, unit_abbrev: {abbreviation}}}"
    )


def checked_run_order(order: str) -> str:
    """``order`` if LNT can sort by it: it compares the numbers in the text, so anything else lands at random.

    :raises UsageError: it is not a number, or numbers with dots between them.
    """
    if re.fullmatch(r"[0-9]+(\.[0-9]+)*", order.strip()) is None:
        raise UsageError(
            f"run order {order!r} is not a number: LNT sorts runs by it, so give one that grows with every commit, "
            "such as `git rev-list --count HEAD` or the commit's time; the commit itself is reported besides"
        )
    return order.strip()


def default_run_order(commit_time: int | None, started: float) -> str:
    """The commit's time, or the session's where there is no commit, in a constant number of digits."""
    return f"{int(commit_time if commit_time is not None else started):0{ORDER_WIDTH}d}"


def machine_fields(session: SessionResult, suite: str) -> dict[str, str]:
    """What is said of the machine. LNT tells machines apart by all of it, so it holds nothing that changes."""
    host = session.host
    return {
        "hardware": host.machine,
        "cpu_model": host.cpu_model,
        "cpu_count": str(host.cpu_count),
        "memory_gib": str(round(host.memory_bytes / 2**30)),
        "os_version" if suite == "compile" else "os": host.os,
    } | session.machine_info


def run_fields(session: SessionResult) -> dict[str, str]:
    """What our suite says of the run: the commit, the kernel, the tracers, and whether every tree is complete."""
    reasons = [f"{m.name}: {reason}" for m in session.measurements if (reason := m.incomplete_reason) is not None]
    fields = {
        "kernel": session.host.kernel,
        "tracer": " ".join(sorted({m.tracer for m in session.measurements if m.tracer})),
        "complete": "; ".join(reasons)[:MAX_NAME_LENGTH] or "yes",
    }
    return fields if session.commit is None else {"git_sha": session.commit, **fields}


def _strings(fields: Mapping[str, str] | None) -> dict[str, str]:
    return {str(key): shown(str(value))[:MAX_NAME_LENGTH] for key, value in (fields or {}).items()}


def _finite(values: Iterable[float]) -> list[float]:
    return [float(value) for value in values if math.isfinite(value)]


def _naive_utc(seconds: float) -> str:
    """LNT silently drops an offset on SQLite, so none is given; the format is ``lnt.testing``'s own."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
