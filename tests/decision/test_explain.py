"""What explains what, on findings made by hand."""

from __future__ import annotations

import numpy as np

from pytest_ptreetime.decision.comparing import COMMON_KEY
from pytest_ptreetime.decision.explain import BuildChange, explain
from pytest_ptreetime.decision.finding import Finding


def slower(key: str, metric: str, before: float, after: float) -> Finding:
    ratio = after / before
    return Finding(key, metric, "regression", before, after, ratio=ratio, interval=(0.9 * ratio, 1.1 * ratio))


def test_wall_time_of_what_waits_when_its_steps_are_slower_as_all_are_follows_from_that() -> None:
    keys = ["make", "make/gcc[a.c]", "make/gcc/cc1[a.c]"]
    parents = np.array([-1, 0, 1], dtype=np.intp)
    walls = {"wall": np.array([1.0, 1.0, 0.9])}, {"wall": np.array([2.9, 2.9, 2.8])}
    common = slower(COMMON_KEY, "cpu", 1.0, 3.0)
    compiler = slower(keys[2], "cpu", 0.9, 2.7)
    waiting = [slower(key, "wall", 1.0, 2.9) for key in keys[:2]]
    explain([common, compiler, *waiting], BuildChange(keys, parents, *walls))
    assert compiler.explained_by == COMMON_KEY
    assert [finding.explained_by for finding in waiting] == [COMMON_KEY, COMMON_KEY]
