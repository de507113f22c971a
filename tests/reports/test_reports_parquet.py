"""The Parquet report, and ten million rows of it in DuckDB: what a company with many machines would ask."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
from report_sessions import build, measurement, regressed_session, rounds, session

from pytest_ptreetime.errors import NativeHelperMissing, TracerUnavailable
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports import find_report, write_report
from pytest_ptreetime.reports.results import Measurement, SessionResult
from pytest_ptreetime.session.run import record

EXAMPLES = Path(__file__).parents[2] / "examples"
DAY_SECONDS = 86_400
GROUP_ROWS = 2_000  # of the test: fewer than there are

BUILDS = 3  # recorded of each kind: one compile in a while is disturbed by half and more
ROUNDS_OF_A_SESSION = 321  # with the same builds again and again
RUNNERS = 100
SESSIONS = 5  # of each runner; the last one is the one to judge
REGRESSED_RUNNER = 42
SLOWER_UNIT = "src/strings.c"
MEMORY_LIMIT_BYTES = 2 << 30  # of DuckDB: the rows would need more

JUDGE = f"""
with medians as (
    select runner, key, session = {SESSIONS} as is_last, median(cpu) as cpu
    from read_parquet('{{files}}', hive_partitioning = true)
    where name <> 'make'
    group by all
)
select before.runner, key, before.cpu, now.cpu
from medians before join medians now using (runner, key)
where not before.is_last and now.is_last and now.cpu > 1.2 * before.cpu
order by now.cpu - before.cpu desc
"""


@pytest.fixture(scope="module")
def parquet() -> Any:
    return pytest.importorskip("pyarrow.parquet", reason="needs the extra `parquet` (pyarrow)")


def test_parquet_has_a_row_for_each_node_of_each_round(parquet: Any, tmp_path: Path) -> None:
    regressed = regressed_session()
    path = write_report(find_report("parquet"), regressed, tmp_path / "session.parquet")
    rows = parquet.read_table(path).to_pylist()
    assert len(rows) == sum(len(tree) for measured in regressed.measurements for tree in measured.trees)
    first = rows[0]
    assert (first["name"], first["parent"], first["args"], first["round"]) == ("make", None, ["make", "-j2"], 0)
    assert rows[1]["parent"] == 0


def test_parquet_row_groups_do_not_depend_on_the_size_of_the_trees(
    parquet: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pytest_ptreetime.reports.parquet.GROUP_ROWS", GROUP_ROWS)
    many_small = measurement("test_a.test_small", now=rounds(count=60))
    one_large = measurement("test_a.test_large", now=[build([f"{index}.c" for index in range(GROUP_ROWS // 4)])])
    path = write_report(find_report("parquet"), session(many_small, one_large, many_small), tmp_path / "a.parquet")
    file = parquet.ParquetFile(path)
    sizes = [file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups)]
    trees = [tree for one in (many_small, one_large, many_small) for tree in one.trees]
    assert sum(sizes) == sum(map(len, trees))
    assert len(one_large.tree) > GROUP_ROWS
    assert len(sizes) == 2
    assert max(sizes) < 2 * GROUP_ROWS
    nodes = file.read(columns=["node", "parent", "key"]).to_pylist()[-len(trees[-1]) :]
    assert [row["node"] for row in nodes] == list(range(len(nodes)))
    assert [row["key"] for row in nodes] == [node.key for node in trees[-1]]


def recorded_build(directory: Path) -> Recording:
    """One clean build of the example in ``directory``; skipped where nothing can be traced."""
    shutil.rmtree(directory / "calc" / "build", ignore_errors=True)
    with (directory / "output").open("wb") as output:
        stdout = os.dup(1)
        try:
            os.dup2(output.fileno(), 1)
            recording = record(["make", "-j2"], cwd=directory / "calc", check=True)
        except (TracerUnavailable, NativeHelperMissing) as error:
            pytest.skip(f"needs a tracer: {error}")
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)
    return recording


def slower_header() -> str:
    """The demo's, with five times as many searches to expand: slower by far more than a machine's noise."""
    text = (EXAMPLES / "regression" / "search.h").read_text()
    last = "    SEARCHES(2)\n"
    assert last in text
    return text.replace(last, "".join(f"    SEARCHES({tens})\n" for tens in range(2, 15)))


def session_of(recordings: list[Recording], day: int) -> SessionResult:
    """A session that measured ``recordings`` many times."""
    measured = Measurement(
        test="test_calc.py::test_clean_build",
        name="test_calc::test_clean_build",
        command=["make", "-j2"],
        rounds=recordings,
        median_round=0,
        tracer=str(recordings[0].tracer),
    )
    measured.__dict__["trees"] = measured.trees * (
        ROUNDS_OF_A_SESSION // BUILDS
    )  # cached: rebuilding them is not what is tested
    result = session(measured)
    result.started += day * DAY_SECONDS
    return result


@pytest.mark.slow
def test_ten_million_rows_name_the_regression_of_one_build_on_one_machine(parquet: Any, tmp_path: Path) -> None:
    """A hundred machines, five sessions each, on the last day one of them with a slower compile: a real build's trees,
    written by the report, as often as it takes.
    """
    duckdb: Any = pytest.importorskip("duckdb", reason="needs duckdb (pip install duckdb)")
    for copy in ("before", "after"):
        shutil.copytree(EXAMPLES, tmp_path / copy, ignore=shutil.ignore_patterns("build", "__pycache__"))
    (tmp_path / "after" / "calc" / "src" / "search.h").write_text(slower_header())
    builds = [(recorded_build(tmp_path / "before"), recorded_build(tmp_path / "after")) for _ in range(BUILDS)]
    before, after = [list(recordings) for recordings in zip(*builds, strict=True)]
    report = find_report("parquet")
    files = [write_report(report, session_of(before, day), tmp_path / f"{day}.parquet") for day in range(SESSIONS)]
    regressed = write_report(report, session_of(after, SESSIONS - 1), tmp_path / "regressed.parquet")
    for runner in range(RUNNERS):
        for number, file in enumerate(files, 1):
            place = tmp_path / "store" / f"runner={runner}" / f"session={number}" / "rows.parquet"
            place.parent.mkdir(parents=True)
            is_regressed = runner == REGRESSED_RUNNER and number == SESSIONS
            os.link(regressed if is_regressed else file, place)

    store = f"{tmp_path}/store/*/*/rows.parquet"
    with duckdb.connect(config={"memory_limit": f"{MEMORY_LIMIT_BYTES >> 20}MiB", "threads": 2}) as database:
        ((count,),) = database.sql(f"select count(*) from read_parquet('{store}')").fetchall()
        found = database.sql(JUDGE.format(files=store)).fetchall()
        ((below,),) = database.sql(
            f"""select count(*) from read_parquet('{files[0]}') child join read_parquet('{files[0]}') parent
            on child.round = parent.round and child.parent = parent.node where parent.name = 'gcc'"""
        ).fetchall()
    assert count >= 10_000_000
    assert {runner for runner, *_ in found} == {REGRESSED_RUNNER}
    _, key, cpu_before, cpu_now = found[0]
    assert SLOWER_UNIT in key
    assert cpu_now > 1.2 * cpu_before
    assert below == ROUNDS_OF_A_SESSION * sum(len(node.children) for node in before[0].tree().find(name="gcc"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < 2 * MEMORY_LIMIT_BYTES
