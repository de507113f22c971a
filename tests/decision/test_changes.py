"""What is told of a build that changed without becoming slower."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_ptreetime.decision.comparing import Comparison, compare
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.system.calibration import Calibration
from pytest_ptreetime.wording.changes import changes_in_words
from pytest_ptreetime.wording.remarks import reasons_in_words


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
    assert changes_in_words(comparison) == ["command changed: 21 x gcc, + -DVERSION=123"]
    assert comparison.sentence.startswith("command changed: 21 x gcc, + -DVERSION=123; no change; ")


def test_change_that_has_the_name_of_each_file_in_it_is_one_change() -> None:
    now = build(("-O1",))
    for number in range(21):
        now.identities[f"make/gcc[f{number}.c]"] = Identity("gcc", f"f{number}.c", (f"@out/f{number}.o.rsp",))
    told = changes_in_words(compared(build(("-O1",)), now))
    assert told == ["command changed: 21 x gcc, + @out/*.o.rsp, - -O1, - -c, - *.c"]


def test_moved_option_and_another_temporary_file_are_no_change() -> None:
    now = build(("-O1", "-g"))
    now.identities["make/gcc/cc1[f0.c]"] = Identity(
        "cc1", "f0.c", ("-quiet", "f0.c", "-g", "-O1", "-o", "TMP/ccXy99Zz.s")
    )
    assert changes_in_words(compared(build(("-g", "-O1")), now)) == []


def test_jobs_of_make_are_a_note() -> None:
    comparison = compared(build(("-O1",)), build(("-O1",), make=("-j3",)))
    assert (comparison.verdict, changes_in_words(comparison)) == ("ok", ["command changed: make, -j3 instead of -j2"])


def test_costlier_optimisation_names_the_dearest_compiler_and_its_command_as_the_cause() -> None:
    comparison = compared(build(("-O1",)), build(("-O2",), cpu=0.3))
    assert comparison.verdict == "regression"
    assert comparison.sentence.startswith("cc1 f20.c: cpu +")
    assert "because its command has -O2 instead of -O1 (as 20 more)" in comparison.sentence


def test_cheaper_optimisation_is_an_improvement() -> None:
    comparison = compared(build(("-O1",)), build(("-O0",), cpu=0.1))
    assert comparison.verdict == "improvement"
    assert "because its command has -O0 instead of -O1 (as 20 more)" in comparison.sentence


def test_other_compiler_of_the_same_options_is_told() -> None:
    now = build(("-O1",))
    for key, identity in now.identities.items():
        if identity.name == "gcc":
            now.identities[key] = Identity("clang", identity.subject, identity.words)
    assert changes_in_words(compared(build(("-O1",)), now)) == ["command changed: 21 x gcc, clang instead of gcc"]


def test_program_with_a_drawn_name_is_no_other_program() -> None:
    def probe(name: str) -> Profile:
        profile = build(("-O1",))
        profile.identities["make"] = Identity(name, "", ("-j2",))
        return profile

    assert changes_in_words(compared(probe("conf8863-425"), probe("conf8874-27517"))) == []


def test_number_of_a_step_in_a_progress_display_is_no_change() -> None:
    def steps(number: int) -> Profile:
        profile = build(("-O1",))
        progress = ("-E", "cmake_echo_color", f"--progress-num={number}", "Building")
        for key, words in (("one", progress), ("all", ("-E", "cmake_progress_start", "b/CMakeFiles", f"{number}"))):
            profile.totals[f"make/cmake[{key}]"] = {"count": 1.0, "cpu": 0.002}
            profile.parents[f"make/cmake[{key}]"] = "make"
            profile.identities[f"make/cmake[{key}]"] = Identity("cmake", key, words)
        return profile

    assert changes_in_words(compared(steps(4), steps(5))) == []


def test_only_word_that_differs_is_told_as_another_value() -> None:
    now = build(("-O1",), make=("-C", "new"))
    comparison = compared(build(("-O1",), make=("-C", "old")), now)
    assert changes_in_words(comparison) == ["command changed: make, new instead of old"]


def test_renamed_directory_is_told_once_for_all_its_files() -> None:
    def in_directory(name: str) -> Profile:
        profile = build(("-O1", f"-I{name}"))
        for key, identity in profile.identities.items():
            if identity.subject:
                words = tuple(f"{name}/{word}" if word.endswith(".c") else word for word in identity.words)
                profile.identities[key] = Identity(identity.name, f"{name}/{identity.subject}", words)
        return profile

    assert changes_in_words(compared(in_directory("src"), in_directory("code"))) == [
        "command changed: 21 x gcc, code instead of src"
    ]


def test_directory_with_a_drawn_name_is_no_other_directory() -> None:
    """One round against one: nothing but the look of the names says that they are drawn."""

    def probe(drawn: str) -> Profile:
        profile, file = build(("-O1",)), f"b/TryCompile-{drawn}/probe.c"
        profile.identities["make/gcc[f0.c]"] = Identity("gcc", file, ("-c", file, f"/t/am4t{drawn}_/x"))
        return profile

    assert changes_in_words(compared(probe("Go1dhi"), probe("khKNHj"))) == []


@pytest.mark.parametrize("file", ["/scratch/me/tmp/ccXy99Zz.s", "/scratch/me/tmp/*.s", "tmp/*.s"])
def test_another_directory_for_temporary_files_is_no_change(file: str) -> None:
    now = build(("-O1",))
    for key, identity in now.identities.items():
        if identity.name == "cc1":
            now.identities[key] = Identity("cc1", identity.subject, (*identity.words[:-1], file))
    assert changes_in_words(compared(build(("-O1",)), now)) == []


def test_wrappers_of_one_program_are_told_together() -> None:
    before, now = build(("-O1",), files=3), build(("-O1",), files=3)
    for number in range(3):
        launcher = f"make/distcc[gcc f{number}.c]"
        now.totals[launcher] = {"count": 1.0, "cpu": 0.001}
        now.parents |= {launcher: "make", f"make/gcc[f{number}.c]": launcher}
    assert changes_in_words(compared(before, now)) == [
        "3 x distcc stand in front now: +3 ms of processor time, 0.5 % of the build"
    ]


@pytest.mark.parametrize("cpu", [0.208, 0.216])
def test_changed_commands_that_all_take_a_little_longer_are_not_taken_for_the_machine(cpu: float) -> None:
    before, now = build(("-O1",)), build(("-O1", "-fchecks"), cpu=cpu)
    comparison = compared(before, now)
    assert (comparison.verdict, comparison.findings) == ("inconclusive", [])
    (reason,) = reasons_in_words(comparison)
    assert reason == (
        f"the processes whose command changed moved by +{500 * cpu - 100:.1f} % in cpu together; "
        "can't tell whether their commands or the machine did: interleave (--ptreetime-against)"
    )
    in_turns = compare([[before] * 5], [now] * 5, paired=True)
    assert in_turns.verdict == "regression"
    assert "because " in in_turns.sentence
    assert "+ -fchecks" in in_turns.sentence


def test_changed_commands_that_take_longer_as_the_calibration_does_are_the_machine() -> None:
    parts = {part: [0.01, 0.01, 0.01] for part in ("compute", "fork", "file")}
    slower = {part: [0.0104, 0.0104, 0.0104] for part in parts}
    was, now = Calibration(parts, parts), Calibration(slower, slower)
    rounds = [build(("-O1", "-DA"), cpu=0.208)] * 5
    comparison = compare([[build(("-O1",))] * 5], rounds, baseline_calibration=[was], current_calibration=now)
    assert (comparison.verdict, comparison.reasons) == ("ok", [])


def test_changed_commands_that_take_less_time_together_leave_nothing_open() -> None:
    comparison = compared(build(("-O1",)), build(("-O1", "-DA"), cpu=0.192))
    assert (comparison.verdict, comparison.reasons) == ("ok", [])


@pytest.mark.parametrize("others", [0.93, 1.0, 1.08])
def test_heavier_header_in_every_unit_gives_no_credit_to_those_that_read_none(others: float) -> None:
    """Nothing says whether the machine or the header did it: a linker that took as long as before is not faster."""

    def linked(profile: Profile, factor: float) -> Profile:
        for number in range(8):
            key = f"make/ar[l{number}.a]"
            profile.totals[key], profile.parents[key] = {"count": 1.0, "cpu": 0.05 * factor}, "make"
        return profile

    before, now = linked(build(("-O1",)), 1.0), linked(build(("-O1",), cpu=0.52), others)
    comparison = compare([[before] * 3], [now] * 3)
    assert not [finding.key for finding in comparison.findings if "/ar[" in finding.key]
    assert comparison.verdict == "inconclusive"


@pytest.mark.parametrize("busy", [((3, 1, 1), (1, 1, 1)), ((1, 3, 1), (1, 3, 1)), ((3, 3, 1), (1, 1, 1))])
def test_heavier_header_with_a_busy_round_in_turns_gives_no_credit_to_those_that_read_none(
    busy: tuple[tuple[int, ...], tuple[int, ...]],
) -> None:
    """A round in which all is slow leaves it open whether the machine slowed the compilers down."""
    random = np.random.default_rng(1)

    def side(factor: float, rounds: tuple[int, ...]) -> list[Profile]:
        amounts = {f"make/cc1[f{number}.c]": 0.05 * factor for number in range(12)}
        amounts |= {f"make/as[f{number}.o]": 0.03 for number in range(6)}
        return [
            Profile.from_dict(
                {
                    key: {"count": 1, "wall": amount * slow * float(np.exp(0.02 * random.standard_normal()))}
                    for key, amount in amounts.items()
                }
            )
            for slow in rounds
        ]

    comparison = compare([side(1.0, busy[0])], side(3.5, busy[1]), paired=True, metrics=["wall"])
    assert (comparison.verdict, comparison.findings) == ("inconclusive", [])
    (reason,) = reasons_in_words(comparison)
    assert "many did not; can't tell whether the machine or the build did: measure more rounds" in reason


def test_assembler_below_a_driver_whose_command_changed_does_not_tell_the_machines_speed() -> None:
    """Its own command is as before; it gets twice as much to assemble."""

    def with_assemblers(profile: Profile, cpu: float) -> Profile:
        for number in range(21):
            key = f"make/gcc/as[f{number}.o]"
            profile.totals[key] = {"count": 1.0, "cpu": cpu}
            profile.parents[key] = f"make/gcc[f{number}.c]"
            profile.identities[key] = Identity("as", f"f{number}.o", ("-o", f"f{number}.o"))
        return profile

    before, now = with_assemblers(build(("-O1",)), 0.02), with_assemblers(build(("-O3",), cpu=0.4), 0.04)
    comparison = compared(before, now)
    assert comparison.verdict == "regression"
    assert comparison.sentence.startswith("cc1 f20.c: cpu +99.8 %")


def test_costlier_optimisation_is_found_on_a_machine_that_was_busy_while_calibrating() -> None:
    """The drivers do as before, and together they tell how fast the machine was."""
    parts = {"compute": [0.01, 0.03, 0.01], "fork": [0.008, 0.02, 0.01], "file": [0.012, 0.03, 0.02]}
    busy = Calibration({part: [2 * value for value in values] for part, values in parts.items()}, parts)
    before, now = [build(("-O1",))] * 5, [build(("-O2",), cpu=0.32)] * 5
    comparison = compare([before], now, baseline_calibration=[busy], current_calibration=busy)
    assert comparison.verdict == "regression"
    assert comparison.sentence.startswith("cc1 f20.c: cpu +")


def test_link_that_gets_a_step_more_does_not_tell_the_machines_speed() -> None:
    """-flto: every command is another one, compilers do less, and the link of the same command compiles."""

    def linked(profile: Profile, compiled: float) -> Profile:
        steps = {"make/gcc[app]": 0.03, "make/gcc/ld[app]": 0.02} | (
            {"make/gcc/lto1[app]": compiled} if compiled else {}
        )
        for key, cpu in steps.items():
            name = key.rpartition("/")[2].partition("[")[0]
            profile.totals[key] = {"count": 1.0, "cpu": cpu}
            profile.parents[key] = "make" if name == "gcc" else "make/gcc[app]"
            profile.identities[key] = Identity(name, "app", ("-o", "app"))
        return profile

    comparison = compared(linked(build(("-O1",)), 0.0), linked(build(("-O1", "-flto"), cpu=0.15), 1.5))
    assert comparison.machine_shifts["cpu"] == pytest.approx(1, abs=0.1)
    assert [cause.key for cause in comparison.causes if cause.is_worse] == ["make/gcc/lto1[app]"]
    assert not [f for f in comparison.findings if f.metric == "cpu" and f.ratio is not None and f.ratio < 0.7]


def test_sources_that_moved_into_a_directory_are_one_change() -> None:
    def in_directory(name: str) -> Profile:
        profile = build(("-O1", f"-I{name or '.'}"), files=3)
        for key, identity in profile.identities.items():
            moved = [f"{name}/{word}" if name and word.endswith(".c") else word for word in identity.words]
            subject = f"{name}/{identity.subject}" if name and identity.subject else identity.subject
            profile.identities[key] = Identity(identity.name, subject, tuple(moved))
        return profile

    assert changes_in_words(compared(in_directory(""), in_directory("src"))) == [
        "command changed: 3 x gcc, src instead of ."
    ]
    assert changes_in_words(compared(in_directory("src"), in_directory(""))) == [
        "command changed: 3 x gcc, . instead of src"
    ]
