"""What a program in front of a build does to all of its processes is no finding of one of them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pytest_ptreetime.decision.comparing import Comparison, compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.wording.changes import changes_in_words

FILES = 12
ROUNDS = 10
SIZES = {"gcc": 0.003, "cc1": 0.06, "as": 0.005}

Cost = Callable[[str, float], float]


def builds(seed: int, cost: Cost = lambda name, cpu: cpu, *, wrapper: str | None = None) -> list[Profile]:
    """``make`` compiles twelve files and links them; each process takes what ``cost`` makes of its seconds."""
    draw = random.Random(seed)
    rounds = []
    for _ in range(ROUNDS):
        nodes = {"make": ("", 0.02), "make/ld[app]": ("make", 0.03)}
        for number in range(FILES):
            driver = f"make/gcc[{number}.c]"
            nodes[driver] = "make", SIZES["gcc"]
            nodes |= {f"make/gcc/{name}[{number}.c]": (driver, SIZES[name]) for name in ("cc1", "as")}
        totals = {key: {"count": 1.0, "cpu": cost(key, cpu) * draw.gauss(1, 0.01)} for key, (_, cpu) in nodes.items()}
        parents: dict[str, str | None] = {key: above or None for key, (above, _) in nodes.items()}
        if wrapper is not None:
            totals[wrapper] = {"count": 1.0, "cpu": 0.002}
            parents |= {"make": wrapper, wrapper: None}
        rounds.append(Profile(totals, parents))
    return rounds


def loads_a_library(key: str, cpu: float) -> float:
    """As fakeroot: a little for each process, more for one that asks for many files' owners."""
    return cpu * (1.27 if "ld[" in key else 1.01) + 0.0006


def stops_at_system_calls(key: str, cpu: float) -> float:
    return cpu * (3.0 if "gcc[" in key else 1.5 if "cc1[" in key else 2.0)


def accused(comparison: Comparison) -> set[str]:
    return {cause.key for cause in comparison.causes if cause.is_worse}


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("cost", [loads_a_library, stops_at_system_calls])
def test_wrapper_that_makes_all_slower_accuses_none_of_them(cost: Cost, paired: bool) -> None:
    comparison = compare([builds(1)], builds(2, cost, wrapper="fakeroot[make]"), paired=paired)
    assert accused(comparison) <= {"(the build)", "(every process)"}
    assert any("fakeroot make stands in front now" in text for text in changes_in_words(comparison))
    for cause in comparison.causes:
        assert "because fakeroot stands in front now" in cause.sentence


def test_wrapper_that_is_gone_gives_its_processes_no_credit() -> None:
    comparison = compare([builds(1, stops_at_system_calls, wrapper="proot[make]")], builds(2), paired=True)
    assert {cause.key for cause in comparison.causes} <= {"(the build)", "(every process)"}
    assert "because proot no longer stands in front" in comparison.sentence


def test_process_that_is_out_of_line_with_all_below_the_wrapper_is_accused() -> None:
    def slower(key: str, cpu: float) -> float:
        return loads_a_library(key, cpu) * (3 if "cc1[5.c]" in key else 1)

    comparison = compare([builds(1)], builds(2, slower, wrapper="fakeroot[make]"), paired=True)
    assert accused(comparison) == {"make/gcc/cc1[5.c]", "(every process)"}


@pytest.mark.parametrize("paired", [True, False])
def test_process_below_a_wrapper_that_does_nothing_to_the_others_answers_for_itself(paired: bool) -> None:
    def slower(key: str, cpu: float) -> float:
        return cpu * (1.2 if "cc1[5.c]" in key else 1)

    comparison = compare([builds(1)], builds(2, slower, wrapper="nice[make]"), paired=paired)
    assert "make/gcc/cc1[5.c]" in accused(comparison)
    assert "because" not in comparison.sentence


def test_script_that_no_longer_becomes_its_last_command_is_not_slower() -> None:
    """With ``exec make`` its own program ends at once; without, it waits for make."""

    def of_script(wall: float) -> Profile:
        nodes: dict[str, dict[str, object]] = {
            "top": {"count": 1, "wall": 2.1, "cpu": 0.01},
            "top/build.sh": {"count": 1, "wall": wall, "cpu": 0.002, "parent": "top"},
            "top/build.sh/make": {"count": 1, "wall": 2.0, "cpu": 0.5, "parent": "top/build.sh"},
        }
        return Profile.from_dict(nodes)

    becomes, waits = [of_script(0.003)] * 3, [of_script(2.01)] * 3
    later = [of_script(0.5)] * 3  # another command came before it
    for before, now in ((becomes, waits), (waits, becomes), (becomes, later)):
        assert not compare([before], now).findings
        assert not compare([before], now, paired=True).findings


def test_long_process_that_loses_less_by_a_costly_wrapper_than_short_ones_has_not_improved() -> None:
    def rounds(seed: int, *, wrapped: bool) -> list[Profile]:
        draw = random.Random(seed)
        return [one_round(draw, wrapped=wrapped) for _ in range(ROUNDS)]

    def one_round(draw: random.Random, *, wrapped: bool) -> Profile:
        lengths = {"make/cc1[long.c]": 0.4} | {f"make/cc1[{number}.c]": 0.05 for number in range(FILES)}
        totals = {"make": {"count": 1.0, "cpu": 0.02, "wall": 3.0 if wrapped else 0.5}}
        for key, seconds in lengths.items():
            slower = 1.0 if not wrapped else 3.5 if "long" in key else 7.0
            wall = seconds * slower * draw.gauss(1, 0.02)
            totals[key] = {
                "count": 1.0,
                "cpu": seconds * (1.0 if not wrapped else 1.1 if "long" in key else 1.75),
                "wall": wall,
            }
        parents: dict[str, str | None] = {"make": None} | dict.fromkeys(lengths, "make")
        if wrapped:
            totals["proot[make]"] = {"count": 1.0, "cpu": 1.2, "wall": 3.0}
            parents |= {"make": "proot[make]", "proot[make]": None}
        return Profile(totals, parents)

    comparison = compare([rounds(1, wrapped=False)], rounds(2, wrapped=True))
    assert "proot" in comparison.sentence
    assert {cause.key for cause in comparison.causes} <= {"(the build)", "(every process)"}
