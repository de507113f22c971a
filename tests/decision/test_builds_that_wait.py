"""A build that waits for what is not in its tree is slower, however busy the machine is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.system.calibration import Calibration


def rounds(waits: Sequence[float], *, cpu: float = 0.1, run_delay: float = 0.0) -> list[Profile]:
    """``make`` runs a client that works a little and waits for its server."""
    return [
        Profile.from_dict(
            {
                "make": {"count": 1, "wall": 0.1 + cpu + wait + run_delay, "cpu": 0.05},
                "make/python3[client.py]": {
                    "count": 1,
                    "wall": cpu + wait + run_delay,
                    "cpu": cpu,
                    "run_delay": run_delay,
                    "waiting": wait,
                    "parent": "make",
                },
            }
        )
        for wait in waits
    ]


BEFORE = (0.90, 0.91, 0.89, 0.92, 0.90)
LONGER = (2.60, 2.61, 2.60, 2.62, 2.59)


@pytest.mark.parametrize("paired", [False, True])
def test_longer_wait_is_a_regression_of_the_builds_wall_time_and_names_who_waited(paired: bool) -> None:
    comparison = compare([rounds(BEFORE)], rounds(LONGER), paired=paired)
    assert comparison.verdict == "regression"
    assert comparison.sentence.startswith(
        "waits 1.7 s longer: python3 client.py was waiting while nothing of the build ran; make: wall +"
    )
    assert [(cause.key, cause.metric) for cause in comparison.causes] == [("make", "wall")]


def test_machine_that_was_busy_while_calibrating_explains_no_wait() -> None:
    parts = {"compute": [0.01, 0.03, 0.01], "fork": [0.008, 0.02, 0.01], "file": [0.012, 0.03, 0.02]}
    busy = Calibration({part: [2 * value for value in values] for part, values in parts.items()}, parts)
    comparison = compare([rounds(BEFORE)], rounds(LONGER), baseline_calibration=[busy], current_calibration=busy)
    assert comparison.verdict == "regression"


def test_shorter_wait_is_an_improvement() -> None:
    comparison = compare([rounds(LONGER)], rounds(BEFORE))
    assert comparison.verdict == "improvement"
    assert comparison.sentence.startswith("waits 1.7 s less: ")


def test_waiting_for_a_processor_is_none_of_it() -> None:
    comparison = compare([rounds(BEFORE)], rounds(BEFORE, run_delay=1.7))
    assert all(finding.waited is None for finding in comparison.findings)


@pytest.mark.promise("no-false-alarm")
@pytest.mark.parametrize(
    "now", [(0.9, 1.4, 0.9, 0.91, 0.9), (1.0, 1.05, 0.98, 1.0, 1.02), (0.90, 0.91, 0.92, 0.90, 0.91)]
)
def test_wait_that_varies_or_drifts_a_little_is_none(now: tuple[float, ...]) -> None:
    comparison = compare([rounds(BEFORE)], rounds(now))
    assert all(finding.waited is None for finding in comparison.findings)


def test_single_rounds_can_not_tell() -> None:
    comparison = compare([rounds(BEFORE[:1])], rounds(LONGER[:1]))
    assert comparison.verdict == "inconclusive"


@pytest.mark.promise("no-false-alarm")
def test_waits_that_are_longer_because_the_machine_is_slower_are_none_of_it() -> None:
    def session(factor: float) -> list[Profile]:
        nodes = {f"make/cc[f{n}.c]": 0.2 + n / 100 for n in range(20)}
        return [
            Profile.from_dict(
                {"make": {"count": 1, "wall": 7.0 * factor, "cpu": 0.05 * factor}}
                | {
                    key: {"count": 1, "wall": 1.1 * cpu * factor, "cpu": cpu * factor, "waiting": 0.05 * cpu * factor}
                    for key, cpu in nodes.items()
                }
            )
            for _ in range(5)
        ]

    comparison = compare([session(1.0)], session(2.0))
    assert all(finding.waited is None for finding in comparison.findings)


def test_build_below_a_new_program_waits_longer_than_the_build_of_before() -> None:
    def below_flock(rounds: list[Profile]) -> list[Profile]:
        return [
            Profile(
                {"flock": {"count": 1.0, "wall": one.totals["make"]["wall"] + 0.01, "cpu": 0.001}, **one.totals},
                {**one.parents, "flock": None, "make": "flock"},
            )
            for one in rounds
        ]

    comparison = compare([rounds(BEFORE)], below_flock(rounds(LONGER)))
    assert comparison.verdict == "regression"
    assert "waits 1.7 s longer: python3 client.py" in comparison.sentence
    assert "flock: wall +" in comparison.sentence
