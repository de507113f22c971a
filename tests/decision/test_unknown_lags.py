"""Lags that nobody knows: the structure and the times of the same builds are judged as ever."""

from __future__ import annotations

import pytest
from simulated_processes import Simulation

from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.recording.events import End, Lost
from pytest_ptreetime.tree.process_tree import build_tree

COMPILES = 12
CPU_NS = 200_000_000


def a_round(number: int, **slower: float) -> Profile:
    """One round without lags, as where the interposer's log was cut; round ``number`` is 0.1 % slower than the last."""
    simulation = Simulation().start()
    for pid in range(1, COMPILES + 1):
        cpu_ns = int(CPU_NS * (1 + number / 1000 + pid % 3 / 2000) * slower.get(f"f{pid}", 1.0))
        simulation.create(pid).exec(pid, b"cc1", b"f%d.c" % pid).use(pid, cpu_ns, cpu_ns)
        simulation.now_ns += cpu_ns
        simulation.exit(pid)
    *events, end = simulation.end()
    assert isinstance(end, End)
    tree = build_tree([*events, Lost(end.time_ns, 0, "the log was cut"), end])
    assert all(node.startlag is None and node.exitlag is None for node in tree)
    return Profile.from_tree(tree)


@pytest.mark.parametrize(("slower", "verdict"), [({}, "ok"), ({"f3": 1.5}, "regression")])
def test_lags_when_nobody_knows_them_leave_the_times_judged(slower: dict[str, float], verdict: str) -> None:
    before = [a_round(number) for number in range(5)]
    after = [a_round(number, **slower) for number in range(5)]
    comparison = compare([before], after, paired=True)
    assert comparison.verdict == verdict
    assert {finding.label for finding in comparison.causes} == ({"cc1 f3.c"} if slower else set())
