"""The rule that ends a measurement: how often it is wrong, and how soon it knows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_ptreetime.confirmation.sequential import LOOKS, Estimate, look, spent_at

ALPHA = 0.01
THRESHOLD = math.log1p(0.005)


def run_of(effect: float, noise: float, random: np.random.Generator, *, claimed: bool = True) -> tuple[Estimate, int]:
    """One suspect, measured to the end: the last look and the pairs that it had."""
    pairs = random.normal(effect, noise, LOOKS[-1])
    for number, count in enumerate(LOOKS):
        estimate = look(pairs[:count], threshold=THRESHOLD, alpha=spent_at(number, ALPHA), claimed=claimed)
        if estimate.verdict is not None:
            break
    return estimate, count


def test_error_spent_when_all_looks_are_made_is_the_stated_one() -> None:
    assert math.fsum(spent_at(number, ALPHA) for number in range(len(LOOKS))) == pytest.approx(ALPHA)
    assert all(spent_at(number, ALPHA) > 0 for number in range(len(LOOKS)))


@pytest.mark.seconds
def test_change_at_the_threshold_when_measured_often_is_called_slower_no_oftener_than_stated() -> None:
    """The least favourable change of the hypothesis; Boole's inequality leaves it well below the stated 1 %."""
    random = np.random.default_rng(1)
    slower = sum(run_of(THRESHOLD, 0.02, random)[0].verdict == "slower" for _ in range(1000))
    assert slower <= 18  # 1 % of 1,000, and 2.5 standard deviations more


@pytest.mark.seconds
@pytest.mark.parametrize(("effect", "noise", "most"), [(0.05, 0.047, 60), (0.02, 0.011, 45), (0.05, 0.011, 11)])
def test_change_when_it_is_there_is_found_within_few_pairs(effect: float, noise: float, most: float) -> None:
    random = np.random.default_rng(2)
    runs = [run_of(effect, noise, random) for _ in range(200)]
    assert sum(estimate.verdict == "slower" for estimate, _ in runs) >= 196
    assert np.mean([pairs for _, pairs in runs]) <= most


def test_unchanged_when_noise_is_small_is_the_same_at_the_first_look() -> None:
    estimate, pairs = run_of(0.0, 0.002, np.random.default_rng(3))
    assert (estimate.verdict, pairs) == ("same", LOOKS[0])


def test_suspect_when_nothing_was_claimed_is_let_go_where_a_claimed_one_is_not() -> None:
    """Noise of 5 %: ten pairs can't exclude 1 %, which only a finding of the rounds deserves more pairs for."""
    values = np.random.default_rng(4).normal(0.0, 0.05, 10)
    values -= values.mean() + 0.01
    assert look(values, threshold=THRESHOLD, alpha=1e-4, claimed=False).verdict == "not slower"
    assert look(values, threshold=THRESHOLD, alpha=1e-4, claimed=True).verdict is None


def test_outlier_when_all_others_agree_does_not_hide_the_change() -> None:
    values = np.random.default_rng(5).normal(0.05, 0.003, 10)
    values[3] = -0.5
    assert look(values, threshold=THRESHOLD, alpha=1e-3, claimed=True).verdict == "slower"


def test_faster_when_certain_is_called_so() -> None:
    values = np.random.default_rng(6).normal(-0.05, 0.003, 10)
    assert look(values, threshold=THRESHOLD, alpha=1e-3, claimed=True).verdict == "faster"
