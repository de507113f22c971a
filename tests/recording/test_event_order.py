from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_processes import simulations

from pytest_ptreetime.recording.event_order import in_order
from pytest_ptreetime.recording.events import Create, End, Event, Exit, UserExit


@pytest.mark.promise("order-of-events")
@given(simulations(), st.sampled_from([1, 10**4]), st.randoms(use_true_random=False))
def test_order_is_the_same_whatever_the_order_before(
    events: list[Event], resolution_ns: int, chance: random.Random
) -> None:
    coarse = [msgspec.structs.replace(event, time_ns=event.time_ns // resolution_ns) for event in events]
    ordered = list(in_order(coarse))
    chance.shuffle(coarse)
    assert list(in_order(coarse)) == ordered
    assert list(in_order(ordered)) == ordered
    assert [event.time_ns for event in ordered] == sorted(event.time_ns for event in coarse)


def test_events_of_one_time_come_as_they_could_have_caused_one_another() -> None:
    ordered: list[Event] = [Create(7, 3, 1), UserExit(7, 3, 1, 0, 0), Exit(7, 2, 0), Exit(7, 3, 0), End(7, 0)]
    assert in_order(ordered[::-1]) == ordered


def test_no_events_are_in_order() -> None:
    assert list(in_order([])) == []
