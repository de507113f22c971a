"""The metric ``instructions``: exact on an emulated processor, and what becomes of the counters on this machine.

Few machines on which tests run have counters of instructions. So an emulated one has: a program of which the count is
known, threads, exec, short processes (``make test-kernels``, or ``--slow``). Here the recorder is compiled to count
something that every machine has, nanoseconds of the processor's clock, which cpu time tells as well.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated_machine import SUITES, Case, Observed, observe, with_bpf_program
from trap_programs import Programs, Run, assert_lawful, record

from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.recording.events import Create, End, Event, Exec, Exit, Start, Usage
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tracers import recorder_process
from pytest_ptreetime.tracers.ebpf import EbpfTracer
from pytest_ptreetime.tracers.native_tracer import NativeTracer
from pytest_ptreetime.tracers.ptrace import PtraceTracer
from pytest_ptreetime.wording.remarks import notes_in_words, reasons_in_words

NATIVE = Path(__file__).parents[2] / "libptreetime"
CLOCK = ["-DPTREETIME_COUNTER_TYPE=PERF_TYPE_SOFTWARE", "-DPTREETIME_COUNTER=PERF_COUNT_SW_CPU_CLOCK"]

# An emulated processor. Of a program without a C library all but a few hundred instructions are its loops.

FEW = 500
PARANOID = "/proc/sys/kernel/perf_event_paranoid"
BY_BOTH = {
    "exactly": "/exactly",
    "again": "/exactly",
    "threads": "/counted threads 3 500000",
    "exec": "/counted exec 100000 exec 200000 run 300000",
    "exec-in-thread": "/counted thread-exec 100000 thread-exec 200000 threads 2 300000",
    "children": "/counted children 1000 1000",
    "forks": "/counted forks 3 100000",
    "alive": "/counted alive 100 1000",
}
CASES = {
    **{f"{mode}-{name}": Case(command, mode) for mode in ("ptrace", "ebpf") for name, command in BY_BOTH.items()},
    "few-descriptors": Case("/counted alive 100 1000", files=450),
    "forbidden": Case("/counted run 1000", user=1000, settings={PARANOID: "3"}),
    "allowed": Case("/counted run 1000", user=1000, settings={PARANOID: "2"}),
}


@pytest.fixture(scope="module", params=SUITES)
def emulated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Observed]:
    return observe(request.param, CASES, tmp_path_factory.mktemp("machine"))


@pytest.fixture(params=["ptrace", "ebpf"])
def counted(request: pytest.FixtureRequest, emulated: dict[str, Observed]) -> dict[str, Observed]:
    """What one tracer observed."""
    return {name: emulated[f"{request.param}-{name}"] for name in BY_BOTH}


def loops(*expected: int) -> list[object]:
    """So many rounds of a loop of two instructions, and a few more instructions."""
    return [pytest.approx(2 * number + FEW / 2, abs=FEW / 2) for number in expected]


@pytest.mark.slow
def test_instructions_of_a_program_are_exactly_those_that_it_has(counted: dict[str, Observed]) -> None:
    assert counted["exactly"].uncounted == ""
    assert counted["exactly"].counts == counted["again"].counts == [5_000_000]


@pytest.mark.slow
def test_instructions_are_those_of_all_threads(counted: dict[str, Observed]) -> None:
    assert counted["threads"].counts == loops(4 * 500_000)


@pytest.mark.slow
def test_instructions_are_those_of_each_image_alone(counted: dict[str, Observed]) -> None:
    assert counted["exec"].counts == loops(100_000, 200_000, 300_000)


@pytest.mark.slow
def test_instructions_are_exact_where_a_thread_execs(counted: dict[str, Observed]) -> None:
    assert counted["exec-in-thread"].counts == loops(100_000, 200_000, 3 * 300_000)


@pytest.mark.slow
def test_instructions_of_a_thousand_short_children_are_all_the_same(counted: dict[str, Observed]) -> None:
    parent, *children = counted["children"].counts
    assert (len(children), len(set(children))) == (1000, 1)
    assert children[:1] == loops(1000)
    assert parent is not None
    assert parent < 1000 * 50  # nothing of the children's


@pytest.mark.slow
def test_instructions_of_children_that_never_exec_begin_at_their_birth(counted: dict[str, Observed]) -> None:
    assert counted["forks"].counts[1:] == loops(100_000, 100_000, 100_000)


@pytest.mark.slow
def test_instructions_of_children_that_live_at_a_time_are_their_own(counted: dict[str, Observed]) -> None:
    children = counted["alive"].counts[1:]
    assert (len(children), len(set(children))) == (100, 1)
    assert children[:1] == loops(1000)


@pytest.mark.slow
def test_instructions_where_descriptors_are_few_are_exact_or_unknown(emulated: dict[str, Observed]) -> None:
    (exact,) = set(emulated["ptrace-alive"].counts[1:])
    few = emulated["few-descriptors"].counts[1:]
    assert set(few) == {exact, None}
    assert 0 < few.count(None) < len(few)


@pytest.mark.slow
def test_instructions_where_users_may_not_count_them_are_unknown_and_said_why(emulated: dict[str, Observed]) -> None:
    assert emulated["forbidden"].uncounted.endswith("`sysctl kernel.perf_event_paranoid=2` (it is 3)")
    assert emulated["forbidden"].counts == [None]
    assert emulated["allowed"].uncounted == ""
    assert emulated["allowed"].counts == loops(1000)


# This machine: the recorder counts nanoseconds of processor time instead.


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module")
def clock_recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None or shutil.which("clang") is None:
        pytest.skip("the recorder is for Linux, and needs a C compiler and clang")
    directory = tmp_path_factory.mktemp("recorder")
    made = directory / "ptreetime-recorder"
    sources = [path for path in sorted((NATIVE / "recorder").glob("*.c")) if path.stem != "gate"]
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", *CLOCK, f"-I{NATIVE}", *with_bpf_program(directory)]
    command: list[str | Path] = [compiler, *flags, "-o", made, *sources, NATIVE / "bpf" / "object.c", "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(params=[PtraceTracer, EbpfTracer])
def clocked(
    request: pytest.FixtureRequest, clock_recorder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NativeTracer]:
    monkeypatch.setattr(recorder_process, "helper", lambda name: clock_recorder)
    tracer: NativeTracer = request.param()
    if (unavailable := tracer.available()) is not None:
        pytest.skip(f"{tracer.name}: {unavailable}")
    if (uncounted := tracer.why_uncounted()) is not None:
        pytest.skip(f"the processor's clock: {uncounted}")
    yield tracer
    tracer.close()


def agree(run: Run) -> None:
    """What was counted of each node is about its cpu time, which knows the time that other machines have stolen."""
    assert_lawful(run)
    for node in run.tree:
        assert node.instructions is not None
        assert node.cpu is not None
        assert node.wall is not None
        assert max(node.cpu * 0.5e9 - 1e6, 1) <= node.instructions <= 4 * node.wall * 1e9


def test_counter_follows_a_process_through_its_execs(clocked: NativeTracer, programs: Programs) -> None:
    run = record(clocked, [programs.path("reexec-chain")])
    agree(run)
    images = [node.instructions for node in run.of(run.facts["pid"])]
    assert len(images) == 5
    assert all(count is not None and count >= 4e6 for count in images)  # each burns 5 ms


@pytest.mark.parametrize(
    ("name", "returncode"),
    [("exec-in-thread", 5), ("threads-outlive-leader", 7), ("vfork-exec", 0), ("fork-without-exec", 0)],
)
def test_counter_is_that_of_the_whole_process(
    clocked: NativeTracer, programs: Programs, name: str, returncode: int
) -> None:
    agree(record(clocked, [programs.path(name)], returncode=returncode))


def test_every_short_child_has_a_counter(clocked: NativeTracer, programs: Programs) -> None:
    run = record(clocked, [programs.path("many-children"), "300"])
    agree(run)
    assert len(run.tree) == 301


@pytest.mark.promise("unknown-is-none")
def test_process_without_a_descriptor_is_unknown_and_nothing_is_lost(clocked: NativeTracer, programs: Programs) -> None:
    if clocked.name != "ptrace" or shutil.which("prlimit") is None:
        pytest.skip("it is ptrace that takes a descriptor a process; prlimit limits them")
    clocked.close()
    clocked.recorder_prefix = ["prlimit", "--nofile=450:450"]
    run = record(clocked, [programs.path("many-alive"), "forks", "200"])
    assert_lawful(run)
    counts = [node.instructions for node in run.tree]
    assert 100 < counts.count(None) < 200
    assert 0 not in counts


def test_tracer_says_why_instructions_are_not_counted_or_counts_them(programs: Programs) -> None:
    tracer = PtraceTracer()
    if (reason := tracer.available()) is not None:
        pytest.skip(f"ptrace: {reason}")
    try:
        uncounted = tracer.why_uncounted()
        (node,) = record(tracer, [programs.path("nothing")]).tree
    finally:
        tracer.close()
    assert (node.instructions is None) == (uncounted is not None)
    assert uncounted is None or len(uncounted.split()) > 3


# What becomes of the numbers


def recorded(*instructions: int | None) -> Recording:
    """A build of so many programs of one name."""
    events: list[Event] = [Start(0, 1, 0), Exec(1, 1, b"make", b"/make", [b"make"], b"/", Usage(0))]
    for pid, count in enumerate(instructions, 2):
        events += [Create(pid, pid, 1), Exec(pid, pid, b"cc", b"/cc", [b"cc"], b"/")]
        events += [Exit(pid + 1, pid, 0, usage=Usage(cpu_ns=5, instructions=count))]
    return Recording([*events, Exit(99, 1, 0, usage=Usage(7)), End(100, 0)])


@pytest.mark.promise("unknown-is-none")
@pytest.mark.parametrize(
    ("counts", "total"), [((3, 4), 7.0), ((3, None), None), ((None, 4), None), ((None, None), None)]
)
def test_instructions_of_a_key_are_unknown_where_those_of_one_process_are(
    counts: tuple[int | None, ...], total: float | None
) -> None:
    totals = Profile.from_tree(recorded(*counts).tree()).totals
    (key,) = (key for key in totals if "cc" in key)
    assert totals[key].get("instructions") == total


def rounds(factor: float) -> list[Profile]:
    noise = (1.0, 1.0003, 0.9998, 1.0001, 0.9996)
    return [
        Profile.from_dict({"make": {"cpu": 1.0}, "make/cc1": {"cpu": 1.0, "instructions": 4.6e8 * factor * part}})
        for part in noise
    ]


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "ok"), (1.0005, "ok"), (1.01, "regression"), (0.99, "improvement")]
)
def test_instructions_are_compared_by_their_own_noise(factor: float, verdict: str) -> None:
    comparison = compare([rounds(1.0)], rounds(factor), metrics=["instructions"])
    assert comparison.verdict == verdict


def test_instructions_are_not_compared_unless_asked_for() -> None:
    assert compare([rounds(1.0)], rounds(1.5)).verdict == "ok"


def without_instructions(sessions: list[Profile]) -> list[Profile]:
    return [Profile.from_dict({"make": {"cpu": 1.0}, "make/cc1": {"cpu": 1.0}}) for _ in sessions]


@pytest.mark.parametrize("side", ["baseline", "current"])
def test_metric_that_was_asked_for_and_is_not_known_is_told_and_is_no_pass_alone(side: str) -> None:
    sides = {"baseline": rounds(1.0), "current": rounds(1.0)}
    sides[side] = without_instructions(sides[side])
    alone = compare([sides["baseline"]], sides["current"], metrics=["instructions"])
    assert alone.verdict == "inconclusive"
    assert reasons_in_words(alone) == ["instructions could not be compared: unknown on one side or both"]
    beside = compare([sides["baseline"]], sides["current"], metrics=["cpu", "instructions"])
    assert beside.verdict == "ok"
    assert "instructions could not be compared: unknown on one side or both" in notes_in_words(beside)
