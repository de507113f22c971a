"""Ordinary changes to a real C build get the verdict that an engineer would give, and the first sentence says why."""

from __future__ import annotations

import shutil

import pytest
from changed_project import ChangedBuild
from changed_rows import C_CHANGES, COSTLY_WRAPPERS, WRAPPERS, Row

pytest_plugins = ["changed_fixtures"]

BY_NAME = {row.name: row for row in C_CHANGES}
#: Those that are measured in turns with the last commit, too, without --slow.
INTERLEAVED = ("nothing", "define", "costlier optimisation", "unit added", "unit removed", "directory renamed")


def need(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def changed(build: ChangedBuild, row: Row) -> ChangedBuild:
    need(*row.needs.split())
    build.change(row.change)
    return build


def wrapped(build: ChangedBuild, wrapper: str) -> ChangedBuild:
    need(wrapper.split()[0])
    command = "'make -s -j2 all'" if wrapper.endswith(("c", "S")) else "make -s -j2 all"
    rest = " /dev/null" if wrapper.startswith("script") else ""
    build.path.joinpath("build.sh").write_text(f"#!/bin/sh\nexec {wrapper} {command}{rest}\n")
    return build


@pytest.mark.parametrize("row", C_CHANGES, ids=lambda row: row.name)
def test_change_is_judged_against_the_stored_baseline(changed_build: ChangedBuild, row: Row) -> None:
    changed(changed_build, row).run("--ptreetime-baseline", rounds=row.rounds).expect(row.verdict, row.says)


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=() if row.name in INTERLEAVED else pytest.mark.slow) for row in C_CHANGES],
    ids=lambda row: row.name,
)
def test_change_is_judged_in_turns_with_the_last_commit(changed_build: ChangedBuild, row: Row) -> None:
    changed(changed_build, row).run("--ptreetime-against=HEAD", rounds=row.rounds).expect(row.verdict, row.says)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_program_in_front_is_a_note_and_what_it_runs_is_compared_with_itself(
    changed_build: ChangedBuild, wrapper: str
) -> None:
    outcome = wrapped(changed_build, wrapper).run("--ptreetime-baseline", rounds=1)
    outcome.expect("ok", rf"^{wrapper.split()[0]}\b.* stands? in front now: \+.* of processor time, .* % of the build")
    assert below_is_compared(outcome.comparable)


@pytest.mark.parametrize("wrapper", COSTLY_WRAPPERS)
def test_costly_program_in_front_is_told_and_accuses_nothing_below(changed_build: ChangedBuild, wrapper: str) -> None:
    outcome = wrapped(changed_build, wrapper).run("--ptreetime-baseline", rounds=1)
    told = " ".join([outcome.sentence, *outcome.changes])
    assert f"{wrapper.split()[0]} " in told and "stands in front now" in told, outcome.text
    assert not [finding for finding in outcome.findings if finding["kind"] in ("added", "removed")], outcome.text
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


def test_structure_fails_where_that_is_asked_for(changed_build: ChangedBuild) -> None:
    row = BY_NAME["trifle added"]
    outcome = changed(changed_build, row).run("--ptreetime-baseline", "--ptreetime-fail-on=structure", rounds=1)
    assert outcome.status == 1
    assert "chmod +x build/done is new" in outcome.text
