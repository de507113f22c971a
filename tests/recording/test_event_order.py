from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_processes import simulations

from pytest_ptreetime.recording.event_order import EventsInBlocks, ListedEvents, in_order
from pytest_ptreetime.recording.events import Create, Event


class Watched(ListedEvents):
    """A block that tells whether its events were asked for."""

    opened = False

    def by_time(self) -> list[Event]:
        self.opened = True
        return super().by_time()


def in_blocks(events: list[Event], size: int) -> tuple[EventsInBlocks, list[Watched]]:
    blocks = [Watched(events[begin : begin + size]) for begin in range(0, len(events), size)]
    together = EventsInBlocks()
    for block in blocks:
        together.append(block)
    return together, blocks


@pytest.mark.promise("order-of-events")
@given(simulations(), st.integers(1, 9), st.sampled_from([1, 10**4]), st.randoms(use_true_random=False))
def test_events_in_blocks_come_in_the_order_of_all(
    events: list[Event], size: int, resolution_ns: int, chance: random.Random
) -> None:
    coarse = [msgspec.structs.replace(event, time_ns=event.time_ns // resolution_ns) for event in events]
    chance.shuffle(coarse)
    together, _ = in_blocks(coarse, size)
    assert list(together.in_order()) == list(in_order(coarse))
    assert list(together) == coarse
    assert len(together) == len(coarse)


def test_no_block_is_opened_before_its_time_has_come() -> None:
    kernel: list[Event] = [Create(time, 2, 1) for time in range(0, 80, 2)]
    interposer: list[Event] = [Create(time, 3, 1) for time in range(1, 81, 2)]  # its log is read when all is over
    together, blocks = in_blocks([*kernel, *interposer], 10)
    seen = []
    for event in together.in_order():
        seen.append(event.time_ns)
        assert not any(block.opened for block in blocks if block.earliest_ns > event.time_ns)
    assert seen == list(range(80))


@pytest.mark.promise("scale-linear")
def test_blocks_that_all_overlap_are_sorted_a_few_times_each_and_not_with_every_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[Event] = [Create(time, 2, 1) for number in range(1000) for time in (0, 10**6 - number)]
    together, _ = in_blocks(events, 2)
    sorted_at_once = []

    def counting(some: Sequence[Event]) -> Sequence[Event]:
        sorted_at_once.append(len(some))
        return in_order(some)

    monkeypatch.setattr("pytest_ptreetime.recording.event_order.in_order", counting)
    assert list(together.in_order()) == list(in_order(events))
    assert sum(sorted_at_once) <= 4 * len(events)


def test_no_events_in_blocks_are_no_events() -> None:
    together, _ = in_blocks([], 1)
    together.append(ListedEvents([]))
    assert list(together.in_order()) == []
    assert len(together) == 0
