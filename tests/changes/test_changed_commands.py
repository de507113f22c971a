"""Two commands of one build: `ptreetime ab`, and ptreetime.compare_with."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from changed_project import write_c_project

from pytest_ptreetime.cli import main

#: Three compilers and one: what they run is known, whatever they are called.
SLOW = "#!/bin/sh\nfor n in 1 2 3; do gcc -O1 -Isrc -c -o 1.o src/parse.c; done\n"
FAST = "#!/bin/sh\ngcc -O1 -Isrc -c -o 1.o src/parse.c\n"
WAITS = r"waits (4|5)\d\d ms {}: sleep [\d.]+ was waiting while nothing of the build ran; sh -c sleep [\d.]+: wall"


@pytest.fixture
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same project in ``old`` and in ``new``, and the two scripts."""
    write_c_project(tmp_path / "old")
    shutil.copytree(tmp_path / "old", tmp_path / "new")
    for name, text in (("slow", SLOW), ("fast", FAST)):
        (tmp_path / "old" / name).write_text(text)
        (tmp_path / "old" / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("before", "after", "status", "says"),
    [
        ("sleep 0.1", "sleep 0.6", 1, WAITS.format("longer")),
        ("sleep 0.6", "sleep 0.1", 0, WAITS.format("less")),
        ("cd old; ./fast", "cd old; ./slow", 1, r"cc1 src/parse.c -> 1.o runs 3 times instead of once: \+"),
        ("cd old; ./slow", "cd old; ./fast", 0, r"cc1 src/parse.c -> 1.o runs once instead of 3: -"),
    ],
)
def test_ab_of_two_commands_judges_what_they_run(
    trees: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, status: int, says: str
) -> None:
    found = main(["ab", before, after, "--rounds=3", "--warmup=0"])
    text = " ".join(capsys.readouterr().out.split())
    assert found == status, text
    assert re.search(says, text), text


BUILD = "make -s -j2 -C old"
OF_BUILDS = [
    (f"{BUILD} CFLAGS=-O3", "regression", r"cc1 src/parse\.c: cpu (\+|x).*because its command has -O3 instead of -O1"),
    (f"{BUILD} 'CFLAGS=-O1 -DVERSION=123'", "ok", r"12 x gcc, \+ -DVERSION=123"),
    (f"nice -n 1 {BUILD}", "ok", "nice .*stands in front now"),
    ("make -s -j3 -C old", "ok", "make, -j3 instead of -j2"),
]


def of_ab(after: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What ``ptreetime ab`` says of ``after`` against BUILD: regression or ok, and its text."""
    found = main(["ab", BUILD, after, "--setup=make -C old clean", "--rounds=3", "--warmup=0"])
    return "regression" if found == 1 else "ok", capsys.readouterr().out


def of_compare_with(after: str, pytester: pytest.Pytester, where: Path) -> tuple[str, str]:
    """The same by ``compare_with``."""
    test = pytester.makepyfile(
        f"""
        from pytest_ptreetime.wording.changes import changes_in_words

        def test_two(ptreetime):
            settings = dict(cwd={str(where)!r}, setup="make -C old clean", rounds=3, warmup=0, shell=True)
            result = ptreetime.compare_with({BUILD!r}, {after!r}, **settings)
            print("said:", result.verdict, result.sentence, *changes_in_words(result))
        """
    )
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-s", str(test))
    said = next("said: " + line.partition("said: ")[2] for line in done.stdout.lines if "said: " in line)
    return "regression" if said.startswith("said: regression") else "ok", said


@pytest.mark.parametrize("way", ["ab", pytest.param("compare_with", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("after", "verdict", "says"), OF_BUILDS, ids=[row[0] for row in OF_BUILDS])
def test_two_commands_that_build_the_same_are_judged_by_what_they_run(
    trees: Path,
    pytester: pytest.Pytester,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    after: str,
    verdict: str,
    says: str,
) -> None:
    monkeypatch.chdir(trees)  # pytester has its own
    found, text = of_ab(after, capsys) if way == "ab" else of_compare_with(after, pytester, trees)
    text = " ".join(text.split())
    assert found == verdict, text
    assert re.search(says, text), text
    assert " is new" not in text, text


def test_ab_of_one_build_in_two_directories_finds_nothing(trees: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = "make -C old clean; make -C new clean"
    status = main(["ab", "make -s -C old", "make -s -C new", f"--setup={clean}", "--rounds=2", "--warmup=0"])
    text = capsys.readouterr().out
    assert status in (0, 3), text
    assert " is new" not in text
    assert "no longer runs" not in text


def test_compare_with_of_one_build_in_two_directories_finds_nothing(trees: Path, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        f"""
        def test_two(ptreetime):
            where = {str(trees)!r}
            clean = "make -C old clean; make -C new clean"
            result = ptreetime.compare_with(
                ["make", "-s", "-C", "old"], ["make", "-s", "-C", "new"], cwd=where, setup=clean, rounds=2, warmup=0
            )
            assert result.verdict in ("ok", "inconclusive")
            assert not result.findings
            assert result.comparable == 1
        """
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest").assert_outcomes(passed=1)
