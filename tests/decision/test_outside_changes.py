"""A server outside the tree: a change is told where it is out of the noise and large enough to matter."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_ptreetime.baselines.lines import Session, line_of, session_of
from pytest_ptreetime.decision.outside import outside_changes
from pytest_ptreetime.decision.profile import Profile


def rounds_with(*seconds: float) -> list[Profile]:
    totals = {"make": {"count": 1.0, "cpu": 1.0}}
    return [Profile(totals, outside={"sccache": value} if value else {}) for value in seconds]


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ([1.0, 1.1], [2.0, 2.1], (1.05, 2.05)),
        ([2.0, 2.1], [0.0, 0.0], (2.05, 0.0)),
        ([0.0, 0.0], [2.0, 2.1], (0.0, 2.05)),
        ([1.0, 2.0], [1.5, 2.5], None),  # the rounds overlap
        ([1.0, 1.01], [1.05, 1.06], None),  # 5 % of its own
        ([0.01, 0.01], [0.03, 0.03], None),  # 20 ms
        ([1.0], [2.0], None),  # one round
    ],
)
def test_change_is_told_where_all_rounds_have_it_and_it_matters(
    before: Sequence[float], now: Sequence[float], told: tuple[float, float] | None
) -> None:
    changes = outside_changes([rounds_with(*before)], rounds_with(*now), build_cpu=1.0)
    assert [change.seconds for change in changes] == ([] if told is None else [pytest.approx(told)])


def test_change_that_is_little_beside_the_build_is_not_told() -> None:
    assert outside_changes([rounds_with(1.0, 1.0)], rounds_with(1.5, 1.5), build_cpu=100.0) == []


def test_stored_session_keeps_what_was_done_outside() -> None:
    session = Session.from_profiles(rounds_with(0.0, 1.25), commit=None, tracer="ebpf")
    stored = session_of(line_of(session))
    assert [profile.outside.get("sccache", 0.0) for profile in stored.profiles()] == [0.0, 1.25]
    (change,) = outside_changes([stored.profiles()], rounds_with(3.0, 3.0), build_cpu=1.0)
    assert change.program == "sccache"
