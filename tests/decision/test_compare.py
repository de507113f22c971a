"""The decision through its public face, on simulated builds: make -> gcc -> cc1, one source file each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_ptreetime.decision.comparing import COMMON_KEY, Comparison, compare, power_of_baseline
from pytest_ptreetime.decision.finding import BUILD_KEY, PowerLevel
from pytest_ptreetime.decision.power import power_of_levels
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.system.calibration import Calibration
from pytest_ptreetime.wording.remarks import notes_in_words, reasons_in_words

FILES = 30
LARGE = FILES - 3


def calibrated(factor: float = 1.0, *, wall: float = 1.0, spread: float = 0.005) -> Calibration:
    """A calibration on a machine ``factor`` times as slow; ``wall`` is how much longer it took than its cpu time."""
    steps = [1 - spread, 1 + spread, 1.0, 1 - spread / 2, 1 + spread / 2]
    cpu = {part: [factor * own * step for step in steps] for part, own in CALIBRATION_PARTS.items()}
    return Calibration({part: [wall * value for value in values] for part, values in cpu.items()}, cpu)


CALIBRATION_PARTS = {"compute": 0.010, "fork": 0.008, "file": 0.012}


def cc1(number: int) -> str:
    return f"make/gcc/cc1[f{number}.c]"


def gcc(number: int) -> str:
    return f"make/gcc[f{number}.c]"


class Builds:
    """Builds of one project on one machine.

    The compilers take 20 ms to 2 s; a round varies by 1 %, a session by 2.7 % as a whole and by 0.3 % a node; the
    split into user and system time comes from 4 ms ticks.
    """

    def __init__(self, seed: int = 0, files: int = FILES) -> None:
        self.random = np.random.default_rng(seed)
        self.files = files
        self.sizes = np.exp(np.linspace(np.log(0.02), np.log(2), files))

    def session(
        self,
        rounds: int = 5,
        *,
        machine: float | None = None,
        slower: dict[int, float] | None = None,
        waiting: dict[int, float] | None = None,
        doubled: Sequence[int] = (),
        removed: Sequence[int] = (),
        added: Sequence[str] = (),
    ) -> list[Profile]:
        """One session: ``slower`` are factors of compilers' cpu times, ``waiting`` seconds in the run queue."""
        level = self.random.normal(0, 0.027) if machine is None else np.log(machine)
        sizes = self.sizes * np.exp(self.random.normal(0, 0.003, self.files))
        for number, factor in (slower or {}).items():
            sizes[number] *= factor
        speeds = np.exp(level + self.random.normal(0, 0.01, rounds)).tolist()
        return [self._round(speed, sizes, waiting or {}, doubled, removed, added) for speed in speeds]

    def sessions(self, count: int, rounds: int = 5) -> list[list[Profile]]:
        return [self.session(rounds) for _ in range(count)]

    def _round(
        self,
        speed: float,
        sizes: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
        waiting: dict[int, float],
        doubled: Sequence[int],
        removed: Sequence[int],
        added: Sequence[str],
    ) -> Profile:
        cpu = speed * sizes * np.exp(self.random.normal(0, 0.01, self.files))
        totals: dict[str, dict[str, float]] = {"make": {}}
        parents: dict[str, str | None] = {"make": None}
        for number in range(self.files):
            if number in removed:
                continue
            times = 2 if number in doubled else 1
            node = self._node(float(cpu[number]), waiting.get(number, 0.0), times)
            driver = self._node(0.003 * speed, 0.0, times)
            driver["wall"] += node["wall"]
            totals[gcc(number)], totals[cc1(number)] = driver, node
            parents[gcc(number)], parents[cc1(number)] = "make", gcc(number)
        for key in added:
            totals[key], parents[key] = self._node(0.3 * speed, 0.0, 1), "make"
        totals["make"] = self._node(0.05 * speed, 0.0, 1)
        totals["make"]["wall"] += sum(totals[key]["wall"] for key, parent in parents.items() if parent == "make")
        return Profile(totals=totals, parents=parents, critical_path=["make", gcc(LARGE), cc1(LARGE)])

    def _node(self, cpu: float, waited: float, times: int) -> dict[str, float]:
        ticks = max(round(cpu / 0.004), 1)
        sys_time = cpu * self.random.binomial(ticks, 0.1) / ticks
        waited += float(self.random.exponential(0.0002))
        node = {"wall": cpu + waited, "user": cpu - sys_time, "sys": sys_time, "cpu": cpu, "run_delay": waited}
        return {"count": float(times), **{metric: times * value for metric, value in node.items()}}


@pytest.fixture
def builds() -> Builds:
    return Builds()


@pytest.fixture(scope="module")
def baseline() -> list[list[Profile]]:
    return Builds(1).sessions(8)


def causes(comparison: Comparison) -> list[tuple[str, str]]:
    return [(finding.key, finding.kind) for finding in comparison.causes]


# Times


def test_unchanged_build_is_ok_and_says_what_would_have_been_found(
    baseline: list[list[Profile]], builds: Builds
) -> None:
    comparison = compare(baseline, builds.session())
    assert (comparison.verdict, comparison.findings) == ("ok", [])
    assert comparison.power is not None
    assert comparison.power.effect < 0.15
    assert "would have been found 9 times in 10" in comparison.sentence


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (0.031, "a change of cpu by 3.1 % or more in nodes above 50 ms would have been found 9 times in 10"),
        (1.5, "a change of cpu by 150 % or more in nodes above 50 ms would have been found 9 times in 10"),
        (35.4, "the times of nodes above 50 ms can't be judged"),
    ],
)
def test_power_is_told_in_words_that_mean_something(effect: float, words: str) -> None:
    power = power_of_levels([PowerLevel("cpu", 0.05, 3, effect)], sessions=1, rounds=2, paired=True)
    assert power is not None
    assert power.effect == effect
    assert power.sentence == f"with these 2 interleaved rounds {words}"


def test_slower_compiler_is_the_one_cause_and_the_sentence_says_it_all(
    baseline: list[list[Profile]], builds: Builds
) -> None:
    comparison = compare(baseline, builds.session(slower={LARGE: 1.15}))
    assert comparison.verdict == "regression"
    assert causes(comparison) == [(cc1(LARGE), "regression")]
    assert comparison.sentence.startswith(f"cc1 f{LARGE}.c: cpu +1")
    assert " s -> " in comparison.sentence
    assert " of the build's +" in comparison.sentence
    assert "; on the critical path" in comparison.sentence
    finding = comparison.findings[0]
    assert finding.ratio == pytest.approx(1.15, abs=0.04)
    assert finding.interval is not None
    assert finding.ratio is not None
    assert finding.interval[0] < finding.ratio < finding.interval[1]
    assert finding.q_value <= 0.01


def test_parent_of_slower_compiler_is_explained_by_it(baseline: list[list[Profile]], builds: Builds) -> None:
    findings = {(f.key, f.metric): f for f in compare(baseline, builds.session(slower={LARGE: 1.3})).findings}
    assert findings[gcc(LARGE), "wall"].explained_by == cc1(LARGE)
    assert findings[cc1(LARGE), "wall"].explained_by == cc1(LARGE)
    assert findings[cc1(LARGE), "wall"].explained_by_metric == "cpu"


def test_faster_compiler_is_an_improvement(baseline: list[list[Profile]], builds: Builds) -> None:
    comparison = compare(baseline, builds.session(slower={LARGE: 0.8}))
    assert comparison.verdict == "improvement"
    assert causes(comparison) == [(cc1(LARGE), "improvement")]


def test_slower_and_faster_compilers_are_a_regression_with_two_causes(
    baseline: list[list[Profile]], builds: Builds
) -> None:
    comparison = compare(baseline, builds.session(slower={LARGE: 1.2, LARGE - 1: 0.8}))
    assert comparison.verdict == "regression"
    assert causes(comparison) == [(cc1(LARGE), "regression"), (cc1(LARGE - 1), "improvement")]


@pytest.mark.seconds
@pytest.mark.promise("five-percent-found")
def test_five_percent_with_ten_interleaved_rounds_is_found() -> None:
    found = 0
    for seed in range(20):
        builds = Builds(seed)
        both, slower = builds.session(20, machine=1.0), Builds(seed).session(20, machine=1.0, slower={LARGE: 1.05})
        comparison = compare([both[::2]], slower[1::2], paired=True)
        found += causes(comparison) == [(cc1(LARGE), "regression")]
    assert found >= 18


@pytest.mark.seconds
@pytest.mark.promise("no-false-alarm")
def test_unchanged_builds_of_many_sessions_have_no_finding() -> None:
    for seed in range(20):
        builds = Builds(100 + seed, files=60)
        assert compare(builds.sessions(5, 3), builds.session(3)).findings == []
        both = builds.session(10)
        assert compare([both[::2]], both[1::2], paired=True).findings == []
        assert compare([builds.session(4)], builds.session(4)).findings == []


@pytest.mark.promise("no-false-alarm")
def test_small_and_sampled_values_do_not_alarm() -> None:
    random = np.random.default_rng(8)

    def profile() -> Profile:
        cpu = 0.002 * np.exp(0.1 * random.standard_normal(200))
        sampled = random.random(200) < 0.3
        return Profile(
            {
                f"sh[{n}]": {"count": 1, "wall": 1.5 * c, "user": 0.0 if s else c, "sys": c if s else 0.0, "cpu": c}
                for n, (c, s) in enumerate(zip(cpu.tolist(), sampled.tolist(), strict=True))
            }
        )

    for _ in range(20):
        stored = [[profile() for _ in range(3)] for _ in range(4)]
        assert compare(stored, [profile() for _ in range(3)]).findings == []


@pytest.mark.promise("ratchet")
def test_ratchet_after_ten_steps_of_one_percent_fails() -> None:
    builds = Builds(3)
    pinned = builds.session()
    recent = [builds.session(slower={LARGE: 1.01**step}) for step in range(5, 10)]
    now = builds.session(slower={LARGE: 1.01**10})
    assert causes(compare(recent, now)) == []
    comparison = compare(recent, now, pinned=pinned)
    assert comparison.verdict == "regression"
    assert causes(comparison) == [(cc1(LARGE), "regression")]
    assert "since the pinned session" in comparison.sentence


def test_more_memory_on_request_is_found(baseline: list[list[Profile]]) -> None:
    def with_memory(rounds: list[Profile], mebibytes: float) -> list[Profile]:
        totals = [{key: {**row, "max_rss": 50.0 * 2**20} for key, row in profile.totals.items()} for profile in rounds]
        for row in totals:
            row[cc1(2)]["max_rss"] = mebibytes * 2**20
        return [Profile(row, profile.parents) for row, profile in zip(totals, rounds, strict=True)]

    stored = [with_memory(rounds, 50) for rounds in baseline]
    now = with_memory(baseline[-1], 80)
    assert compare(stored, now).findings == []
    comparison = compare(stored, now, metrics=("cpu", "max_rss"))
    assert "max_rss +" in comparison.sentence
    assert "50 MiB -> 80 MiB" in comparison.sentence


def test_more_memory_of_all_processes_on_request_is_a_finding_of_the_build(baseline: list[list[Profile]]) -> None:
    def with_memory(rounds: list[Profile], mebibytes: float) -> list[Profile]:
        totals = [{key: dict(row) for key, row in profile.totals.items()} for profile in rounds]
        for number, (row, profile) in enumerate(zip(totals, rounds, strict=True)):
            (root,) = (key for key in row if profile.parents.get(key) is None)
            row[root]["peak_memory"] = (mebibytes + 0.1 * number) * 2**20
        return [Profile(row, profile.parents) for row, profile in zip(totals, rounds, strict=True)]

    stored = [with_memory(rounds, 500) for rounds in baseline]
    now, same = with_memory(baseline[-1], 560), with_memory(baseline[-1], 501)
    assert compare(stored, now).findings == []
    assert compare(stored, same, metrics=("peak_memory",)).findings == []
    comparison = compare(stored, now, metrics=("cpu", "peak_memory"))
    assert comparison.verdict == "regression"
    assert [(finding.key, finding.metric) for finding in comparison.findings] == [(BUILD_KEY, "peak_memory")]
    assert "the whole build: peak_memory +" in comparison.sentence
    assert "500 MiB -> 560 MiB" in comparison.sentence


# The machine's speed


def test_slow_machine_without_calibration_moves_the_host_shift_only(
    baseline: list[list[Profile]], builds: Builds
) -> None:
    comparison = compare(baseline, builds.session(machine=1.3))
    assert (comparison.verdict, comparison.findings) == ("ok", [])
    assert comparison.host_shift == pytest.approx(1.3, abs=0.05)
    assert any("can't be told apart" in note for note in notes_in_words(comparison))


@pytest.mark.parametrize(("factor", "verdict"), [(1.3, "ok"), (1.0, "regression")])
def test_every_compiler_slower_is_judged_by_the_calibration(
    baseline: list[list[Profile]], builds: Builds, factor: float, verdict: str
) -> None:
    comparison = compare(
        baseline,
        builds.session(machine=1.3),
        baseline_calibration=[calibrated()] * len(baseline),
        current_calibration=calibrated(factor),
    )
    assert comparison.verdict == verdict
    assert [key for key, _ in causes(comparison)] == ([COMMON_KEY] if verdict == "regression" else [])
    if verdict == "regression":
        assert comparison.sentence.startswith("most processes: cpu +")


@pytest.mark.parametrize("sessions", [1, 8])
@pytest.mark.parametrize("wrong", [1 / 2.3, 2.3])
@pytest.mark.parametrize(("wall", "spread"), [(1.0, 0.005), (2.0, 0.005), (1.0, 0.4)])
def test_calibration_that_is_off_while_the_processes_agree_accuses_nobody(
    baseline: list[list[Profile]], sessions: int, wrong: float, wall: float, spread: float
) -> None:
    now = Builds(1).session(machine=1.036)
    comparison = compare(
        baseline[:sessions],
        now,
        baseline_calibration=[calibrated()] * sessions,
        current_calibration=calibrated(wrong, wall=wall, spread=spread),
    )
    assert comparison.findings == []
    said = " ".join([*notes_in_words(comparison), *reasons_in_words(comparison)])
    assert "calibration" in said or "calibrating" in said
    if wall > 1 or spread > 0.1:
        assert comparison.verdict == "ok"
        assert "the machine was busy while calibrating" in said


def test_busy_calibration_leaves_open_why_everything_is_slower(baseline: list[list[Profile]], builds: Builds) -> None:
    comparison = compare(
        baseline,
        builds.session(machine=1.3),
        baseline_calibration=[calibrated()] * len(baseline),
        current_calibration=calibrated(spread=0.3, wall=1.6),
    )
    assert (comparison.verdict, comparison.findings) == ("inconclusive", [])
    assert "can't tell whether the machine or the build" in comparison.sentence
    assert "the machine was busy while calibrating" in comparison.sentence


def test_cpu_times_are_judged_by_the_calibrations_cpu_times(baseline: list[list[Profile]], builds: Builds) -> None:
    comparison = compare(
        baseline,
        builds.session(machine=1.3),
        baseline_calibration=[calibrated()] * len(baseline),
        current_calibration=calibrated(wall=1.12),  # waiting explains no cpu time
        metrics=("cpu",),
    )
    assert [key for key, _ in causes(comparison)] == [COMMON_KEY]


def test_calibration_of_a_build_of_few_processes_explains_a_shift_and_never_adds_one() -> None:
    def session(factor: float) -> list[Profile]:
        return [
            Profile({"cc": {"count": 1, "wall": factor * t, "cpu": factor * t}}, {"cc": None}) for t in (1, 1.01, 0.99)
        ]

    stored = [session(factor) for factor in (1.0, 1.01, 0.99, 1.0, 1.005)]
    for factor, machine, verdict in ((1.0, 2.3, "inconclusive"), (1.0, 1 / 2.3, "inconclusive"), (1.25, 1.25, "ok")):
        comparison = compare(
            stored,
            session(factor),
            baseline_calibration=[calibrated()] * 5,
            current_calibration=calibrated(machine),
        )
        assert comparison.findings == []
        if verdict == "inconclusive":
            assert comparison.verdict == verdict
    slower = compare(
        stored, session(1.25), baseline_calibration=[calibrated()] * 5, current_calibration=calibrated(1.01)
    )
    assert slower.verdict == "regression"


def tiny_build(factor: float, rounds: tuple[float, ...]) -> list[Profile]:
    """Three processes of 20 ms below a shell, too few to tell the machine's speed; a round took so many times that."""
    steps = {f"sh/sh[step{n}]": 0.02 * factor for n in (1, 2, 3)}
    return [
        Profile(
            {
                "sh": {"count": 1.0, "wall": 0.06 * factor * slow, "cpu": 0.001},
                **{key: {"count": 1.0, "wall": cpu * slow, "cpu": cpu * slow} for key, cpu in steps.items()},
            },
            {"sh": None, **dict.fromkeys(steps, "sh")},
        )
        for slow in rounds
    ]


@pytest.mark.promise("no-false-alarm")
def test_machine_that_moved_between_calibrations_may_have_moved_either_way_for_a_tiny_build() -> None:
    steady = (1.0, 1.01, 0.99, 1.0, 1.02)

    def compared(slower: float) -> Comparison:
        return compare(
            [tiny_build(1.0, steady)],
            tiny_build(slower, steady),
            baseline_calibration=[calibrated(1.6)],
            current_calibration=calibrated(1.0),
        )

    assert compared(1.5).findings == []
    worse = compared(2.5)
    assert worse.verdict == "regression"
    assert worse.findings[0].current == pytest.approx(0.05, rel=0.1)


@pytest.mark.promise("no-false-alarm")
def test_machine_that_was_busy_while_calibrating_accuses_no_tiny_build_that_took_less_than_twice_as_long() -> None:
    steady = (1.0, 1.01, 0.99, 1.0, 1.02)
    findings = {
        slower: compare(
            [tiny_build(1.0, steady)],
            tiny_build(slower, steady),
            baseline_calibration=[calibrated()],
            current_calibration=calibrated(spread=0.3, wall=1.6),
        ).findings
        for slower in (1.8, 12.0)
    }
    assert not findings[1.8]
    assert findings[12.0]


@pytest.mark.promise("no-false-alarm")
def test_machine_whose_rounds_differ_may_differ_as_much_between_sessions_of_a_tiny_build() -> None:
    noisy = (0.8, 1.25, 0.82, 1.2, 1.0)
    assert compare([tiny_build(1.0, noisy)], tiny_build(1.8, noisy)).findings == []
    steady = (1.0, 1.01, 0.99, 1.0, 1.02)
    assert compare([tiny_build(1.0, steady)], tiny_build(1.45, steady)).verdict == "regression"


def test_finding_on_a_slower_machine_shows_what_was_measured(baseline: list[list[Profile]], builds: Builds) -> None:
    now = builds.session(machine=1.3, slower={LARGE: 1.3})
    finding = next(found for found in compare(baseline, now).findings if found.metric == "cpu")
    measured = float(np.median([profile.totals[cc1(LARGE)]["cpu"] for profile in now]))
    assert finding.measured == pytest.approx(measured, rel=0.01)
    assert finding.current == pytest.approx(finding.baseline * 1.3, rel=0.06)
    assert "at the baseline's machine speed; measured " in finding.sentence
    same = compare(baseline, builds.session(machine=1.0, slower={LARGE: 1.3})).findings[0]
    assert "measured" not in same.sentence


def test_every_compiler_slower_in_interleaved_rounds_is_the_build() -> None:
    builds = Builds(5)
    comparison = compare([builds.session(8, machine=1.0)], builds.session(8, machine=1.1), paired=True)
    assert comparison.verdict == "regression"
    assert [key for key, _ in causes(comparison)] == [COMMON_KEY]


def test_one_more_than_the_others_when_all_are_slower_is_a_cause_of_its_own(baseline: list[list[Profile]]) -> None:
    comparison = compare(
        baseline,
        Builds(6).session(machine=1.3, slower={LARGE: 1.4}),
        baseline_calibration=[calibrated()] * len(baseline),
        current_calibration=calibrated(),
    )
    assert [key for key, _ in causes(comparison)] == [COMMON_KEY, cc1(LARGE)]


@pytest.mark.promise("contention-named")
def test_waiting_for_a_processor_is_contention_and_no_regression(baseline: list[list[Profile]], builds: Builds) -> None:
    comparison = compare(baseline, builds.session(waiting={LARGE: 0.8, LARGE + 1: 0.9}))
    assert comparison.verdict == "inconclusive"
    assert comparison.findings == []
    assert {finding.key for finding in comparison.contentions} >= {cc1(LARGE), cc1(LARGE + 1)}
    assert "contention" in comparison.sentence


# Structure


@pytest.mark.promise("structure-exact")
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_added_process_is_always_found(seed: int, paired: bool) -> None:
    builds = Builds(seed)
    comparison = compare(builds.sessions(1, 2), builds.session(2, added=["make/cc1[new.c]"]), paired=paired)
    assert comparison.verdict == "regression"
    assert ("make/cc1[new.c]", "added") in causes(comparison)
    assert comparison.sentence.startswith("cc1 new.c is new: +")
    assert " ms of processor time, " in comparison.sentence
    assert " % of the build" in comparison.sentence


@pytest.mark.promise("structure-exact")
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_doubled_process_is_always_found(seed: int, paired: bool) -> None:
    builds = Builds(seed)
    comparison = compare(builds.sessions(1, 2), builds.session(2, doubled=[LARGE]), paired=paired)
    assert comparison.verdict == "regression"
    assert (cc1(LARGE), "count") in causes(comparison)
    assert comparison.sentence.startswith(f"cc1 f{LARGE}.c runs twice instead of once: +")
    cause = next(finding for finding in comparison.causes if finding.key == cc1(LARGE))
    assert cause.cost is not None
    assert cause.cost > 0.5  # with the driver that starts it


@pytest.mark.promise("structure-exact")
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_removed_process_is_always_found(seed: int, paired: bool) -> None:
    builds = Builds(seed)
    comparison = compare(builds.sessions(4, 2)[: 1 if paired else 4], builds.session(2, removed=[LARGE]), paired=paired)
    assert (cc1(LARGE), "removed") in causes(comparison)
    assert (gcc(LARGE), "removed") not in causes(comparison)
    sentence = next(finding.sentence for finding in comparison.findings if finding.key == cc1(LARGE))
    assert sentence.startswith(f"cc1 f{LARGE}.c no longer runs: -")
    assert comparison.verdict in ("improvement", "inconclusive")
    assert sentence in comparison.sentence


def counted(*counts: int) -> list[Profile]:
    return [
        Profile({"make": {"count": 1.0}, **({"make/sh": {"count": float(n)}} if n else {})}, {"make": None})
        for n in counts
    ]


@pytest.mark.parametrize(
    ("stored", "now", "kinds"),
    [
        ([(1, 1), (1, 1)], (1, 1), []),
        ([(1, 1), (1, 1)], (2, 2, 2), ["count"]),
        ([(1, 1), (1, 1)], (1, 2, 2), []),  # it varies: noise, and a note
        ([(3, 4), (5, 3)], (5, 6), []),  # within the range widened by its width
        ([(3, 4), (5, 3)], (8, 9), ["count"]),
        ([(0, 1), (1, 0)], (2, 2), []),
        ([(0, 0), (1, 1)], (1, 1), []),  # changed once and was accepted
        ([(0, 0), (1, 1)], (2, 2), ["count"]),
        ([(1, 1), (0, 0)], (1, 1), ["added"]),
    ],
)
def test_counts_are_exact_where_they_are_constant_and_judged_by_their_range_elsewhere(
    stored: list[tuple[int, ...]], now: tuple[int, ...], kinds: list[str]
) -> None:
    comparison = compare([counted(*counts) for counts in stored], counted(*now))
    assert [finding.kind for finding in comparison.findings] == kinds


def test_count_that_varies_between_rounds_is_noted() -> None:
    comparison = compare([counted(1, 1)], counted(1, 1, 2))
    assert notes_in_words(comparison) == ["make/sh: the count differs between rounds now (1, 2)"]


def test_times_after_an_accepted_process_are_compared_with_the_sessions_since(builds: Builds) -> None:
    stored = [*builds.sessions(3), *(builds.session(added=["make/cc1[new.c]"]) for _ in range(5))]
    now = builds.session(added=["make/cc1[new.c]"])
    assert compare(stored, now).findings == []
    for profile in now:
        for metric in ("wall", "user", "cpu"):
            profile.totals["make/cc1[new.c]"][metric] *= 1.5
    assert causes(compare(stored, now)) == [("make/cc1[new.c]", "regression")]


# What can't be known


def test_comparison_without_baseline_says_so(builds: Builds) -> None:
    nothings: list[list[list[Profile]]] = [[], [[]]]
    for nothing in nothings:
        comparison = compare(nothing, builds.session(1))
        assert comparison.verdict == "no-baseline"
        assert comparison.sentence


@pytest.mark.promise("incomplete-is-never-a-pass")
def test_incomplete_round_is_never_ok(baseline: list[list[Profile]], builds: Builds) -> None:
    now = builds.session()
    now[1].incomplete_reason = "3 records lost"
    comparison = compare(baseline, now)
    assert comparison.verdict == "inconclusive"
    assert "1 of 5 rounds incomplete: 3 records lost" in comparison.sentence


def test_baseline_without_a_complete_round_is_inconclusive(builds: Builds) -> None:
    stored = builds.session(1)
    stored[0].incomplete_reason = "2 processes without arguments"
    comparison = compare([stored], builds.session())
    assert comparison.verdict == "inconclusive"
    assert "2 processes without arguments" in comparison.sentence


def test_one_round_on_each_side_is_too_little(builds: Builds) -> None:
    comparison = compare([builds.session(1)], builds.session(1))
    assert comparison.verdict == "inconclusive"
    assert "more rounds" in comparison.sentence


@pytest.mark.parametrize("paired", [False, True])
def test_one_round_on_each_side_of_few_processes_accuses_none(paired: bool) -> None:
    """Nothing tells how noisy they are: neither rounds nor a spread over many processes."""
    keys = [f"cargo/rustc[{number}.rs]" for number in range(8)]

    def build(factors: Sequence[float]) -> Profile:
        return Profile.from_dict(
            {key: {"count": 1, "wall": 0.5 * f, "cpu": 0.4 * f} for key, f in zip(keys, factors, strict=True)}
        )

    comparison = compare([[build([1.0] * 8)]], [build([1.0, 0.6, 1.9, 0.8, 1.3, 0.5, 1.6, 1.1])], paired=paired)
    assert comparison.findings == []
    assert comparison.verdict == "inconclusive"


@pytest.mark.parametrize("paired", [False, True])
def test_sampled_times_that_agree_in_two_rounds_are_not_taken_for_exact(paired: bool) -> None:
    """Of 4 ms ticks a process of 10 ms gets none to four; two rounds with the same number of them mean nothing."""
    random = np.random.default_rng(3)
    keys = [f"make/gcc/as[{number}.o]" for number in range(100)]

    def build() -> Profile:
        ticks = random.binomial(5, 0.4, len(keys)) * 0.004
        return Profile.from_dict(
            {key: {"count": 1, "sys": one, "cpu": 0.02} for key, one in zip(keys, ticks, strict=True)}
        )

    for _ in range(20):
        before = [build() for _ in range(2 if paired else 1)]
        assert compare([before], [build(), build()], paired=paired).findings == []


@pytest.mark.promise("no-ok-by-silence")
def test_noise_that_hides_a_quarter_is_inconclusive_and_says_what_it_could_have_seen() -> None:
    random = np.random.default_rng(1)

    def session() -> list[Profile]:
        times = np.exp(random.normal(0, 0.2, 3)).tolist()
        return [Profile({"cc": {"count": 1, "wall": t, "cpu": t}}, {"cc": None}) for t in times]

    comparison = compare([session(), session()], session())
    assert comparison.verdict == "inconclusive"
    (reason,) = reasons_in_words(comparison)
    assert reason.startswith("too little data for the noise: ")
    assert " may have been missed; " in reason
    assert not comparison.decided


def test_lone_process_is_judged_without_taking_its_own_change_for_the_machines() -> None:
    def session(factor: float) -> list[Profile]:
        return [
            Profile({"cc": {"count": 1, "wall": factor * t, "cpu": factor * t}}, {"cc": None}) for t in (1, 1.01, 0.99)
        ]

    stored = [session(factor) for factor in (1.0, 1.01, 0.99, 1.0, 1.005)]
    assert compare(stored, session(1.0)).findings == []
    assert compare(stored, session(1.25)).verdict == "regression"


def test_chain_of_programs_is_not_taken_for_the_machine() -> None:
    """Each waits for the next one, so that their wall times are one time, told again and again."""
    chain = ["cargo", "rustc", "cc", "collect2", "ld", "lld"]
    keys = ["/".join(chain[: depth + 1]) for depth in range(len(chain))]

    def build(linking: float) -> Profile:
        walls = {key: linking + 0.01 * (len(keys) - depth) for depth, key in enumerate(keys)}
        walls |= {f"cargo/rustc[{number}]": 0.1 for number in range(3)}
        return Profile.from_dict({key: {"count": 1, "wall": wall, "cpu": 0.05} for key, wall in walls.items()})

    comparison = compare([[build(0.8), build(0.81)]], [build(0.4), build(0.41)])
    assert [found.key for found in comparison.findings if found.is_worse] == []
    assert comparison.host_shifts["wall"] == 1.0


def test_surplus_round_of_a_pair_is_left_out_and_noted(builds: Builds) -> None:
    comparison = compare([builds.session(5, machine=1.0)], builds.session(4, machine=1.0), paired=True)
    assert "5 rounds were paired with 4; the surplus was left out" in notes_in_words(comparison)


# Settings


def test_ignored_key_has_no_finding(baseline: list[list[Profile]], builds: Builds) -> None:
    now = builds.session(slower={LARGE: 1.5}, added=["make/cc1[new.c]"])
    comparison = compare(baseline, now, ignore=[f"*[[]f{LARGE}.c]", "make", f"*[f{LARGE}.c]", "*[new.c]"])
    assert comparison.findings == []


def test_minimum_effect_above_the_change_lets_it_pass(baseline: list[list[Profile]], builds: Builds) -> None:
    now = builds.session(slower={LARGE: 1.15})
    assert compare(baseline, now).verdict == "regression"
    assert compare(baseline, now, min_effect=0.2).findings == []
    assert compare(baseline, now, min_effect={"cpu": (0.0, 1.0), "wall": 0.3, "user": 0.3}).findings == []
    left_out: dict[str, dict[str, Any]] = {"make": {"ignore": True}, "(the build)": {"ignore": True}}
    lenient: dict[str, dict[str, Any]] = {f"*[f{LARGE}.c]": {"min_effect": 0.2}, **left_out}
    assert compare(baseline, now, node_settings=lenient).findings == []


def test_minimum_effects_of_several_patterns_each_hold_for_their_nodes(
    baseline: list[list[Profile]], builds: Builds
) -> None:
    now = builds.session(slower={LARGE: 1.3, LARGE - 1: 1.3})
    lenient = {"min_effect": {"cpu": (0.5, 0.0), "user": (0.5, 0.0), "wall": (0.5, 0.0)}}
    other = {"min_effect": {"sys": (0.5, 0.0)}}  # of the same nodes another metric, which leaves the first three alone
    comparison = compare(baseline, now, node_settings={f"*[f{LARGE}.c]": lenient, "*": other})
    keys = {finding.key for finding in comparison.findings}
    assert cc1(LARGE - 1) in keys
    assert cc1(LARGE) not in keys


def test_finding_smaller_than_what_tracing_adds_to_a_process_says_so(
    baseline: list[list[Profile]], builds: Builds
) -> None:
    now = builds.session(slower={LARGE: 1.3})
    comparison = compare(baseline, now, tracing_cost=1.0)
    assert comparison.causes[0].below_tracing_overhead
    assert "; less than what tracing adds to a process" in comparison.sentence
    assert not compare(baseline, now, tracing_cost=180e-6).causes[0].below_tracing_overhead


def test_node_settings_choose_metrics(baseline: list[list[Profile]], builds: Builds) -> None:
    now = builds.session(slower={LARGE: 1.3})
    comparison = compare(baseline, now, node_settings={"*": {"metrics": ["wall"]}})
    assert {finding.metric for finding in comparison.findings} == {"wall"}


def test_impossible_requests_are_refused(baseline: list[list[Profile]], builds: Builds) -> None:
    with pytest.raises(UsageError, match="no current round"):
        compare(baseline, [])
    with pytest.raises(UsageError, match="one session"):
        compare(baseline, builds.session(), paired=True)
    with pytest.raises(UsageError, match="fdr"):
        compare(baseline, builds.session(), fdr=1.0)
    with pytest.raises(UsageError, match="negative"):
        compare(baseline, builds.session(), min_effect=-0.1)
    with pytest.raises(UsageError, match="unknown"):
        compare(baseline, builds.session(), node_settings={"*": {"color": 1}})


def test_metric_that_older_sessions_lack_is_compared_with_those_that_have_it(
    baseline: list[list[Profile]], builds: Builds
) -> None:
    old = [
        [
            Profile(
                {k: {m: v for m, v in row.items() if m != "cpu"} for k, row in profile.totals.items()}, profile.parents
            )
            for profile in rounds
        ]
        for rounds in baseline[:3]
    ]
    comparison = compare([*old, *baseline[3:]], builds.session(slower={LARGE: 1.3}))
    assert (cc1(LARGE), "regression") in causes(comparison)
    assert comparison.findings[0].metric == "cpu"


@pytest.mark.parametrize("paired", [False, True])
def test_build_without_sizeable_processes_is_judged_by_its_structure_and_says_so(paired: bool) -> None:
    random = np.random.default_rng(4)

    def session(count: int = 1) -> list[Profile]:
        times = (0.004 * np.exp(random.normal(0, 0.3, (3, 2)))).tolist()
        return [
            Profile(
                {"sh": {"count": 1, "wall": a + b, "cpu": a}, "sh/true": {"count": count, "wall": b, "cpu": count * b}},
                {"sh": None, "sh/true": "sh"},
            )
            for a, b in times
        ]

    comparison = compare([session()], session(), paired=paired)
    assert (comparison.verdict, comparison.findings, comparison.decided) == ("ok", [], True)
    assert comparison.sentence.startswith("no change of the counts; the times are too short to be judged well: with ")
    assert compare([session()], session(2), paired=paired).verdict == "regression"


# The power of a baseline


def test_power_of_a_baseline_is_what_a_comparison_with_it_then_has(baseline: list[list[Profile]]) -> None:
    power = power_of_baseline(baseline, rounds=5)
    had = compare(baseline, Builds(21).session(5)).power
    assert had is not None
    assert power.effect == pytest.approx(had.effect, rel=0.4)
    assert "with 5 rounds and a baseline of 8 sessions a change of cpu by " in power.sentence
    assert power.sentence.endswith(" would be found 9 times in 10")


def test_power_of_a_baseline_grows_with_rounds_and_sessions() -> None:
    sessions = Builds(22).sessions(10)
    assert power_of_baseline(sessions, rounds=20).effect < power_of_baseline(sessions, rounds=1).effect
    assert power_of_baseline(sessions, rounds=5).effect < power_of_baseline(sessions[:2], rounds=5).effect


def test_power_of_a_single_session_says_that_it_is_assumed() -> None:
    for rounds in (1, 5):
        power = power_of_baseline(Builds(23).sessions(1, rounds), rounds=5)
        assert power.sentence.endswith("if sessions differ by 1.0 % a node: that is an assumption until there are more")
        assert 0.01 < power.effect < 1


def test_power_of_a_baseline_that_can_have_none_is_said() -> None:
    assert "only changes of counts" in power_of_baseline([counted(1, 1)], rounds=5).sentence
    with pytest.raises(UsageError, match="no session has a complete round"):
        power_of_baseline([[]], rounds=5)
    with pytest.raises(UsageError, match="give 1 or more"):
        power_of_baseline([counted(1)], rounds=0)


# Laws


@pytest.mark.promise("no-false-alarm")
def test_comparing_a_set_with_itself_finds_nothing(baseline: list[list[Profile]]) -> None:
    comparison = compare(baseline[:1], baseline[0])
    assert (comparison.verdict, comparison.findings) == ("ok", [])
    assert comparison.host_shift == pytest.approx(1.0)
    assert compare(baseline[:1], baseline[0], paired=True).findings == []


@pytest.mark.promise("order-of-events")
@settings(max_examples=15)
@given(random=st.randoms(use_true_random=False), slower=st.booleans(), paired=st.booleans())
def test_order_of_keys_and_rounds_does_not_matter(random: Random, slower: bool, paired: bool) -> None:
    builds = Builds(11)
    stored = builds.sessions(1 if paired else 3)
    now = builds.session(slower={LARGE: 1.4} if slower else None)
    order = list(range(5))
    random.shuffle(order)

    def shuffled(rounds: list[Profile]) -> list[Profile]:
        result = []
        for number in order:
            items = list(rounds[number].totals.items())
            random.shuffle(items)
            result.append(Profile(dict(items), rounds[number].parents, None, rounds[number].critical_path))
        return result

    one = compare(stored, now, paired=paired)
    other = compare([shuffled(rounds) for rounds in stored], shuffled(now), paired=paired)
    assert one.verdict == other.verdict
    assert causes(one) == causes(other)
    assert one.host_shift == pytest.approx(other.host_shift, rel=1e-9)


@settings(max_examples=15)
@given(factor=st.floats(0.5, 3), slower=st.booleans())
def test_scaling_all_current_times_moves_the_host_shift_only(factor: float, slower: bool) -> None:
    builds = Builds(12)
    stored, now = builds.sessions(3), builds.session(slower={LARGE: 1.4} if slower else None)
    scaled = [
        Profile(
            {k: {m: v if m == "count" else v * factor for m, v in row.items()} for k, row in profile.totals.items()},
            profile.parents,
        )
        for profile in now
    ]
    one, other = compare(stored, now), compare(stored, scaled)
    assert one.verdict == other.verdict
    assert causes(one) == causes(other)
    # the started logarithm bends by the grain of 0.5 ms, which is little for the nodes that vote
    assert other.host_shift == pytest.approx(one.host_shift * factor, rel=0.03)


def test_comparison_survives_being_sent(baseline: list[list[Profile]], builds: Builds) -> None:
    comparison = compare(baseline, builds.session(slower={LARGE: 1.3}))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(comparison), type=Comparison) == comparison
    assert msgspec.json.decode(msgspec.json.encode(comparison), type=Comparison) == comparison


def test_importing_compare_does_not_import_numpy() -> None:
    program = "import sys, pytest_ptreetime.decision.comparing; sys.exit(bool({'numpy', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("pattern", ["*", "make*"])
def test_pattern_that_ignores_every_process_is_no_reason_to_be_content(pattern: str) -> None:
    build = Profile.from_dict(
        {"make": {"count": 1, "cpu": 0.1}, "make/cc1[a.c]": {"count": 1, "cpu": 2.0, "parent": "make"}}
    )
    comparison = compare([[build] * 5], [build] * 5, ignore=[pattern])
    assert comparison.verdict == "inconclusive"
    assert comparison.sentence.startswith("inconclusive: nothing was compared: the patterns of what is ignored match")
