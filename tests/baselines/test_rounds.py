"""Rounds that share columns, as stored ones do, are compared as profiles with columns of their own are."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_ptreetime.decision.comparing import compare, power_of_baseline
from pytest_ptreetime.decision.packed_identities import PackedIdentities
from pytest_ptreetime.decision.panel import Panel, tabulate
from pytest_ptreetime.decision.profile import Identity, Profile, columns_of
from pytest_ptreetime.decision.typical import typical

KEYS = ["make", "make/cc1[a.c]", "make/cc1[b.c]", "make/ld", "sh"]
VALUES = st.floats(0, 1e6)
ROWS = st.dictionaries(st.sampled_from(["count", "wall", "cpu", "max_rss", "odd"]), VALUES, min_size=1)


@st.composite
def rounds_of_profiles(draw: st.DrawFn, fewest: int = 1) -> list[Profile]:
    totals = draw(st.lists(st.dictionaries(st.sampled_from(KEYS), ROWS), min_size=fewest, max_size=4))
    parents = {key: draw(st.sampled_from([None, *KEYS, "elsewhere"])) for key in KEYS}
    return [Profile(totals=one, parents={key: parents[key] for key in one}) for one in totals]


def stored_rounds(profiles: Sequence[Profile]) -> list[Profile]:
    """The profiles as a store gives them: views of their columns."""
    return Profile.rounds_of(columns_of(profiles))


def assert_same(one: Panel, other: Panel) -> None:
    assert (one.keys, one.metrics, one.parents.tolist()) == (other.keys, other.metrics, other.parents.tolist())
    for name in ("baseline", "baseline_counts"):
        for mine, others in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(mine, others)
    for name in ("current", "current_counts", "pinned", "pinned_counts"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


WORDS = st.lists(st.sampled_from(["-O2", "-g", "a.c", "-o", "x"]), max_size=5).map(tuple)
IDENTITIES = st.builds(Identity, st.sampled_from(["make", "cc1", "sh"]), st.sampled_from(["", "a.c", "(fork)"]), WORDS)


@pytest.mark.promise("written-is-read")
@given(st.lists(st.sampled_from([*KEYS, "sh(fork)", "x/["]), unique=True), st.data())
def test_identities_when_packed_and_unpacked_are_as_they_were(keys: list[str], data: st.DataObject) -> None:
    identities = {key: data.draw(IDENTITIES) for key in keys if data.draw(st.booleans())}
    packed = PackedIdentities.of(keys, identities)
    packed.check(len(keys))
    assert list(packed.unpacked(keys).items()) == list(identities.items())


def test_keys_are_in_the_order_of_their_first_occurrence_and_words_that_differ_are_stars() -> None:
    def profile(*words: str) -> Profile:
        one = Profile.from_dict({"a": {"count": 1}, "z": {"count": 1}})
        one.identities = {"z": Identity("z", "x", words), "a": Identity("a", "")}
        return one

    rounds = columns_of([profile("-c", "/tmp/x81", "a=1"), profile("-c", "/tmp/y7", "b")])
    assert rounds.keys == ["z", "a"]
    assert rounds.identities == {"z": Identity("z", "x", ("-c", "/tmp/*", "*")), "a": Identity("a", "")}


@pytest.mark.promise("files-do-not-explode")
def test_what_a_file_says_of_its_commands_can_not_fill_the_memory() -> None:
    packed = PackedIdentities(["x"], [[0, 0, 0, *[0] * 100_000], *[[1, 100_000, 0]] * 100])
    with pytest.raises(msgspec.ValidationError, match="10100000 words"):
        packed.check(101)


@given(rounds_of_profiles(fewest=0))
def test_profiles_put_into_columns_are_the_same_when_they_are_taken_out(profiles: list[Profile]) -> None:
    columns = columns_of(profiles)
    views = stored_rounds(profiles)
    assert views == profiles
    assert [view.counts() for view in views] == [profile.counts() for profile in profiles]
    assert [view.keys() for view in views] == [profile.keys() for profile in profiles]
    assert columns_of(views) == columns
    assert columns_of(views[1:]).number == len(profiles[1:])
    if profiles:
        assert columns != columns_of(profiles[1:])


@given(
    st.lists(rounds_of_profiles(), min_size=1, max_size=4),
    rounds_of_profiles(),
    st.none() | rounds_of_profiles(),
    st.booleans(),
)
def test_panel_of_columns_is_that_of_their_profiles(
    stored: list[list[Profile]], now: list[Profile], pinned: list[Profile] | None, as_columns: bool
) -> None:
    columns = [stored_rounds(one) for one in stored]
    pin = None if pinned is None else stored_rounds(pinned)
    current = stored_rounds(now) if as_columns else now
    metrics = ["wall", "cpu", "odd", "run_delay"]
    assert_same(tabulate(columns, current, pin, metrics), tabulate(stored, now, pinned, metrics))


@given(st.lists(rounds_of_profiles(fewest=0), min_size=1, max_size=4).filter(any))
def test_typical_round_of_columns_is_that_of_their_profiles(stored: list[list[Profile]]) -> None:
    assert typical([stored_rounds(one) for one in stored]) == typical(stored)


def build(chance: random.Random, keys: int, slow: float) -> Profile:
    """A round in which some keys are missing and some metrics unknown."""
    totals = {"make": {"count": 1.0, "wall": 9.0 * chance.lognormvariate(0, 0.01)}}
    for number in range(keys):
        if number % 11 == 0 and chance.random() < 0.5:
            continue
        wall = 0.02 * (number % 40 + 1) * chance.lognormvariate(0, 0.01) * (slow if number == 37 else 1)
        row = {
            "count": 1.0 + (number % 13 == 0),
            "wall": wall,
            "user": wall * 0.7,
            "sys": wall * 0.2,
            "cpu": wall * 0.9,
        }
        totals[f"make/cc1[{number}.c]"] = {
            metric: value for metric, value in row.items() if chance.random() > 0.01 or metric == "count"
        }
    return Profile(totals=totals, parents={key: "make" if key != "make" else None for key in totals})


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from([1, 2, 6]), st.integers(1, 4), st.sampled_from([1.0, 1.3]), st.booleans())
def test_comparison_with_columns_is_to_the_digit_that_with_their_profiles(
    seed: int, sessions: int, rounds: int, slow: float, pinned: bool
) -> None:
    chance = random.Random(seed)
    stored = [stored_rounds([build(chance, 80, 1.0) for _ in range(rounds)]) for _ in range(sessions)]
    plain = [[Profile(one.totals, one.parents) for one in session] for session in stored]
    now = [build(chance, 80, slow) for _ in range(rounds)]
    paired = sessions == 1 and not pinned
    one = compare(stored, now, paired=paired, pinned=stored[0] if pinned else None)
    other = compare(plain, now, paired=paired, pinned=plain[0] if pinned else None)
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
    powers = [power_of_baseline(one, rounds=5) for one in (stored, plain)]
    assert msgspec.json.encode(powers[0]) == msgspec.json.encode(powers[1])


def test_key_of_which_only_a_metric_that_is_not_compared_is_known_occurred_once() -> None:
    stored = stored_rounds([Profile.from_dict({"make": {"count": 1, "wall": 1}, "ld": {"odd": 1}})] * 2)
    panel = tabulate([stored], stored, None, ["wall"])
    assert panel.baseline_counts[0].tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert math.isnan(panel.baseline[0][0, 0, panel.keys.index("ld")])
