"""What is told of two commands of one node: which words changed, and what is no change."""

from __future__ import annotations

import pytest

from pytest_ptreetime.decision.command_changes import CommandChange, command_changes
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.wording.causes import difference_in_words


def told(command_change: CommandChange) -> str:
    return difference_in_words(command_change.difference)


def change(before: str, after: str, noise: frozenset[str] = frozenset()) -> CommandChange:
    old, new = (Identity("cc1", "", tuple(text.split(";"))) for text in (before, after))
    return CommandChange("cc1", old, new, noise)


def profile(*words: str, incomplete_reason: str | None = None) -> Profile:
    return Profile(
        totals={"cc1": {"count": 1.0}},
        parents={"cc1": None},
        identities={"cc1": Identity("cc1", "", words)},
        incomplete_reason=incomplete_reason,
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("-g;-O1", "-O1;-g", ""),
        ("-O1", "-O2", "-O2 instead of -O1"),
        ("-std=c99", "-std=c11", "-std=c11 instead of -std=c99"),
        ("--jobs=2", "--jobs=4", "--jobs=4 instead of --jobs=2"),
        ("--fast", "--slow", "+ --slow, - --fast"),
        ("--sysroot", "--sysroot=/x", "--sysroot=/x instead of --sysroot"),
        ("-DA=1", "-DA=2", "-DA=2 instead of -DA=1"),
        ("-DA", "-DB", "+ -DB, - -DA"),
        ("a.c", "b.c", "b.c instead of a.c"),
        ("-g", "-g;-g", "+ -g"),
        ("-g;-g;-O2", "-O2;-g", "- -g"),
        ("-Wall", "-Wall;-a;-b;-c;-d", "+ -a, + -b, + -c, + -d"),
        ("-Wall", "-Wall;-a;-b;-c;-d;-e;-f", "+ -a, + -b, + -c, + -d, 2 more"),
        ("-Wall", "-Wall;-a;-b;-c;-d;-e", "+ -a, + -b, + -c, + -d, 1 more"),
        ("-c;true a", "-c;true b", "b instead of a"),
        ("CC=gcc -g", "CC=ccache gcc -g", "CC=ccache gcc -g instead of CC=gcc -g"),
        ("-c;make CC='gcc'", "-c;make CC='ccache gcc'", "CC=ccache gcc instead of CC=gcc"),
        ("-c;echo it's", "-c;echo it's so", "+ so"),
    ],
)
def test_changed_words_are_named_and_another_value_of_an_option_as_a_pair(before: str, after: str, said: str) -> None:
    assert told(change(before, after)) == said


def test_part_that_is_long_is_cut_in_its_middle() -> None:
    (shown,) = told(change("-g", "-g;-DTEXT=" + 100 * "x")).split(", ")
    assert len(shown) == 60
    assert shown.startswith("+ -DTEXT=x")
    assert shown.endswith("x")


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("-o;TMP/ccAb12Cd.s", "-o;TMP/ccXy99Zz.s", False),  # a drawn name of a temporary file
        ("out/ab3Xk9Qz.o", "out/abcdefgh.o", False),  # one of the two looks drawn, and they have one length
        ("out/abcdefgh.o", "out/ab3Xk9Qz.o", False),
        ("out/abcdefgh.o", "out/hgfedcba.o", True),  # none does
        ("out/ab3Xk9Qz.o", "out/abcdefghi.o", True),  # of two lengths
        ("ab3Xk9Qz", "abcdefgh", True),  # no name of a file
        ("out/ab3Xk9Qz.o", "out/abcdefgh/more.o", True),
        ("out/ab3Xk9Qz.o", "in/abcdefgh.o", True),  # another word differs that is not drawn
    ],
)
def test_name_that_looks_drawn_is_no_change(before: str, after: str, changed: bool) -> None:
    one = change(before, after)
    assert bool(one.removed or one.added) == changed


def test_drawn_name_stands_for_one_other_only() -> None:
    one = change("out/ab3Xk9Qz.o;out/qW8rTz2k.o", "out/ab3Xk9Qz.o;out/abcdefgh.o;out/hgfedcba.o")
    assert len(one.added) == 1
    assert one.removed == ()


def test_word_that_differs_between_rounds_of_one_build_is_no_change() -> None:
    before = [profile("-DRUN=17", "-g"), profile("-DRUN=18", "-g")]
    assert command_changes(before, [profile("-DRUN=17", "-g")] * 2) == []
    assert command_changes([before[0]] * 2, before) == []
    (one,) = command_changes(before, [profile("-DRUN=17", "-O2")] * 2)
    assert one.noise == {"17", "18"}
    assert told(one) == "+ -O2, - -g"


def test_commands_are_those_of_the_first_complete_round() -> None:
    cut = profile("-x", incomplete_reason="lost")
    (one,) = command_changes([cut, profile("-g")], [profile("-O2")])
    assert one.before.words == ("-g",)
    (one,) = command_changes([cut], [profile("-O2")])
    assert one.before.words == ("-x",)


def test_word_that_was_only_added_is_a_change() -> None:
    (one,) = command_changes([profile("-c")], [profile("-c", "-g")])
    assert told(one) == "+ -g"


@pytest.mark.parametrize(("rounds", "said"), [(1, ""), (2, "--n=50000 instead of --n=40000, es2022 instead of es2021")])
def test_number_that_all_rounds_of_a_side_have_is_an_amount(rounds: int, said: str) -> None:
    before, after = [profile("es2021", "--n=40000")] * rounds, [profile("es2022", "--n=50000")] * rounds
    assert [told(one) for one in command_changes(before, after)] == ([said] if said else [])


def test_number_that_differs_between_rounds_is_drawn() -> None:
    before = [profile("1000"), profile("1001")]
    assert command_changes(before, [profile("2000"), profile("2001")]) == []
