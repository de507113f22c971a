"""What must not grow with the size of a build or of a store; `make bench-scale` has the times."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from generated_project import PROCESSES_PER_FILE, build_of, write_project
from replicated_builds import lua_build, replicated
from report_sessions import HOST, build
from working_tracers import working

from pytest_ptreetime.baselines.store import Baseline, Session, Store
from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import BaselineCorrupt
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.reports import find_report
from pytest_ptreetime.reports.results import from_recordings
from pytest_ptreetime.session.run import record
from pytest_ptreetime.tracers import Tracer, builtin_tracers

FILES = 250


@pytest.fixture
def ebpf() -> Iterator[Tracer]:
    with working(builtin_tracers()["ebpf"]()) as tracer:
        yield tracer


@pytest.mark.slow
@pytest.mark.promise("scale-nothing-lost")
def test_build_of_a_thousand_processes_is_traced_with_nothing_lost(ebpf: Tracer, tmp_path: Path) -> None:
    if shutil.which("gcc") is None or (shutil.which("ninja") or shutil.which("make")) is None:
        pytest.skip("needs gcc, and ninja or make")
    write_project(tmp_path / "project", FILES)
    recordings = []
    for _ in range(2):
        shutil.rmtree(tmp_path / "project" / "objects", ignore_errors=True)
        recordings.append(record(build_of(tmp_path / "project", jobs=2), tracer=ebpf, check=True))
    session = from_recordings(recordings[:1], name="build", baseline=recordings[1:])
    tree = session.measurements[0].tree
    assert tree.complete, tree.incomplete_reason
    assert tree.completeness.lost == 0
    assert tree.completeness.creates >= FILES * PROCESSES_PER_FILE
    assert len(tree.find(name="cc1")) == len(tree.find(name="as")) == FILES
    profiles = [Profile.from_tree(recording.tree()) for recording in recordings]
    assert profiles[0].totals.keys() == profiles[1].totals.keys()
    found = compare([profiles[:1]], profiles[1:]).findings
    assert not [finding for finding in found if finding.kind in ("added", "removed", "count")]
    page = io.BytesIO()
    find_report("html").render(session, page)
    assert 10_000 < len(page.getvalue()) < 2_000_000


@pytest.mark.promise("scale-linear")
def test_keys_of_a_build_repeated_in_the_same_directory_are_its_own_with_counts() -> None:
    """What repeats is recognised, so that a build's keys grow with its different commands and not with its length."""
    once, often = (Profile.from_tree(replicated(size, directories=1).tree()) for size in (545, 545 * 4))
    assert once.totals.keys() == often.totals.keys()
    root = "make[everything]"
    for key, metrics in often.totals.items():
        assert metrics["count"] == once.totals[key]["count"] * (1 if key == root else 4)


@pytest.mark.promise("scale-linear")
def test_bytes_and_keys_of_a_build_grow_with_its_processes() -> None:
    small, large = replicated(1_000), replicated(8_000)
    ratio = len(large.tree()) / len(small.tree())
    assert ratio > 7
    assert len(large.to_bytes()) < 1.1 * ratio * len(small.to_bytes())
    assert len(set(Keyer().keys(large.tree()).values())) < 1.1 * ratio * len(set(Keyer().keys(small.tree()).values()))


@pytest.mark.promise("scale-linear")
def test_build_simulated_from_a_real_one_has_its_names() -> None:
    real = {node.name for node in lua_build().tree()}
    assert {node.name for node in replicated(2_000).tree()} == real


@pytest.mark.promise("store-opens-one-file")
def test_comparison_and_saving_with_many_baselines_open_the_one_that_is_needed(tmp_path: Path) -> None:
    """All others are damaged: whoever opened one would fail."""
    store = Store(tmp_path)
    profiles = [Profile.from_tree(build().tree())]
    session = Session.from_profiles(profiles, commit=None, tracer="ptrace")
    tests = [f"tests/test_{number % 20}.py::test_{number}" for number in range(500)]
    Store.write(Baseline(tests[7], HOST, store.path_of(tests[7], HOST), [session]))
    for test in tests[:7] + tests[8:]:
        store.path_of(test, HOST).write_text("damaged")
    assert len(store.files()) == 500
    stored = store.load(tests[7], HOST)
    assert compare([one.profiles() for one in stored.sessions], profiles).sessions == 1
    store.add(tests[7], HOST, Session.from_profiles(profiles, commit=None, tracer="ptrace"))
    assert len(store.load(tests[7], HOST).sessions) == 2
    with pytest.raises(BaselineCorrupt):
        store.load(tests[8], HOST)
