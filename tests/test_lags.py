"""Start and exit lag: known of every program, right, and nothing of ours in the program that could disturb it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from trap_programs import Programs, Run, record

from pytest_ptreetime.tracers import Tracer, builtin_tracers

KERNEL_TRACERS = ("ebpf", "ptrace")
TRIES = 5  # on a busy machine a process waits between what it says and what the kernel sees


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module", params=KERNEL_TRACERS)
def tracer(request: pytest.FixtureRequest) -> Iterator[Tracer]:
    made = builtin_tracers()[request.param]()
    reason = made.available()
    if reason is not None:
        pytest.skip(f"{request.param}: {reason}")
    yield made
    made.close()


# Exit lag

WAYS_OUT = {"exit": 3, "handler": 3, "thread": 3, "last-thread": 0, "signal": -11, "signal-threads": -9}


@pytest.mark.parametrize("flags", [(), ("-static",), ("-m32",)], ids=["dynamic", "static", "32-bit"])
@pytest.mark.parametrize("way", WAYS_OUT)
def test_exit_lag_is_from_the_last_call_to_the_death(
    tracer: Tracer, programs: Programs, way: str, flags: tuple[str, ...]
) -> None:
    program = programs.path("ways-out", *flags)
    for _ in range(TRIES):
        result = record(tracer, [program, way], interpose=False, returncode=WAYS_OUT[way])
        node = result.one(result.facts["pid"])
        assert node.exitlag is not None
        assert node.exit_ns is not None
        last_call_ns = node.exit_ns - round(node.exitlag * 1e9)
        assert result.facts["told_ns"] <= last_call_ns
        # What follows is the teardown of 128 MiB: nearly all of the time since the program has told.
        if node.exitlag >= (node.exit_ns - result.facts["told_ns"]) / 2e9:
            return
    pytest.fail(f"the teardown is not in the exit lag of {node.exitlag} s, the last of {TRIES}")


def test_exit_lag_of_an_image_that_ended_by_exec_is_none(tracer: Tracer, programs: Programs) -> None:
    result = record(tracer, [programs.path("reexec-chain")], interpose=False)
    root, *earlier, last = result.of(result.facts["pid"])
    assert root.exitlag == last.exitlag  # the root stands for its whole process
    assert {node.exitlag for node in earlier} == {None}
    assert last.exitlag is not None


# Start lag


@pytest.mark.parametrize("flags", [(), ("-static",), ("-m32",)], ids=["dynamic", "static", "32-bit"])
def test_ebpf_knows_the_start_of_programs_without_a_library(
    tracer: Tracer, programs: Programs, flags: tuple[str, ...]
) -> None:
    if tracer.name != "ebpf":
        pytest.skip("is what the kernel tells the tracer ebpf")
    result = record(tracer, [programs.path("wait4"), programs.path("nothing", *flags)], interpose=False)
    child = result.one(result.facts["child"])
    assert child.startlag is not None
    assert child.wall is not None
    assert 0 < child.startlag < child.wall


def test_start_of_each_image_of_a_process_is_its_own(tracer: Tracer, programs: Programs) -> None:
    if tracer.name != "ebpf":
        pytest.skip("is what the kernel tells the tracer ebpf")
    result = record(tracer, [programs.path("reexec-chain")], interpose=False)
    for node in result.of(result.facts["pid"]):
        assert node.startlag is not None
        assert node.wall is not None
        assert 0 < node.startlag < node.wall


def test_lags_of_a_process_that_never_execs_are_its_own(tracer: Tracer, programs: Programs) -> None:
    result: Run = record(tracer, [programs.path("fork-without-exec")], interpose=False)
    forked = [node for node in result.tree if node.forked_only]
    assert forked
    for node in forked:
        assert node.startlag is None
        assert node.exitlag is not None
