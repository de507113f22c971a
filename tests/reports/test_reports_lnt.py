from __future__ import annotations

import io
import json
import math
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lnt_server import lnt_command, lnt_python, needs_lnt
from report_sessions import HOSTILE_SOURCE, BuildEvents, measurement, rounds, session

from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.recording.events import Usage
from pytest_ptreetime.reports.lnt import (
    LntOwnSuiteReport,
    LntReport,
    checked_run_order,
    default_run_order,
    lnt_report,
    lnt_schema,
    render_lnt,
    samples_of_profiles,
)
from pytest_ptreetime.reports.lnt_names import key_in_lnt, lnt_name, original_samples
from pytest_ptreetime.reports.results import SessionResult

LNT_RENDERING = Path(__file__).parents[1] / "support" / "lnt_rendering.py"


def plain_session() -> SessionResult:
    return session(measurement(now=rounds(count=3)))


def rendered(report: LntReport, result: SessionResult) -> dict[str, Any]:
    out = io.BytesIO()
    report.render(result, out)
    loaded: dict[str, Any] = json.loads(out.getvalue())
    return loaded


def test_report_has_a_sample_for_each_round_and_the_names_of_the_compile_suite() -> None:
    result = plain_session()
    report = rendered(LntReport(), result)
    assert report["Machine"] == {
        "Name": "builder-1",
        "Info": {
            "hardware": "x86_64",
            "os_version": "Debian GNU/Linux 12 (bookworm)",
            "cpu_model": "Example CPU 3000",
            "cpu_count": "4",
            "memory_gib": "16",
        },
    }
    assert report["Run"] == {
        "Start Time": "2026-11-23 10:00:00",
        "End Time": "2026-11-23 10:05:00",
        "Info": {"tag": "compile", "run_order": "101", "__report_version__": "1"},
    }
    data = {test["Name"]: test["Data"] for test in report["Tests"]}
    walls = [tree.wall for tree in result.measurements[0].trees]
    assert data["compile.test_build.test_clean_build.wall"] == walls
    assert all(len(values) == 3 for values in data.values())
    keys = result.measurements[0].profiles[0].totals
    assert {name.rpartition(".")[0] for name in data} == {
        "compile.test_build.test_clean_build",
        *(f"compile.test_build.test_clean_build/{key_in_lnt(key)}" for key in keys),
    }


def test_sample_of_a_key_is_the_sum_of_its_processes_in_one_round() -> None:
    result = plain_session()
    tree = result.measurements[0].trees[0]
    data = {test["Name"]: test["Data"] for test in rendered(LntReport(), result)["Tests"]}
    for key in {node.key for node in tree}:
        cpu = [node.user for node in tree if node.key == key and node.user is not None]
        name = f"compile.test_build.test_clean_build/{key_in_lnt(key)}.user"
        if cpu:
            assert data[name][0] == pytest.approx(sum(cpu))
        else:
            assert name not in data


def test_own_suite_gives_times_in_milliseconds_and_the_facts_of_the_run() -> None:
    result = plain_session()
    report = rendered(LntOwnSuiteReport(), result)
    whole = report["tests"][0]
    assert whole["name"] == "test_build.test_clean_build"
    assert whole["wall_ms"] == pytest.approx([(tree.wall or 0) * 1000 for tree in result.measurements[0].trees])
    assert whole["process_count"] == [len(tree) for tree in result.measurements[0].trees]
    assert report["run"]["git_sha"] == result.commit
    assert report["run"]["complete"] == "yes"
    assert report["machine"]["cpu_model"] == "Example CPU 3000"
    strings = [*report["run"].values(), *report["machine"].values()]
    assert all(isinstance(value, str) for value in strings)


def test_schema_has_every_metric_and_field_that_a_report_uses() -> None:
    report = rendered(LntOwnSuiteReport(), plain_session())
    schema = lnt_schema()
    metrics = {name for test in report["tests"] for name in test if name != "name"}
    for metric in metrics:
        assert f"{{name: {metric}, type: Real" in schema
    for field in {*report["machine"], *report["run"]} - {"name", "start_time", "end_time"}:
        assert f"{{name: {field}" in schema


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("make/gcc/cc1[src/core/lvm.c]", "make/gcc/cc1[src:core:lvm.c]"),
        ("make/gcc[x.c -> pic/x.o]", "make/gcc[x.c -> pic:x.o]"),
        ("make", "make"),
        ("make/sh[gcc -DVERSION=123 -c src/a.c]", "make/sh[src:a.c]"),
        ("make/echo['Building at 10:07']", "make/echo"),
        ("make/llvm-tblgen[-gen-isel --date=1.2 lib/X86.td -o x.inc]", "make/llvm-tblgen[lib:X86.td]"),
        ("make/sh['[' -f config.h ']']", "make/sh[config.h]"),
    ],
)
def test_key_in_lnt_has_no_slash_behind_the_programs_and_no_options(key: str, name: str) -> None:
    assert key_in_lnt(key) == name


def test_nodes_that_have_one_name_in_lnt_are_added_up() -> None:
    totals = {
        "make": {"count": 1.0, "wall": 3.0},
        "make/sh[echo 1]": {"count": 2.0, "wall": 1.0, "max_rss": 5.0},
        "make/sh[echo 2]": {"count": 1.0, "wall": 0.5, "max_rss": 7.0},
    }
    samples = samples_of_profiles("t", [Profile.from_dict(totals)] * 2)
    assert samples["t/make/sh"] == {"count": [3.0, 3.0], "wall": [1.5, 1.5], "max_rss": [7.0, 7.0]}


def test_original_s_names_are_those_of_its_own_reports() -> None:
    """As its Python 2 program made them of a list of byte strings; here with the names that it would have given."""
    tree = session(measurement(now=rounds(count=1, sources=["a.c", "b'é.c"]))).measurements[0].tree
    samples = original_samples([tree.root], [(r"/tmp/cc\d+", "TMP"), ("^-quiet$", "")])
    assert samples["make(depth=0,args=['make', '-j2'])"]["wall"] == [tree.wall]
    assert "gcc(depth=2,args=['/usr/bin/gcc', '-c', 'a.c'])" in samples
    assert "sh(depth=1,args=['/bin/sh', '-c', \"gcc -c b'\\xc3\\xa9.c\"])" in samples
    (compiler,) = (name for name in samples if name.startswith("cc1(depth=3") and "'a.c'" in name)
    assert compiler.endswith("/cc1', 'a.c', '-dumpbase', 'a.c', '-O2', '-o', 'TMP.s'])")


def test_original_s_names_have_of_clang_s_compiler_the_target_and_the_file() -> None:
    events = BuildEvents()
    args = ["clang", "-cc1", "-triple", "x86_64", "-emit-obj", "-main-file-name", "a.c", "-o", "/tmp/a-1f.o"]
    for start in (1, 20):
        events.process(1000, args, start, 10)
    tree = events.finished(40, Usage(*[0] * 12)).tree()
    samples = original_samples([tree.root], [])
    name = "clang(depth=1,args=['clang', '-cc1', '-triple', 'x86_64', '-main-file-name', 'a.c'])"
    assert samples[name]["wall"] == [0.01, 0.01]


@given(st.text(st.characters(), max_size=600))
@example(" (")
def test_name_is_what_lnt_can_store(name: str) -> None:
    stored = lnt_name(name)
    assert len(stored) <= 256
    assert not any(part.startswith("(") for part in stored.split("/"))
    assert "\0" not in stored
    stored.encode()


@given(st.text(st.characters(), max_size=300), st.text(st.characters(), max_size=300))
def test_names_that_differ_stay_different(one: str, other: str) -> None:
    assert one == other or lnt_name(one) != lnt_name(other)


def test_name_that_lnt_can_store_is_left_alone() -> None:
    assert lnt_name("test_x.test_y/make/cc1[src/a (2).c]") == "test_x.test_y/make/cc1[src/a (2).c]"


@pytest.mark.parametrize("order", ["101", "1763900000", "12.3"])
def test_run_order_that_is_a_number_is_taken(order: str) -> None:
    assert checked_run_order(order) == order


@pytest.mark.parametrize("order", ["4f2a1c9", "", "abc", "1-2", "\uff11"])
def test_run_order_that_lnt_would_sort_at_random_is_refused(order: str) -> None:
    with pytest.raises(UsageError, match="is not a number"):
        checked_run_order(order)


def test_default_run_orders_have_one_width() -> None:
    assert default_run_order(1_795_420_000, 0.0) == "1795420000"
    assert default_run_order(None, 999_999_999.9) == "0999999999"


def test_sample_that_is_not_finite_is_left_out_with_its_metric() -> None:
    report = lnt_report(
        {"build": {"wall": [math.nan, 1.0], "user": [math.inf], "sys": []}},
        machine="m",
        run_order="1",
        started=0.0,
        ended=1.0,
    )
    assert [(test["Name"], test["Data"]) for test in report["Tests"]] == [("compile.build.wall", [1.0])]


def test_hook_may_change_the_report() -> None:
    report = rendered(LntReport(amend=lambda raw: raw["Machine"]["Info"].update(site="oslo")), plain_session())
    assert report["Machine"]["Info"]["site"] == "oslo"


@needs_lnt
@pytest.mark.parametrize("suite", ["compile", "ptreetime"])
def test_json_is_byte_identical_to_lnt_s_own_rendering(suite: str, tmp_path: Path) -> None:
    result = session(measurement(now=rounds(count=3, sources=["a.c", HOSTILE_SOURCE])))
    out = io.BytesIO()
    LntReport(suite).render(result, out)
    ours = tmp_path / "ours.json"
    ours.write_bytes(out.getvalue())
    theirs = subprocess.run([lnt_python(), LNT_RENDERING, ours], stdout=subprocess.PIPE, check=True)
    assert theirs.stdout == ours.read_bytes()


@pytest.fixture(scope="module")
def lnt_instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh LNT instance on SQLite with both suites."""
    instance = tmp_path_factory.mktemp("lnt") / "instance"
    subprocess.run([str(lnt_command()), "create", instance], check=True, stdout=subprocess.DEVNULL)
    for suite in ("compile", "ptreetime"):
        (instance / "schemas" / f"{suite}.yaml").write_text(lnt_schema(suite))
    return instance


def values_in(instance: Path, suite: str, column: str) -> dict[str, list[float]]:
    """Per test name the samples that LNT has stored in ``column``."""
    prefix = {"compile": "compile", "ptreetime": "ptreetime"}[suite]
    with sqlite3.connect(instance / "data" / "lnt.db") as database:
        rows = database.execute(
            f"select t.Name, s.{column} from {prefix}_Sample s join {prefix}_Test t on s.TestID = t.ID order by s.ID"
        ).fetchall()
    stored: dict[str, list[float]] = {}
    for name, value in rows:
        if value is not None:
            stored.setdefault(name, []).append(value)
    return stored


@needs_lnt
@pytest.mark.parametrize(("suite", "column", "factor"), [("compile", "wall_time", 1), ("ptreetime", "wall_ms", 1000)])
def test_import_into_lnt_gives_the_values_back(
    suite: str, column: str, factor: float, lnt_instance: Path, tmp_path: Path
) -> None:
    result = session(measurement(now=rounds(count=3, sources=["a.c", HOSTILE_SOURCE])))
    report = tmp_path / "report.json"
    with report.open("wb") as out:
        LntReport(suite).render(result, out)
    imported = subprocess.run(
        [str(lnt_command()), "import", "-s", suite, "--no-email", lnt_instance, report],
        capture_output=True,
        text=True,
    )
    assert imported.returncode == 0, imported.stdout + imported.stderr
    stored = values_in(lnt_instance, suite, column)
    measured = result.measurements[0]
    assert stored[measured.name] == pytest.approx([(tree.wall or 0) * factor for tree in measured.trees])
    for key in measured.profiles[0].totals:
        expected = [profile.totals[key]["wall"] * factor for profile in measured.profiles]
        assert stored[lnt_name(f"{measured.name}/{key_in_lnt(key)}")] == pytest.approx(expected)
    with sqlite3.connect(lnt_instance / "data" / "lnt.db") as database:
        assert database.execute(f"select Name from {suite}_Machine").fetchall() == [("builder-1",)]
        assert database.execute(f"select llvm_project_revision from {suite}_Order").fetchall() == [("101",)]


def test_render_refuses_what_is_not_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        render_lnt({"x": math.nan})
