"""The performance tests of calc's build: what a project that uses pytest-ptreetime writes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_ptreetime import ProcessTree

CALC = Path(__file__).parent / "calc"
SOURCES = sorted(source.name for source in (CALC / "src").glob("*.c"))
CLEAN = ["make", "clean"]
BUILD = ["make", "-j2"]


def built() -> None:
    """The state before an incremental build: everything is up to date."""
    subprocess.run(BUILD, cwd=CALC, check=True, stdout=subprocess.DEVNULL)


def compiled(tree: ProcessTree) -> list[str]:
    """The sources that a build compiled, one for each run of the compiler proper."""
    return sorted(
        Path(argument).name for node in tree.find(name="cc1") for argument in node.args if argument.startswith("src/")
    )


def test_clean_build_compiles_each_source_once_and_links_once(ptreetime):
    tree = ptreetime(BUILD, cwd=CALC, setup=CLEAN)
    assert compiled(tree) == SOURCES
    assert len(tree.find(name="ld")) == 1
    assert not tree.find(name="cc1plus")


def test_build_after_a_change_of_one_header_compiles_only_what_includes_it(ptreetime):
    def touched():
        built()
        (CALC / "src" / "search.h").touch()

    tree = ptreetime(BUILD, cwd=CALC, setup=touched)
    assert compiled(tree) == ["strings.c"]


@pytest.mark.ptreetime(fail_on="never")  # a few milliseconds: its structure is what matters
def test_build_of_nothing_new_starts_no_compiler(ptreetime):
    tree = ptreetime(BUILD, cwd=CALC, setup=built)
    assert len(tree) == 1, "make alone"
