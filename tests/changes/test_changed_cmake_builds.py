"""Changes to a build that CMake generated, by ninja and by make: two files of one name, numbers of progress."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from changed_fixtures import save_baseline
from changed_project import ChangedBuild, commit_all, in_shell, source_of, write_c_project
from changed_rows import Row

CMAKE_LISTS = """cmake_minimum_required(VERSION 3.16)
project(app C)
include_directories(src)
add_executable(app src/main.c src/net/util.c src/db/util.c src/parse.c src/text.c)
"""
TEST = """
def test_build(ptreetime):
    ptreetime(["cmake", "--build", "b"], setup=["cmake", "--build", "b", "--target", "clean"])
"""
CONFIGURE = "cmake -G '{}' -S . -B b >/dev/null"
ADDED = source_of("fresh", 3)
ROWS = (
    Row("nothing", ":", "ok"),
    Row("define", "echo 'add_definitions(-DVERSION=123)' >> CMakeLists.txt", "ok", r"5 x gcc, \+ -DVERSION=123"),
    Row("unit removed", "sed -i 's/ src.parse.c//' CMakeLists.txt", "not worse", r"cc1 src/parse.c no longer runs: -"),
    Row("unit added", "sed -i 's/ src.text.c/& fresh.c/' CMakeLists.txt", "regression", r"^cc1 fresh.c is new: \+"),
    Row(
        "one of two files of one name",
        "for n in 1 2 3; do sed s/net_util/net_util$n/ src/net/util.c; done > u; cat u >> src/net/util.c",
        "regression",
        r"^cc1 src/net/util.c: cpu (\+|x)",
        rounds=3,
    ),
)


@pytest.fixture(scope="module", params=["Ninja", "Unix Makefiles"])
def cmake_project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A configured project with a stored baseline, and the command that configures it."""
    for tool in ("cmake", "gcc", "git", "ninja" if request.param == "Ninja" else "make"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    directory = tmp_path_factory.mktemp("cmake") / "project"
    write_c_project(directory)
    (directory / "CMakeLists.txt").write_text(CMAKE_LISTS)
    (directory / "fresh.c").write_text(ADDED)
    (directory / "test_build.py").write_text(TEST)
    configure = CONFIGURE.format(request.param)
    in_shell(configure, directory, CC="gcc", CFLAGS="-O1")
    commit_all(directory)
    save_baseline(directory)
    return directory, configure


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_change_of_a_cmake_build_is_judged(
    pytester: pytest.Pytester, cmake_project: tuple[Path, str], row: Row
) -> None:
    directory, configure = cmake_project
    build = ChangedBuild(pytester, directory)
    build.change(f"rm -rf b; {row.change}; CC=gcc CFLAGS=-O1 {configure}")
    outcome = build.run("--ptreetime-baseline", rounds=row.rounds)
    outcome.expect(row.verdict, row.says)
    assert not any("progress" in text for text in outcome.changes), outcome.changes
