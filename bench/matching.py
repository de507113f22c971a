"""What share of the nodes of real builds finds itself again: each is built twice, in two directories.

    python bench/matching.py [NAME...]

A row for each toolchain that is installed: nodes, the share of them that can be compared (at least 99 %), and what a
comparison would call a difference of structure (nothing). One round is compared with one, which is the hardest case.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

from pytest_ptreetime import Profile, record
from pytest_ptreetime.decision.alignment import Alignment, align
from pytest_ptreetime.errors import CommandFailed


@dataclass(frozen=True)
class Build:
    """Its files, the command that is recorded, the one before it that is not, and what both need."""

    files: dict[str, str]
    command: str
    tools: tuple[str, ...]
    prepare: str = ""
    environment: dict[str, str] = field(default_factory=dict)


UNITS = {f"src/u{n}.c": f'#include <stdio.h>\nint f{n}(int x) {{ return printf("%d", x + {n}); }}\n' for n in range(12)}
OBJECTS = " ".join(f"src/u{n}.o" for n in range(12))
MAIN = {"main.c": "int f1(int);\nint main(void) { return f1(1) > 9; }\n"}
MAKE = {
    "Makefile": f"CFLAGS = -O1 -DHERE='\"$(CURDIR)\"'\nall: prog\nprog: main.o libu.a\n\t$(CC) -o $@ main.o libu.a\n"
    f"libu.a: {OBJECTS}\n\tar rcs $@ $^\n\tranlib $@\n",
    **MAIN,
    **UNITS,
}
LTO = {"Makefile": f"prog: main.c\n\tgcc -flto=2 -O1 -o prog main.c {OBJECTS.replace('.o', '.c')}\n", **MAIN, **UNITS}
AUTOCONF = {
    "configure.ac": "AC_INIT([probe],[1.0])\nAM_INIT_AUTOMAKE([foreign subdir-objects])\nLT_INIT\nAC_PROG_CC\n"
    "AC_CHECK_HEADERS([stdint.h unistd.h])\nAC_CHECK_FUNCS([memmove strtol])\nAC_CONFIG_HEADERS([config.h])\n"
    "AC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n",
    "Makefile.am": "lib_LTLIBRARIES = libu.la\nlibu_la_SOURCES = src/u0.c src/u1.c src/u2.c\nbin_PROGRAMS = prog\n"
    "prog_SOURCES = main.c\nprog_LDADD = libu.la\n",
    **MAIN,
    **UNITS,
}
CMAKE = {
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.16)\nproject(app C CXX)\ninclude(CheckIncludeFile)\n"
    "include(CheckCSourceCompiles)\ncheck_include_file(stdint.h HAVE_STDINT)\n"
    'check_c_source_compiles("int main(void) { return 0; }" COMPILES)\n'
    "add_library(net OBJECT net/util.c)\nadd_library(db OBJECT db/util.c)\n"
    "file(GLOB units src/*.c)\nadd_library(u SHARED ${units})\n"
    "add_executable(app main.c $<TARGET_OBJECTS:net> $<TARGET_OBJECTS:db>)\ntarget_link_libraries(app u)\n",
    "net/util.c": "int net(void) { return 1; }\n",
    "db/util.c": "int db(void) { return 2; }\n",
    **MAIN,
    **UNITS,
}
CARGO = {
    "Cargo.toml": '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\nbuild = "build.rs"\n'
    '[dependencies]\ndep = { path = "dep" }\n[workspace]\n',
    "build.rs": 'fn main() { println!("cargo:rerun-if-changed=build.rs"); }\n',
    "src/main.rs": 'fn main() { println!("{}", dep::g()); }\n',
    "dep/Cargo.toml": '[package]\nname = "dep"\nversion = "0.1.0"\nedition = "2021"\nbuild = "build.rs"\n',
    "dep/build.rs": "fn main() {}\n",
    "dep/src/lib.rs": "pub fn g() -> i32 { 4 }\n",
}
GO = {
    "go.mod": "module example.org/app\n\ngo 1.18\n",
    "main.go": 'package main\n\nimport "example.org/app/a"\n\nfunc main() { println(a.F()) }\n',
    "a/a.go": 'package a\n\nimport "example.org/app/b"\n\nfunc F() int { return b.F() + 1 }\n',
    "b/b.go": "package b\n\nfunc F() int { return 1 }\n",
}
DUNE = {
    "dune-project": "(lang dune 2.0)\n",
    "bin/dune": "(executable (name main) (libraries lib))\n",
    "bin/main.ml": "let () = print_int (Lib.One.f 1 + Lib.Two.f 2)\n",
    "lib/dune": "(library (name lib) (foreign_stubs (language c) (names stub)))\n",
    "lib/one.ml": "let f x = x + 1\n",
    "lib/two.ml": "let f x = One.f x + 1\n",
    "lib/stub.c": "int stub(void) { return 1; }\n",
}
MESON = {
    "meson.build": "project('app', 'c')\ncc = meson.get_compiler('c')\ncc.has_function('memmove')\n"
    "cc.has_header('stdint.h')\nu = shared_library('u', 'src/u0.c', 'src/u1.c', 'src/u2.c')\n"
    "executable('app', 'main.c', link_with: u)\n",
    **MAIN,
    **UNITS,
}
DEBIAN = {
    **AUTOCONF,
    "debian/changelog": "probe (1.0) unstable; urgency=low\n\n  * It.\n\n"
    " -- A B <a@example.org>  Mon, 01 Jan 2024 00:00:00 +0000\n",
    "debian/control": "Source: probe\nMaintainer: A B <a@example.org>\nStandards-Version: 4.6.2\n\n"
    "Package: probe\nArchitecture: any\nDescription: It\n It.\n",
    "debian/rules": "#!/usr/bin/make -f\n%:\n\tdh $@\n",
    "debian/compat": "12\n",
}
DRAWN = {
    "build.sh": "t=$(mktemp -d)\nfor i in 1 2 3; do f=$(mktemp); cp main.c $f; rm $f; done\n"
    "cp /bin/true $t/conf$$; $t/conf$$ --port=$$; cp /bin/true ./tmp$$; ./tmp$$ x; rm tmp$$\n"
    "g=`mktemp XXXXXXXX`; cp /bin/true $g; chmod +x $g; ./$g; ./$g again; rm $g\n"
    "for i in 1 2 3 4; do (exec /bin/true --token=$(od -An -N8 -tx1 /dev/urandom | tr -d ' ')); done\n"
    "cp main.c ztest$$.c; gcc -c ztest$$.c; rm ztest$$.*; rm -r $t\n",
    **MAIN,
}

BUILDS = {
    "make": Build(MAKE, "make -j2", ("make", "gcc")),
    "gcc -flto": Build(LTO, "mkdir -p t; TMPDIR=$PWD/t make", ("make", "gcc")),
    "cmake+ninja": Build(CMAKE, "cmake -G Ninja -S . -B build && ninja -C build", ("cmake", "ninja")),
    "cmake+make": Build(CMAKE, "cmake -G 'Unix Makefiles' -S . -B build && make -j2 -C build", ("cmake", "make")),
    "autoconf": Build(AUTOCONF, "./configure && make", ("autoreconf", "libtoolize", "make"), "autoreconf -fi"),
    "go": Build(GO, "go build -o app . && go vet ./...", ("go",), "", {"GOFLAGS": "-mod=mod"}),
    "cargo": Build(CARGO, "cargo build --offline", ("cargo",)),
    "dune": Build(DUNE, "dune build ./bin/main.exe", ("dune", "ocaml")),
    "meson": Build(MESON, "meson setup build && ninja -C build", ("meson", "ninja")),
    "dpkg-buildpackage": Build(DEBIAN, "dpkg-buildpackage -b -uc -us -d", ("dpkg-buildpackage", "dh", "autoreconf")),
    "drawn names": Build(DRAWN, "sh build.sh", ("gcc",)),
}


def main() -> int:
    wanted = sys.argv[1:] or list(BUILDS)
    rows: list[tuple[str, int, float, int, int]] = []
    for name in wanted:
        build = BUILDS[name]
        lacking = [tool for tool in build.tools if not _starts(tool)]
        if lacking:
            print(f"{name}: no {lacking[0]}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as directory:
            profiles = [_recorded(build, Path(directory) / place) for place in ("a", "other/place")]
        alignment = align([profiles[:1]], profiles[1:])
        rows.append((name, _nodes(profiles[1]), *_figures(alignment)))
        for difference in _differences(alignment):
            print(f"{name}: {difference}", file=sys.stderr)
    print(tabulate(rows, ["build", "nodes", "comparable", "differences", "changed commands"], floatfmt=".2f"))
    return int(any(row[2] < 99 or row[3] for row in rows))


def _starts(tool: str) -> bool:
    """Whether it is there; rustup's cargo works only where a toolchain is installed."""
    if tool == "cargo" and shutil.which(tool):
        return subprocess.run([tool, "--version"], capture_output=True).returncode == 0
    return shutil.which(tool) is not None


def _recorded(build: Build, directory: Path) -> Profile:
    for name, text in build.files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    caches = {"GOCACHE": f"{directory}/.cache", "XDG_CACHE_HOME": f"{directory}/.cache"}
    environment = {**os.environ, **caches, **build.environment}
    if build.prepare:
        subprocess.run(build.prepare, shell=True, cwd=directory, env=environment, check=True, capture_output=True)
    try:
        recording = record(["sh", "-c", f"exec >log 2>&1; {build.command}"], cwd=directory, env=environment)
    except CommandFailed as failed:
        raise SystemExit(f"{failed}\n{(directory / 'log').read_text()[-2000:]}") from None
    return Profile.from_tree(recording.tree())


def _nodes(profile: Profile) -> int:
    return round(sum(values["count"] for values in profile.totals.values()))


def _differences(alignment: Alignment) -> list[str]:
    before, after = alignment.baseline[0][0], alignment.current[0]
    units = [("new", unit.key) for unit in alignment.added] + [("gone", unit.key) for unit in alignment.removed]
    levels = [("level", level.key) for level in [*alignment.levels, *alignment.levels_removed]]
    counts = [
        (f"{before.totals[key]['count']:g} -> {values['count']:g}", key)
        for key, values in after.totals.items()
        if key in before.totals and before.totals[key]["count"] != values["count"]
    ]
    return [f"{kind}: {key}" for kind, key in units + levels + counts]


def _figures(alignment: Alignment) -> tuple[float, int, int]:
    return 100 * alignment.comparable, len(_differences(alignment)), len(alignment.pairs)


if __name__ == "__main__":
    sys.exit(main())
