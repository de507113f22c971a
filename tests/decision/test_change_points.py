"""Where a history changed."""

from __future__ import annotations

import math
import random

import pytest

from pytest_ptreetime.decision.change_points import change_points
from pytest_ptreetime.decision.history import Point, history_of
from pytest_ptreetime.decision.profile import Profile, columns_of

NOISE = {"noise": 0.005, "least": 0.01}


def series(random_: random.Random, length: int, *, step_at: int | None = None, spread: float = 0.02) -> list[float]:
    return [
        math.exp(random_.gauss(0.1 if step_at is not None and n >= step_at else 0.0, spread)) for n in range(length)
    ]


def test_change_when_the_mean_moves_is_where_it_moved() -> None:
    random_ = random.Random(1)
    found = [change_points(series(random_, 20, step_at=12), **NOISE) for _ in range(100)]
    assert sum(cuts == [12] for cuts in found) >= 90


def test_change_of_two_steps_is_two_changes() -> None:
    values = [1.0, 1.01, 0.99, 1.0, 1.2, 1.21, 1.2, 1.19, 1.2, 0.9, 0.91, 0.9, 0.89, 0.9]
    assert change_points(values, **NOISE) == [4, 9]


@pytest.mark.seconds
@pytest.mark.parametrize("length", [7, 10, 20, 60])
def test_change_of_nothing_is_found_in_at_most_one_history_of_a_hundred(length: int) -> None:
    random_ = random.Random(length)
    found = [change_points(series(random_, length), **NOISE) for _ in range(2_000)]
    assert sum(map(bool, found)) <= 30  # 1 % of 2,000 are 20; 30 have a chance of 2 %


def test_change_of_one_session_alone_is_an_accident() -> None:
    assert change_points([1.0, 1.01, 0.99, 1.0, 1.9, 1.0, 1.01, 0.99, 1.0, 1.01], **NOISE) == []


def test_change_of_few_sessions_or_of_nothing_is_not_looked_for() -> None:
    assert change_points([1.0, 1.0, 2.0, 2.0], **NOISE) == []
    assert change_points([0.0] * 10, **NOISE) == []


def test_history_has_the_build_first_and_says_since_when_a_node_is_what_it_is() -> None:
    sessions = []
    for number in range(10):
        slow = 0.2 if number >= 6 else 0.1
        nodes = {
            "make": {"cpu": 0.01},
            "make/cc1[a.c]": {"cpu": 0.3},
            "make/cc1[b.c]": {"cpu": slow * (1 + number / 1000)},
        }
        if number == 3:
            del nodes["make/cc1[a.c]"]
        sessions.append(columns_of([Profile.from_dict(nodes)] * 3))
    points = [Point(f"{n}", f"2026-11-{n + 1:02}T00:00:00Z", f"{n}f2a1c9") for n in range(10)]
    history = history_of(sessions, points, "cpu")
    by_key = {each.key: each for each in history.series}
    assert [each.key for each in history.series] == ["(the build)", "make/cc1[a.c]", "make/cc1[b.c]", "make"]
    assert by_key["make/cc1[b.c]"].changes == [6]
    assert by_key["make/cc1[a.c]"].values[3] is None
    assert by_key["make/cc1[a.c]"].changes == []
    assert by_key["(the build)"].values[0] == pytest.approx(0.41)
