"""Faults that are neither a kill nor a shortage: deleted logs, a clock that is set, many recordings, two at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path

from faults.invariants import check_recording
from faults.project import OLD_REPORT
from faults.trial import PROFILE, PYTEST, Fault, NotHere, Trial
from faults.victim import Missed, Victim

CLOCK_SOURCE = Path(__file__).parents[1] / "programs" / "set-clock.c"
DAY = 86_400
RECORDINGS_IN_A_ROW = 200


def log_deleted(trial: Trial) -> None:
    victim = trial.start("--interpose=log" if trial.kind == PROFILE else "--ptreetime-interpose=log")
    trial.until_measuring()
    trial.moment(trial.measuring_seconds - 0.1)
    log = victim.log()
    if log is None:
        raise Missed
    if trial.random.random() < 0.5:
        log.unlink(missing_ok=True)
    else:
        shutil.rmtree(log.parent, ignore_errors=True)
    trial.finish()


@cache
def _clock_directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="faults-clock-")


@cache
def _clock_library() -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        raise NotHere("no C compiler")
    library = Path(_clock_directory().name, "set-clock.so")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, CLOCK_SOURCE], check=True)
    return library


def clock_set(trial: Trial) -> None:
    """Set back and forth, by a second to ten years, from before the start on."""
    clock = trial.directory / "clock"

    def set_clock() -> None:
        sizes = (1, 3600, DAY, 300 * DAY, 3000 * DAY)
        shift = trial.random.choice((-1, 1)) * trial.random.choice(sizes)
        with clock.open("r+b" if clock.exists() else "wb", buffering=0) as file:
            file.write(struct.pack("=q", shift))

    if trial.random.random() < 0.5:
        set_clock()
    else:
        clock.write_bytes(bytes(8))
    trial.start(environment={"LD_PRELOAD": str(_clock_library()), "PTREETIME_CLOCK": str(clock)})
    trial.until_measuring()
    for _ in range(3):
        with suppress(Missed):
            trial.moment(trial.measuring_seconds / 2)
            set_clock()
    trial.finish()
    if trial.status != 0:
        trial.violations.append(f"a clock that was set made the run end with status {trial.status}")
    if trial.kind == PYTEST:
        _check_times(trial)


def _check_times(trial: Trial) -> None:
    sessions = [session.session for session in trial.project.stored().sessions]
    if sessions[: len(trial.earlier_sessions)] != trial.earlier_sessions:
        trial.violations.append("the session is not stored after the earlier ones")
    lnt, _, _, report = trial.project.report_files
    if lnt.read_bytes() != OLD_REPORT:
        run = json.loads(lnt.read_text())["Run"]
        if run["Start Time"] > run["End Time"]:
            trial.violations.append(f"LNT's run ends at {run['End Time']}, before it starts at {run['Start Time']}")
    if report.read_bytes() != OLD_REPORT:
        times = json.loads(report.read_text())
        started, ended = (datetime.fromisoformat(times[name].replace("Z", "+00:00")) for name in ("started", "ended"))
        if not 0 <= (ended - started).total_seconds() < 60:
            trial.violations.append(f"the session lasts from {started} to {ended}")


ROW = """
import gc, os, sys
from pathlib import Path
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tracers import Command, builtin_tracers

def used(pid):
    resident = Path(f"/proc/{pid}/smaps_rollup").read_text().partition("Rss:")[2]  # statm counts in batches
    return len(os.listdir(f"/proc/{pid}/fd")), int(resident.split()[0])

def all_used(tracer):
    gc.collect()
    recorder = getattr(tracer, "_recorder", None)
    return [*used(os.getpid()), *(used(recorder.pid) if recorder is not None else (0, 0))]

tracer = builtin_tracers()[sys.argv[1]]()
assert tracer.available() is None
for number in range(int(sys.argv[2])):
    capture = tracer.record(Command(["/bin/sh", "-c", "/bin/true; /bin/true"]))
    assert capture.returncode == 0
    tree = Recording.from_capture(capture, command=[], tracer=sys.argv[1]).tree()
    assert len(tree) == 3, len(tree)
    assert sys.argv[1] == "interpose" or tree.complete, tree.incomplete_reason
    if number == 20:
        before = all_used(tracer)
after = all_used(tracer)
tracer.close()
print("before", *before, "after", *after)
"""
MAY_GROW_KIB = 1024


def in_a_row(trial: Trial) -> None:
    """Neither descriptors nor memory may grow, in the measurer or in the recorder."""
    command = ["-c", ROW, trial.tracer, str(RECORDINGS_IN_A_ROW)]
    trial.victim = Victim(trial.project, [trial.command()[0], *command])
    trial.finish()
    words = trial.victim.output.split()
    if trial.status != 0 or len(words) != 10:
        trial.violations.append("the recordings failed")
        return
    before, after = [int(word) for word in words[1:5]], [int(word) for word in words[6:]]
    for what, index, allowed in (("descriptors", 0, 0), ("KiB", 1, MAY_GROW_KIB)):
        for whose, at in (("measurer", index), ("recorder", index + 2)):
            if after[at] > before[at] + allowed:
                trial.violations.append(f"the {whose}'s {what} grew from {before[at]} to {after[at]}")


def two_at_once(trial: Trial) -> None:
    """Two recordings do not mix; the end of one's recorder is nothing to the other."""
    first = trial.start()
    trial.moment(0.2)
    second = Victim(trial.project, trial.project.profile(trial.tracer, output="other.ptreetime"))
    trial.others.append(second)
    if trial.tracer != "interpose" and trial.random.random() < 0.5:
        recorder = first.await_process("recorder")
        trial.moment(0.3)
        with suppress(ProcessLookupError):
            os.kill(recorder.pid, signal.SIGKILL)
    status = second.wait()
    if status != 0:
        trial.violations.append(f"the other recording ended with status {status}: {second.output}")
    trial.finish()
    _, wrong = check_recording(trial.project.recordings / "other.ptreetime", trial.tracer, whole=True)
    trial.violations.extend(wrong)


FAULTS = [
    Fault("log-deleted", log_deleted),
    Fault("clock-set", clock_set),
    Fault("two-at-once", two_at_once, (PROFILE,)),
    Fault("in-a-row", in_a_row, (PYTEST,)),
]
