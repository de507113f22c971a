"""The session as one page: timeline, critical path, utilisation, differences, verdict. One file, no network.

The page is readable without JavaScript (page/page.html.j2); its scripts (page/*.js) add the timeline and the sorting.
Nothing from a build is ever markup: the template escapes, the scripts make text nodes, the data is base64, and the
page's content security policy lets no script run but its own.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from functools import cache
from importlib import resources
from typing import IO, TYPE_CHECKING, Any

from pytest_ptreetime.metrics import MAIN, metric_of
from pytest_ptreetime.reports.bounds import bounds_in_words
from pytest_ptreetime.reports.groups import GROUPINGS, grouped
from pytest_ptreetime.reports.html_data import FINDINGS_SHOWN, column_block, command_blocks, diff_rows
from pytest_ptreetime.system.figures import UNKNOWN, amounts, change, counted, part, ratio_of
from pytest_ptreetime.system.untrusted_text import clip, shell_line, shown
from pytest_ptreetime.wording.measurements import (
    APPEARED,
    Changes,
    certainty,
    environment,
    figure,
    figures_of,
    label_of,
    part_of_change,
    sentence,
    untold_changes,
    untold_reasons,
)
from pytest_ptreetime.wording.remarks import notes_in_words

if TYPE_CHECKING:
    from jinja2 import Template

    from pytest_ptreetime.decision.finding import Finding
    from pytest_ptreetime.reports.results import Measurement, SessionResult
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["HtmlReport"]

SCRIPTS = (
    "data.js",
    "usage.js",
    "tables.js",
    "colours.js",
    "view.js",
    "timeline.js",
    "input.js",
    "details.js",
    "flame.js",
    "page.js",
)
ROWS_WITHOUT_SCRIPT = 200
GROUPS_SHOWN = 12
LONGEST_COMMAND = 2000
COLOURED_FROM = 0.02  # as in tables.js

_ALWAYS = [("key", "node"), ("count", "processes")]
_SIDES, _HEADS = ("-before", "", "-change"), ("before", "now", "change")
_COMPARED = [
    *(
        (f"{metric}{side}", f"{metric} {head}")
        for metric in ("wall", "cpu")
        for side, head in zip(_SIDES, _HEADS, strict=True)
    )
]
_ALONE = [("wall", "wall"), ("cpu", "cpu")]
_LAST = [("max_rss", "peak memory")]


class HtmlReport:
    """One self-contained page."""

    name = "html"
    suffix = ".html"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        commands = command_blocks(session.measurements)
        sections = [
            {**_section(session, measurement), "number": number, "commands_data": block}
            for number, (measurement, block) in enumerate(zip(session.measurements, commands, strict=True), 1)
        ]
        started = datetime.fromtimestamp(session.started, timezone.utc)
        script = "(() => {\n'use strict';\n" + "\n".join(_file(name) for name in SCRIPTS) + "\n})();"
        style = _file("page.css")
        page = _template().render(
            title=sections[0]["title"] if sections else "Build performance",
            date=f"{started:%Y-%m-%d %H:%M} UTC",
            machine=shown(session.machine),
            commit=session.commit,
            sections=sections,
            script=_trusted(script),
            style=_trusted(style),
            script_hash=_hash(script),
            style_hash=_hash(style),
        )
        out.write(page.encode())


def _section(session: SessionResult, measurement: Measurement) -> dict[str, Any]:
    comparison = measurement.comparison
    lines = []
    if comparison is not None:
        lines = [*untold_changes(comparison), *untold_reasons(comparison)]
        lines += [*certainty(comparison), *notes_in_words(comparison)]
    if measurement.accept is not None:
        lines.append(" ".join(measurement.accept))
    urgent = [f"Warning: {warning}" for warning in measurement.warnings]
    if measurement.incomplete_reason is not None:
        urgent.insert(0, f"Not complete: {measurement.incomplete_reason}")
    if measurement.message is not None and comparison is not None:
        urgent.append(measurement.message)
    causes = [] if comparison is None else comparison.causes
    explained = 0 if comparison is None else len(comparison.findings) - len(causes)
    rows = diff_rows(measurement)
    compared = measurement.before is not None
    told = [("history", "cpu in the sessions, and now")] if measurement.history is not None else []
    columns = _ALWAYS[:1] + told + _ALWAYS[1:] + (_COMPARED if compared else _ALONE) + _LAST
    rows.sort(key=lambda row: (row["now"] or row["before"] or {}).get("cpu", 0.0), reverse=True)
    shown_rows = rows[:ROWS_WITHOUT_SCRIPT]
    rounds = counted(len(measurement.rounds), "round")
    before = measurement.tree_before
    return {
        "name": shown(measurement.name),
        "title": _title(measurement),
        "verdict": measurement.verdict,
        "sentence": sentence(measurement).removeprefix(f"{measurement.verdict}: "),
        "urgent": [shown(line) for line in dict.fromkeys(urgent)],
        "lines": [shown(line) for line in dict.fromkeys(lines)],
        "caption": f"Medians of {rounds}"
        + (f", against {measurement.baseline_source}" if measurement.baseline_source else ""),
        "whole": _whole(measurement),
        "findings": [_finding(finding) for finding in causes[:FINDINGS_SHOWN]],
        "explained": f"{counted(explained, 'further finding')} explained by the above" if explained else "",
        "timeline_now": _run_in_words(measurement.tree),
        "timeline_before": None if before is None else _run_in_words(before),
        "groups": _groups(measurement),
        "bounds": bounds_in_words(measurement.tree),
        "compared": compared,
        "columns": [{"name": name, "title": title} for name, title in columns],
        "rows": [_row(row, [name for name, _ in columns[1:]]) for row in shown_rows],
        "table_note": f"The {len(shown_rows)} of {len(rows)} nodes that use the processor most.",
        "facts": _facts(session, measurement),
        "columns_data": column_block(measurement, rows),
    }


def _title(measurement: Measurement) -> str:
    """For the browser's tab: the verdict, the first cause, the test."""
    comparison = measurement.comparison
    cause = next((f": {one.label or one.key}" for one in comparison.causes), "") if comparison is not None else ""
    return shown(f"{measurement.verdict}{cause} - {measurement.name}")


def _run_in_words(tree: ProcessTree) -> str:
    return f"{counted(len(tree), 'process')}, {figure('wall', tree.wall)}"


def _groups(measurement: Measurement) -> list[dict[str, Any]]:
    shift = 1.0 if measurement.comparison is None else measurement.comparison.machine_shifts.get("cpu", 1.0)
    tables = []
    for by, name_of in GROUPINGS.items():
        groups = grouped(measurement.now, measurement.before, name_of)
        rows = []
        for group in groups[:GROUPS_SHOWN]:
            before, now = amounts([group.before, group.now], "s")
            ratio = ratio_of(group.before, group.now)
            moved = None if ratio is None else ratio / shift
            figures = {"before": before, "now": now, "change": change(moved), "tint": _tint(moved)}
            rows.append({"name": shown(group.name), "count": f"{group.count:g}", "share": part(group.share), **figures})
        tables.append({"by": by, "rows": rows, "more": len(groups) - len(rows)})
    return tables


def _whole(measurement: Measurement) -> list[dict[str, str]]:
    now, before = measurement.whole, measurement.whole_before or {}
    changes = Changes(measurement.comparison)
    rows = []
    for metric in MAIN:
        old, new = before.get(metric.name), now.get(metric.name)
        if old is None and new is None:
            continue
        figures = amounts([old, new], metric.unit)
        moved = changes.of_build(measurement, metric.name)
        row = {"name": label_of(metric.name), "before": figures[0], "now": figures[1]}
        rows.append({**row, "change": change(moved), "tint": _tint(moved)})
    return rows


def _finding(finding: Finding) -> dict[str, str]:
    metric, before, now, moved = figures_of(finding)
    return {
        "key": shown(finding.key),
        "label": shown(finding.label or finding.key),
        "kind": finding.kind,
        "metric": metric,
        "before": before,
        "now": now,
        "change": moved,
        "tint": "slower" if finding.is_worse else "faster",
        "share": part_of_change(finding),
    }


def _row(row: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    now, before = row["now"] or {}, row["before"] or {}
    cells = []
    for name in columns:
        metric, _, side = name.partition("-")
        old, new = before.get(metric), now.get(metric)
        if name == "history":
            line, told = row["history"]
            cells.append({"text": line, "tint": "history", "title": told})
        elif side == "change":
            moved = row["ratio"].get(metric)
            cells.append(
                {"text": APPEARED.get(row["kind"]) or change(moved), "tint": row["kind"] or _tint(moved), "title": ""}
            )
        else:
            text = amounts([old, new], metric_of(metric).unit)[0 if side else 1]
            cells.append({"text": text, "tint": "", "title": ""})
    return {"key": row["key"], "badge": row["finding"] or row["kind"], "cells": cells}


def _tint(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return "slower" if ratio > 1 + COLOURED_FROM else "faster" if ratio < 1 / (1 + COLOURED_FROM) else ""


def _facts(session: SessionResult, measurement: Measurement) -> list[tuple[str, str]]:
    walls = ", ".join(figure("wall", tree.wall) for tree in measurement.trees)
    pictured = f"the timeline shows number {measurement.median_round + 1}"
    if measurement.outline is not None:
        pictured += f", that of before number {measurement.outline.round + 1} of the newest stored session"
    facts = [
        ("test", measurement.test),
        ("command", clip(shell_line(measurement.command), LONGEST_COMMAND)),
        ("traced by", measurement.tracer_explained or measurement.tracer),
        ("complete", measurement.incomplete_reason or "yes: every process was seen from its start to its end"),
        ("rounds", f"{len(measurement.rounds)}, wall {walls}; {pictured}"),
        ("compared with", measurement.baseline_source or UNKNOWN),
    ]
    return [(name, shown(value)) for name, value in facts] + environment(session)


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_file("page.html.j2"))


@cache
def _file(name: str) -> str:
    return resources.files(__package__).joinpath("page").joinpath(name).read_text(encoding="utf-8")


def _trusted(text: str) -> Any:
    """One of our own files, to be put into the page as it is."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - read from this package; nothing of a build is in it


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
