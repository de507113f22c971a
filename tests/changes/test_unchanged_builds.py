"""Builds that draw names at random, twice each: one round against one has no finding, and its nodes find each other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_ptreetime import Profile, compare, record
from pytest_ptreetime.wording.changes import changes_in_words

COMPARABLE = 0.99  # of the nodes


class Build(NamedTuple):
    """``files`` and the ``command`` of bash that builds them, in another directory the second time."""

    command: str
    files: Mapping[str, str] = {}
    needs: str = "gcc"


SMALL = "int {}(int x) {{ return x + 1; }}\n"
CMAKE = (
    "cmake_minimum_required(VERSION 3.16)\nproject(app C)\ninclude(CheckCSourceRuns)\ninclude(CheckFunctionExists)\n"
    'check_c_source_runs("int main(void) { return 0; }" RUNS)\ncheck_function_exists(fork HAVE_FORK)\n'
    "try_run(A B ${CMAKE_BINARY_DIR}/tried SOURCES ${CMAKE_SOURCE_DIR}/one.c)\nadd_executable(app one.c)\n"
)
CONFIGURE = (
    "AC_INIT([probe],[1.0])\nAC_PROG_CC\nAC_CONFIG_HEADERS([config.h])\nAC_CHECK_HEADERS([stdint.h])\n"
    "AC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n"
)
NUMBERS = """
import os, random, socket, subprocess
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(random.randrange(3, 30))]
server = socket.create_server(("127.0.0.1", 0))
port = server.getsockname()[1]
subprocess.run(["true", f"--jobserver-auth={held[-1]},{held[-1] + 1}", f"/dev/fd/{held[-1]}"])
subprocess.run(["true", "--port", str(port), f"http://127.0.0.1:{port}/"])
"""
BUILDS = {
    "mktemp in arguments": Build(
        "for n in 1 2 3; do t=$(mktemp); echo x > $t; /bin/cat $t; rm $t; done; d=$(mktemp -d ./confXXXXXX); rmdir $d"
    ),
    "own number in arguments": Build(
        "for n in 1 2; do cp /bin/true conf$$.file; /bin/ls conf$$.file; rm conf$$.file; done; touch t$$-1; rm t*"
    ),
    "drawn name of a program": Build(
        "for n in 1 2; do cp /bin/true ./conf$BASHPID-$RANDOM; ./conf* a; rm ./conf*; done; "
        "t=$(mktemp -d); cp /bin/true $t/tool; $t/tool; rm -r $t"
    ),
    "descriptors and ports": Build("python3 numbers.py", {"numbers.py": NUMBERS}, "python3"),
    "gcc -flto with TMPDIR": Build(
        "mkdir -p scratch; export TMPDIR=$PWD/scratch; for f in a b; do gcc -flto -c $f.c; done; gcc -flto=2 a.o b.o",
        {"a.c": SMALL.format("one"), "b.c": "int one(int); int main(void) { return one(-1); }\n"},
    ),
    "autoconf's configure": Build(
        "autoheader && autoconf && ./configure -q", {"configure.ac": CONFIGURE, "Makefile.in": "all:\n"}, "autoconf gcc"
    ),
    "CMake try_run": Build(
        "CC=gcc cmake -S . -B b && cmake --build b",
        {"CMakeLists.txt": CMAKE, "one.c": "int main(void) { return 0; }\n"},
        "cmake gcc make",
    ),
    "go": Build(
        "export GOFLAGS=-mod=mod GOPROXY=off GOCACHE=$PWD/cache HOME=$PWD; go build -p 1 ./pk",
        {"go.mod": "module example.org/app\n", "pk/pk.go": "package pk\n\nfunc F() int { return 1 }\n"},
        "go",
    ),
    "cargo": Build(
        "cargo build --offline -q",
        {
            "Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n',
            "build.rs": "fn main() {}\n",
            "src/main.rs": "fn main() {}\n",
        },
        "cargo",
    ),
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS.keys())
def test_unchanged_build_has_no_finding_and_its_nodes_find_each_other(build: Build, tmp_path: Path) -> None:
    for tool in build.needs.split():
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    sides = []
    for name in ("first", "second/further"):
        for file, text in build.files.items():
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        tree = record(["bash", "-ec", build.command], cwd=tmp_path / name, env=os.environ).tree()
        assert tree.exit_code == 0
        assert tree.complete, tree.incomplete_reason
        sides.append(Profile.from_tree(tree))
    comparison = compare([[sides[0]]], [sides[1]])
    assert not comparison.findings, [finding.sentence for finding in comparison.findings]
    assert comparison.comparable is not None
    assert comparison.comparable >= COMPARABLE, [finding.key for finding in comparison.structure]
    assert not [change for change in comparison.changes if change.kind == "command"], changes_in_words(comparison)
