"""Builds that several tests make assertions about, and set-ups that come from a marker or are compared exactly."""

from __future__ import annotations

import pytest
from scripted_project import MORE, PLAN, Project, words_of

pytest_plugins = ["scripted_project"]

SHARED = """
import pytest

@pytest.fixture(scope="{scope}")
def tree(ptreetime_{scope}):
    return ptreetime_{scope}(["build"])

def test_first(tree):
    assert tree.find(name="cc1")

def test_second(tree):
    assert not tree.find(name="{absent}")

def test_other(ptreetime):
    pass
"""
COMPARED = ("--ptreetime-baseline", "--ptreetime-rounds=3", "--ptreetime-warmup=0")
TRIFLE = {**PLAN, "true x": 0.0001}


@pytest.mark.parametrize(("scope", "name"), [("module", "test_build"), ("session", "session")])
def test_shared_build_runs_once_and_is_saved_and_compared_under_one_name(
    project: Project, scope: str, name: str
) -> None:
    source = SHARED.format(scope=scope, absent="ld")
    saved = project.run("--ptreetime-save-baseline", "--ptreetime-rounds=3", "--ptreetime-warmup=0", source=source)
    saved.assert_outcomes(passed=3)
    assert len(project.runs) == 3
    assert len(project.stored()) == 1
    project.run(*COMPARED, source=source).assert_outcomes(passed=3)
    project.plan(MORE)
    result = project.run(*COMPARED, "-v", source=source)
    result.assert_outcomes(failed=1, passed=2)  # told once, with the first test
    result.stdout.fnmatch_lines(["FAILED *::test_first - *"])
    assert name in words_of(result)
    assert "uname" in words_of(result)


def test_shared_build_is_not_saved_where_a_later_test_of_it_fails(project: Project) -> None:
    source = SHARED.format(scope="module", absent="cc1")
    result = project.run("--ptreetime-save-baseline", "--ptreetime-rounds=3", source=source)
    result.assert_outcomes(failed=1, passed=2)
    assert project.stored() == []


def test_shared_build_that_fails_is_told_in_its_own_words_by_each_test(project: Project) -> None:
    source = SHARED.format(scope="module", absent="cc1").replace('(["build"])', '(["build"], setup="exit 3")')
    result = project.run(source=source)
    result.assert_outcomes(errors=2, passed=1)
    assert "the set-up exit 3 ended with exit status 3" in words_of(result)
    assert "Traceback" not in result.stdout.str()
    assert "session/rounds.py" not in result.stdout.str()


def test_shared_fixture_takes_the_marker_of_its_module(project: Project) -> None:
    source = SHARED.format(scope="module", absent="ld") + "\npytestmark = pytest.mark.ptreetime(rounds=4)\n"
    project.run(source=source).assert_outcomes(passed=3)
    assert len(project.runs) == 4


def test_set_up_of_a_marker_is_done_unless_the_call_has_one(project: Project) -> None:
    source = """
import pytest

@pytest.mark.ptreetime(setup="echo marker >> done")
def test_build(ptreetime):
    ptreetime(["build"])
    ptreetime(["build"], setup="echo call >> done")
"""
    project.run(source=source).assert_outcomes(passed=1)
    assert (project.path / "done").read_text() == "marker\ncall\n"


@pytest.mark.parametrize(
    ("setup", "flags", "passed"),
    [
        ('touch("plan")', (), False),
        ('[warm_cache(), edit("other", append="{round}")]', (), False),
        ('touch("plan")', ("--ptreetime-fail-on=never",), True),
        ('[touch("plan"), clean("nothing")]', (), True),
        ('[touch("plan"), "true"]', (), True),
        ("None", (), True),
    ],
)
def test_what_an_incremental_build_ran_is_compared_exactly(
    project: Project, setup: str, flags: tuple[str, ...], passed: bool
) -> None:
    project.store()
    (project.path / "other").write_text("")
    (project.path / "build").write_text("#!/bin/sh\n")
    (project.path / "build").chmod(0o755)
    body = f'import pytest_ptreetime.scenarios as s\n    ptreetime(["./build"], setup=eval("""{setup}""", vars(s)))'
    project.run(*COMPARED, *flags, body=body).assert_outcomes(passed=1)
    project.plan(TRIFLE)
    result = project.run(*COMPARED, *flags, body=body)
    result.assert_outcomes(passed=int(passed), failed=int(not passed))
    assert "true x is new" in words_of(result)
