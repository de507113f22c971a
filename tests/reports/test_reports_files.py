"""The registry, writing files, results on their way between processes, and the reports that other programs read."""

from __future__ import annotations

import html
import io
import json
import re
import sys
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import IO

import pytest
from report_sessions import HOSTILE_SOURCE, BuildEvents, build, measurement, regressed_session, rounds, session

from pytest_ptreetime.decision.finding import Comparison, Finding, PowerLevel
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.typical import typical
from pytest_ptreetime.errors import ReportFailed, UsageError
from pytest_ptreetime.recording.events import Usage
from pytest_ptreetime.reports import Report, builtin_reports, find_report, report_names, results, write_report
from pytest_ptreetime.reports.chrome_trace import processors
from pytest_ptreetime.reports.folded import folded
from pytest_ptreetime.reports.lanes import end_of, places
from pytest_ptreetime.reports.markdown import append_step_summary, workflow_commands
from pytest_ptreetime.reports.results import SessionResult, whole_of
from pytest_ptreetime.tree.process_tree import ProcessTree


@pytest.fixture(scope="module")
def regressed() -> SessionResult:
    return regressed_session()


class Greeting:
    name = "greeting"
    suffix = ".txt"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        out.write(b"hello")


class Failing(Greeting):
    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        out.write(b"half a rep")
        raise ReportFailed("no more")


def test_every_built_in_report_has_the_name_it_is_registered_by() -> None:
    assert {name: report.name for name, report in builtin_reports().items()} == {name: name for name in report_names()}


def test_report_of_a_plugin_is_found_and_goes_before_a_built_in_one() -> None:
    greeting: Report = Greeting()
    assert find_report("greeting", [greeting]) is greeting
    greeting.name = "json"
    assert find_report("json", [greeting]) is greeting


def test_unknown_report_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(UsageError, match=r"there is no report 'pdf': choose one of .*html"):
        find_report("pdf")


def test_report_is_written_into_directories_that_it_makes(tmp_path: Path, regressed: SessionResult) -> None:
    path = write_report(Greeting(), regressed, tmp_path / "a" / "b" / "report.txt")
    assert path.read_bytes() == b"hello"
    assert list(path.parent.iterdir()) == [path]


def test_report_that_fails_leaves_the_one_before_alone(tmp_path: Path, regressed: SessionResult) -> None:
    path = tmp_path / "report.txt"
    path.write_text("before")
    with pytest.raises(ReportFailed, match="no more"):
        write_report(Failing(), regressed, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_report_that_can_t_be_written_says_where_and_why(tmp_path: Path, regressed: SessionResult) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReportFailed, match=r"the greeting report can't be written to .*file/report.txt: "):
        write_report(Greeting(), regressed, tmp_path / "file" / "report.txt")


def test_result_survives_the_way_from_a_worker_to_its_controller(regressed: SessionResult) -> None:
    arrived = results.decode(results.encode(regressed))
    assert arrived.host == regressed.host
    for there, here in zip(arrived.measurements, regressed.measurements, strict=True):
        assert there.comparison == here.comparison
        assert there.baseline == here.baseline
        assert [node.key for node in there.tree] == [node.key for node in here.tree]
        assert [node.args for node in there.tree] == [node.args for node in here.tree]


def test_result_with_bytes_in_its_command_can_be_sent() -> None:
    measured = measurement(now=[build(), build()])
    measured.command = ["make", "\udcff"]
    measured.rounds[0].command[:] = ["make", "\udcff"]
    arrived = results.decode(results.encode(session(measured))).measurements[0]
    assert arrived.command == ["make", "\\xff"]
    assert arrived.rounds[0].command == ["make", "\udcff"]


def test_result_with_a_lone_surrogate_in_its_command_can_be_sent() -> None:
    measured = measurement(now=[build()])
    measured.rounds[0].command[:] = ["make", "\ud800"]
    measured.rounds[0].incomplete_reason = "\ud800"
    (arrived,) = results.decode(results.encode(session(measured))).measurements[0].rounds
    assert arrived.to_bytes() == measured.rounds[0].to_bytes()


def test_recordings_are_sent_as_they_are_stored() -> None:
    measured = measurement(now=[build()])
    assert measured.rounds[0].to_bytes() in results.encode(session(measured))


def test_keys_that_hooks_have_given_are_used() -> None:
    measured = measurement(now=[build()])
    renamed = results.Measurement(
        test="t", name="n", command=[], rounds=measured.rounds, keys=[[f"key {i}" for i in range(len(measured.tree))]]
    )
    assert [node.key for node in renamed.tree][:2] == ["key 0", "key 1"]


def test_typical_round_is_the_median_over_sessions_of_medians_over_rounds() -> None:
    def profile(cpu: float) -> Profile:
        return Profile.from_dict({"make": {"cpu": cpu}})

    sessions = [[profile(1), profile(2), profile(30)], [profile(5)], [profile(4), profile(4), profile(0)]]
    assert typical(sessions).totals == {"make": {"cpu": 4.0}}


def test_whole_build_is_the_root_s_wall_and_everybody_s_cpu() -> None:
    whole = whole_of(
        Profile.from_dict({"make": {"wall": 2, "cpu": 1, "count": 1}, "make/cc": {"wall": 1, "cpu": 3, "count": 2}})
    )
    assert whole == {"wall": 2.0, "cpu": 4.0, "count": 3.0}


def bars(tree: ProcessTree) -> Iterable[tuple[int, int, int, int]]:
    nodes = list(tree)
    end = max(node.exit_ns or 0 for node in nodes)
    for node, place in zip(nodes, places(nodes, end), strict=True):
        yield place.lane, place.level, node.start_ns, end_of(node, end)


@pytest.mark.parametrize("sources", [1, 2, 50])
def test_bars_of_one_row_never_overlap_and_inner_bars_lie_within_outer_ones(sources: int) -> None:
    placed = sorted(bars(build([f"{n}.c" for n in range(sources)]).tree()))
    assert len({lane for lane, *_ in placed}) == 2 if sources > 1 else 1
    for lane, level, begin, end in placed:
        same_row = [bar for bar in placed if bar[:2] == (lane, level) and bar[2:] != (begin, end)]
        assert all(bar[3] <= begin or bar[2] >= end for bar in same_row)
        assert level == 0 or any(bar[:2] == (lane, level - 1) and bar[2] <= begin and bar[3] >= end for bar in placed)


def test_processors_over_time_are_all_that_was_used_and_waited_for() -> None:
    tree = build().tree()
    end = tree.root.exit_ns or 0
    steps = processors(list(tree), end)
    running = sum(one * (later - time) for (time, one, _), (later, *_) in pairwise(steps)) / 1e9
    waiting = sum(one * (later - time) for (time, _, one), (later, *_) in pairwise(steps)) / 1e9
    assert running == pytest.approx(tree.cpu)
    assert waiting == pytest.approx(sum(node.run_delay or 0.0 for node in tree))
    assert steps[-1] == (end, 0.0, 0.0)
    assert 1.5 < max(one for _, one, _ in steps) < 2.2  # two compiles at a time


def test_trace_has_every_process_with_its_arguments_and_outer_slices_first(regressed: SessionResult) -> None:
    out = io.BytesIO()
    find_report("chrome-trace").render(regressed, out)
    trace = json.loads(out.getvalue())
    slices = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    shown = [one.tree for one in regressed.measurements] + [one.tree_before for one in regressed.measurements]
    assert len(slices) == sum(len(tree) for tree in shown if tree is not None)
    stored = {event["pid"] for event in trace["traceEvents"] if str(event["args"].get("name")).endswith(": before")}
    slices = [event for event in slices if event["pid"] not in stored]  # of which no commands are known
    assert slices[0]["name"] == "make"
    assert {"cc1 c.c", "gcc c.c", "as c.o"} <= {event["name"] for event in slices}
    assert {event["name"] for event in slices if "regression" in event["cat"]} == {"cc1 c.c"}
    assert slices[0]["args"]["command"] == "make -j2"
    assert any("</script>" in event["args"]["command"] for event in slices)
    lanes: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for event in slices:
        outer = lanes.setdefault((event["pid"], event["tid"]), [])
        begin, end = event["ts"], event["ts"] + event["dur"]
        while outer and outer[-1][1] <= begin:
            outer.pop()
        assert not outer or outer[-1][1] >= end - 1e-3, "slices of one lane are nested or apart"
        outer.append((begin, end))


def test_folded_cpu_is_all_of_the_cpu() -> None:
    tree = build().tree()
    assert sum(folded(tree, lambda node: node.cpu).values()) == pytest.approx((tree.cpu or 0) * 1e6, abs=len(tree))


def test_folded_diff_has_both_sides_of_each_chain(regressed: SessionResult) -> None:
    out = io.BytesIO()
    find_report("folded-diff").render(session(regressed.measurements[0]), out)
    rows = dict(line.split(" ", 1) for line in out.getvalue().decode().splitlines())
    assert rows["make;sh_gcc_c.c;gcc_c.c;cc1_c.c"] == "90000 180000"
    assert rows["make;sh_gcc_a.c;gcc_a.c;cc1_a.c"] == "72000 72000"
    with pytest.raises(ReportFailed, match="nothing was compared"):
        find_report("folded-diff").render(session(regressed.measurements[2]), out)


def test_benchmark_formats_have_the_figures_of_the_build_with_their_range(regressed: SessionResult) -> None:
    one = session(regressed.measurements[0])
    files = {}
    for name in ("github-action-benchmark", "bencher"):
        out = io.BytesIO()
        find_report(name).render(one, out)
        files[name] = json.loads(out.getvalue())
    wall = one.measurements[0].whole["wall"]
    walls = [tree.wall or 0.0 for tree in one.measurements[0].trees]
    row = next(row for row in files["github-action-benchmark"] if row["name"] == "test_build.test_clean_build: wall")
    assert (row["unit"], row["value"]) == ("s", pytest.approx(wall))
    measure = files["bencher"]["test_build.test_clean_build"]["wall"]
    assert (measure["lower_value"], measure["upper_value"]) == (pytest.approx(min(walls)), pytest.approx(max(walls)))


def test_folded_frames_hold_no_separators() -> None:
    events = BuildEvents()
    events.process(1000, ["/bin/a;b c"], 1, 10)
    stacks = folded(events.finished(20, Usage(cpu_ns=0)).tree(), lambda node: 1.0)
    assert list(stacks) == ["make", "make;a:b_c"]


def test_metrics_text_is_openmetrics(regressed: SessionResult) -> None:
    out = io.BytesIO()
    find_report("openmetrics").render(regressed, out)
    lines = out.getvalue().decode().splitlines()
    assert lines[-1] == "# EOF"
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert families == list(dict.fromkeys(families))
    for line in lines[:-1]:
        if not line.startswith("#"):
            name, _, rest = line.partition("{")
            assert name in families
            float(rest.rpartition("} ")[2])
            assert rest.count('\\"') * 2 + 2 * (1 + (",node=" in rest)) >= rest.count('"')


def test_markdown_shows_names_as_text_whatever_they_are(regressed: SessionResult) -> None:
    hostile = measurement(f"test_x.{HOSTILE_SOURCE}|`<b>@all", now=rounds(count=1))
    out = io.BytesIO()
    find_report("markdown").render(session(hostile), out)
    row = next(line for line in out.getvalue().decode().splitlines() if "alert" in line)
    assert row.count("|") == 7
    assert "<script" not in row
    assert "@" not in row
    assert "`" not in row


def test_long_name_may_be_broken_in_markdown_s_tables_but_not_inside_a_word() -> None:
    long = measurement("tests.test_clean::build_compiles_each_source_once", now=rounds(count=1))
    out = io.BytesIO()
    find_report("markdown").render(session(long), out)
    row = next(line for line in out.getvalue().decode().splitlines() if "compiles" in line)
    (code,) = re.findall("<code>(.*)</code>", row)
    assert html.unescape(code.replace("<wbr>", "")) == long.name
    assert [html.unescape(piece) for piece in code.split("<wbr>")] == [
        "tests.test_", "clean::", "build_", "compiles_", "each_", "source_", "once",
    ]  # fmt: skip


def test_step_summary_is_added_where_github_asks_for_it(tmp_path: Path, regressed: SessionResult) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    assert append_step_summary(regressed, {"GITHUB_STEP_SUMMARY": str(summary)}) == summary
    assert summary.read_text().startswith("before\n## Build performance")
    assert append_step_summary(regressed, {}) is None
    with pytest.raises(ReportFailed, match="the step summary can't be written"):
        append_step_summary(regressed, {"GITHUB_STEP_SUMMARY": str(tmp_path)})


def test_annotation_is_one_line_with_its_file_and_cause(regressed: SessionResult) -> None:
    (line,) = workflow_commands(regressed)
    assert line.startswith("::error file=tests/test_build.py,title=regression%3A test_build.test_clean_build::cc1 c.c")


def test_json_without_utf_8_is_still_json(regressed: SessionResult) -> None:
    out = io.BytesIO()
    find_report("json").render(regressed, out)
    document = json.loads(out.getvalue())
    assert document["version"] == 1
    assert [one["verdict"] for one in document["measurements"]] == ["regression", "ok", "no-baseline"]
    rows = {row["key"]: row for row in document["measurements"][0]["nodes"]}
    assert rows["make/gcc/cc1[c.c]"]["now"]["cpu"] == pytest.approx(2 * rows["make/gcc/cc1[c.c]"]["before"]["cpu"])


def test_json_has_every_member_of_a_comparison_and_its_findings_and_all_are_documented(
    regressed: SessionResult,
) -> None:
    out = io.BytesIO()
    find_report("json").render(regressed, out)
    document = json.loads(out.getvalue())
    comparison = document["measurements"][0]["comparison"]
    assert set(comparison) == set(Comparison.__struct_fields__) - {"message"} | {"sentence"}
    assert set(comparison["power"]) == {"metric", "effect", "above", "levels", "sentence"}
    assert set(comparison["power"]["levels"][0]) == set(PowerLevel.__struct_fields__)
    members = set(Finding.__struct_fields__) | {"sentence"}
    assert all(set(finding) == members for finding in comparison["findings"])
    documented = set(re.findall(r"`(\w+)`", (Path(__file__).parents[2] / "docs" / "reference" / "json.md").read_text()))
    assert _members(document) - documented == set()


def _members(value: object) -> set[str]:
    """The names of all members, those that are keys or metrics of the data left out."""
    if isinstance(value, list):
        return set().union(*map(_members, value))
    if not isinstance(value, dict):
        return set()
    data = {"now", "before", "info", "host_shifts", "machine_shifts"}
    return set(value) | set().union(*(_members(member) for name, member in value.items() if name not in data))


def test_parquet_without_pyarrow_says_what_to_install(
    regressed: SessionResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ReportFailed, match=r"pip install pytest-ptreetime\[parquet\]"):
        find_report("parquet").render(regressed, io.BytesIO())
