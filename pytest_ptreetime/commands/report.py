"""Write a report from recordings; several files are rounds of one build.

    ptreetime report html build.ptreetime -o build.html
    ptreetime report markdown round1.ptreetime round2.ptreetime

Without -o it is written to its usual file name, ptreetime-report and the kind's ending.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports import find_report, report_names, write_report
from pytest_ptreetime.reports.results import from_recordings
from pytest_ptreetime.system.untrusted_text import shown

# What to do with a report, where one does not read it as it is.
_NEXT = {
    "html": "open it in a browser",
    "chrome-trace": "open it in https://ui.perfetto.dev or chrome://tracing",
    "perfetto": "open it in https://ui.perfetto.dev",
    "folded": "flamegraph.pl or speedscope draws it",
    "folded-cpu": "flamegraph.pl or speedscope draws it",
    "folded-diff": "flamegraph.pl draws the differential flame graph",
    "otlp-json": "POST it to an OpenTelemetry collector's /v1/traces",
    "lnt": "`ptreetime lnt submit FILE URL` sends it",
    "parquet": "DuckDB, pandas and polars read it",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=", ".join(report_names()))
    parser.add_argument("paths", nargs="+", metavar="FILE", help="recordings")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it")


def run(options: argparse.Namespace) -> int:
    report = find_report(options.name)
    session = from_recordings([Recording.load(path) for path in options.paths], name=Path(options.paths[0]).stem)
    if options.output is None and not report.suffix:
        text = io.BytesIO()
        report.render(session, text)
        sys.stdout.write(text.getvalue().decode())
        return 0
    written = shown(str(write_report(report, session, options.output)))
    then = _NEXT.get(options.name)
    print(f"{options.name} report written to {written}" + (f"; {then}" if then else ""), file=sys.stderr)
    return 0
