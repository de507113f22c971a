"""A change has one estimate, whichever table or sentence tells it."""

from __future__ import annotations

import pytest

from pytest_ptreetime.decision.finding import Comparison, Finding
from pytest_ptreetime.wording.measurements import Changes, figures_of

FOUND = Finding("make/cc1[a.c]", "cpu", "regression", 0.08, 0.125, measured=0.1275, ratio=1.559)


@pytest.fixture
def changes() -> Changes:
    return Changes(Comparison("regression", [FOUND], machine_shifts={"cpu": 1.02}))


def test_a_node_that_was_found_has_the_estimate_of_its_finding(changes: Changes) -> None:
    assert changes.ratio(FOUND.key, "cpu", 0.08, 0.1275) == FOUND.ratio
    assert figures_of(FOUND) == ("cpu", "80 ms", "128 ms", "+55.9 %")


def test_of_every_other_node_the_machines_part_is_taken_out(changes: Changes) -> None:
    assert changes.ratio("make/cc1[b.c]", "cpu", 1.0, 1.02) == pytest.approx(1.0)
    assert changes.ratio("make/cc1[b.c]", "max_rss", 1.0, 1.02) == 1.02
    assert changes.ratio("make/cc1[b.c]", "cpu", None, 1.02) is None
