from __future__ import annotations

import itertools

from hypothesis import given
from simulated_processes import Simulation, simulations

from pytest_ptreetime.recording.events import Event
from pytest_ptreetime.tree.critical_path import critical_segments
from pytest_ptreetime.tree.process_tree import ProcessTree, build_tree


def path(tree: ProcessTree) -> list[str]:
    return [node.name for node in tree.critical_path()]


def test_critical_path_of_a_serial_build_has_every_process() -> None:
    simulation = Simulation().start().create(1).exec(1, b"gcc").run(2, b"cc1", parent=1).run(3, b"as", parent=1).exit(1)
    assert path(build_tree(simulation.run(4, b"ld").end())) == ["make", "gcc", "cc1", "as", "ld"]


def test_critical_path_of_a_parallel_build_follows_who_ended_last() -> None:
    simulation = Simulation().start().create(1).exec(1, b"quick").create(2).exec(2, b"slow")
    simulation.exit(1).create(3).exec(3, b"after-quick").exit(3).exit(2).run(4, b"ld")
    assert path(build_tree(simulation.end())) == ["make", "slow", "ld"]


def test_critical_path_goes_through_the_job_whose_slot_was_waited_for() -> None:
    simulation = Simulation().start().create(1).exec(1, b"first").create(2).exec(2, b"other").exit(1)
    simulation.create(3).exec(3, b"second").exit(2).exit(3)
    assert path(build_tree(simulation.end())) == ["make", "first", "second"]


def test_critical_path_leaves_out_what_nobody_waited_for() -> None:
    simulation = Simulation().start().create(1).exec(1, b"sh").create(2, 1).exec(2, b"daemon").exit(1)
    assert path(build_tree(simulation.run(3, b"gcc").exit(2).end())) == ["make", "sh", "gcc"]


def test_critical_path_of_a_root_that_execs_is_its_images() -> None:
    simulation = Simulation().start((b"env", b"make")).exec(1000, b"make").run(1, b"gcc")
    assert path(build_tree(simulation.end())) == ["env", "make", "gcc"]


def test_critical_path_of_a_root_without_an_end_is_empty() -> None:
    assert path(build_tree(Simulation().start().run(1, b"gcc").events)) == []


@given(simulations())
def test_segments_cover_the_roots_life_once(events: list[Event]) -> None:
    tree = build_tree(events)
    segments = critical_segments(tree)
    assert segments[0].start_ns == tree.root.start_ns
    assert segments[-1].end_ns == tree.root.exit_ns
    for before, after in itertools.pairwise(segments):
        assert before.end_ns == after.start_ns
    for segment in segments:
        assert segment.seconds > 0
        assert segment.node.start_ns <= segment.start_ns
        assert segment.node.exit_ns is not None
        assert segment.end_ns <= segment.node.exit_ns
    nodes = tree.critical_path()
    assert nodes[0] is tree.root
    assert len(set(map(id, nodes))) == len(nodes)
