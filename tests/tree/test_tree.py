from __future__ import annotations

import random
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_processes import MILLISECOND, REALTIME_NS, ROOT, Simulation, simulations
from tree_signature import signature

from pytest_ptreetime.errors import RecordingFailed
from pytest_ptreetime.metrics import TABLE
from pytest_ptreetime.recording.event_order import in_order
from pytest_ptreetime.recording.events import (
    Create,
    End,
    Event,
    Exec,
    Exit,
    Lost,
    Start,
    Usage,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
)
from pytest_ptreetime.tree.node import split_cpu
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree, build_tree


def names(tree: ProcessTree) -> list[tuple[int, str]]:
    return [(node.depth, node.name) for node in tree]


class TestShape:
    def test_tree_of_a_build_has_every_image_under_its_forker(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"gcc", b"-c", b"a.c")
        simulation.run(2, b"cc1", b"a.c", parent=1).run(3, b"as", b"a.s", parent=1).exit(1)
        tree = build_tree(simulation.end())
        assert names(tree) == [(0, "make"), (1, "gcc"), (2, "cc1"), (2, "as")]
        assert tree.complete, tree.incomplete_reason
        assert len(tree) == 4

    def test_second_exec_starts_a_sibling_and_children_stay_with_the_image_that_forked_them(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"sh", b"x.sh").run(2, b"uname", parent=1)
        simulation.create(5).exec(5, b"other").exec(1, b"gcc", b"a.c").run(3, b"cc1", parent=1).exit(1).exit(5)
        tree = build_tree(simulation.end())
        assert names(tree) == [(0, "make"), (1, "sh"), (2, "uname"), (1, "gcc"), (2, "cc1"), (1, "other")]
        sh, gcc = tree.root.children[:2]
        assert gcc.previous_image is sh
        assert sh.next_image is gcc
        assert sh.exit_ns == gcc.start_ns
        assert (sh.exit_code, gcc.exit_code) == (None, 0)

    def test_later_images_of_the_root_are_its_children_and_its_wall_is_the_builds(self) -> None:
        simulation = Simulation().start((b"env", b"make")).exec(ROOT, b"make").run(1, b"gcc")
        tree = build_tree(simulation.end())
        assert names(tree) == [(0, "env"), (1, "make"), (2, "gcc")]
        assert tree.root.children[0].previous_image is tree.root
        assert tree.root.exit_ns == tree.root.children[0].exit_ns
        assert tree.exit_code == 0
        assert tree.wall == pytest.approx(0.005)

    def test_child_that_never_execs_runs_its_parents_program(self) -> None:
        tree = build_tree(Simulation().start().create(1).exit(1).end())
        child = tree.root.children[0]
        assert (child.name, child.args, child.forked_only) == ("make", ["make", "-j2"], True)

    def test_child_that_never_execs_keeps_the_program_of_the_time_of_its_fork(self) -> None:
        simulation = Simulation().start().create(1).create(2, 1).exec(1, b"gcc").exit(2).exit(1)
        tree = build_tree(simulation.end())
        assert names(tree) == [(0, "make"), (1, "gcc"), (2, "make")]

    def test_orphan_stays_under_its_forker_and_is_marked(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"sh").create(2, 1).exec(2, b"daemon").exit(1).exit(2)
        tree = build_tree(simulation.end())
        assert names(tree) == [(0, "make"), (1, "sh"), (2, "daemon")]
        assert [node.reparented for node in tree] == [False, False, True]

    def test_process_that_outlives_the_root_is_still_running(self) -> None:
        tree = build_tree(Simulation().start().create(1).exec(1, b"daemon").end(alive=1))
        daemon = tree.root.children[0]
        assert daemon.still_running
        assert daemon.reparented
        assert (daemon.wall, daemon.exit_code) == (None, None)
        assert tree.complete

    @pytest.mark.promise("pid-reuse")
    def test_reused_pid_is_a_process_of_its_own(self) -> None:
        tree = build_tree(Simulation().start().run(1, b"one").run(1, b"two").end())
        assert names(tree) == [(0, "make"), (1, "one"), (1, "two")]
        assert tree.complete

    def test_events_of_the_gate_are_not_in_the_tree(self) -> None:
        events = Simulation().start().run(1, b"gcc").end()
        first = events[0].time_ns
        events += [
            UserStartup(first + 1, ROOT, 1, 0, 0),
            UserExec(first + 2, ROOT, 1, 0, 0, b"/usr/bin/make", [b"make"]),
        ]
        tree = build_tree(events)
        assert names(tree) == [(0, "make"), (1, "gcc")]
        assert tree.root.startlag is None
        assert tree.complete

    def test_deep_tree_needs_no_recursion(self) -> None:
        simulation = Simulation().start()
        for pid in range(ROOT + 1, ROOT + 10_001):
            simulation.create(pid, pid - 1).exec(pid, b"sh")
        for pid in range(ROOT + 10_000, ROOT, -1):
            simulation.exit(pid)
        tree = build_tree(simulation.end())
        assert max(node.depth for node in tree) == 10_000
        assert len(tree.critical_path()) == 10_001
        assert len(repr(list(tree)[-1])) < 200
        assert list(tree)[-1].key


class TestNumbers:
    def test_times_of_a_node_are_creation_to_exit(self) -> None:
        tree = build_tree(Simulation().start().create(1).exec(1, b"gcc").startup(1).user_exit(1).exit(1).end())
        (gcc,) = tree.root.children
        assert gcc.wall == pytest.approx(0.004)
        assert gcc.startlag == pytest.approx(0.002)  # its creation counts, not its exec
        assert gcc.exitlag == pytest.approx(0.001)

    def test_startlag_of_a_later_image_counts_from_its_exec(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"sh").startup(1).exec(1, b"gcc").startup(1).exit(1)
        sh, gcc = build_tree(simulation.end()).root.children
        assert sh.startlag == pytest.approx(0.002)
        assert gcc.startlag == pytest.approx(0.001)
        assert (sh.exitlag, gcc.exitlag) == (None, None)

    def test_exitlag_counts_from_the_first_user_exit(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"gcc").user_exit(1).user_exit(1).exit(1)
        (gcc,) = build_tree(simulation.end()).root.children
        assert gcc.exitlag == pytest.approx(0.002)

    def test_cpu_of_an_image_is_a_difference_split_as_the_kernel_splits(self) -> None:
        simulation = Simulation().start().create(1).exec(1, b"sh").use(1, 10 * MILLISECOND, 4 * MILLISECOND, 0)
        simulation.exec(1, b"gcc").use(1, 20 * MILLISECOND, 4 * MILLISECOND, 12 * MILLISECOND).exit(1)
        sh, gcc = build_tree(simulation.end()).root.children
        assert (sh.cpu, sh.user, sh.sys) == (0.01, 0.01, 0.0)
        assert (gcc.cpu, gcc.user, gcc.sys) == (0.02, 0.005, 0.015)

    @given(st.integers(0, 10**15), st.integers(0, 10**12), st.integers(0, 10**12))
    def test_split_of_cpu_adds_up_whatever_the_samples(self, cpu: int, utime: int, stime: int) -> None:
        user, system = split_cpu(cpu, utime, stime)
        assert user + system == cpu
        assert min(user, system) >= 0

    @pytest.mark.promise("unknown-is-none")
    def test_unknown_usage_is_none_and_not_zero(self) -> None:
        events: list[Event] = [
            Start(0, ROOT, REALTIME_NS), Exec(1, ROOT, b"make", None, [b"make"], None),
            Exit(5, ROOT, 0), End(6, 0),
        ]  # fmt: skip
        root = build_tree(events).root
        assert (root.cpu, root.user, root.sys, root.max_rss_bytes, root.run_delay) == (None,) * 5
        assert build_tree(events).cpu is None

    def test_usage_of_the_interposer_serves_where_the_tracer_has_none(self) -> None:
        events = Simulation().start().end()
        time_ns = events[1].time_ns
        events += [
            Create(time_ns + 1, 5, ROOT), Exec(time_ns + 2, 5, b"sh", b"/bin/sh", None, None),
            UserExec(time_ns + 3, 5, ROOT, 7_000_000, 1_000_000, b"/bin/gcc", [b"gcc", b"a.c"]),
            Exec(time_ns + 4, 5, b"gcc", b"/bin/gcc", None, None), Exit(time_ns + 5, 5, 0),
        ]  # fmt: skip
        sh, gcc = build_tree(events).root.children
        assert (sh.user, sh.sys, sh.cpu) == (0.007, 0.001, 0.008)
        assert gcc.args == ["gcc", "a.c"]
        assert gcc.cpu is None

    def test_arguments_of_concurrent_spawns_go_to_the_right_children(self) -> None:
        events = Simulation().start().end()
        time_ns = events[1].time_ns
        for pid, child in ((10, 0), (11, None)):
            spawn = UserSpawn(time_ns + 1, ROOT, 1, 0, 0, b"/bin/x", [b"x%d" % pid], pid if child == 0 else None)
            events += [
                spawn, Create(time_ns + 2, pid, ROOT), Exec(time_ns + pid, pid, b"x", b"/bin/x", None, None),
                Exit(time_ns + 90, pid, 0),
            ]  # fmt: skip
        assert [child.args for child in build_tree(events).root.children] == [["x10"], ["x11"]]

    def test_exit_status_is_a_code_or_a_signal(self) -> None:
        simulation = Simulation().start().create(1).exit(1, status=3 << 8).create(2).exit(2, status=9 | 0x80)
        failed, killed = build_tree(simulation.end()).root.children
        assert (failed.exit_code, failed.signal) == (3, None)
        assert (killed.exit_code, killed.signal) == (None, 9)

    def test_tree_of_a_killed_root_has_the_exit_code_of_subprocess(self) -> None:
        events = Simulation().start().end()
        events = [Exit(e.time_ns, e.pid, 9) if isinstance(e, Exit) else e for e in events]
        assert build_tree(events).exit_code == -9

    def test_start_anchors_the_date(self) -> None:
        tree = build_tree(Simulation().start().end())
        assert tree.started == pytest.approx(REALTIME_NS / 1e9 + 0.001)


class TestNames:
    @pytest.mark.parametrize(
        ("comm", "exe", "args", "name"),
        [
            (b"x86_64-linux-gn", b"/usr/bin/x86_64-linux-gnu-gcc-12", [b"gcc"], "x86_64-linux-gnu-gcc-12"),
            (b"a-very-long-scr", b"/usr/bin/dash", [b"/bin/sh", b"./a-very-long-script.sh"], "a-very-long-script.sh"),
            (b"exactly15bytes!", b"/bin/exactly15bytes!", [b"exactly15bytes!"], "exactly15bytes!"),
            (b"a-very-long-nam", b"/bin/other", [b"other"], "a-very-long-nam"),
            (b"gcc", b"/usr/bin/x86_64-linux-gnu-gcc-12", [b"gcc-longer"], "gcc"),
            (b"7", b"/bin/true", [b"true"], "true"),
            (b"caf\xe9", None, [b"caf\xe9"], "caf\udce9"),
            (None, b"/bin/busybox", [b"/bin/ls"], "ls"),
            (None, None, None, "?"),
        ],
    )
    def test_name_is_completed_where_the_kernel_cut_it(
        self, comm: bytes | None, exe: bytes | None, args: list[bytes] | None, name: str
    ) -> None:
        events: list[Event] = [
            Start(0, ROOT, 0), Exec(1, ROOT, comm, exe, args, None, Usage(0, 0, 0)), Exit(2, ROOT, 0), End(3, 0)
        ]  # fmt: skip
        assert build_tree(events).root.name == name

    def test_bytes_that_are_not_utf8_survive(self) -> None:
        tree = build_tree(Simulation().start().run(1, b"gcc", b"\xff\n.c").end())
        assert tree.root.children[0].args == ["gcc", "\udcff\n.c"]


class TestFind:
    @pytest.fixture
    def tree(self) -> ProcessTree:
        simulation = Simulation().start().run(1, b"cc1", b"-O2", b"a.c").run(2, b"cc1plus", b"-O2", b"b.cc")
        return build_tree(simulation.run(3, b"[", b"-d", b"*").end())

    def test_find_by_name_is_exact_or_a_pattern(self, tree: ProcessTree) -> None:
        assert [node.pid for node in tree.find(name="cc1")] == [1]
        assert [node.pid for node in tree.find(name="cc1*")] == [1, 2]
        assert [node.pid for node in tree.find(name="[")] == [3]
        assert tree.find(name="CC1") == []

    def test_find_by_arguments_wants_all_of_them(self, tree: ProcessTree) -> None:
        assert [node.pid for node in tree.find(args="-O2")] == [1, 2]
        assert [node.pid for node in tree.find(args=["-O?", "*.c"])] == [1]
        assert [node.pid for node in tree.find(args="[*]")] == [3]

    def test_find_combines_what_is_asked(self, tree: ProcessTree) -> None:
        assert [node.pid for node in tree.find("cc1*", where=lambda node: node.pid > 1)] == [2]
        assert len(tree.find()) == 4


class TestCompleteness:
    @pytest.mark.promise("loss-is-noticed")
    def test_lost_events_make_a_tree_incomplete(self) -> None:
        events = Simulation().start().end()
        tree = build_tree([*events, Lost(5, 3, "ring buffer full")])
        assert tree.incomplete_reason == "at least 3 events were lost (ring buffer full)"
        assert "incomplete" in repr(tree)

    def test_missing_end_makes_a_tree_incomplete(self) -> None:
        tree = build_tree(Simulation().start().run(1, b"gcc").events)
        assert tree.incomplete_reason is not None
        assert "END is missing" in tree.incomplete_reason
        assert "1 process has no end" in tree.incomplete_reason

    @pytest.mark.promise("loss-is-noticed")
    def test_every_lost_exit_or_creation_is_noticed(self) -> None:
        events = Simulation().start().run(1, b"gcc").run(2, b"ld").end()
        for lost in range(1, len(events)):
            if isinstance(events[lost], (Create, Exit, End)):
                tree = build_tree(events[:lost] + events[lost + 1 :])
                assert not tree.complete, events[lost]

    def test_books_that_do_not_balance_are_said_in_words(self) -> None:
        tree = build_tree(Simulation().start().create(1).end(alive=0))
        assert tree.incomplete_reason == "2 processes were created, but 1 ended and 0 were left running"

    def test_node_without_arguments_makes_a_tree_incomplete(self) -> None:
        events = Simulation().start().end()
        events[1] = Exec(events[1].time_ns, ROOT, b"make", None, None, None)
        assert build_tree(events).incomplete_reason == "1 node has no arguments"

    def test_exit_of_an_unknown_process_is_counted(self) -> None:
        tree = build_tree([*Simulation().start().end(), Exit(10**12 + 1, 77, 0)])
        assert tree.completeness.stray_exits == 1
        assert tree.incomplete_reason == "1 exit belongs to no process that was seen"

    def test_event_told_twice_is_counted_and_changes_nothing_else(self) -> None:
        events = Simulation().start().run(1, b"gcc").end()
        for twice in events[1:-1]:
            tree = build_tree([*events, twice])
            assert names(tree) == [(0, "make"), (1, "gcc")]
            assert not tree.complete

    def test_reason_of_the_tracer_comes_first(self) -> None:
        tree = build_tree(Simulation().start().events, incomplete_reason="the recorder was killed")
        assert tree.incomplete_reason is not None
        assert tree.incomplete_reason.startswith("the recorder was killed; END is missing")

    def test_user_events_from_inside_a_container_start_no_process(self) -> None:
        events = [*Simulation().start().run(1, b"gcc").end(), UserStartup(10**12 + 2, 31_000, 1, 0, 0)]
        tree = build_tree(events)
        assert len(tree) == 2
        assert tree.completeness.foreign_user_events == 1
        assert tree.complete

    @pytest.mark.promise("lags-of-its-own")
    def test_user_events_of_a_process_that_only_sees_itself_under_that_number_are_refused(self) -> None:
        inner: list[Event] = [UserStartup(4, 7, 2, 0, 0), UserExec(5, 7, 2, 0, 0, b"x", []), UserExit(5, 7, 2, 0, 0)]
        tree = build_tree([*SLEEP[:5], *inner, *SLEEP[5:]])
        node = tree.find(name="sleep")[0]
        assert node.startlag == pytest.approx(1e-9)
        assert node.exitlag == pytest.approx(1e-9)
        assert tree.completeness.foreign_user_events == 3
        assert tree.complete

    @pytest.mark.promise("lags-of-its-own")
    def test_lags_are_unknown_where_two_programs_tell_of_one_start(self) -> None:
        inner: list[Event] = [UserStartup(4, 7, ROOT, 0, 0), UserExit(5, 7, ROOT, 0, 0)]
        tree = build_tree([*SLEEP[:5], *inner, *SLEEP[5:]])
        node = tree.find(name="sleep")[0]
        assert (node.startlag, node.exitlag) == (None, None)
        assert tree.complete

    def test_orphan_has_another_parent_and_its_user_events_all_the_same(self) -> None:
        events: list[Event] = [
            *SLEEP[:4],
            Create(3, 8, 7),
            Exec(4, 8, b"d", b"/d", [b"d"], b"/", Usage()),
            *SLEEP[6:8],
            UserStartup(21, 8, 1, 0, 0),
            End(22, 1),
        ]
        assert build_tree(events).find(name="d")[0].startlag == pytest.approx(18e-9)

    def test_loss_that_costs_the_tree_nothing_is_known_and_leaves_it_complete(self) -> None:
        tree = build_tree([*SLEEP, Lost(20, 0, "the log was cut")])
        assert tree.complete
        assert tree.completeness.lost_what == ["the log was cut"]

    def test_recording_without_any_process_is_an_error(self) -> None:
        with pytest.raises(RecordingFailed, match="no events of any process"):
            build_tree([])


# make, and a sleep that it waits for.
SLEEP: list[Event] = [
    Start(0, ROOT, REALTIME_NS),
    Exec(1, ROOT, b"make", b"/make", [b"make"], b"/", Usage()),
    Create(2, 7, ROOT),
    Exec(2, 7, b"sleep", b"/sleep", [b"sleep"], b"/", Usage()),
    UserStartup(3, 7, ROOT, 0, 0),
    UserExit(18, 7, ROOT, 0, 0),
    Exit(19, 7, 0, None, Usage()),
    Exit(20, ROOT, 0, None, Usage()),
    End(21, 0),
]


class TestInterposerAlone:
    def test_tree_of_user_events_has_the_dynamic_programs(self) -> None:
        make, gcc, cc1 = [b"make"], [b"gcc", b"a.c"], [b"cc1", b"a.c"]
        events: list[Event] = [
            Start(0, ROOT, REALTIME_NS),
            UserStartup(2, ROOT, 1, 0, 0, b"/bin/make", make, b"/b"),
            UserExec(3, 7, ROOT, 0, 0, b"/bin/gcc", gcc),
            UserStartup(4, 7, ROOT, 0, 0, b"/bin/gcc", gcc, b"/b"),
            UserSpawn(5, 7, ROOT, 0, 0, b"/bin/cc1", cc1, 8),
            UserStartup(6, 8, 7, 0, 0, b"/bin/cc1", cc1, b"/b"),
            Exit(20, ROOT, 0),
            End(21, None),
        ]
        tree = build_tree(events)
        assert names(tree) == [(0, "make"), (1, "gcc"), (2, "cc1")]
        assert [node.start_ns for node in tree] == [0, 3, 5]
        assert tree.incomplete_reason is not None
        assert "interposer alone" in tree.incomplete_reason


class TestLaws:
    @pytest.mark.promise("order-of-events")
    @given(simulations(), st.randoms(use_true_random=False))
    def test_any_order_of_events_gives_the_same_tree(self, events: list[Event], randomness: random.Random) -> None:
        shuffled = list(events)
        randomness.shuffle(shuffled)
        assert signature(build_tree(shuffled)) == signature(build_tree(events))

    @pytest.mark.promise("order-of-events")
    @given(simulations(), st.integers(1, 50_000), st.randoms(use_true_random=False))
    def test_any_order_of_simultaneous_events_gives_the_same_tree(
        self, events: list[Event], resolution_ns: int, randomness: random.Random
    ) -> None:
        coarse: list[Event] = []
        for event in events:
            fields = {name: getattr(event, name) for name in event.__struct_fields__}
            coarse.append(type(event)(**{**fields, "time_ns": event.time_ns // resolution_ns * resolution_ns}))
        shuffled = list(coarse)
        randomness.shuffle(shuffled)
        assert signature(build_tree(shuffled)) == signature(build_tree(coarse))
        assert in_order(shuffled) == in_order(coarse)

    @pytest.mark.promise("creates-equal-exits")
    @given(simulations())
    def test_complete_recording_gives_a_complete_tree_that_keeps_the_laws(self, events: list[Event]) -> None:
        tree = build_tree(events)
        assert tree.complete, tree.incomplete_reason
        check_laws(tree)
        first_images = [node for node in tree if node.previous_image is None]
        running = sum(node.still_running for node in tree)
        assert len(first_images) == sum(isinstance(event, Exit) for event in events) + running
        assert len(tree) >= len(first_images)

    @given(simulations(), st.data())
    def test_damaged_recording_gives_a_tree_without_an_exception(
        self, events: list[Event], data: st.DataObject
    ) -> None:
        kept = data.draw(st.lists(st.sampled_from(events), min_size=1))
        try:
            tree = build_tree(kept)
        except RecordingFailed:
            assert not any(hasattr(event, "pid") for event in kept)
            return
        check_laws(tree)
        if len(set(map(id, kept))) < len(events):
            repr(tree), tree.critical_path(), [node.key for node in tree]


@given(simulations())
def test_metrics_of_a_node_are_its_attributes(events: list[Event]) -> None:
    for node in build_tree(events):
        values = {metric.name: getattr(node, metric.column) for metric in TABLE if not metric.of_build}
        assert node.metrics() == {name: value for name, value in values.items() if value is not None}


def check_laws(tree: ProcessTree) -> None:
    nodes = list(tree)
    assert len({id(node) for node in nodes}) == len(nodes) == len(tree)
    assert [node for node in nodes if node.parent is None] == [tree.root]
    for node in nodes:
        for child in node.children:
            assert child.parent is node
        if node.parent is not None:
            assert node in node.parent.children
            assert node.depth == node.parent.depth + 1
            assert _starts_within(node, node.parent) or node.reparented
        if node.previous_image is not None:
            assert node.previous_image.next_image is node
            assert node.previous_image.pid == node.pid
            if node.previous_image is not tree.root:
                siblings = node.parent.children if node.parent else []
                assert siblings[siblings.index(node) - 1] is node.previous_image
        if node.wall is not None:
            assert node.wall >= 0


def _starts_within(node: ProcessNode, parent: ProcessNode) -> bool:
    first = parent
    while first.previous_image is not None:
        first = first.previous_image
    end_ns = parent.process_exit_ns
    return first.start_ns <= node.start_ns and (end_ns is None or node.start_ns <= end_ns)


@pytest.mark.seconds
def test_trees_that_nobody_has_any_more_are_collected() -> None:
    """Parents and children refer to each other: only the collector frees them, and it has to be told of them."""
    trees = []
    for _ in range(100):
        events: list[Event] = [Start(0, 1, 0), Exec(1, 1, b"make", None, [b"make"], None)]
        events += [Create(2 + pid, pid, 1) for pid in range(2, 3000)]
        trees.append(weakref.ref(build_tree(events).root))
    assert sum(tree() is not None for tree in trees) < len(trees) / 2
