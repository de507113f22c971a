"""The session as one JSON document, for programs. docs/reference/json.md describes it; it changes by its version.

Version history:

1. (0.1.0) the first.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any

import msgspec

from pytest_ptreetime.system.untrusted_text import valid_unicode
from pytest_ptreetime.wording.causes import difference_in_words, work_in_words
from pytest_ptreetime.wording.changes import changes_in_words
from pytest_ptreetime.wording.remarks import notes_in_words, reasons_in_words
from pytest_ptreetime.wording.sentences import finding_sentence, power_sentence
from pytest_ptreetime.wording.verdicts import comparison_sentence

if TYPE_CHECKING:
    from pytest_ptreetime.decision.finding import Comparison, Finding
    from pytest_ptreetime.reports.results import Measurement, SessionResult

__all__ = ["JSON_VERSION", "JsonReport", "document"]

JSON_VERSION = 1


class JsonReport:
    """Verdicts, findings and the typical figures of every node; not the recordings themselves."""

    name = "json"
    suffix = ".json"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        out.write(msgspec.json.format(msgspec.json.encode(document(session)), indent=2) + b"\n")


def document(session: SessionResult) -> dict[str, Any]:
    """The document as JSON values. Unknown is null, and a metric that nobody knows is absent."""
    return {
        "format": "ptreetime-session",
        "version": JSON_VERSION,
        "started": _date(session.started),
        "ended": _date(session.ended),
        "machine": {
            "name": valid_unicode(session.machine),
            "cpu_model": session.host.cpu_model,
            "cpu_count": session.host.cpu_count,
            "memory_bytes": session.host.memory_bytes,
            "kernel": session.host.kernel,
            "os": session.host.os,
            "architecture": session.host.machine,
            "info": {valid_unicode(key): valid_unicode(value) for key, value in session.machine_info.items()},
        },
        "commit": session.commit,
        "commit_time": session.commit_time,
        "run_order": session.run_order,
        "measurements": [_measurement(measurement) for measurement in session.measurements],
    }


def _measurement(measurement: Measurement) -> dict[str, Any]:
    return {
        "test": valid_unicode(measurement.test),
        "name": valid_unicode(measurement.name),
        "command": [valid_unicode(word) for word in measurement.command],
        "tracer": measurement.tracer,
        "rounds": len(measurement.rounds),
        "complete": measurement.incomplete_reason is None,
        "incomplete_reason": _text(measurement.incomplete_reason),
        "verdict": measurement.verdict,
        "message": _text(measurement.message),
        "warnings": [valid_unicode(warning) for warning in measurement.warnings],
        "baseline_source": _text(measurement.baseline_source),
        "comparison": None if measurement.comparison is None else _comparison(measurement.comparison),
        "whole": measurement.whole,
        "whole_before": measurement.whole_before,
        "whole_of_rounds": [
            {"wall": tree.wall, "user": tree.user, "sys": tree.sys, "cpu": tree.cpu, "count": len(tree)}
            for tree in measurement.trees
        ],
        "critical_path": [valid_unicode(key) for key in measurement.now.critical_path],
        "nodes": _nodes(measurement),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "verdict": comparison.verdict,
        "sentence": comparison_sentence(comparison),
        "host_shift": comparison.host_shift,
        "host_shifts": comparison.host_shifts,
        "machine_shifts": comparison.machine_shifts,
        "paired": comparison.paired,
        "decided": comparison.decided,
        "sessions": comparison.sessions,
        "rounds": comparison.rounds,
        "reasons": reasons_in_words(comparison),
        "notes": notes_in_words(comparison),
        "changes": changes_in_words(comparison),
        "comparable": comparison.comparable,
        "power": None
        if comparison.power is None
        else {
            "metric": comparison.power.metric,
            "effect": comparison.power.effect,
            "above": comparison.power.above,
            "sentence": power_sentence(comparison.power),
            "levels": [
                {name: getattr(level, name) for name in level.__struct_fields__} for level in comparison.power.levels
            ],
        },
        "findings": [_finding(finding) for finding in comparison.findings],
        "left": [_finding(finding) for finding in comparison.left],
        "structure": [_finding(finding) for finding in comparison.structure],
        "suspects": [_finding(finding) for finding in comparison.suspects],
        "confirming": None
        if comparison.confirming is None
        else {
            "seconds": comparison.confirming.seconds,
            "processor": comparison.confirming.processor,
            "left": comparison.confirming.left,
            "measured": [_finding(finding) for finding in comparison.confirming.measured],
        },
        "contentions": [_finding(finding) for finding in comparison.contentions],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "key": finding.key,
        "label": finding.label,
        "program": finding.program,
        "metric": finding.metric,
        "kind": finding.kind,
        "baseline": finding.baseline,
        "current": finding.current,
        "measured": finding.measured,
        "ratio": finding.ratio,
        "interval": finding.interval,
        "p_value": finding.p_value,
        "q_value": finding.q_value,
        "explained_by": finding.explained_by,
        "explained_by_metric": finding.explained_by_metric,
        "cost": finding.cost,
        "cost_metric": finding.cost_metric,
        "share": finding.share,
        "part": finding.part,
        "cause": None if finding.cause is None else difference_in_words(finding.cause),
        "alike": finding.alike,
        "wrapper": finding.wrapper,
        "wrapper_gone": finding.wrapper_gone,
        "work": None if finding.work is None else work_in_words(finding.work),
        "waited": finding.waited,
        "waited_for": finding.waited_for,
        "matters": finding.matters,
        "again": finding.again,
        "compiles": finding.compiles,
        "level": finding.level,
        "on_critical_path": finding.on_critical_path,
        "contention": finding.contention,
        "below_tracing_overhead": finding.below_tracing_overhead,
        "against": finding.against,
        "smallest": finding.smallest,
        "confirmation": None if finding.confirmation is None else msgspec.to_builtins(finding.confirmation),
        "sentence": finding_sentence(finding),
    }


def _nodes(measurement: Measurement) -> list[dict[str, Any]]:
    """A row for each key of either side, this session's first, in its order."""
    now, before = measurement.now, measurement.before
    keys = dict.fromkeys([*now.totals, *(before.totals if before is not None else ())])
    rows = []
    for key in keys:
        parent = now.parents.get(key) if key in now.totals or before is None else before.parents.get(key)
        row: dict[str, Any] = {"key": key, "parent": parent, "now": now.totals.get(key)}
        if before is not None:
            row["before"] = before.totals.get(key)
        rows.append(row)
    return rows


def _text(text: str | None) -> str | None:
    return None if text is None else valid_unicode(text)


def _date(seconds: float) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
