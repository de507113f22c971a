"""The golden files of the reports. `make goldens` writes them anew: read the difference.

The other files in golden/ were recorded (from DTrace, from R, by the first version of the file format): they are what
somebody else said once, and are not made anew.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import io
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report_sessions import regressed_session

from pytest_ptreetime.reports import find_report
from pytest_ptreetime.reports.markdown import workflow_commands
from pytest_ptreetime.reports.process_tables import aggregate_table, top_table
from pytest_ptreetime.reports.results import SessionResult
from pytest_ptreetime.reports.terminal import failure_text, properties, summary_text
from pytest_ptreetime.reports.tree_drawing import draw_tree

DIRECTORY = Path(__file__).parents[1] / "golden" / "reports"
PARQUET_ROWS = 8
PERFETTO_PACKETS = 40  # of each kind
NEEDS = {"session.parquet.txt": "pyarrow", "session.pftrace.txt": "perfetto"}
SIGNIFICANT_DIGITS = 6  # of the numbers that statistics made: another version of numpy may end them differently


def rendered(name: str) -> Callable[[SessionResult], str]:
    def render(session: SessionResult) -> str:
        out = io.BytesIO()
        find_report(name).render(session, out)
        return out.getvalue().decode()

    return render


def html_report(session: SessionResult) -> str:
    """The page with its data as text, and without our own scripts and styles, which are files already."""

    def data(match: re.Match[str]) -> str:
        content = zlib.decompress(base64.b64decode(match[2])).decode()
        if 'id="columns-' in match[1]:
            content = json.dumps(rounded(json.loads(content)), indent=None)
        return f"{match[1]}\n{content}\n</script>"

    page = rendered("html")(session)
    page = re.sub(r'(<script type="application/octet-stream"[^>]*>)([^<]*)</script>', data, page)
    page = re.sub(r"<script>.*</script>", "<script>...</script>", page, flags=re.DOTALL)
    page = re.sub(r"<style>.*?</style>", "<style>...</style>", page, flags=re.DOTALL)
    return re.sub(r"'sha256-[^']*'", "'sha256-...'", page)


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if abs(value) > 1e-9 else 0.0
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return {key: rounded(item) for key, item in value.items()} if isinstance(value, dict) else value


def json_report(session: SessionResult) -> str:
    return json.dumps(rounded(json.loads(rendered("json")(session))), indent=1) + "\n"


def parquet_report(session: SessionResult) -> str:
    """The columns with their types, and the first rows."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    out = io.BytesIO()
    find_report("parquet").render(session, out)
    table = parquet.read_table(out)
    # what a list's elements are called depends on pyarrow's version
    columns = [f"{field.name}: {field.type}".replace("<element:", "<item:") for field in table.schema]
    rows = [json.dumps(rounded(row), default=str) for row in table.slice(0, PARQUET_ROWS).to_pylist()]
    return "\n".join([*columns, *rows]) + "\n"


def perfetto_report(session: SessionResult) -> str:
    """The tracks, and the first events."""
    proto: Any = importlib.import_module("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
    text: Any = importlib.import_module("google.protobuf.text_format")
    out = io.BytesIO()
    find_report("perfetto").render(session, out)
    trace = proto.Trace()
    trace.ParseFromString(out.getvalue())
    kinds = [[one for one in trace.packet if one.HasField(kind)] for kind in ("track_descriptor", "track_event")]
    return str(text.MessageToString(proto.Trace(packet=[one for of in kinds for one in of[:PERFETTO_PACKETS]])))


GOLDENS: dict[str, Callable[[SessionResult], str]] = {
    "summary-80.txt": lambda session: summary_text(session, width=80),
    "summary-200.txt": lambda session: summary_text(session, width=200),
    "summary-quiet.txt": lambda session: summary_text(session, width=80, verbosity=-1),
    "summary-verbose.txt": lambda session: summary_text(session, width=80, verbosity=1),
    "summary-colour.txt": lambda session: summary_text(session, width=80, colour=True),
    "failure-80.txt": lambda session: failure_text(session.measurements[0], width=80),
    "failure-200.txt": lambda session: failure_text(session.measurements[0], width=200),
    "tree-80.txt": lambda session: draw_tree(session.measurements[0].tree, width=80),
    "tree-hostile-200.txt": lambda session: draw_tree(session.measurements[2].tree, width=200, fold=False),
    "tree-depth-2-by-wall.txt": lambda session: draw_tree(
        session.measurements[0].tree, width=80, depth=2, sort="wall", min_time=0.1
    ),
    "aggregate-80.txt": lambda session: aggregate_table([session.measurements[0].tree.root], width=80),
    "top-80.txt": lambda session: top_table(session.measurements[0].tree, width=80, limit=8),
    "junit-properties.json": lambda session: json.dumps(rounded(properties(session.measurements[0])), indent=1),
    "annotations.txt": lambda session: "\n".join(workflow_commands(session)),
    "session.json": json_report,
    "session.html": html_report,
    "session.lnt.json": rendered("lnt"),
    "session-own-suite.lnt.json": rendered("lnt-ptreetime"),
    "session.md": rendered("markdown"),
    "session.trace.json": rendered("chrome-trace"),
    "session.pftrace.txt": perfetto_report,
    "session.folded": rendered("folded"),
    "session.cpu.folded": rendered("folded-cpu"),
    "session.diff.folded": rendered("folded-diff"),
    "session.otlp.json": rendered("otlp-json"),
    "session.benchmark.json": rendered("github-action-benchmark"),
    "session.bencher.json": rendered("bencher"),
    "session.metrics.txt": rendered("openmetrics"),
    "session.parquet.txt": parquet_report,
}


def main() -> None:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    session = regressed_session()
    for name, render in GOLDENS.items():
        if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
            print(f"{name} was left as it is: it needs {NEEDS[name]}")  # noqa: T201 - a script
            continue
        (DIRECTORY / name).write_text(render(session), encoding="utf-8", newline="\n")
    for stale in {path.name for path in DIRECTORY.iterdir()} - set(GOLDENS):
        (DIRECTORY / stale).unlink()


if __name__ == "__main__":
    main()
