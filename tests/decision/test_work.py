"""Findings of time say what the counts of input and output tell: more work, or the same."""

from __future__ import annotations

from random import Random

import pytest

from pytest_ptreetime.decision.comparing import Comparison, compare
from pytest_ptreetime.decision.profile import Profile

KEY = "make/cc1[a.c]"
WORK = {"read_bytes": 300_000.0, "reads": 90.0, "written_bytes": 5000.0, "writes": 2.0}


def rounds(seed: int, *, slower: float = 1.0, **work: float) -> list[Profile]:
    random = Random(seed)
    made = []
    for _ in range(5):
        cpu = 0.5 * slower * random.gauss(1, 0.004)
        others = {f"make/cc1[{n}.c]": {"count": 1, "cpu": 0.3 * random.gauss(1, 0.004), **WORK} for n in range(8)}
        mine = {KEY: {"count": 1, "cpu": cpu, **WORK, **work}}
        made.append(Profile.from_dict({"make": {"count": 1, "cpu": 0.02}, **others, **mine}))
    return made


def compared(baseline: list[Profile], now: list[Profile]) -> Comparison:
    comparison = compare([baseline], now, metrics=["cpu"], paired=True)
    assert [finding.key for finding in comparison.causes] == [KEY]
    return comparison


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ({}, "it does the same input and output"),
        ({"read_bytes": 300_000.0 + 124 * 1024, "reads": 104.0}, "it reads 124 KiB more in 14 more reads"),
        ({"read_bytes": 299_000.0}, "it reads 1000 B less"),
        ({"reads": 91.0}, "it reads as much in 1 more read"),
        (
            {"read_bytes": 302_048.0, "written_bytes": 4000.0, "writes": 1.0},
            "it reads 2 KiB more and writes 1000 B less in 1 fewer write",
        ),
    ],
)
def test_time_that_changed_says_how_the_work_did(work: dict[str, float], said: str) -> None:
    comparison = compared(rounds(1), rounds(2, slower=1.2, **work))
    assert f"; {said}" in comparison.sentence


def test_counts_that_differ_between_rounds_are_not_believed() -> None:
    uneven = rounds(1)
    uneven[2].totals[KEY]["read_bytes"] += 1
    assert compared(uneven, rounds(2, slower=1.2)).causes[0].work is None


def test_counts_that_the_baseline_does_not_have_say_nothing() -> None:
    without = rounds(1)
    for profile in without:
        for name in WORK:
            del profile.totals[KEY][name]
    assert compared(without, rounds(2, slower=1.2)).causes[0].work is None


def test_more_work_fails_where_it_is_asked_for_only() -> None:
    now = rounds(2, read_bytes=330_000.0)
    assert compare([rounds(1)], now, paired=True).findings == []
    comparison = compare([rounds(1)], now, metrics=["cpu", "read_bytes"], paired=True)
    assert [(finding.key, finding.metric) for finding in comparison.causes] == [(KEY, "read_bytes")]
    assert comparison.verdict == "regression"
    again = compare([rounds(1)], rounds(2), metrics=["cpu", "read_bytes", "reads"], paired=True)
    assert again.findings == []


@pytest.mark.parametrize("paired", [True, False])
def test_work_of_which_all_rounds_agree_is_compared_exactly(paired: bool) -> None:
    before, now = rounds(1)[:2], rounds(2, read_bytes=303_000.0)[:2]
    comparison = compare([before], now, metrics=["read_bytes"], paired=paired)
    (finding,) = comparison.causes
    assert finding.key == KEY
    assert (finding.baseline, finding.current) == pytest.approx((300_000, 303_000))
    assert finding.p_value is not None
    assert finding.p_value < 1e-12
    smaller = rounds(2, read_bytes=300_100.0)[:2]
    assert compare([before], smaller, metrics=["read_bytes"], paired=paired).findings == [], "less than matters"
    least = {"read_bytes": (0.0, 1.0)}
    found = compare([before], smaller, metrics=["read_bytes"], min_effect=least, paired=paired)
    assert [finding.key for finding in found.causes] == [KEY]


def test_work_of_which_rounds_differ_is_judged_by_statistics() -> None:
    before, now = rounds(1), rounds(2, read_bytes=303_000.0)
    before[0].totals[KEY]["read_bytes"] += 6000
    now[1].totals[KEY]["read_bytes"] -= 5000
    assert compare([before], now, metrics=["read_bytes"], paired=True).findings == []
