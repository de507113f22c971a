"""The queries of docs/how-to/large-builds.md run, on files that are written as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from report_sessions import build, measurement, session

from pytest_ptreetime.reports import find_report, write_report

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "how-to" / "large-builds.md"
QUERIES = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.promise("scale-queries")
def test_queries_of_the_document_run_and_find_the_slower_compile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb: Any = pytest.importorskip("duckdb", reason="needs duckdb (pip install duckdb)")
    pytest.importorskip("pyarrow", reason="needs pyarrow (pip install pytest-ptreetime[parquet])")
    report = find_report("parquet")
    for day, slow in (("2026-11-22", {}), ("2026-11-23", {"c.c": 2.0})):
        for runner in ("builder-1", "builder-2"):
            place = tmp_path / "builds" / f"day={day}" / f"runner={runner}" / "4f2a1c9.parquet"
            write_report(report, session(measurement(now=[build(slow=slow)])), place)
    monkeypatch.chdir(tmp_path)
    programs, slower, waited, drivers = [duckdb.sql(query).fetchall() for query in QUERIES]
    assert {name for name, *_ in programs} >= {"make", "sh", "gcc", "cc1", "as"}
    assert "cc1[c.c]" in slower[0][0]
    assert slower[0][2] == pytest.approx(2 * slower[0][1])
    assert any("cc1[" in key and times > 0 and seconds > 0 for key, times, seconds in waited)
    assert ("gcc", "cc1") in {(driver, program) for driver, program, *_ in drivers}
