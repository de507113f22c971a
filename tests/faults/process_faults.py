"""Something that the run needs is killed, stopped or interrupted."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from functools import partial

from faults.trial import DTRACE, PROFILE, PYTEST, WITH_RECORDER, Fault, Trial
from faults.victim import Missed

ENDLESS = {"SLEEP": "100"}  # a build that has to be ended
STAGES = {  # of a pytest run: what announces it, how often before, and how long it takes
    "set-up": ("set-up", 1, 0.05),
    "warm-up": ("build", 1, 0.2),
    "round": ("build", 2, 0.4),
    "comparing": ("comparing", 1, 0.8),
    "saving": ("saving", 1, 0.05),
    "reporting": ("reporting", 1, 0.4),
}


def _kill(pid: int, number: int = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        raise Missed from None


def recorder_killed(trial: Trial) -> None:
    victim = trial.start()
    recorder = trial.until_recording()
    if trial.kind == PYTEST:
        victim.await_stage("build", trial.random.choice((1, 2, 3)))
    trial.moment(0.3)
    _kill(recorder.pid)
    trial.finish()


def recorder_stopped(trial: Trial) -> None:
    trial.start()
    recorder = trial.until_recording()
    trial.moment(0.3 if trial.kind == PROFILE else 0.8)
    _kill(recorder.pid, signal.SIGSTOP)
    time.sleep(5 if trial.long else 0.3)
    with suppress(ProcessLookupError):
        os.kill(recorder.pid, signal.SIGCONT)
    trial.finish()
    if trial.status != 0:
        trial.violations.append(f"a recorder that only paused made the run end with status {trial.status}")


def measurer_killed(trial: Trial) -> None:
    victim = trial.start()
    trial.until_measuring()
    trial.moment(trial.measuring_seconds)
    _kill(victim.process.pid)
    trial.may_leave_files = True
    trial.finish()


def root_killed(trial: Trial) -> None:
    victim = trial.start()
    if trial.kind == PYTEST:
        victim.await_stage("set-up", trial.random.choice((1, 2, 3)))
    else:
        trial.until_measuring()
    root = victim.await_process("root")
    trial.moment(0.1)
    _kill(root.pid, trial.random.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)))
    trial.finish()


def build_timed_out(trial: Trial) -> None:
    seconds = trial.random.uniform(0.03, 0.5)
    trial.must_end_everything = True
    trial.start(_timeout(trial, seconds), environment=ENDLESS)
    trial.finish()
    _expect_timeout(trial)


def build_timed_out_without_recorder(trial: Trial) -> None:
    trial.must_end_everything = True
    victim = trial.start(_timeout(trial, 0.8), environment=ENDLESS)
    root = victim.await_process("build" if trial.tracer == DTRACE else "root")
    recorder = victim.await_process("recorder")
    trial.moment(0.7)
    _kill(recorder.pid)
    _kill(root.pid, 0)
    trial.finish()


def _timeout(trial: Trial, seconds: float) -> str:
    return f"--timeout={seconds:.3f}" if trial.kind == PROFILE else f"--ptreetime-timeout={seconds:.3f}"


def _expect_timeout(trial: Trial) -> None:
    if "time-out" not in trial.victim.output:
        trial.violations.append("the run does not speak of its time-out")


def ctrl_c(trial: Trial, stage: str) -> None:
    endless = stage in ("warm-up", "round") and trial.random.random() < 0.5
    trial.must_end_everything = True
    victim = trial.start(terminal=True, environment=ENDLESS if endless and stage == "warm-up" else {})
    announced, times, seconds = STAGES[stage]
    victim.await_stage(announced, times)
    trial.moment(seconds)
    victim.press_ctrl_c()
    trial.finish()


def ctrl_c_while_leaving(trial: Trial) -> None:
    """All is said and written: nothing may be missing, though the process may die of the signal."""
    trial.must_end_everything = True
    victim = trial.start(terminal=True)
    victim.await_output(" passed")
    trial.moment(0.06)
    victim.press_ctrl_c()
    trial.finish()
    if trial.status not in (0, -signal.SIGINT):
        trial.violations.append(f"Ctrl-C when all was said made the run end with status {trial.status}")


def ctrl_c_while_profiling(trial: Trial) -> None:
    trial.must_end_everything = True
    endless = trial.random.random() < 0.5
    victim = trial.start(terminal=True, environment=ENDLESS if endless else {})
    if trial.tracer == DTRACE and trial.random.random() < 0.3:
        trial.until_recording()
    else:
        trial.until_measuring()
    trial.moment(0.3)
    victim.press_ctrl_c()
    trial.finish()


FAULTS = [
    Fault("recorder-killed", recorder_killed, tracers=WITH_RECORDER),
    Fault("recorder-stopped", recorder_stopped, tracers=WITH_RECORDER),
    Fault("measurer-killed", measurer_killed),
    Fault("root-killed", root_killed),
    Fault("build-timed-out", build_timed_out),
    Fault("build-timed-out-without-recorder", build_timed_out_without_recorder, (PROFILE,), WITH_RECORDER),
    *(Fault(f"ctrl-c-{stage}", partial(ctrl_c, stage=stage), (PYTEST,)) for stage in STAGES),
    Fault("ctrl-c-leaving", ctrl_c_while_leaving, (PYTEST,)),
    Fault("ctrl-c", ctrl_c_while_profiling, (PROFILE,)),
]
