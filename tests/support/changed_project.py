"""A small but real C project, and what becomes of a change to it: measured by pytest as a user would.

Eleven units in a library and a program, built by make below a script. One unit costs a third of the build, two have the
same name in two directories. A build takes about 0.5 s of processor time.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy  # noqa: F401 # pytester would import it anew in each run, and numpy can't be
import pytest
import scipy.special  # likewise
import scipy.stats  # noqa: F401 # likewise

__all__ = ["ChangedBuild", "Outcome", "commit_all", "in_shell", "source_of", "write_c_project"]

#: The units, and how large they are.
UNITS = {"parse": 3, "lexer": 1, "graph": 1, "hash": 1, "sort": 1, "text": 1, "json": 1, "xml": 1} | {
    "net/util": 1,
    "db/util": 1,
    "io": 1,
}

MAKEFILE = f"""CC = gcc
AR = ar
CFLAGS = -O1
UNITS = {" ".join(UNITS)}
OBJECTS = $(UNITS:%=build/%.o)
all: build/app
build/app: build/main.o build/libunits.a
\t$(CC) -o $@ build/main.o -Lbuild -lunits
build/libunits.a: $(OBJECTS)
\trm -f $@
\t$(AR) rcs $@ $^
build/%.o: src/%.c src/all.h
\t@mkdir -p $(@D)
\t$(CC) $(CFLAGS) -Isrc -c -o $@ $<
clean:
\trm -rf build
"""

TEST = """
def test_build(ptreetime):
    ptreetime(["./build.sh"], setup=["make", "clean"])
"""


def write_c_project(directory: Path) -> None:
    """The sources, a Makefile, ``build.sh``, which runs it, and a test of that, all committed."""
    for unit, size in UNITS.items():
        source = directory / "src" / f"{unit}.c"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(source_of(unit.replace("/", "_"), size))
    (directory / "src" / "all.h").write_text("#include <stdio.h>\n#include <stdlib.h>\n")
    (directory / "src" / "main.c").write_text('#include "all.h"\nint main(void) { puts("done"); return 0; }\n')
    (directory / "Makefile").write_text(MAKEFILE)
    (directory / "build.sh").write_text("#!/bin/sh\nexec make -s -j2 all\n")
    (directory / "build.sh").chmod(0o755)
    (directory / "test_build.py").write_text(TEST)
    (directory / ".gitignore").write_text("build/\n.ptreetime/\n__pycache__/\nreport.json\n")
    in_shell("git init -q", directory)
    commit_all(directory)


def source_of(name: str, size: int) -> str:
    """A unit of ``size`` functions that inlining makes large: -O3 takes several times as long as -O1."""
    draw = random.Random(name)
    lines = [
        '#include "all.h"',
        f"static int a_{name}(int x, const int *p) {{ return p[x & 7] + x * 3; }}",
        f"static int b_{name}(int x, const int *p) {{ return p[a_{name}(x, p) & 7] ^ (x >> 2); }}",
        f"static int c_{name}(int x, const int *p) {{ return b_{name}(x + 1, p) - b_{name}(x, p); }}",
    ]
    for number in range(size):
        lines.append(f"int {name}_{number}(const int *p, int *q, int s)\n{{")
        for _ in range(16):
            lines.append(f"    if (p[s & {draw.randrange(3, 63)}] > {draw.randrange(50)})")
            lines.append(f"        s += c_{name}(s + {draw.randrange(90)}, p);")
            lines.append(f"    else\n        q[s & 15] = c_{name}(s, p);")
        lines.append("    return s;\n}")
    return "\n".join(lines) + "\n"


def in_shell(script: str, directory: Path, **env: str) -> None:
    subprocess.run(
        ["bash", "-ec", script], cwd=directory, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **env}
    )


def commit_all(directory: Path, message: str = "A commit") -> None:
    in_shell(f"git add -A; git -c user.name=me -c user.email=me@example.org commit -qm '{message}'", directory)


@dataclass(frozen=True)
class Outcome:
    """What a run of pytest said of the one build."""

    status: int
    text: str
    verdict: str
    sentence: str
    changes: Sequence[str]
    findings: Sequence[Mapping[str, Any]]
    comparable: float

    def expect(self, verdict: str, says: str, blames: str = "") -> None:
        """Assert that this is the verdict and that ``says``, a pattern, is in the first sentence or among the changes.

        ``blames``: the key of each cause has this pattern.

        ``ok`` allows what a busy machine may say, too: that it can't tell. It allows no finding. ``not worse`` allows
        improvements. ``regression`` is said by a failed test. ``slower`` is that, or that the machine is too busy to
        tell.
        """
        for finding in self.findings:
            assert finding["explained_by"] is not None or re.search(blames, finding["key"]), self.text
        if verdict == "slower":
            verdict = "regression" if self.status else "inconclusive"
            says = says if verdict == "regression" else "^inconclusive: "
        allowed = {"ok": ("ok", "inconclusive"), "not worse": ("ok", "improvement", "inconclusive")}
        assert self.verdict in allowed.get(verdict, (verdict,)), self.text
        assert self.status == (verdict == "regression"), self.text
        if verdict == "ok":
            assert not self.findings, self.text
        told = [self.sentence, *self.changes]
        assert any(re.search(says, text) for text in told), f"{says!r} is not in {told}\n{self.text}"


class ChangedBuild:
    """A copy of a project, with the store of its baseline, in ``pytester``'s directory."""

    def __init__(self, pytester: pytest.Pytester, project: Path) -> None:
        self._pytester = pytester
        self.path = pytester.path
        shutil.copytree(project, self.path, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns("build"))

    def change(self, script: str) -> None:
        in_shell(script, self.path)

    def run(self, *flags: str, rounds: int = 1) -> Outcome:
        """pytest, in this process."""
        report = self.path / "report.json"
        done = self._pytester.runpytest_inprocess(
            *("-p", "no:cacheprovider", "-p", "no:hypothesispytest"),
            *("--ptreetime-warmup=0", f"--ptreetime-rounds={rounds}", f"--ptreetime-report=json:{report}"),
            *flags,
        )
        text = done.stdout.str() + done.stderr.str()
        assert report.exists(), text
        (measurement,) = json.loads(report.read_text())["measurements"]
        comparison = measurement["comparison"] or {}
        return Outcome(
            int(done.ret),
            text,
            measurement["verdict"],
            comparison.get("sentence", ""),
            comparison.get("changes", ()),
            comparison.get("findings", ()),
            comparison.get("comparable") or 0.0,
        )
