"""Faults of every kind, each injected into real runs at a random moment; what must hold afterwards is in faults/.

``make test-faults`` injects a thousand. A failure names the trial and its seed; PTREETIME_FAULT_SEED repeats all.
"""

from __future__ import annotations

import os
import random
import secrets
import socket
import subprocess
import time

import pytest
from faults.injection import Combination, Result, combinations, inject, why_not
from faults.processes import end, remaining, subreaper
from faults.trial import NATIVE_RECORDERS, PROFILE

from pytest_ptreetime.native import helper

STARTS = 60
TRIES = 7  # for a fault that comes when the run is over, each at twice the haste of the one before

# One pytest run takes as long as five of `ptreetime profile`: every stage and place once, with the tracers in turns.
WHOLE_SESSIONS = {
    ("recorder-killed", "ptrace"),
    ("measurer-killed", "ebpf"),
    ("ctrl-c-set-up", "ptrace"),
    ("ctrl-c-warm-up", "ebpf"),
    ("ctrl-c-round", "interpose"),
    ("ctrl-c-comparing", "ptrace"),
    ("ctrl-c-saving", "ebpf"),
    ("ctrl-c-reporting", "ptrace"),
    ("ctrl-c-leaving", "ptrace"),
    ("disk-full-store", "ebpf"),
    ("disk-full-reports", "ptrace"),
    ("read-only-store", "ptrace"),
    ("read-only-reports", "interpose"),
    ("clock-set", "ptrace"),
    ("in-a-row", "ebpf"),
    ("in-a-row", "ptrace"),
    ("in-a-row", "interpose"),
}
IN_CI = [one for one in combinations() if one.kind == PROFILE or (one.fault.name, one.tracer) in WHOLE_SESSIONS]


def faults(*names: str) -> pytest.MarkDecorator:
    """The trials of the faults whose names begin so."""
    chosen = [one for one in IN_CI if one.fault.name.startswith(names)]
    return pytest.mark.parametrize("one", [pytest.param(one, id=one.name) for one in chosen])


def injected(one: Combination) -> None:
    reason = why_not(one.tracer)
    if reason is not None:
        pytest.skip(f"{one.tracer}: {reason}")
    seed = int(os.environ.get("PTREETIME_FAULT_SEED") or secrets.randbelow(1_000_000))
    for number in range(TRIES):
        print(f"{one.name}, seed {seed + number}")  # noqa: T201 - pytest shows it where the test hangs or fails
        result = inject(one, seed + number, haste=2**number)
        if result.outcome == "not here":
            pytest.skip(result.output)
        if result.injected:
            break
    assert result.injected, "the run was over each time before the fault came"
    assert not result.violations, told(one, result)


def told(one: Combination, result: Result) -> str:
    lines = [f"{one.name}, seed {result.seed}: {result.outcome}", *result.violations, "its output:", result.output]
    return "\n".join(lines)


@pytest.mark.promise("recorder-killed")
@faults("recorder-killed")
def test_run_when_its_recorder_is_killed_goes_on_and_says_so(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("recorder-killed")
@pytest.mark.parametrize("mode", NATIVE_RECORDERS)
def test_recorder_that_is_killed_while_it_starts_leaves_no_process(mode: str) -> None:
    if why_not(mode) is not None:
        pytest.skip(f"{mode}: {why_not(mode)}")
    seed = secrets.randbelow(1_000_000)
    chance = random.Random(seed)
    with subreaper() as before:
        for _ in range(STARTS):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with (
                ours,
                theirs,
                subprocess.Popen([str(helper("ptreetime-recorder")), mode], stdin=theirs.fileno()) as recorder,
            ):
                time.sleep(chance.uniform(0, 0.006))  # the moment is what is tried
                recorder.kill()
        left = remaining(before, 5)
        end(left)
        assert not left, f"seed {seed}"


@pytest.mark.promise("recorder-stopped")
@faults("recorder-stopped")
def test_run_when_its_recorder_is_stopped_for_a_while_goes_on_afterwards(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("measurer-killed")
@faults("measurer-killed")
def test_run_that_is_killed_leaves_nothing_that_the_next_does_not_remove(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("root-killed")
@faults("root-killed")
def test_build_whose_root_is_killed_is_told_so(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("timeout-ends-the-tree")
@faults("build-timed-out")
def test_build_that_times_out_is_ended_whole_with_or_without_its_recorder(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("ctrl-c")
@faults("ctrl-c")
def test_ctrl_c_at_any_stage_ends_everything_without_a_traceback(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("disk-full")
@faults("disk-full")
def test_disk_that_is_full_is_told_and_loses_no_earlier_session(one: Combination) -> None:
    injected(one)


@pytest.mark.seconds
@pytest.mark.promise("read-only")
@faults("read-only")
def test_directory_that_becomes_read_only_is_told_and_loses_no_earlier_session(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("limits")
@faults("descriptor-limit", "process-limit", "memory-limit")
def test_limit_of_descriptors_processes_or_memory_is_told(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("log-deleted")
@faults("log-deleted")
def test_log_that_is_deleted_while_the_build_runs_is_a_loss_that_is_told(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("clock-set")
@faults("clock-set")
def test_clock_that_is_set_back_and_forth_changes_no_time_and_no_order(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("many-recordings")
@faults("in-a-row")
def test_two_hundred_recordings_in_a_row_use_no_more_than_the_first(one: Combination) -> None:
    injected(one)


@pytest.mark.promise("two-at-once")
@faults("two-at-once")
def test_two_recordings_at_once_know_nothing_of_each_other(one: Combination) -> None:
    injected(one)


def test_faults_in_ci_are_at_least_sixty_and_every_promise_has_some() -> None:
    tests = [test for name, test in globals().items() if name.startswith("test_")]
    marks = [mark for test in tests for mark in getattr(test, "pytestmark", [])]
    trials = [mark.args[1] for mark in marks if mark.name == "parametrize" and mark.args[0] == "one"]
    tried = [parameter.id for parameters in trials for parameter in parameters]
    assert all(trials)
    assert sorted(tried) == sorted(one.name for one in IN_CI)
    assert len(tried) >= 60
