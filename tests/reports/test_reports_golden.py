from __future__ import annotations

import pytest
from report_goldens import DIRECTORY, GOLDENS, NEEDS
from report_sessions import regressed_session

from pytest_ptreetime.reports import report_names
from pytest_ptreetime.reports.results import SessionResult


@pytest.fixture(scope="module")
def session() -> SessionResult:
    return regressed_session()


@pytest.mark.parametrize("name", list(GOLDENS))
def test_report_is_as_in_its_golden_file(name: str, session: SessionResult) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"needs {NEEDS[name]}")
    golden = (DIRECTORY / name).read_text(encoding="utf-8")
    assert GOLDENS[name](session) == golden, "if this is wanted: make goldens"


def test_every_report_has_a_golden_file() -> None:
    covered = {
        "terminal": "summary-verbose.txt",
        "html": "session.html",
        "json": "session.json",
        "markdown": "session.md",
        "chrome-trace": "session.trace.json",
        "perfetto": "session.pftrace.txt",
        "folded": "session.folded",
        "folded-cpu": "session.cpu.folded",
        "folded-diff": "session.diff.folded",
        "otlp-json": "session.otlp.json",
        "github-action-benchmark": "session.benchmark.json",
        "bencher": "session.bencher.json",
        "openmetrics": "session.metrics.txt",
        "parquet": "session.parquet.txt",
        "lnt": "session.lnt.json",
        "lnt-ptreetime": "session-own-suite.lnt.json",
    }
    assert set(covered) == set(report_names())
    assert set(covered.values()) <= set(GOLDENS)
    assert {path.name for path in DIRECTORY.iterdir()} == set(GOLDENS)
