"""What README says of a session besides its options and hooks, each by a run of pytest that would notice."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
from scripted_project import CHANGED, MORE, PLAN, Project, calibration, words_of

from pytest_ptreetime.baselines.store import Store
from pytest_ptreetime.session import evaluator, measuring_session

pytest_plugins = ["scripted_project"]

COMPARED = ("--ptreetime-baseline", "--ptreetime-rounds=3", "--ptreetime-warmup=0")


def test_regression_is_not_added_to_the_baselines(project: Project) -> None:
    project.store()
    project.plan(MORE)
    project.run(*COMPARED, "--ptreetime-save-baseline").assert_outcomes(failed=1)
    assert len(project.stored()) == 3
    project.run(*COMPARED, "--ptreetime-save-baseline", "--ptreetime-fail-on=never").assert_outcomes(passed=1)
    assert len(project.stored()) == 3
    project.plan(PLAN)
    project.run(*COMPARED, "--ptreetime-save-baseline").assert_outcomes(passed=1)
    assert len(project.stored()) == 4


def test_session_with_one_incomplete_round_is_not_added(project: Project) -> None:
    body = "plan = __import__('pathlib').Path('plan')\n    ptreetime(['build'], setup=lambda: plan.write_text({}))"
    lost = "plan.read_text() + ('' if '(lost)' in plan.read_text() else '(lost)\\n')"
    project.run("--ptreetime-save-baseline", "--ptreetime-rounds=2", body=body.format(lost)).assert_outcomes(passed=1)
    assert project.stored() == []
    project.plan(PLAN)
    source = (
        "def test_build(ptreetime):\n    plans = iter(['(lost)\\n', ''])\n    import pathlib\n"
        "    plan = pathlib.Path('plan')\n    text = plan.read_text()\n"
        "    ptreetime(['build'], warmup=0, rounds=2, setup=lambda: plan.write_text(text + next(plans)))\n"
    )
    project.run("--ptreetime-save-baseline", source=source).assert_outcomes(passed=1)
    assert project.stored() == []


def test_pinned_session_is_compared_with_too(project: Project) -> None:
    crept = {**PLAN, "cc1 b.c": 0.22, "cc1 d.c": 0.18}
    path = project.store(sessions=1)
    project.store(crept, sessions=5, first_day=1)
    project.plan(crept)
    project.run(*COMPARED).assert_outcomes(passed=1)
    baseline = Store.read(path)
    baseline.pinned = baseline.sessions[0].session
    Store.write(baseline)
    result = project.run(*COMPARED)
    result.assert_outcomes(failed=1)
    assert "since the pinned session" in words_of(result)


def test_calibration_tells_a_slow_machine_from_a_build_that_became_slower(project: Project) -> None:
    project.store(calibration=calibration())
    project.plan({name: 2 * seconds for name, seconds in PLAN.items()})
    slower = project.run(*COMPARED)
    slower.assert_outcomes(failed=1)
    for file in Store(project.path / ".ptreetime").files():
        file.unlink()
    project.store(calibration=calibration(0.5))
    project.run(*COMPARED).assert_outcomes(passed=1)


def test_machine_is_calibrated_before_each_of_the_first_builds_and_what_it_gave_is_saved(project: Project) -> None:
    body = "\n    ".join(f'ptreetime(["build"], name="{number}")' for number in range(6))
    project.run("--ptreetime-save-baseline", "--ptreetime-rounds=1", body=body).assert_outcomes(passed=1)
    for session in project.stored():
        assert session.calibration is not None
        assert len(session.calibration.wall["compute"]) == 4 * len(calibration().wall["compute"])


def test_verdicts_are_properties_of_junit_xml(project: Project) -> None:
    project.store()
    project.plan(CHANGED)
    body = 'ptreetime(["build"])\n    ptreetime.compare_with(["build"], ["build"], name="ab", rounds=2)'
    project.run(*COMPARED, "--junitxml=junit.xml", body=body)
    found = [
        (one.get("name"), one.get("value")) for one in ElementTree.parse(project.path / "junit.xml").iter("property")
    ]
    assert ("ptreetime.verdict", "regression") in found
    assert ("ptreetime.name", "test_build::test_build[ab]") in found


def test_marker_when_a_class_and_its_test_have_one_is_the_nearest(project: Project) -> None:
    source = """
import pytest

@pytest.mark.ptreetime(rounds=4, warmup=2)
class TestBuilds:
    @pytest.mark.ptreetime(rounds=2)
    def test_build(self, ptreetime):
        ptreetime(["build"])
"""
    project.run(source=source).assert_outcomes(passed=1)
    assert len(project.runs) == 4


def test_run_order_is_the_commits_time_by_default(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring_session, "commit_time_of", lambda directory: 1_700_000_000)
    project.run("--ptreetime-lnt-report=lnt.json").assert_outcomes(passed=1)
    assert json.loads((project.path / "lnt.json").read_text())["Run"]["Info"]["run_order"] == "1700000000"


def test_what_tracing_adds_is_told_of_a_change_that_is_smaller(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "PROCESS_COST", {"scripted": 0.3})
    project.store()
    project.plan(CHANGED)
    assert "less than what tracing" in words_of(project.run("-v", *COMPARED))


@pytest.mark.promise("nothing-compared-is-told")
@pytest.mark.parametrize("damage", ["conflict", "garbage", "directory", "cut"])
def test_store_that_is_damaged_fails_the_test_before_the_build_and_says_where(project: Project, damage: str) -> None:
    path = project.store()
    content = path.read_bytes()
    if damage == "conflict":
        first, _, rest = content.partition(b"\n")
        path.write_bytes(first + b"\n<<<<<<< HEAD\n" + rest)
    elif damage == "garbage":
        path.write_bytes(b"garbage\n")
    elif damage == "cut":
        path.write_bytes(content[:-40])
    else:
        path.unlink()
        path.mkdir()
    result = project.run("-q", *COMPARED)
    result.assert_outcomes(failed=1)
    assert path.name in words_of(result).replace("- ", "-") or path.name in words_of(result)
    assert "restore it from version control" in words_of(result) or "restore the file" in words_of(result)
    assert "nothing found" not in words_of(result)
    assert project.runs == []


@pytest.mark.promise("nothing-compared-is-told")
def test_quiet_summary_says_nothing_found_of_what_was_compared_alone(project: Project) -> None:
    project.store()
    body = 'ptreetime(["build"])\n    ptreetime(["build"], name="new")'
    result = project.run("-q", *COMPARED, body=body)
    result.assert_outcomes(passed=1)
    assert re.search(
        r"not compared: no baseline of test_build::test_build\[new\] in \.ptreetime/main \(save one: pytest "
        r"--ptreetime-save-baseline\) 1 compared, nothing found; 1 not compared",
        words_of(result),
    )


@pytest.mark.parametrize("call", ['ptreetime(["build"], {})', 'ptreetime.compare_with(["build"], ["build"], {})'])
def test_process_that_outlives_a_warm_up_is_warned_of(project: Project, call: str) -> None:
    """Only the first run starts it."""
    project.plan(PLAN, "server --for builds (alive)")
    source = f"""
from pathlib import Path

def test_build(ptreetime):
    plan = Path("plan")
    texts = [plan.read_text()]

    def setup():
        plan.write_text(texts[0])
        texts[0] = texts[0].partition("server")[0]

    {call.format("rounds=2, warmup=1, setup=setup")}
"""
    result = project.run("-q", source=source)
    result.assert_outcomes(passed=1)
    assert "warning: processes outlive the build: server --for builds; what they do" in words_of(result)


# What the call of the fixture takes


@pytest.mark.parametrize(
    ("call", "run"),
    [
        ('ptreetime(["build"], tracer="other")', {"tracer": "other"}),
        ('ptreetime(["build"], env={"WIRING": "yes"})', {"env": "yes"}),
        ('ptreetime(["build"], input="typed")', {"input": "typed"}),
        ('ptreetime(["build"], timeout=9)', {"timeout": 9.0}),
        ('ptreetime(["build"], interpose=False)', {"interpose": False}),
        ('ptreetime("build", shell=True)', {"args": ["/bin/sh", "-c", "build"]}),
    ],
)
def test_argument_of_a_call_reaches_the_build(project: Project, call: str, run: dict[str, object]) -> None:
    project.run(body=call).assert_outcomes(passed=1)
    assert project.runs[0].items() >= run.items()


@pytest.mark.parametrize(
    ("argument", "runs"), [("rounds=3", 3), ("rounds=1, warmup=2", 3), ("rounds=2, setup=lambda: print('set-up')", 2)]
)
def test_number_of_runs_is_what_the_call_says(project: Project, argument: str, runs: int) -> None:
    result = project.run("-s", body=f'ptreetime(["build"], {argument})')
    result.assert_outcomes(passed=1)
    assert len(project.runs) == runs
    assert words_of(result).count("set-up") == (2 if "setup" in argument else 0)


def test_builds_of_compare_with_run_in_turns_with_a_warm_up_each_where_they_are_told(project: Project) -> None:
    (project.path / "old").mkdir()
    body = 'ptreetime.compare_with(["build", "a"], ["build", "b"], baseline_cwd="old", rounds=2, warmup=1)'
    project.run(body=body).assert_outcomes(passed=1)
    assert "".join(run["args"][1] for run in project.runs) == "ababba"
    assert {run["cwd"].rpartition("/")[2] == "old" for run in project.runs if run["args"][1] == "a"} == {True}
    assert {run["cwd"].rpartition("/")[2] == "old" for run in project.runs if run["args"][1] == "b"} == {False}


@pytest.mark.parametrize(("argument", "failed"), [("", 0), (', fail_on="regression"', 1), (', fail_on="never"', 0)])
def test_compare_with_fails_the_test_on_what_it_is_told(project: Project, argument: str, failed: int) -> None:
    (project.path / "old").mkdir()
    (project.path / "old/plan").write_text("cc1 a.c = 0.1\n")
    call = f'ptreetime.compare_with(["build"], ["build"], baseline_cwd="old", rounds=2{argument})'
    project.run(body=f'assert {call}.verdict == "regression"').assert_outcomes(failed=failed, passed=1 - failed)


def test_compare_with_refuses_a_level_that_does_not_exist(project: Project) -> None:
    result = project.run(body='ptreetime.compare_with(["build"], ["build"], fail_on="always")')
    result.assert_outcomes(failed=1)
    assert "compare_with: fail_on='always': there is no level 'always'" in words_of(result)
