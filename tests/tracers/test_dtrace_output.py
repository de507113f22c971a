from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_ptreetime.recording.events import Create, Event, Exec, Exit, Lost, Usage, UserStartup
from pytest_ptreetime.tracers.dtrace import explain
from pytest_ptreetime.tracers.dtrace_output import DtraceOutput, clock_shift_ns, lost_records, with_programs

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(system: str) -> DtraceOutput:
    return DtraceOutput.parse((GOLDEN / f"dtrace_{system}.txt").read_bytes())


def execs(events: list[Event]) -> dict[int, Exec]:
    return {event.pid: event for event in events if isinstance(event, Exec)}


def statuses(events: list[Event]) -> dict[int, int | None]:
    return {event.pid: event.status for event in events if isinstance(event, Exit)}


def exec_record(time_ns: int, pid: int, name: bytes, joined: bytes) -> bytes:
    return b"PTREETIME exec %d %d %d %d %s %s\n" % (time_ns, pid, len(name), len(joined), name, joined)


# The systems


def test_linux_output_when_out_of_order_is_put_in_order_by_time() -> None:
    events = golden("linux").events(0)
    assert [event.time_ns for event in events] == sorted(event.time_ns for event in events)
    assert {event.pid: event.parent_pid for event in events if isinstance(event, Create)} == {
        3961: 3847,
        3962: 3961,
        3963: 3847,
        3969: 3847,
    }
    assert statuses(events) == {3962: 2 << 8, 3961: 3 << 8, 3963: 0, 3969: 9, 3847: 5 << 8}


def test_linux_arguments_when_none_has_a_space_are_told_and_else_are_not() -> None:
    found = execs(golden("linux").events(0))
    assert found[3962].args == [b"ls", b"/x"]
    assert found[3963].args is None  # "a  b" and an empty one
    assert found[3961].args is None
    assert found[3963].name == b"python3"


def test_linux_end_is_when_the_parent_could_see_it_with_the_times_of_then() -> None:
    (end,) = [event for event in golden("linux").events(7) if isinstance(event, Exit) and event.pid == 3963]
    assert end.time_ns == 12739791296927 + 7
    assert end.usage == Usage(cpu_ns=18_187_402, utime_ns=16_000_000, stime_ns=0)


def test_linux_exec_has_the_times_that_belong_to_the_image_before() -> None:
    assert execs(golden("linux").events(0))[3962].usage == Usage(cpu_ns=574_238, utime_ns=0, stime_ns=0)


def test_linux_end_that_no_parent_waits_for_has_its_own_time_and_the_times_of_then() -> None:
    output = DtraceOutput.parse(b"PTREETIME exit 4 9 256\nPTREETIME used 5 9 700 400 200\n")
    assert output.events(0) == [Exit(4, 9, 256, usage=Usage(cpu_ns=700, utime_ns=400, stime_ns=200))]


def test_illumos_arguments_when_fewer_than_its_79_bytes_and_as_many_as_it_counts_are_told() -> None:
    events = golden("illumos").events(0)
    assert {pid: event.args for pid, event in execs(events).items()} == {
        700: [b"make", b"-j", b"2", b"all"],
        701: None,  # cut
        702: None,  # an argument with a space
    }
    assert statuses(events) == {701: None, 702: 3 << 8, 700: 0}


def test_macos_output_has_no_arguments_and_no_status_of_the_killed() -> None:
    events = golden("macos").events(0)
    assert {pid: event.args for pid, event in execs(events).items()} == {501: None, 502: None}
    assert statuses(events) == {502: 1 << 8, 503: None, 501: 0}


def test_freebsd_output_has_the_statuses_of_wait_and_a_clock_of_its_own() -> None:
    output = golden("freebsd")
    begin = output.begin
    assert begin is not None
    # now: 3 s after begin by the wall clock, which is 77 s after our own clock's zero
    shift_ns = clock_shift_ns(begin, 10**18, 77 * 10**9, 1_700_000_003 * 10**9)
    events = output.events(shift_ns)
    assert events[0].time_ns == 74 * 10**9 + 1_000_000
    assert statuses(events) == {901: 139, 900: 2 << 8}
    assert execs(events)[901].args is None


def test_clock_is_ours_when_the_first_record_lies_between_start_and_now() -> None:
    begin = golden("linux").begin
    assert begin is not None
    assert clock_shift_ns(begin, begin.timestamp - 1, begin.timestamp + 1, 0) == 0


# The records


def test_strings_when_they_look_like_records_or_lines_are_strings() -> None:
    joined = b"sh -c \nPTREETIME create 1 2 3\n"
    events = DtraceOutput.parse(exec_record(5, 9, b"a b\nc", joined) + b"PTREETIME exit 6 9 0\n").events(0)
    assert [type(event) for event in events] == [Exec, Exit]
    assert execs(events)[9].name == b"a b\nc"


@example([(b"7", b"8 9")], 400)
@given(st.lists(st.tuples(st.binary(max_size=15), st.binary(max_size=200)), max_size=5), st.integers(0, 400))
def test_output_when_cut_anywhere_gives_the_whole_records_before_the_cut(
    programs: list[tuple[bytes, bytes]], cut: int
) -> None:
    records = [exec_record(n, n + 1, name, joined) for n, (name, joined) in enumerate(programs)]
    whole = b"".join(records)
    parsed = DtraceOutput.parse(whole[:cut])
    ends = [sum(map(len, records[: n + 1])) for n in range(len(records))]
    assert [record.strings for record in parsed.records] == [
        program for program, end in zip(programs, ends, strict=True) if end <= cut
    ]


def test_arguments_when_cut_at_the_size_of_a_string_are_not_told() -> None:
    cut = b"PTREETIME exec 1 9 4 1024 true " + b"true " + b"x" * 1018 + b"\nPTREETIME args 2 9 2 1029\n"
    output = DtraceOutput.parse(cut)
    assert output.damaged == 0
    assert execs(output.events(0))[9].args is None


def test_record_that_makes_no_sense_is_lost_and_the_others_are_not() -> None:
    events = DtraceOutput.parse(b"PTREETIME create 1 2\nPTREETIME what 3\nPTREETIME exit 4 5 0\n").events(0)
    assert [type(event) for event in events] == [Exit, Lost]
    assert isinstance(events[1], Lost)
    assert events[1].count == 2


def test_living_are_those_without_an_end_and_a_pid_used_again_is_another() -> None:
    output = DtraceOutput.parse(
        b"PTREETIME create 1 10 5\nPTREETIME create 2 11 5\nPTREETIME exit 3 10 0\nPTREETIME create 4 10 5\n"
    )
    assert output.living() == {10, 11}
    assert output.count_processes() == 4


def test_last_record_says_that_all_is_told_and_is_no_event() -> None:
    output = DtraceOutput.parse(b"PTREETIME exit 4 5 0\nPTREETIME end 9\n")
    assert [record.word for record in output.records] == ["exit", "end"]
    assert [type(event) for event in output.events(0)] == [Exit]


# What DTrace says beside


def test_drops_of_every_kind_are_counted() -> None:
    said = (
        "dtrace: 2312 drops on CPU 1\ndtrace: 7 dynamic variable drops with non-empty dirty list\n"
        "dtrace: error on enabled probe ID 3 (ID 44: proc:vmlinux::exit): invalid address\n"
    )
    assert lost_records(said) == 2312 + 7 + 1
    assert lost_records("dtrace: script 'x.d' matched 4 probes\n") == 0


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            (
                "dtrace: System Integrity Protection is on, some features will not be available\n\n"
                "dtrace: failed to match proc:::create: No probe matches description\n"
            ),
            "csrutil enable --without dtrace",
        ),
        ("dtrace: failed to initialize dtrace: DTrace requires additional privileges\n", "must run as root"),
        ("sudo: a password is required\n", "must run as root"),
        ('dtrace: failed to compile script io.d: "/usr/lib/dtrace/io.d", line 134: `major_names\n', "KALLSYMS_ALL"),
        ("dtrace: failed to match proc:::create: No probe matches description\n", "kldload dtraceall"),
        ("dtrace: failed to compile script ptreetime.d: line 48: syntax error\n", "line 48"),
        ("", "it said nothing"),
    ],
)
def test_complaint_of_dtrace_is_explained_with_what_to_do(said: str, advice: str) -> None:
    assert advice in explain(said)


# The interposer's part


def startup(time_ns: int, pid: int, *args: bytes) -> UserStartup:
    return UserStartup(time_ns, pid, 1, 0, 0, b"/bin/" + args[0], list(args), b"/src")


def test_each_image_gets_the_program_that_started_in_it() -> None:
    images: list[Event] = [Exec(10, 7, b"a", None, None, None), Exec(20, 7, b"b", None, None, None), Exit(30, 7, 0)]
    told = execs_in_order(with_programs(images, [startup(21, 7, b"b", b"x y"), startup(11, 7, b"a")]))
    assert [event.args for event in told] == [[b"a"], [b"b", b"x y"]]
    assert [event.exe for event in told] == [b"/bin/a", b"/bin/b"]


def test_image_without_a_startup_keeps_what_dtrace_knew() -> None:
    images: list[Event] = [
        Exec(10, 7, b"static", None, [b"static", b"1"], None),
        Exec(20, 7, b"b", None, None, None),
        Exit(30, 7, 0),
        Create(40, 7, 1),
        Exec(41, 7, b"c", None, None, None),
    ]
    told = execs_in_order(with_programs(images, [startup(25, 7, b"b"), startup(45, 7, b"c")]))
    assert [event.args for event in told] == [[b"static", b"1"], [b"b"], [b"c"]]


def execs_in_order(events: list[Event]) -> list[Exec]:
    return [event for event in events if isinstance(event, Exec)]
