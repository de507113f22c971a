"""Each rule of matching as an example: what stays itself, and what never is another."""

from __future__ import annotations

import pytest
from hand_made_builds import table

from pytest_ptreetime.decision.matching import match

UNITS = """
make all
  sh -c gcc -O1 -c a.c -o a.o
    gcc -O1 -c a.c -o a.o :: a.c
      cc1 -O1 a.c :: a.c
      as -o a.o /tmp/cc1.s :: a.c
  sh -c gcc -O1 -c b.c -o b.o
    gcc -O1 -c b.c -o b.o :: b.c
      cc1 -O1 b.c :: b.c
      as -o b.o /tmp/cc2.s :: b.c
  gcc a.o b.o -o prog :: prog
    collect2 -o prog :: prog
      ld -o prog :: prog
"""


def indented(text: str, columns: int) -> str:
    return "\n".join(" " * columns + line for line in text.splitlines() if line.strip())


def below(*launchers: str, text: str = UNITS) -> str:
    """The build under launchers, each below the one before."""
    lines = [" " * 2 * depth + command for depth, command in enumerate(launchers)]
    return "\n".join(lines) + "\n" + indented(text, 2 * len(launchers))


def names(before: str, after: str, *, same_build: bool = False) -> dict[str, str]:
    """What is paired: each by its name and subject, duplicates by their place."""
    ours, theirs = table(before), table(after)
    pairs = match(ours, theirs, same_build=same_build).pairs
    assert len(set(pairs.values())) == len(pairs)
    return {
        f"{ours[index].name} {ours[index].subject}".strip(): f"{theirs[place].name} {theirs[place].subject}".strip()
        for index, place in pairs.items()
    }


def all_matched(before: str, after: str) -> bool:
    return len(names(before, after)) == len({row.key for row in table(before)})


def test_a_build_is_itself() -> None:
    assert match(table(UNITS), table(UNITS)).pairs == {index: index for index in range(len(table(UNITS)))}


LAUNCHERS = [
    ["env A=1 make all"],
    ["time make all"],
    ["nice -n 5 make all"],
    ["fakeroot make all", "sh /usr/bin/fakeroot make all"],
    ["eatmydata make all"],
    ["faketime 2020-01-01 make all"],
    ["flock lock -c make all", "sh -c make all"],
    ["su builder -c make all", "bash -c make all"],
    ["script -c make all /dev/null", "sh -c make all"],
    ["env -S make all"],
    ["strace -f -o log make all"],
    ["proot -b /x make all"],
    ["strace -f nice make all", "nice make all"],
]


@pytest.mark.parametrize("launchers", LAUNCHERS, ids=lambda launchers: launchers[0].split()[0])
def test_a_launcher_in_front_of_the_build_is_stepped_over(launchers: list[str]) -> None:
    pairs = names(UNITS, below(*launchers))
    assert len(pairs) == len(table(UNITS))
    assert all(before == after for before, after in pairs.items())


@pytest.mark.parametrize("launchers", LAUNCHERS, ids=lambda launchers: launchers[0].split()[0])
def test_a_launcher_that_is_gone_is_stepped_over(launchers: list[str]) -> None:
    assert len(names(below(*launchers), UNITS)) == len(table(UNITS))


@pytest.mark.parametrize("launcher", ["ccache gcc", "time gcc", "distcc gcc", "sh ccwrap gcc", "python3 cc.py gcc"])
def test_a_launcher_in_front_of_each_compiler_is_stepped_over(launcher: str) -> None:
    before = "make\n" + "\n".join(f"  gcc -c {unit}.c :: {unit}.c\n    cc1 {unit}.c" for unit in "abcdefgh")
    after = "make\n" + "\n".join(
        f"  {launcher} -c {unit}.c\n    gcc -c {unit}.c :: {unit}.c\n      cc1 {unit}.c" for unit in "abcdefgh"
    )
    pairs = names(before, after)
    assert len(pairs) == 17
    assert all(old == new for old, new in pairs.items())


def test_launchers_of_two_kinds_are_one_level() -> None:
    assert names(below("nice make all"), below("time make all"))["nice make all"] == "time make all"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-O1", "-O2"),
        ("-O1", "-O1 -DVERSION=123"),
        ("-O1 -c", "-c -O1"),
        ("a.c", "src/a.c"),
        ("gcc", "clang"),
        ("gcc", "x86_64-linux-gnu-gcc-12"),
        ("sh -c", "bash -c"),
        ("make all", "gmake all"),
        ("make all", "make -j3 all"),
        ("make all", "make -C elsewhere all"),
    ],
)
def test_a_changed_command_is_itself(old: str, new: str) -> None:
    assert all_matched(UNITS, UNITS.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tmp.Xa3kQ9 x", "tmp.9fFb2L x"),
        ("rm -f tmp.Xa3kQ9", "rm -f tmp.9fFb2L"),
        ("conf8123 --version", "conf77 --version"),
        ("python3 worker.py --port=40123", "python3 worker.py --port=38001"),
        ("jspawnhelper 27:29", "jspawnhelper 26:31"),
        ("go list -buildid=4fa1beef12/9c01", "go list -buildid=0012aabbcc/77d1"),
        ("cmake -E cmake_progress --progress-num=3", "cmake -E cmake_progress --progress-num=14"),
    ],
)
def test_a_drawn_name_or_number_is_no_difference(old: str, new: str) -> None:
    text = "make\n  gcc -c a.c :: a.c\n  {}\n  gcc -c b.c :: b.c\n  rm other\n"
    pairs = names(text.format(old), text.format(new))
    assert len(pairs) == 5


def test_several_of_one_drawn_form_are_told_by_what_else_they_say() -> None:
    before = "make\n" + "".join(f"  tool --tmp=/t/Xq{n}ZkW --in=item{n}\n" for n in range(50))
    after = "make\n" + "".join(f"  tool --tmp=/t/P{n}LmVd --in=item{n}\n" for n in reversed(range(50)))
    pairs = names(before, after)
    assert len(pairs) == 51
    assert all(old.split()[-1] == new.split()[-1] for old, new in pairs.items())


def test_a_compiler_is_never_paired_with_another_file() -> None:
    before = "make\n  gcc -c a.c :: a.c\n    cc1 a.c\n"
    after = "make\n  gcc -c b.c :: b.c\n    cc1 b.c\n"
    assert names(before, after) == {"make": "make"}


@pytest.mark.parametrize("name", ["sha256sum.c", "utf8proc.c", "v4.c", "FooBarTest.c", "base64.c"])
def test_a_unit_that_is_renamed_is_another(name: str) -> None:
    other = name.replace("256", "512").replace("utf8", "utf16").replace("4", "6").replace("Bar", "Baz")
    before, after = (f"make\n  gcc -c {unit} :: {unit}\n    cc1 {unit}\n" for unit in (name, other))
    assert names(before, after) == {"make": "make"}


def test_a_compiler_that_is_only_asked_something_is_told_by_its_question() -> None:
    """cargo asks rustc with the flags of the build."""
    before = "cargo build\n  rustc - --crate-name ___ --print=cfg --crate-type bin\n  rustc -vV"
    assert all_matched(before, before.replace("--print=cfg", "--print=cfg -C debuginfo=0"))


def test_a_drawn_file_of_a_compiler_is_itself() -> None:
    before, after = (f"ztest\n  gcc -c ztest{pid}.c :: ztest{pid}.c\n    cc1 ztest{pid}.c\n" for pid in (12345, 9987))
    assert len(names(before, after)) == 3


def test_numbers_of_files_are_noise_in_rounds_of_one_build_only() -> None:
    before, after = (f"ztest\n  gcc -c ztest{pid}.c :: ztest{pid}.c\n" for pid in (12, 87))
    assert len(names(before, after, same_build=True)) == 2
    assert len(names(before, after)) == 1


def test_other_work_of_one_interpreter_is_another() -> None:
    before = "npm run build\n  node tsc\n  node tsc-alias\n"
    after = "npm run build\n  node eslint\n  node prettier\n  node vite\n"
    assert set(names(before, after)) == {"npm run build"}


def test_the_roots_are_always_each_others() -> None:
    assert names("sleep 0.1", "sleep 0.2") == {"sleep 0.1": "sleep 0.2"}
    assert names("slow", "fast") == {"slow": "fast"}


def test_units_added_removed_and_kept() -> None:
    before = "make\n" + "".join(f"  gcc -c {unit}.c :: {unit}.c\n" for unit in "abc")
    after = "make\n" + "".join(f"  gcc -c {unit}.c :: {unit}.c\n" for unit in "bcd")
    assert set(names(before, after)) == {"make", "gcc b.c", "gcc c.c"}


def test_what_moved_elsewhere_is_itself_if_it_is_the_only_one() -> None:
    text = "make\n  make -C lib\n    gcc x.c :: x.c\n{}  make -C app\n    gcc y.c :: y.c\n{}"
    before, after = text.format("", "  doxygen Doxyfile\n"), text.format("    doxygen Doxyfile\n", "")
    assert names(before, after)["doxygen Doxyfile"] == "doxygen Doxyfile"


def test_a_shell_whose_text_changed_is_told_by_what_it_runs() -> None:
    before = "make\n" + "".join(f"  sh -c old{n} text\n    gcc -c {n}.c :: {n}.c\n" for n in range(5))
    after = "make\n" + "".join(f"  sh -c altogether different\n    gcc -c {n}.c :: {n}.c\n" for n in range(1))
    assert names(before, after)["sh -c old0 text"] == "sh -c altogether different"


@pytest.mark.parametrize("driver", ["@a.rsp :: @a.rsp", "-c /tmp/tmp.Ab12Cd34Ef/a.c -o a.o :: a.o"])
def test_a_driver_that_does_not_name_its_file_is_told_by_what_it_runs(driver: str) -> None:
    """Its arguments are in a file, or its source is in a temporary directory."""
    after = UNITS.replace("gcc -O1 -c a.c -o a.o :: a.c", f"gcc {driver}")
    assert all_matched(UNITS, after)
    assert all_matched(after, UNITS)


def test_fork_and_exec_of_one_program_are_two_things() -> None:
    assert names("make\n  sh (fork)\n", "make\n  sh -c x\n") == {"make": "make"}


def test_an_unrelated_build_shares_the_root_only() -> None:
    other = "ninja\n  rustc --crate-name x :: x\n  python3 gen.py\n"
    assert len(names(UNITS, other)) == 1
