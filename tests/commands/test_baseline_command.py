"""The command ``ptreetime baseline``, on stores that baseline.Store wrote."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pytest_ptreetime.baselines.store import Session, Store
from pytest_ptreetime.cli import main
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.system.host import HostFacts

HOST = HostFacts("EPYC", 2, 24 << 30, "Linux 6.18", "Debian 12", "x86_64", "builder-1")
CLEAN, ALL = "test_build.py::test_clean", "test_build.py::test_all"
FIRST_DAY = datetime(2026, 11, 1, tzinfo=timezone.utc)


def session(day: int, wall: float = 1.0) -> Session:
    profiles = [
        Profile.from_dict(
            {
                "make": {"count": 1, "wall": factor * wall, "cpu": 0.1 * factor},
                "make/cc1[a.c]": {"count": 1, "wall": factor * wall / 2, "cpu": factor * wall / 2},
            }
        )
        for factor in (1.0, 1.01, 0.99)
    ]
    moment = FIRST_DAY + timedelta(days=day)
    return Session.from_profiles(profiles, commit=f"{day}f2a1c9d", tracer="ptrace", time=moment)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Four sessions of one test and one of another, in the default directory."""
    monkeypatch.chdir(tmp_path)
    store = Store(".ptreetime")
    for day in range(4):
        store.add(CLEAN, HOST, session(day, 1 + day / 1000))
    store.add(ALL, HOST, session(0))
    return store


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is room, every column is shown."""
    monkeypatch.setenv("COLUMNS", "200")


def ptreetime(capsys: pytest.CaptureFixture[str], *args: str, status: int = 0) -> str:
    assert main(["baseline", *args]) == status
    captured = capsys.readouterr()
    return captured.err if status or "merge" in args else captured.out


def test_show_lists_every_test_with_its_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {line.split()[0]: line for line in ptreetime(capsys, "show").splitlines()}
    assert rows[CLEAN].split()[1:5] == ["4", "2026-11-04T00:00:00Z", "3f2a1c9d", "3"]
    assert "EPYC, 2 CPUs" in rows[ALL]
    assert ALL not in ptreetime(capsys, "show", "clean")


@pytest.mark.parametrize("columns", [60, 80])
def test_show_fits_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", f"{columns}")
    for lines in (ptreetime(capsys, "show").splitlines(), ptreetime(capsys, "show", "clean").splitlines()):
        assert max(map(len, lines)) <= columns
    assert CLEAN in ptreetime(capsys, "show")


def test_show_of_a_test_lists_its_sessions_with_what_pin_takes(
    capsys: pytest.CaptureFixture[str], store: Store
) -> None:
    first = store.load(CLEAN, HOST).sessions[0].session[:8]
    ptreetime(capsys, "pin", "clean", "--session", first)
    title, _, _, *rows = ptreetime(capsys, "show", "clean").splitlines()
    assert title == f"{CLEAN} on EPYC, 2 CPUs, 24 GiB, Linux 6.18"
    assert rows[0].split() == [
        first,
        "2026-11-01T00:00:00Z",
        "0f2a1c9d",
        "3",
        "ptrace",
        "1",
        "s",
        "600",
        "ms",
        "yes",
    ]
    assert len(rows) == 4


def test_command_when_nothing_matches_says_where_it_looked(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no baseline of nothing in .ptreetime/main" in ptreetime(capsys, "show", "nothing", status=2)
    assert "in .ptreetime/release" in ptreetime(capsys, "show", "--name", "release", status=2)


def test_pin_fixes_the_last_session_and_remove_lets_it_go(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    last = store.load(CLEAN, HOST).sessions[-1].session
    assert f"{CLEAN}: {last[:8]} is pinned" in ptreetime(capsys, "pin", "clean")
    assert store.load(CLEAN, HOST).pinned == last
    assert store.load(ALL, HOST).pinned is None
    assert last[:8] in ptreetime(capsys, "show")
    assert "nothing is pinned" in ptreetime(capsys, "pin", "clean", "--remove")
    assert store.load(CLEAN, HOST).pinned is None


def test_pin_of_a_named_session_takes_that_one(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    first = store.load(CLEAN, HOST).sessions[0].session
    ptreetime(capsys, "pin", "clean", "--session", first[:6])
    assert store.load(CLEAN, HOST).pinned == first
    assert "has no session nonesuch" in ptreetime(capsys, "pin", "clean", "--session", "nonesuch", status=2)


def test_prune_keeps_the_last_sessions_and_the_pinned_one(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    sessions = [one.session for one in store.load(CLEAN, HOST).sessions]
    ptreetime(capsys, "pin", "clean", "--session", sessions[0])
    assert f"{CLEAN}: 2 of 4 sessions kept" in ptreetime(capsys, "prune", "clean", "--keep", "1")
    assert [one.session for one in store.load(CLEAN, HOST).sessions] == [sessions[0], sessions[-1]]


def test_merge_puts_the_sessions_of_two_files_into_one(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    other = Store("other")
    other.add(CLEAN, HOST, session(9))
    paths = [str(one.path_of(CLEAN, HOST)) for one in (store, other)]
    assert f"5 sessions of {CLEAN} written to merged.jsonl" in ptreetime(capsys, "merge", *paths, "-o", "merged.jsonl")
    assert len(Store.read(Path("merged.jsonl")).sessions) == 5


def test_merge_of_two_tests_is_refused(capsys: pytest.CaptureFixture[str], store: Store) -> None:
    paths = [str(store.path_of(test, HOST)) for test in (CLEAN, ALL)]
    assert "is of" in ptreetime(capsys, "merge", *paths, "-o", "merged.jsonl", status=2)
    assert not Path("merged.jsonl").exists()


def test_export_is_a_row_a_session_round_key_and_metric(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(ptreetime(capsys, "export", "clean"))))
    assert len(rows) == 4 * 3 * 2 * 3
    first = next(row for row in rows if row["key"] == "make" and row["metric"] == "wall")
    assert (first["test"], first["commit"], first["round"], first["value"]) == (CLEAN, "0f2a1c9d", "0", "1.0")


def test_power_says_what_the_next_run_could_find(capsys: pytest.CaptureFixture[str]) -> None:
    lines = ptreetime(capsys, "power", "--rounds", "7").splitlines()
    said = dict(line.split(": ", 1) for line in lines)
    assert said[CLEAN].startswith("with 7 rounds and a baseline of 4 sessions a change of cpu by ")
    assert said[CLEAN].endswith(" would be found 9 times in 10")
    assert "that is an assumption until there are more" in said[ALL]
