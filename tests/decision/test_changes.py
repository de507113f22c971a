"""What is told of a build that changed without becoming slower."""

from __future__ import annotations

from pytest_ptreetime.decision.comparing import Comparison, compare
from pytest_ptreetime.decision.profile import Identity, Profile


def build(flags: tuple[str, ...], *, make: tuple[str, ...] = ("-j2",), cpu: float = 0.2, files: int = 21) -> Profile:
    """``make`` runs a driver and a compiler for each file."""
    totals = {"make": {"count": 1.0, "cpu": 0.05}}
    parents: dict[str, str | None] = {"make": None}
    identities = {"make": Identity("make", "", make)}
    for number in range(files):
        driver, compiler = f"make/gcc[f{number}.c]", f"make/gcc/cc1[f{number}.c]"
        totals |= {driver: {"count": 1.0, "cpu": 0.001}, compiler: {"count": 1.0, "cpu": cpu * (1 + number / 100)}}
        parents |= {driver: "make", compiler: driver}
        identities[driver] = Identity("gcc", f"f{number}.c", (*flags, "-c", f"f{number}.c"))
        identities[compiler] = Identity(
            "cc1", f"f{number}.c", ("-quiet", f"f{number}.c", *flags, "-o", "TMP/ccAb12Cd.s")
        )
    return Profile(totals=totals, parents=parents, identities=identities)


def compared(before: Profile, now: Profile, rounds: int = 5) -> Comparison:
    return compare([[before] * rounds], [now] * rounds)


def test_added_define_is_a_note_that_counts_the_drivers_and_the_verdict_is_ok() -> None:
    comparison = compared(build(("-O1",)), build(("-O1", "-DVERSION=123")))
    assert comparison.verdict == "ok"
    assert comparison.changes == ["command changed: 21 x gcc, + -DVERSION=123"]
    assert comparison.sentence.startswith("command changed: 21 x gcc, + -DVERSION=123; no change; ")


def test_moved_option_and_another_temporary_file_are_no_change() -> None:
    now = build(("-O1", "-g"))
    now.identities["make/gcc/cc1[f0.c]"] = Identity(
        "cc1", "f0.c", ("-quiet", "f0.c", "-g", "-O1", "-o", "TMP/ccXy99Zz.s")
    )
    assert compared(build(("-g", "-O1")), now).changes == []


def test_jobs_of_make_are_a_note() -> None:
    comparison = compared(build(("-O1",)), build(("-O1",), make=("-j3",)))
    assert (comparison.verdict, comparison.changes) == ("ok", ["command changed: make, -j3 instead of -j2"])


def test_costlier_optimisation_names_the_dearest_compiler_and_its_command_as_the_cause() -> None:
    comparison = compared(build(("-O1",)), build(("-O2",), cpu=0.3))
    assert comparison.verdict == "regression"
    assert comparison.sentence.startswith("cc1 f20.c: cpu +")
    assert "because its command has -O2 instead of -O1 (as 20 more)" in comparison.sentence


def test_cheaper_optimisation_is_an_improvement() -> None:
    comparison = compared(build(("-O1",)), build(("-O0",), cpu=0.1))
    assert comparison.verdict == "improvement"
    assert "because its command has -O0 instead of -O1 (as 20 more)" in comparison.sentence
