"""What bounds a build: held by trees of which the optimum is known."""

from __future__ import annotations

import pytest
from report_sessions import BuildEvents, build

from pytest_ptreetime.keys.brief import label_of_node
from pytest_ptreetime.recording.events import Usage
from pytest_ptreetime.reports.bounds import bounds_in_words, bounds_of, jobs_of, longest_chain, stretches_alone
from pytest_ptreetime.tree.memory import memory_of
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree


def tree_of(*jobs: tuple[str, float, float], end: float) -> ProcessTree:
    """Compiles below make, in milliseconds: source, start, wall, all of which is processor time."""
    events = BuildEvents()
    for source, start, wall in jobs:
        events.process(1000, ["cc1", "-quiet", source], start, wall, cpu=wall)
    return events.finished(end, Usage(0, 0, 0, 2**20, *[0] * 8)).tree()


def test_least_wall_time_is_never_above_what_a_better_schedule_gives() -> None:
    """Six jobs of 100 ms, two at a time: three processors would need 200 ms, six 100."""
    tree = tree_of(*((f"{n}.c", 100 * (n // 2), 100) for n in range(6)), end=300)
    for processors, best in ((2, 0.3), (3, 0.2), (6, 0.1), (60, 0.1)):
        bounds = bounds_of(tree, processors)
        assert bounds is not None
        assert bounds.least == pytest.approx(best)


def test_longest_chain_adds_up_what_a_driver_runs_in_order() -> None:
    tree = build(["a.c", "b.c"], slow={"b.c": 5.0}).tree()
    seconds, node = longest_chain(tree)
    assert seconds == pytest.approx(0.002 + 0.005 + 0.405 + 0.0198)  # sh, gcc, cc1 of 450 ms, as
    assert (node.name, "b.c" in (node.args or ())) == ("cc1", True)


def test_stretch_in_which_one_process_ran_alone_is_measured() -> None:
    tree = tree_of(("a.c", 0, 100), ("b.c", 0, 400), end=400)
    seconds, label = stretches_alone(tree)[0]
    assert seconds == pytest.approx(0.3)
    assert label == "cc1 b.c"


def test_memory_is_the_largest_sum_of_those_alive_at_once() -> None:
    tree = tree_of(("a.c", 10, 100), ("b.c", 50, 100), ("c.c", 200, 100), end=400)
    memory = memory_of(tree.root)
    assert memory is not None
    assert tree.peak_memory_bytes == memory.peak == (1 + 11 + 11) * 2**20
    assert memory.peak_ns - tree.root.start_ns == 50_000_000
    assert [label_of_node(node) for node in memory.holders] == ["cc1 a.c", "cc1 b.c", "make"]


def test_program_that_becomes_another_does_not_hold_its_memory_any_more() -> None:
    tree = tree_of(("a.c", 10, 100), end=200)
    shell, compiler = tree.root, tree.root.children[0]
    shell.next_image = ProcessNode(shell.pid, shell, compiler.start_ns)
    memory = memory_of(tree.root)
    assert memory is not None
    assert memory.peak == 11 * 2**20


def test_so_many_jobs_fit_as_the_largest_of_them_together_with_the_launchers() -> None:
    jobs = jobs_of(tree_of(("a.c", 10, 100), ("b.c", 50, 100), ("c.c", 200, 100), end=400))
    assert jobs is not None
    assert jobs.jobs == [11 * 2**20] * 3
    assert jobs.launchers == 2**20
    assert jobs.together(2) == 23 * 2**20
    assert [jobs.fitting(size * 2**20) for size in (11, 12, 33, 34, 99)] == [0, 1, 2, 3, 3]


def test_driver_and_what_it_runs_in_order_are_one_job_of_what_they_hold_at_once() -> None:
    jobs = jobs_of(build().tree())
    assert jobs is not None
    assert len(jobs.jobs) == 7  # six compiles, each of sh, gcc, cc1 and as, and the link
    assert max(jobs.jobs) == (11 + 11 + 16) * 2**20  # sh, gcc and cc1; as comes later, and is smaller


def test_nothing_is_said_of_jobs_where_nothing_ran_at_once() -> None:
    assert jobs_of(tree_of(("a.c", 10, 50), ("b.c", 80, 100), end=400)) is None


def test_bounds_are_told_in_words() -> None:
    lines = " ".join(bounds_in_words(build(slow={"c.c": 9.0}).tree()))
    assert "With 4 processors the build can't take less than 0.837 s (it took 1.12 s)" in lines
    assert "only cc1 c.c ran" in lines
    assert "All processes together held at most 88 MiB (an upper bound: the sum of their peaks)" in lines
    assert "Any -j fits in the 16 GiB of this machine: all its 7 jobs at once hold at most" in lines
