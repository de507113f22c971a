"""Which programs ran and what was compiled, of hand-made builds; real ones are in tests/test_scenarios.py."""

from __future__ import annotations

import pytest
from simulated_processes import Simulation

from pytest_ptreetime.errors import RecordingFailed
from pytest_ptreetime.keys.programs_run import Compiled, Ran, explained
from pytest_ptreetime.tree.process_tree import ProcessTree, build_tree


def tree_of(*commands: str, cwd: str = "/b") -> ProcessTree:
    """Each command below ``ninja -C out``, whose directory is /b."""
    simulation = Simulation().start((b"ninja", b"-C", b"out"), cwd=b"/b")
    for pid, command in enumerate(commands, 20):
        simulation.create(pid).exec(pid, *(word.encode() for word in command.split()), cwd=cwd.encode()).exit(pid)
    return build_tree(simulation.end())


def test_root_is_called_by_its_name_alone_and_the_others_by_what_they_work_on() -> None:
    tree = tree_of(
        "sh -c true", "gcc -O2 -c a.c -o a.o", "/usr/lib/cc1 -quiet a.c", "python3 tools/gen.py --fast", "rm -f x"
    )
    assert tree.ran() == ["ninja", "cc1 a.c", "gcc a.c", "python3 tools/gen.py", "rm x", "sh"]


def test_program_that_ran_twice_is_there_twice_and_a_fork_is_no_program() -> None:
    simulation = Simulation().start().create(20).exec(20, b"sh", b"build.sh")
    simulation.create(21, 20).run(22, b"touch", b"a", parent=21).exit(21).run(23, b"touch", b"a", parent=20)
    assert build_tree(simulation.exit(20).end()).ran() == ["make", "sh build.sh", "touch a", "touch a"]


@pytest.mark.parametrize(
    ("command", "sources"),
    [
        ("gcc -c a.c -o a.o", {"a.c"}),
        ("gcc -fPIC -c a.c -o .libs/a.o", {"a.c"}),
        ("cc1plus -quiet sub/a.cc -o /tmp/ccAb12Cd.s", {"sub/a.cc"}),
        ("clang -cc1 -triple x86_64-linux-gnu -main-file-name a.cc sub/a.cc", {"sub/a.cc"}),
        ("rustc --crate-name app --crate-type bin src/main.rs", {"src/main.rs"}),
        ("compile -p example.com/a -o out.a ./x.go ./y.go", {"x.go", "y.go"}),
        ("javac -d classes A.java B.java", {"A.java", "B.java"}),
        ("swift-frontend -frontend -c -module-name M -primary-file a.swift", {"a.swift"}),
        ("ocamlc -c a.ml", {"a.ml"}),
        ("gcc -E a.c", set()),
        ("gcc -M a.c", set()),
        ("gcc -o app a.o", set()),
        ("gcc -E - /dev/null", set()),
        ("ar rcs a.a a.o", set()),
        ("as -o a.o a.s", set()),
        ("ccache gcc -c a.c", set()),
        ("cat a.c", set()),
        ("make a.c", set()),
    ],
)
def test_main_source_files_of_a_compiler(command: str, sources: set[str]) -> None:
    assert tree_of(command).compiled() == sources


def test_sources_are_named_from_the_directory_that_the_build_was_started_in() -> None:
    assert tree_of("gcc -c ../src/a.c", cwd="/b/out").compiled() == {"src/a.c"}


def test_ccache_that_is_called_gcc_compiles_nothing_itself() -> None:
    simulation = Simulation().start().create(20).exec(20, b"gcc", b"-c", b"a.c", exe=b"/usr/bin/ccache").exit(20)
    assert build_tree(simulation.end()).compiled() == set()


def test_tree_that_is_not_complete_does_not_say_what_ran() -> None:
    tree = tree_of("gcc -c a.c")
    tree.incomplete_reason = "3 records were lost"
    for asked in (tree.ran, tree.compiled):
        with pytest.raises(RecordingFailed, match=r"what ran is not known: .*3 records were lost"):
            asked()


@pytest.mark.parametrize(
    ("op", "left", "right", "lines"),
    [
        (
            "==",
            Ran(["make", "cc1 a.c", "cc1 a.c"]),
            ["make", "ld app"],
            ["what ran == what must run", "ran, and must not: cc1 a.c (2 times)", "must run, and did not: ld app"],
        ),
        (
            "<=",
            Compiled({"a.c", "b.c"}),
            {"a.c", "c.c"},
            ["what was compiled <= what may be compiled", "was compiled, and must not: b.c"],
        ),
        (
            "<=",
            {"a.c", "b.c"},
            Compiled({"a.c"}),
            ["what was compiled >= what must be compiled", "must be compiled, and did not: b.c"],
        ),
        ("in", "ld app", Ran(["make"]), ["'ld app' did not run", "ran: make"]),
        ("not in", "make", Ran(["make"]), ["'make' did run", "ran: make"]),
        (
            "==",
            Ran(["make", "b", "a"]),
            ["make", "a", "b"],
            ["what ran == what must run", "the same ran, in another order or no less than that"],
        ),
        ("==", ["a"], ["b"], None),
        ("==", Ran(["a"]), 3, None),
    ],
)
def test_assertion_that_fails_lists_what_must_not(
    op: str, left: object, right: object, lines: list[str] | None
) -> None:
    assert explained(op, left, right) == lines


def test_assertion_about_many_programs_fits_what_pytest_shows_and_lists_all_when_asked() -> None:
    many = Ran(["make", *(f"cc1 src/unit{number:03}.c" for number in range(100))])
    short, whole = explained("==", many, ["make"]), explained("==", many, ["make"], verbose=True)
    assert short is not None
    assert whole is not None
    assert len(short) == 2
    assert len("".join(short)) < 600
    assert short[1].endswith("cc1 src/unit010.c, and 89 more (-vv lists all)")
    assert len(whole) == 102
