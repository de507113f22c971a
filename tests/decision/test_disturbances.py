"""A neighbour on a sibling core slows some values down: what is chance among many nodes is no finding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.disturbances import Disturbances
from pytest_ptreetime.decision.profile import Profile

Array = npt.NDArray[np.float64]

NODES, ROUNDS, SLOW = 300, 5, 0.35
UNLUCKY = 7  # the node that is slow in every round of now


def rounds_of(part: float, seed: int) -> Array:
    """Logarithms with 1 % of noise, of which so many are 35 % slower."""
    random = np.random.default_rng(seed)
    logs = 0.01 * random.standard_normal((ROUNDS, NODES))
    return np.where(random.random(logs.shape) < part, logs + np.log1p(SLOW), logs)


def explained(before: Array, now: Array, node: int = UNLUCKY) -> bool:
    effects = np.zeros(NODES)
    effects[node] = np.median(now[:, node]) - np.median(before[:, node])
    suspects = np.arange(NODES) == node
    return bool(Disturbances.of([before], now, np.full(NODES, 0.1)).explain(effects, suspects, NODES, 0.01)[node])


@pytest.mark.parametrize(("part", "chance"), [(0.0, False), (0.2, True), (0.4, True)])
@pytest.mark.parametrize("faster", [False, True])
def test_node_that_is_slow_in_every_round_is_chance_only_where_slow_rounds_are_common(
    part: float, chance: bool, faster: bool
) -> None:
    before, now = rounds_of(part, 1), rounds_of(part, 2)
    before[:, UNLUCKY] = rounds_of(0.0, 3)[:, UNLUCKY]
    now[:, UNLUCKY] = rounds_of(0.0, 4)[:, UNLUCKY] + np.log1p(SLOW)
    assert explained(*((now, before) if faster else (before, now))) == chance


@pytest.mark.parametrize(("part", "chance"), [(0.0, False), (0.2, True)])
def test_two_rounds_tell_how_common_slow_rounds_are(part: float, chance: bool) -> None:
    before, now = rounds_of(part, 1)[:2], rounds_of(part, 2)[:2]
    before[:, UNLUCKY] = rounds_of(0.0, 3)[:2, UNLUCKY]
    now[:, UNLUCKY] = rounds_of(0.0, 4)[:2, UNLUCKY] + np.log1p(SLOW)
    assert explained(before, now) == chance


def test_node_of_which_the_faster_half_is_as_before_is_disturbed() -> None:
    before, now = rounds_of(0.0, 1), rounds_of(0.0, 2)
    now[:2, UNLUCKY] += 1.0
    effects = np.zeros(NODES)
    effects[UNLUCKY] = 0.2
    disturbances = Disturbances.of([before], now, np.full(NODES, 0.1))
    assert disturbances.explain(effects, effects > 0, NODES, 0.01)[UNLUCKY]
    assert not disturbances.shifted(0.2).explain(effects, effects > 0, NODES, 0.01)[UNLUCKY]


@pytest.mark.parametrize("sessions", [0, 3])
def test_unchanged_builds_on_a_machine_with_a_busy_sibling_core_have_no_finding(sessions: int) -> None:
    random = np.random.default_rng([5, sessions])

    def session() -> list[Profile]:
        times = 0.1 * np.exp(0.01 * random.standard_normal((ROUNDS, NODES)))
        times[random.random(times.shape) < 0.2] *= 1 + SLOW
        return [
            Profile.from_dict({f"make/gcc/cc1[{n}.c]": {"count": 1, "cpu": float(t)} for n, t in enumerate(one)})
            for one in times
        ]

    for _ in range(10):
        baseline = [session() for _ in range(sessions or 1)]
        assert compare(baseline, session(), paired=not sessions, metrics=["cpu"]).findings == []


@pytest.mark.parametrize("seed", [2, 4, 6, 8, 10, 16])
def test_one_stored_session_accuses_nobody_where_a_fifth_of_the_values_are_slow(seed: int) -> None:
    """Medians of five rounds have three slow ones by chance, in either direction."""

    def session(seed: int) -> list[Profile]:
        own = 0.005 * np.random.default_rng(1000 + seed).standard_normal(NODES)
        return profiles_of(rounds_of(0.2, seed) + own)

    assert compare([session(seed)], session(seed + 1)).causes == []


@pytest.mark.parametrize("sessions", [3, 10])
@pytest.mark.parametrize("bad", [3, 4])
@pytest.mark.parametrize("seed", range(6))
def test_what_did_not_slow_down_in_bad_rounds_is_not_faster(sessions: int, bad: int, seed: int) -> None:
    """In most rounds of this session each process is up to 45 % slower, some not at all, as in none of the stored."""
    random = np.random.default_rng(seed)

    def session(bad: int) -> list[Profile]:
        logs = 0.01 * random.standard_normal((ROUNDS, NODES)) + 0.005 * random.standard_normal(NODES)
        logs[:bad] += np.log1p(random.uniform(0.0, 0.45, (bad, NODES)))
        return profiles_of(logs)

    assert compare([session(0) for _ in range(sessions)], session(bad)).causes == []


def profiles_of(logs: Array) -> list[Profile]:
    """Rounds of a build with processes of 50 ms to 1 s."""
    names = [f"n{number}" for number in range(NODES)]
    amounts = np.geomspace(0.05, 1, NODES) * np.exp(logs)
    return [
        Profile(
            {name: {"count": 1.0, "cpu": value} for name, value in zip(names, row, strict=True)},
            dict.fromkeys(names),
        )
        for row in amounts.tolist()
    ]
