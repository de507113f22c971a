"""Somebody else takes one of two processors: what changed is found, or the machine is busy; no innocent is accused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from changed_project import ChangedBuild
from changed_rows import BY_NAME, Row

pytest_plugins = ["changed_fixtures"]

ROWS = (
    BY_NAME["nothing"],
    Row(
        "one unit",
        "for n in 1 2 3 4 5 6; do sed s/text/text_$n/g src/text.c; done > more; cat more >> src/text.c",
        "slower",
        r"^cc1 src/text\.c: cpu (\+|x)",
        blames=r"text\.(c|o)\]|^\(",
    ),
    BY_NAME["heavier header"],
    Row("-O0", "sed -i s/-O1/-O0/ Makefile", "not worse", blames=r"/(cc1|as|ld)\[|^\(|build.sh|make"),
)


@pytest.fixture
def neighbour() -> Iterator[None]:
    """This process has two processors, of which another one keeps one busy."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two processors, and to say which")
    all_of_them = os.sched_getaffinity(0)
    two = sorted(all_of_them)[:2]
    os.sched_setaffinity(0, two)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        os.sched_setaffinity(busy.pid, two[:1])
        yield
    finally:
        busy.kill()
        busy.wait()
        os.sched_setaffinity(0, all_of_them)


@pytest.mark.usefixtures("neighbour")
@pytest.mark.parametrize(
    "against", ["--ptreetime-baseline", pytest.param("--ptreetime-against=HEAD", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_change_beside_a_busy_neighbour_accuses_no_innocent(
    changed_build: ChangedBuild, row: Row, against: str
) -> None:
    changed_build.change(row.change)
    changed_build.run(against, rounds=3).expect(row.verdict, row.says, row.blames)
