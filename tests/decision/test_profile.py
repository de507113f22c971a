from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_processes import MILLISECOND, ROOT, Simulation, simulations

from pytest_ptreetime.decision.profile import METRICS, Profile
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.recording.events import Event
from pytest_ptreetime.reports.results import Measurement, SessionResult, decode, encode
from pytest_ptreetime.system.host import host_facts
from pytest_ptreetime.tree.process_tree import build_tree


def test_totals_are_sums_over_the_nodes_of_a_key() -> None:
    simulation = Simulation().start()
    for pid, cpu_ms in ((1, 5), (2, 7)):
        simulation.create(pid).exec(pid, b"gcc", b"a.c").use(pid, cpu_ms * MILLISECOND, 1, 1).exit(pid)
    totals = Profile.from_tree(build_tree(simulation.end())).totals["make/gcc[a.c]"]
    assert totals["count"] == 2
    assert totals["cpu"] == pytest.approx(0.012)
    assert totals["user"] == pytest.approx(0.006)
    assert totals["wall"] == pytest.approx(0.004)
    assert totals["max_rss"] == 1 << 20


def test_unknown_metric_is_absent() -> None:
    profile = Profile.from_tree(build_tree(Simulation().start().run(1, b"gcc").end()))
    totals = profile.totals["make/gcc"]
    assert "startlag" not in totals
    assert "reads" not in totals
    assert set(totals) <= {"count", "waiting", *METRICS}


def test_parents_are_keys_and_the_root_has_none() -> None:
    simulation = Simulation().start().create(1).exec(1, b"gcc").run(2, b"cc1", parent=1).exit(1)
    profile = Profile.from_tree(build_tree(simulation.end()))
    assert profile.parents == {"make": None, "make/gcc": "make", "make/gcc/cc1": "make/gcc"}


def test_parent_of_a_wrapped_command_is_the_wrapper() -> None:
    simulation = Simulation().start().create(1).exec(1, b"time", b"gcc", b"a.c").run(2, b"gcc", b"a.c", parent=1)
    profile = Profile.from_tree(build_tree(simulation.exit(1).end()))
    assert profile.parents["make/gcc[a.c]"] == "make/time[gcc a.c]"


def test_parent_of_a_program_that_another_became_is_that_one() -> None:
    simulation = Simulation().start((b"env", b"nice", b"build", b"x")).exec(ROOT, b"nice", b"build", b"x")
    profile = Profile.from_tree(build_tree(simulation.exec(ROOT, b"build", b"x").run(1, b"gcc").end()))
    parents = {key.rpartition("/")[2].partition("[")[0]: parent for key, parent in profile.parents.items()}
    assert parents == {
        "env": None,
        "nice": "env[nice build x]",
        "build": "nice[build x]",
        "gcc": "build[x]",
    }


def test_process_that_its_tracer_kept_waiting_did_not_wait_for_what_is_not_in_the_tree() -> None:
    def waiting(tracer_ms: int) -> float:
        simulation = Simulation(step_ns=100 * MILLISECOND).start((b"proot", b"gcc"))
        simulation.use(ROOT, tracer_ms * MILLISECOND).run(1, b"gcc")
        return sum(
            of_key.get("waiting", 0.0) for of_key in Profile.from_tree(build_tree(simulation.end())).totals.values()
        )

    idle, busy = waiting(0), waiting(350)
    assert idle > 0.35
    assert busy == pytest.approx(idle - 0.35)


def test_wrappers_around_each_other_make_no_circle() -> None:
    simulation = Simulation().start()
    for pid, outer, inner in ((10, b"nice", b"env"), (20, b"env", b"nice")):
        simulation.create(pid).exec(pid, outer, inner, b"x").create(pid + 1, pid).exec(pid + 1, inner, b"x")
        simulation.run(pid + 2, b"x", parent=pid + 1).exit(pid + 1).exit(pid)
    keyer = Keyer(normalize_hook=lambda node: [])
    check_parents(Profile.from_tree(build_tree(simulation.end()), keyer))


@given(simulations())
def test_parents_always_end_and_counts_add_up(events: list[Event]) -> None:
    tree = build_tree(events)
    profile = Profile.from_tree(tree)
    assert sum(totals["count"] for totals in profile.totals.values()) == len(tree)
    assert set(profile.parents) == set(profile.totals)
    assert set(profile.critical_path) <= set(profile.totals)
    check_parents(profile)


def check_parents(profile: Profile) -> None:
    for start in profile.parents:
        seen = set()
        key: str | None = start
        while key is not None:
            assert key not in seen
            seen.add(key)
            key = profile.parents[key]


@given(simulations(), st.randoms(use_true_random=False))
def test_profile_does_not_depend_on_the_order_of_events(events: list[Event], randomness: random.Random) -> None:
    shuffled = list(events)
    randomness.shuffle(shuffled)
    assert Profile.from_tree(build_tree(shuffled)) == Profile.from_tree(build_tree(events))


def test_profile_says_what_is_missing_and_what_was_waited_for() -> None:
    simulation = Simulation().start().run(1, b"gcc").run(2, b"gcc").run(3, b"ld")
    profile = Profile.from_tree(build_tree(simulation.end(), incomplete_reason="lost"))
    assert profile.incomplete_reason == "lost"
    assert profile.critical_path == ["make", "make/gcc", "make/ld[a.out]"]


@given(simulations())
def test_profile_survives_the_way_from_a_worker_to_its_controller(events: list[Event]) -> None:
    profile = Profile.from_tree(build_tree(events))
    measured = Measurement(test="t", name="t", command=["make"], rounds=[], baseline=profile)
    result = SessionResult(started=0.0, ended=1.0, host=host_facts(), machine="m", measurements=[measured])
    assert decode(encode(result)).measurements[0].baseline == profile


def test_profile_of_a_dictionary_takes_parents_from_paths() -> None:
    profile = Profile.from_dict(
        {
            "make": {"count": 1, "wall": 2},
            "make/sh": {"count": 1},
            "make/sh/gcc/cc1[a.c]": {"wall": 0.5},
            "ninja": {"count": 1},
            "x": {"parent": "ninja", "count": 1},
            "make/top": {"parent": None, "count": 1},
        }
    )
    assert profile.parents == {
        "make": None, "make/sh": "make", "make/sh/gcc/cc1[a.c]": "make/sh", "ninja": None, "x": "ninja",
        "make/top": None,
    }  # fmt: skip
    assert profile.totals["make"] == {"count": 1.0, "wall": 2.0}
    assert "parent" not in profile.totals["x"]


def test_profile_of_a_dictionary_finds_parents_that_have_arguments() -> None:
    keys = ["make[-j2 a/b]", "make/gcc[-c a.c]", "make/gcc/cc1[x/a.c]", "make/[[-d x]", "make/sh[a]", "make/sh[b]"]
    keys.append("make/sh/cp[x]")
    profile = Profile.from_dict({key: {} for key in keys})
    assert profile.parents == {
        "make[-j2 a/b]": None, "make/gcc[-c a.c]": "make[-j2 a/b]", "make/gcc/cc1[x/a.c]": "make/gcc[-c a.c]",
        "make/[[-d x]": "make[-j2 a/b]", "make/sh[a]": "make[-j2 a/b]", "make/sh[b]": "make[-j2 a/b]",
        "make/sh/cp[x]": "make[-j2 a/b]",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"a": {"wall": "1"}}, "wall of 'a' is '1': give a number"),
        ({"a": {"wall": True}}, "give a number"),
        ({"a": {"wall": None}}, "give a number"),
        ({"a": {"parent": 7}}, "give a key"),
        ({"a": {"parent": "b"}, "b": {"parent": "a"}}, "its own ancestor"),
        ({"a": {"parent": "a"}}, "its own ancestor"),
    ],
)
def test_profile_of_a_wrong_dictionary_is_a_usage_error(data: dict[str, dict[str, object]], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Profile.from_dict(data)
