"""Each hook is asked and its answer counts; an answer of the wrong kind is told with the plugin that gave it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scripted_project import MORE, PLAN, Project, words_of

pytest_plugins = ["scripted_project"]

COMPARED = ("--ptreetime-baseline", "--ptreetime-rounds=3", "--ptreetime-warmup=0")
JSON = "--ptreetime-report=json:r.json"


def measurement_of(project: Project) -> dict[str, Any]:
    measurement: dict[str, Any] = json.loads((project.path / "r.json").read_text())["measurements"][0]
    return measurement


def keys_of(project: Project) -> set[str]:
    return {node["key"] for node in measurement_of(project)["nodes"]}


def test_key(project: Project) -> None:
    project.hook("def pytest_ptreetime_key(node): return 'compile' if node.name == 'cc1' else None\n")
    project.run("--ptreetime-save-baseline", JSON).assert_outcomes(passed=1)
    (session,) = project.stored()
    assert "compile" in session.columns.keys
    assert "compile" in keys_of(project)
    assert not any("cc1" in key for key in keys_of(project))


def test_normalize_args(project: Project) -> None:
    project.plan({"step 4711 a": 0.1, "step 4712 b": 0.1})
    hook = "def pytest_ptreetime_normalize_args(node): return node.args[2:] if node.name == 'step' else None\n"
    project.hook(hook)
    project.run("--ptreetime-save-baseline", JSON).assert_outcomes(passed=1)
    (session,) = project.stored()
    for keys in (set(session.columns.keys), keys_of(project)):
        assert {"step[a]", "step[b]"} <= {key.rpartition("/")[2] for key in keys}


def test_compare(project: Project) -> None:
    project.store()
    project.plan(MORE)
    project.hook(
        """
def pytest_ptreetime_compare(measurement, baseline, current, settings):
    from pytest_ptreetime import Comparison
    assert measurement.name == "test_build::test_build"
    assert len(baseline) == 3 and len(current) == 3 and settings.rounds == 3
    return Comparison("regression", message="the moon is full")
"""
    )
    result = project.run(*COMPARED, JSON)
    result.assert_outcomes(failed=1)
    assert "the moon is full" in words_of(result)
    assert measurement_of(project)["comparison"]["sentence"] == "the moon is full"


def test_tracers(project: Project) -> None:
    project.run(tracer="other").assert_outcomes(passed=1)
    assert [run["tracer"] for run in project.runs] == ["other"]


def test_reports(project: Project) -> None:
    project.hook(
        """
class Bell:
    name, suffix = "bell", ".txt"
    def render(self, session, out):
        out.write(b"ding %d" % len(session.measurements))

def pytest_ptreetime_reports():
    return [Bell()]
"""
    )
    project.run("--ptreetime-report=bell:bell.txt").assert_outcomes(passed=1)
    assert (project.path / "bell.txt").read_text() == "ding 1"


def test_lnt_report(project: Project) -> None:
    project.hook("def pytest_ptreetime_lnt_report(report): report['Machine']['Info']['room'] = '7'\n")
    project.run("--ptreetime-lnt-report=lnt.json").assert_outcomes(passed=1)
    assert json.loads((project.path / "lnt.json").read_text())["Machine"]["Info"]["room"] == "7"


def test_machine_info(project: Project) -> None:
    project.hook("def pytest_ptreetime_machine_info(info): info['rack'] = '12'\n")
    project.run(JSON).assert_outcomes(passed=1)
    assert json.loads((project.path / "r.json").read_text())["machine"]["info"] == {"rack": "12"}


NONSENSE = {
    "pytest_ptreetime_key(node)": ("return 7", "has returned 7: it must return a text or None"),
    "pytest_ptreetime_normalize_args(node)": ("return 'a.c'", "has returned 'a.c': it must return a list of texts"),
    "pytest_ptreetime_compare()": ("return 'ok'", "has returned 'ok': it must return a Comparison or None"),
    "pytest_ptreetime_tracers()": ("return ['x']", "has returned ['x']: it must return a dictionary of names"),
    "pytest_ptreetime_reports()": ("return [7]", "has returned [7]: it must return a list of reports"),
    "pytest_ptreetime_machine_info(info)": ("info['rack'] = 12", "has put in something that is not text: {'rack': 12}"),
}


@pytest.mark.parametrize("hook", NONSENSE)
def test_answer_of_the_wrong_kind_is_told_with_its_plugin_once(project: Project, hook: str) -> None:
    project.store()
    statement, words = NONSENSE[hook]
    plugin = project.path / "nonsense.py"
    plugin.write_text(f"def {hook}:\n    {statement}\n")
    result = project.run("-p", "nonsense", *COMPARED, JSON)
    assert result.ret != 0
    assert f"{hook.partition('(')[0]} of nonsense {words}" in words_of(result)
    assert "Traceback" not in words_of(result)
    assert "INTERNALERROR" not in words_of(result)


def test_answer_of_a_hook_that_says_none_leaves_the_decision_to_the_next(project: Project) -> None:
    project.store(PLAN)
    project.hook("def pytest_ptreetime_compare(): return None\n")
    project.hook("def pytest_ptreetime_key(): return None\n")
    project.hook("def pytest_ptreetime_normalize_args(): return None\n")
    project.run(*COMPARED).assert_outcomes(passed=1)
