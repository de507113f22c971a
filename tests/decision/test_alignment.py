"""Sessions under one set of keys: names that stay, noise, launchers, units and changed commands as examples."""

from __future__ import annotations

from hand_made_builds import build

from pytest_ptreetime.decision.alignment import Level, Unit, align
from pytest_ptreetime.decision.profile import Identity, Profile, columns_of
from pytest_ptreetime.decision.starring import starred
from pytest_ptreetime.wording.causes import difference_in_words

BUILD = """
make
  gcc -O1 -c a.c :: a.c
    cc1 -O1 a.c :: a.c
  gcc -O1 -c b.c :: b.c
    cc1 -O1 b.c :: b.c
  gcc -o prog a.o b.o :: prog
"""


def drawn(*names: str) -> Profile:
    """A build that runs a program on files of these names."""
    return build("make\n  gcc -c a.c :: a.c\n" + "".join(f"  rm -f tmp.{name}\n" for name in names))


def keys(rounds: list[Profile] | tuple[Profile, ...]) -> list[set[str]]:
    return [set(profile.totals) for profile in rounds]


def test_equal_keys_give_the_same_objects() -> None:
    baseline, current = [[build(BUILD), build(BUILD)], Profile.rounds_of(columns_of([build(BUILD)]))], [build(BUILD)]
    alignment = align(baseline, current, baseline[0])
    assert alignment.baseline is baseline
    assert alignment.current is current
    assert alignment.pinned is baseline[0]
    assert alignment.renamed == [{}]
    assert not (alignment.pairs or alignment.levels or alignment.added or alignment.removed)
    assert alignment.comparable == 1


def test_a_matched_node_takes_the_baselines_key() -> None:
    launched = "fakeroot make\n" + "\n".join("  " + line for line in BUILD.splitlines())
    alignment = align([[build(BUILD)]], [build(launched)])
    assert set(alignment.current[0].totals) == {*build(BUILD).totals, "fakeroot[make]"}
    assert alignment.current[0].parents["make"] == "fakeroot[make]"
    assert alignment.current[0].parents["make/gcc/cc1[a.c]"] == "make/gcc[a.c]"
    assert alignment.renamed[0]["fakeroot/make/gcc/cc1[a.c]"] == "make/gcc/cc1[a.c]"
    assert alignment.levels == [Level("fakeroot[make]", ("make",))]
    assert not (alignment.pairs or alignment.added or alignment.removed)
    assert alignment.comparable == 6 / 7


def test_a_level_that_is_gone_is_the_references() -> None:
    launched = "fakeroot make\n" + "\n".join("  " + line for line in BUILD.splitlines())
    alignment = align([[build(launched)]], [build(BUILD)])
    assert alignment.levels_removed == [Level("fakeroot[make]", ("fakeroot/make",))]
    assert alignment.comparable == 1


def test_what_differs_between_rounds_of_a_session_is_a_star() -> None:
    session = starred([drawn("Xa8Qz1"), drawn("Pq3LmZ"), drawn("kk7VbN")])
    assert keys(list(session.rounds)) == [{"make", "make/gcc[a.c]", "make/rm[-f tmp.*]"}] * 3
    assert session.joined.names["make/rm[-f tmp.Pq3LmZ]"] == "make/rm[-f tmp.*]"


def test_a_drawn_program_name_is_a_star_in_the_path_of_what_it_runs() -> None:
    text = "make\n  conf{0}\n    gcc -o conf{0} :: conf.c\n"
    session = starred([build(text.format(8123)), build(text.format(8199))])
    assert set(session.rounds[0].totals) == {"make", "make/*", "make/*/gcc[conf.c]"}


def test_a_key_of_the_form_of_those_with_a_star_joins_them_in_any_number() -> None:
    baseline = [[drawn("Xa8Qz1", "Yb8Qz2"), drawn("Pq3LmZ", "Rr4LmZ")]]
    alignment = align(baseline, [drawn("kk7VbN", "Ab9CdE", "Zz8YyX")])
    assert alignment.current[0].totals["make/rm[-f tmp.*]"]["count"] == 3
    assert alignment.baseline[0][1].totals["make/rm[-f tmp.*]"]["count"] == 2
    assert alignment.added == []
    assert alignment.comparable == 1


def test_one_round_against_one_finds_drawn_names_again() -> None:
    alignment = align([[drawn("Xa8Qz1", "Yb8Qz2")]], [drawn("kk7VbN", "Ab9CdE")])
    assert keys(list(alignment.current)) == keys(list(alignment.baseline[0]))
    assert not (alignment.pairs or alignment.added or alignment.removed)


def test_sums_are_added_up_and_peaks_are_not() -> None:
    first, second = drawn("Xa8Qz1", "Yb8Qz2"), drawn("Pq3LmZ", "Rr4LmZ")
    one = starred([first, second]).rounds[0].totals["make/rm[-f tmp.*]"]
    assert (one["count"], one["cpu"], one["max_rss"]) == (2, 0.2, 1e6)


def test_stored_rounds_are_aligned_like_profiles() -> None:
    profiles = [drawn("Xa8Qz1", "Yb8Qz2"), drawn("Pq3LmZ", "Rr4LmZ")]
    stored = starred(Profile.rounds_of(columns_of(profiles)))
    assert [one.totals for one in stored.rounds] == [one.totals for one in starred(profiles).rounds]
    assert stored.rounds[0].parents == starred(profiles).rounds[0].parents


def test_all_sessions_get_the_newest_ones_keys() -> None:
    old = build(BUILD.replace("make", "gmake"))
    alignment = align([[old], [build(BUILD)]], [build(BUILD)], [old])
    assert keys([*alignment.baseline[0], *(alignment.pinned or ())]) == [set(build(BUILD).totals)] * 2


def test_a_changed_command_is_told_by_its_words() -> None:
    new = BUILD.replace("-O1", "-O2").replace("-c a.c", "-DVERSION=123 -c a.c").replace("-o prog a.o", "a.o -o prog")
    alignment = align([[build(BUILD)]], [build(new)])
    told = {change.key: difference_in_words(change.difference) for change in alignment.pairs}
    assert told == {
        "make/gcc[a.c]": "-O2 instead of -O1, + -DVERSION=123",
        "make/gcc/cc1[a.c]": "-O2 instead of -O1",
        "make/gcc[b.c]": "-O2 instead of -O1",
        "make/gcc/cc1[b.c]": "-O2 instead of -O1",
    }


def test_a_changed_word_of_a_shells_text_is_told_alone() -> None:
    before, after = build("make\n  sh x\n"), build("make\n  sh x\n")
    for profile, text in ((before, "gcc -O1 -c a.c"), (after, "gcc -O2 -c a.c")):
        profile.identities["make/sh[x]"] = Identity("sh", "x", ("-c", text))
    assert [difference_in_words(change.difference) for change in align([[before]], [after]).pairs] == [
        "-O2 instead of -O1"
    ]


def test_files_with_drawn_names_are_no_changed_command() -> None:
    text = "make\n  as -o a.o TMP/cc{0}.s t/cc{0}.o TryCompile-{0}/x.c :: a.c\n  go -buildid={1}/{1} :: x\n"
    names = (("XYZabc", "fK2-a_9x7QbL3"), ("aB1cD2", "Rr4LmZ8w_qT1"), ("SPB199", "9-x9K8x-7yZ4aQw"))
    first, *others = [build(text.format(*pair)) for pair in names]
    assert [align([[first]], [other]).pairs for other in others] == [[], []]


def test_noise_is_no_changed_command() -> None:
    text = "make\n  gcc -O1 -frandom-seed={} -DHASH={} -DAT={} -c a.c :: a.c\n"
    baseline = [build(text.format(n, "0f9e8d7c", n)) for n in (1, 2)]
    current = [build(text.format(n, "a1b2c3d4", n)) for n in (3, 4)]
    assert align([baseline], current).pairs == []


def test_units_are_told_by_their_driver() -> None:
    new = BUILD + "  gcc -c c.c :: c.c\n    cc1 c.c\n    as c.s :: c.c\n"
    alignment = align([[build(BUILD)]], [build(new)])
    assert alignment.added == [Unit("make/gcc[c.c]", ("make/gcc[c.c]", "make/gcc/cc1[c.c]", "make/gcc/as[c.c]"))]
    assert alignment.removed == []
    assert align([[build(new)]], [build(BUILD)]).removed == alignment.added


def test_a_unit_below_a_new_level_is_a_unit() -> None:
    new = "make\n  ccache gcc a.c\n    gcc -E a.c :: -E a.c\n    gcc -O1 -c a.c :: a.c\n      cc1 -O1 a.c :: a.c\n"
    alignment = align([[build("make\n  gcc -O1 -c a.c :: a.c\n    cc1 -O1 a.c :: a.c\n")]], [build(new)])
    assert alignment.levels == [Level("make/ccache[gcc a.c]", ("make/gcc[a.c]",))]
    assert [unit.key for unit in alignment.added] == ["make/ccache/gcc[-E a.c]"]


def test_a_unit_compiled_twice_is_no_unit_but_a_count() -> None:
    twice = BUILD.replace("  gcc -o", "  gcc -O1 -c b.c :: b.c\n    cc1 -O1 b.c :: b.c\n  gcc -o")
    alignment = align([[build(BUILD)]], [build(twice)])
    assert alignment.added == []
    assert alignment.current[0].totals["make/gcc[b.c]"]["count"] == 2


def test_counts_that_are_only_shuffled_among_descriptors_are_no_difference() -> None:
    def spawned(*descriptors: str) -> Profile:
        return build("python3 x.py\n" + "".join(f"  python3 spawn_main(pipe_handle={one})\n" for one in descriptors))

    alignment = align([[spawned("5", "5", "7")]], [spawned("5", "6", "7")])
    assert alignment.added == alignment.removed == []
    key = "python3/python3[spawn_main(pipe_handle=*)]"
    assert alignment.current[0].totals[key]["count"] == alignment.baseline[0][0].totals[key]["count"] == 3
    assert alignment.comparable == 1
    assert align([[spawned("5", "5", "7")]], [spawned("5", "6", "7", "8")]).current[0].totals.keys() > {
        "python3/python3[spawn_main(pipe_handle=8)]"
    }


def test_arguments_that_come_in_any_order_are_no_difference() -> None:
    before = build("make\n  query lib/a.so lib/b.so\n  query lib/b.so lib/a.so\n")
    after = build("make\n  query lib/b.so lib/a.so\n  query lib/b.so lib/a.so\n")
    for alignment in (align([[before]], [after]), align([[after]], [before])):
        assert not (alignment.added or alignment.removed)
        assert keys(list(alignment.baseline[0])) == keys(list(alignment.current))


def test_drawn_names_are_paired_by_how_often_they_run() -> None:
    before = build("make\n" + "  m4 tmp.aQ3xYz\n" * 3 + "  m4 tmp.Bz9kLm\n" * 2)
    after = build("make\n" + "  m4 tmp.x8WqPr\n" * 2 + "  m4 tmp.7tGhJk\n" * 3)
    alignment = align([[before]], [after])
    assert {key: values["count"] for key, values in alignment.current[0].totals.items()} == {
        key: values["count"] for key, values in before.totals.items()
    }


def test_a_session_without_rounds_is_left_alone() -> None:
    assert align([], [build(BUILD)]).added == []
    assert align([[]], [build(BUILD)]).current[0].totals == build(BUILD).totals
