"""Ordinary changes to a real C build get the verdict that an engineer would give, and the first sentence says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from changed_fixtures import save_baseline
from changed_project import ChangedBuild
from changed_rows import ADD_TINY_UNIT, BY_NAME, C_CHANGES, COSTLY_WRAPPERS, LONG_STEP, WRAPPERS, Row

pytest_plugins = ["changed_fixtures"]

#: Those that are measured in turns with the last commit, too, without --slow.
INTERLEAVED = (
    "nothing",
    "define",
    "costlier optimisation",
    "heavier header",
    "unit added",
    "unit removed",
    "directory renamed",
)


def need(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def changed(build: ChangedBuild, row: Row) -> ChangedBuild:
    need(*row.needs.split())
    build.change(row.change)
    return build


def judged(build: ChangedBuild, row: Row, against: str) -> None:
    build.run(against, *row.flags, rounds=row.rounds).expect(row.verdict, row.says, row.blames)


def wrapped(build: ChangedBuild, wrapper: str) -> ChangedBuild:
    need(wrapper.split()[0])
    command = "'make -s -j2 all'" if wrapper.endswith(("c", "S")) else "make -s -j2 all"
    rest = " /dev/null" if wrapper.startswith("script") else ""
    build.path.joinpath("build.sh").write_text(f"#!/bin/sh\nexec {wrapper} {command}{rest}\n")
    return build


@pytest.mark.parametrize("row", C_CHANGES, ids=lambda row: row.name)
def test_change_is_judged_against_the_stored_baseline(changed_build: ChangedBuild, row: Row) -> None:
    judged(changed(changed_build, row), row, "--ptreetime-baseline")


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=() if row.name in INTERLEAVED else pytest.mark.slow) for row in C_CHANGES],
    ids=lambda row: row.name,
)
def test_change_is_judged_in_turns_with_the_last_commit(changed_build: ChangedBuild, row: Row) -> None:
    judged(changed(changed_build, row), row, "--ptreetime-against=HEAD")


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_program_in_front_is_a_note_and_what_it_runs_is_compared_with_itself(
    changed_build: ChangedBuild, wrapper: str
) -> None:
    outcome = wrapped(changed_build, wrapper).run("--ptreetime-baseline", rounds=1)
    outcome.expect("ok", rf"^{wrapper.split()[0]}\b.* stands? in front now: \+.* of processor time, .* % of the build")
    assert below_is_compared(outcome.comparable)


@pytest.mark.parametrize("against", ["--ptreetime-baseline", "--ptreetime-against=HEAD"])
@pytest.mark.parametrize("wrapper", ["fakeroot", *COSTLY_WRAPPERS])
def test_costly_program_in_front_is_told_and_accuses_nothing_below(
    changed_build: ChangedBuild, wrapper: str, against: str
) -> None:
    outcome = wrapped(changed_build, wrapper).run(against, rounds=1 if "baseline" in against else 3)
    told = " ".join([outcome.sentence, *outcome.changes])
    assert f"{wrapper.split()[0]} " in told and "stands in front now" in told, outcome.text
    accused = [finding["key"] for finding in outcome.findings if finding["explained_by"] is None]
    assert set(accused) <= {"(the build)", "(every process)", "build.sh"}, outcome.text
    assert below_is_compared(outcome.comparable)


def below_is_compared(comparable: float) -> bool:
    """All but the few processes of the wrapper itself."""
    return comparable > 0.75


def test_same_tree_elsewhere_is_no_change(changed_build: ChangedBuild, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another directory (all of these are), below a symbolic link, with another TMPDIR."""
    link, temporary = changed_build.path.parent / "link", changed_build.path / "other-tmp"
    link.symlink_to(changed_build.path)
    temporary.mkdir()
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    monkeypatch.setenv("TMPDIR", str(temporary))
    outcome = changed_build.run("--ptreetime-baseline")
    outcome.expect("ok", "")
    assert (outcome.comparable, list(outcome.changes)) == (1.0, [])


def test_temporary_directory_of_pytest_in_the_command_is_no_change(
    pytester: pytest.Pytester, c_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``tmp_path`` has another name in each session, and is below another TMPDIR here."""
    build = ChangedBuild(pytester, c_project)
    test = "def test_build(ptreetime, tmp_path):\n    ptreetime(['make', '-s', '-j2', f'BUILD={tmp_path}/o', 'all'])\n"
    build.change(
        "sed -i 's/build\\//$(BUILD)\\//g; s/-Lbuild/-L$(BUILD)/; 1i BUILD = build' Makefile; rm -rf .ptreetime"
    )
    (build.path / "test_build.py").write_text(test)
    save_baseline(build.path, rounds=2)
    other = pytester.path.parent / "another" / "place"
    other.mkdir(parents=True)
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(other))
    outcome = build.run("--ptreetime-baseline", rounds=2)
    outcome.expect("ok", "")
    assert (outcome.comparable, list(outcome.changes)) == (1.0, [])


@pytest.mark.slow
def test_unit_that_costs_a_few_thousandths_of_the_build_is_a_note(changed_build: ChangedBuild) -> None:
    changed_build.change(LONG_STEP)
    shutil.rmtree(changed_build.path / ".ptreetime")
    save_baseline(changed_build.path, rounds=1)
    changed_build.change(ADD_TINY_UNIT)
    outcome = changed_build.run("--ptreetime-baseline", rounds=1)
    outcome.expect("ok", r"^as build/tiny.o is new: \+.* of processor time, (less than )?0\.\d %.* of the build")


def test_structure_fails_where_that_is_asked_for(changed_build: ChangedBuild) -> None:
    row = BY_NAME["trifle added"]
    outcome = changed(changed_build, row).run("--ptreetime-baseline", "--ptreetime-fail-on=structure", rounds=1)
    assert outcome.status == 1
    assert "chmod +x build/done is new" in outcome.text
