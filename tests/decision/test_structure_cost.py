"""Differences of structure are judged by what they cost; one round a side is enough."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from simulated_processes import MILLISECOND, ROOT, Simulation

from pytest_ptreetime.decision.comparing import Comparison, compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.tree.process_tree import build_tree
from pytest_ptreetime.wording.changes import changes_in_words

COMPILE = 0.2  # seconds of each of ten compilers


def build(more: dict[str, Any] | None = None, *, without: tuple[str, ...] = (), compiler: float = COMPILE) -> Profile:
    """``make`` runs ten compilations, each a driver, a compiler and an assembler."""
    nodes: dict[str, Any] = {"make": {"count": 1, "wall": 3.0, "cpu": 0.05}}
    for number in range(10):
        nodes |= compilation(f"f{number}.c", compiler)
    nodes |= more or {}
    return Profile.from_dict({key: row for key, row in nodes.items() if not any(part in key for part in without)})


def compilation(file: str, cpu: float = COMPILE, *, count: int = 1, below: str = "make") -> dict[str, Any]:
    driver = f"{below}/gcc[{file}]"
    return {
        driver: {"count": count, "wall": count * (cpu + 0.01), "cpu": count * 0.001, "parent": below},
        f"{below}/gcc/cc1[{file}]": {"count": count, "wall": count * cpu, "cpu": count * cpu, "parent": driver},
        f"{below}/gcc/as[{file}]": {"count": count, "wall": count * 0.005, "cpu": count * 0.005, "parent": driver},
    }


def compared(before: Profile, now: Profile) -> Comparison:
    return compare([[before]], [now])


def test_unit_of_two_percent_fails_and_its_compiler_is_named_with_the_cost_of_all() -> None:
    comparison = compared(build(), build(compilation("new.c", 0.036)))
    assert comparison.verdict == "regression"
    assert comparison.sentence == "cc1 new.c is new: +42 ms of processor time, 2.0 % of the build"
    assert [cause.key for cause in comparison.causes] == ["make/gcc/cc1[new.c]"]


def test_unit_of_a_trifle_is_told_and_fails_nothing() -> None:
    comparison = compared(build(), build({"make/touch[stamp]": {"count": 1, "cpu": 0.001, "parent": "make"}}))
    assert comparison.verdict != "regression"
    assert comparison.findings == []
    assert [finding.key for finding in comparison.structure] == ["make/touch[stamp]"]
    assert changes_in_words(comparison) == ["touch stamp is new: +1 ms of processor time, less than 0.1 % of the build"]


def test_many_small_units_of_one_program_fail_as_what_they_cost_together() -> None:
    more = {f"make/sed[s{n}]": {"count": 1, "cpu": 0.004, "parent": "make"} for n in range(10)}
    comparison = compared(build(), build(more))
    assert comparison.verdict == "regression"
    assert len(comparison.causes) == 10
    assert (
        comparison.sentence == "10 x sed are new: +40 ms of processor time, 1.9 % of the build; the costliest: sed s0"
    )


@pytest.mark.parametrize(("number", "together"), [(2, False), (8, True)])
def test_units_of_one_program_are_told_together_where_none_of_them_is_most_of_it(number: int, together: bool) -> None:
    more = {key: row for n in range(number) for key, row in compilation(f"new{n}.c", 0.04).items()}
    comparison = compared(build(), build(more))
    assert comparison.sentence.startswith(f"{number} x cc1 are new: +" if together else "cc1 new0.c is new: +")
    gone = compared(build(more), build())
    assert (f"{number} x cc1 no longer run: -" if together else "cc1 new0.c no longer runs: -") in gone.sentence


@pytest.mark.parametrize(("number", "verdict"), [(12, "inconclusive"), (100, "regression")])
def test_programs_that_only_start_fail_where_they_add_up_to_a_tenth_of_a_second(number: int, verdict: str) -> None:
    """An ``echo`` in each recipe of a small build, and a loop that starts a program for each word."""
    more = {f"make/echo[CC {n}.o]": {"count": 1, "cpu": 0.0015, "parent": "make"} for n in range(number)}
    comparison = compared(build(compiler=0.05), build(more, compiler=0.05))
    assert comparison.verdict == verdict
    assert f"{number} x echo are new: +" in " ".join([comparison.sentence, *changes_in_words(comparison)])


def test_many_small_programs_lead_where_together_they_are_more_than_any_other_cause() -> None:
    """The script that starts them grows by it, too."""
    more = {f"make/expr[{n} + 1]": {"count": 1, "cpu": 0.002, "parent": "make"} for n in range(100)}
    now = build(more)
    now.totals["make"]["cpu"] += 0.1
    comparison = compare([[build()] * 3], [now] * 3)
    assert comparison.sentence.startswith("100 x expr are new: +200 ms of processor time, ")
    assert comparison.sentence.endswith("(and 1 other cause)")


def test_renamed_unit_is_no_regression() -> None:
    comparison = compared(build(), build(compilation("g0.c"), without=("f0.c",)))
    assert comparison.findings == []


def test_renamed_unit_that_a_noisy_machine_makes_a_little_slower_is_no_regression() -> None:
    for slower in (1.2, 0.8):
        now = build(compilation("g0.c", slower * COMPILE), without=("f0.c",))
        assert compared(build(), now).findings == []


def test_unit_that_replaces_a_much_cheaper_one_fails() -> None:
    comparison = compared(build(), build(compilation("g0.c", 2 * COMPILE), without=("f0.c",)))
    assert comparison.sentence.startswith("cc1 g0.c is new: +")


@pytest.mark.parametrize("cost", [COMPILE, 0.003])
def test_unit_that_is_compiled_twice_fails_however_little_it_costs(cost: float) -> None:
    once, twice = compilation("f.c", cost), compilation("f.c", cost, count=2)
    comparison = compared(build(once), build(twice))
    assert comparison.verdict == "regression"
    assert comparison.sentence.startswith(
        "cc1 f.c runs twice instead of once: +" if cost > 0.005 else "as f.c runs twice"
    )


def test_compiler_that_is_asked_for_its_version_twice_has_compiled_nothing_twice() -> None:
    def asked(count: int) -> dict[str, Any]:
        return {"make/asm[-V=full]": {"count": count, "wall": 0.004 * count, "cpu": 0.004 * count, "parent": "make"}}

    comparison = compared(build(asked(1)), build(asked(2)))
    assert comparison.verdict != "regression"
    assert comparison.findings == []


def test_second_make_that_finds_all_done_costs_what_it_takes_itself() -> None:
    again = build()
    again.totals["make"] = {"count": 2.0, "wall": 3.0, "cpu": 0.062}
    comparison = compared(build(), again)
    assert comparison.findings == []
    assert changes_in_words(comparison) == [
        "make runs twice instead of once: +12 ms of processor time, 0.6 % of the build"
    ]


def test_second_make_that_compiles_all_again_compiles_each_file_twice() -> None:
    """A new program above many compilers is not one of them, and has not their cost."""
    again = {"make/make[lib]": {"count": 1, "cpu": 0.01, "parent": "make"}}
    for number in range(10):
        again |= compilation(f"f{number}.c", below="make/make")
        again[f"make/make/gcc[f{number}.c]"]["parent"] = "make/make[lib]"
    comparison = compared(build(), build(again))
    assert comparison.verdict == "regression"
    assert comparison.sentence.startswith("10 x cc1 compile files again: +2.06 s of processor time, ")
    assert sum(cause.cost or 0.0 for cause in comparison.causes) == pytest.approx(10 * (COMPILE + 0.006), rel=0.01)


def test_unit_that_a_second_target_compiles_is_compiled_twice() -> None:
    """Keys have the output where one file is compiled to several; the target that was there stays what it was."""

    def built(*targets: str) -> Profile:
        simulation = Simulation().start()
        for pid, (file, target) in enumerate([*((f"{n}.c", "a") for n in range(6)), *(("x.c", t) for t in targets)]):
            output = f"{target}.dir/{file}.o"
            simulation.create(10 * pid + 10).exec(10 * pid + 10, *words(f"gcc -D{target} -c {file} -o {output}"))
            simulation.create(10 * pid + 11, 10 * pid + 10).exec(10 * pid + 11, b"cc1", file.encode(), b"-quiet")
            simulation.use(10 * pid + 11, 50 * MILLISECOND).exit(10 * pid + 11).exit(10 * pid + 10)
        return Profile.from_tree(build_tree(simulation.end()))

    second = compared(built("b"), built("a", "b"))
    assert second.sentence.startswith(
        "cc1 x.c -> a.dir/x.c.o is new, so that its file is compiled twice instead of once: +50 ms"
    )
    assert compared(built("a", "b"), built("a", "b")).findings == []
    (gone,) = (finding for finding in compared(built("a", "b"), built("b")).structure if finding.is_cause)
    assert (gone.kind, gone.key) == ("removed", "make/gcc/cc1[x.c -> a.dir/x.c.o]")


def test_build_that_became_much_cheaper_is_not_accused_of_a_new_step() -> None:
    wrapper = {"make/lto-wrapper[app]": {"count": 1, "cpu": 0.06, "parent": "make"}}
    comparison = compared(build(), build(wrapper, compiler=0.04))
    assert not any(finding.is_worse for finding in comparison.findings)


def test_removed_unit_is_an_improvement_that_says_what_it_saved() -> None:
    comparison = compared(build(), build(without=("f0.c",)))
    assert [finding.kind for finding in comparison.causes] == ["removed"]
    assert "cc1 f0.c no longer runs: -206 ms of processor time, 9.8 % of the build" in comparison.sentence


def test_wrapper_is_a_level_that_fails_nothing_and_says_what_it_costs() -> None:
    inside = build()
    wrapped = Profile(
        {"strace": {"count": 1.0, "wall": 3.2, "cpu": 0.2}, **inside.totals},
        {**inside.parents, "strace": None, "make": "strace"},
    )
    comparison = compared(inside, wrapped)
    assert not any(finding.kind == "added" for finding in comparison.findings)
    assert changes_in_words(comparison) == ["strace stands in front now: +200 ms of processor time, 9.5 % of the build"]
    assert changes_in_words(compared(wrapped, inside)) == [
        "strace no longer stands in front: -200 ms of processor time, 8.7 % of the build"
    ]


@pytest.mark.parametrize(
    "chain",
    [
        ["flock lock -c make", "fork sh -c make", "make all"],
        ["flock lock -c make", "fork sh -c 'cd . && ./run'", "make all"],
        ["env A=b nice build.py all", "nice build.py all", "build.py all"],
        ["env nice make -j3 all", "nice make -j3 all", "make -j3 all"],
        ["su -c", "fork bash -c 'exec time make'", "time make", "make all"],
    ],
    ids=" > ".join,
)
def test_programs_that_become_the_build_one_after_the_other_stand_in_front_of_it(chain: list[str]) -> None:
    def built(*commands: str) -> Profile:
        simulation, pid = Simulation().start(words(commands[0])).use(ROOT, MILLISECOND), ROOT
        for command in commands[1:]:
            if command.startswith("fork "):
                simulation.create(10)
                pid = 10
            simulation.exec(pid, *words(command.removeprefix("fork "))).use(pid, MILLISECOND)
        for number in range(11, 17):
            simulation.create(number, pid).exec(number, b"gcc", b"-c", b"%d.c" % number)
            simulation.use(number, 100 * MILLISECOND).exit(number)
        return Profile.from_tree(build_tree((simulation if pid == ROOT else simulation.exit(pid)).end()))

    comparison = compared(built(chain[-1].replace("j3", "j2")), built(*chain))
    assert comparison.findings == []
    assert {finding.level for finding in comparison.structure} == {True}
    assert len(comparison.structure) == len(chain) - 1


def words(command: str) -> list[bytes]:
    return [word.encode() for word in shlex.split(command)]


def test_helpers_of_a_wrapper_belong_to_it() -> None:
    inside = build()
    wrapped = Profile(
        {"fakeroot": {"count": 1.0, "cpu": 0.002}, "fakeroot/faked": {"count": 1.0, "cpu": 0.05}, **inside.totals},
        {**inside.parents, "fakeroot": None, "fakeroot/faked": "fakeroot", "make": "fakeroot"},
    )
    assert not any(finding.is_worse for finding in compared(inside, wrapped).findings)


def test_helpers_that_cost_a_tenth_of_the_build_are_work() -> None:
    """CMake's makefiles for its ninja files: the new ``gmake`` runs ``cmake -E`` before each compiler."""
    before = build()
    now = Profile(
        {"gmake": {"count": 1.0, "cpu": 0.002}, **before.totals}, {**before.parents, "gmake": None, "make": "gmake"}
    )
    for number in range(10):
        now.totals[f"gmake/cmake[{number}]"] = {"count": 1.0, "cpu": 0.05}
        now.parents[f"gmake/cmake[{number}]"] = "gmake"
    comparison = compared(before, now)
    assert comparison.sentence.startswith("10 x cmake are new: +500 ms of processor time, ")
    assert "10 x cmake no longer run: -500 ms of processor time, " in compared(now, before).sentence


def test_driver_that_does_its_steps_otherwise_is_compared_as_a_whole() -> None:
    """``-save-temps`` runs the preprocessor apart: what cc1 did in one step it does in two."""
    more = {"make/gcc/cc1[-E f0.c]": {"count": 1, "wall": 0.04, "cpu": 0.04, "parent": "make/gcc[f0.c]"}}
    now = build(more)
    now.totals["make/gcc/cc1[f0.c]"]["cpu"] -= 0.04
    assert not any(finding.is_worse for finding in compared(build(), now).findings)


@pytest.mark.parametrize("speed", [0.8, 1.0])
def test_driver_that_does_its_steps_in_its_own_process_loses_nothing(speed: float) -> None:
    """clang instead of gcc: what the compilers and assemblers did is done by the drivers."""
    gcc, clang = build(), build(without=("/cc1", "/as"))
    for number in range(10):
        clang.totals[f"make/gcc[f{number}.c]"]["cpu"] = speed * COMPILE
    comparison = compare([[gcc] * 3], [clang] * 3)
    assert not [finding for finding in comparison.findings if finding.metric == "count"]
    assert all(finding.program == "gcc" for finding in comparison.causes if finding.key.startswith("make/"))
    back = compare([[clang] * 3], [gcc] * 3)
    assert not [finding for finding in back.causes if finding.metric == "count"]


def test_where_no_costs_are_known_every_difference_is_a_finding() -> None:
    before = Profile.from_dict({"make": {"count": 1}, "make/gcc[a.c]": {"count": 1}})
    now = Profile.from_dict({"make": {"count": 1}, "make/gcc[a.c]": {"count": 2}})
    assert compared(before, now).verdict == "regression"


def test_minimum_effect_of_structure_decides() -> None:
    before, now = build(), build(compilation("new.c", 0.036))
    assert compare([[before]], [now], min_effect={"structure": 0.05}).findings == []
    assert compare([[before]], [now], min_effect={"structure": (0.01, 0.1)}).findings == []
