"""The tracer dtrace: the system's DTrace watches, with the interposer loaded, as swift-llbuild's ptreetime had it.

dtrace is told the pid of the command while that waits at its gate: the command is never dtrace's child, runs as the
calling user, and may be a program that DTrace refuses to start or to control itself, as those that Apple signs with
restrictions. The script, ``libptreetime/ptreetime.d``, follows that pid and ends with it. ``dtrace -p`` would only add
control of the process: on Linux dtrace is its debugger then (TracerPid in its status is dtrace's), so that no other one
can be, and some commands that called exec in one of their threads hung for minutes.

What it can't know is None: the executable and the directory without the interposer; arguments too, where psargs can't
be split exactly; on macOS, FreeBSD and illumos the times of programs that are not dynamic. A start of dtrace takes
seconds, each time: it is there for systems that have nothing better.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import msgspec

from pytest_ptreetime.errors import NativeHelperMissing, RecordingFailed, TracerUnavailable
from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import Create, End, Event, Exec, Exit, Lost, Start
from pytest_ptreetime.system.inherited import waiting_for_children
from pytest_ptreetime.tracers import Capture, Command, Unavailable
from pytest_ptreetime.tracers.dtrace_output import DtraceOutput, clock_shift_ns, lost_records, with_programs
from pytest_ptreetime.tracers.dtrace_process import DtraceProcess, DtraceWait
from pytest_ptreetime.tracers.launch import Launched, launched
from pytest_ptreetime.tracers.remedies import unavailable

__all__ = ["DtraceTracer"]

LIBRARY = "libptreetime_interpose.so"
TRIAL_SECONDS = 120.0

# By system: its part of the script, and where proc:::create has the child's pid.
_SYSTEMS: Mapping[str, tuple[str, str]] = {
    "linux": ("linux.d", "pr_pid"),
    "darwin": ("macos.d", "pr_pid"),
    "freebsd": ("freebsd.d", "p_pid"),
    "sunos": ("illumos.d", "pr_pid"),
}

# What dtrace says, and what to do about it; the first that is found. {line} is its own line.
_COMPLAINTS: Sequence[tuple[str, str]] = (
    (
        r"System Integrity Protection is on",
        "System Integrity Protection hides the probes: run `csrutil enable --without dtrace` in macOS Recovery",
    ),
    (r"run as root|additional privileges|Permission denied|a password is required", "dtrace must run as root: {line}"),
    (
        r"io\.d.*(major_names|failed to compile)|major_names",
        "dtrace's own io.d does not compile without CONFIG_KALLSYMS_ALL ({line}): replace its major_names by a string",
    ),
    (
        r"No probe matches|does not match any probes|matched 0 probes",
        "this kernel lacks a probe ({line}): load its provider (FreeBSD: `kldload dtraceall`), or use another tracer",
    ),
    (r"failed to compile|failed to (load|open|establish)", "the script does not compile here ({line}): report it"),
    (r"failed to (initialize|grab)", "dtrace does not work here ({line}): load its kernel modules, or run it as root"),
)

# Why it is not available, by how it is started: asking dtrace again would take seconds, and give the same answer.
_reasons: dict[tuple[str, ...], Unavailable | None] = {}


class DtraceTracer:
    """Watches the tree by the probes of the provider proc.

    :param sudo: start dtrace (never the command) with ``sudo -n``.
    """

    name = "dtrace"

    def __init__(self, *, sudo: bool = False) -> None:
        self._sudo = sudo

    def available(self) -> Unavailable | None:
        key = ("sudo", "-n", "--") if self._sudo else ()
        if key not in _reasons:
            try:
                reason = _try(script_command(self._sudo, os.getpid()))
                _reasons[key] = None if reason is None else Unavailable(reason)
            except (TracerUnavailable, NativeHelperMissing) as error:
                _reasons[key] = unavailable(error)
        return _reasons[key]

    def close(self) -> None:
        """Nothing is kept running."""

    def record(self, command: Command) -> Capture:
        with launched(command, interposer=LIBRARY if command.interpose else None) as child:
            started_ns = time.monotonic_ns()
            dtrace = DtraceProcess(script_command(self._sudo, child.pid))
            try:
                begin = dtrace.wait_until_live()
                if begin is None:
                    raise TracerUnavailable(explain(dtrace.said()))
                now_ns, realtime_ns = time.monotonic_ns(), time.time_ns()
                shift_ns = clock_shift_ns(begin, started_ns, now_ns, realtime_ns)
                start = Start(begin.timestamp + shift_ns, child.pid, realtime_ns - now_ns + begin.timestamp + shift_ns)
                child.open_gate()
                wait = DtraceWait(dtrace, child)
                wait.to_the_end()
            finally:
                dtrace.close()
            return _capture(child, dtrace, wait, start, shift_ns)


def _prefix(sudo: bool) -> list[str]:
    program = shutil.which("dtrace", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    if program is None:
        raise TracerUnavailable("there is no dtrace here")
    if sudo:
        if shutil.which("sudo") is None:
            raise TracerUnavailable("there is no sudo here")
        return ["sudo", "-n", "--", program]
    if os.geteuid() != 0:
        raise TracerUnavailable("dtrace must run as root")
    return [program]


def script_command(sudo: bool, root_pid: int) -> list[str]:
    """The command line that runs the script for the tree below ``root_pid``.

    :raises TracerUnavailable: there is no dtrace for this system, or it needs root.
    """
    system = next((parts for name, parts in _SYSTEMS.items() if sys.platform.startswith(name)), None)
    if system is None:
        raise TracerUnavailable(f"there is no dtrace for {sys.platform}")
    part, pid_field = system
    scripts = ["-s", str(helper("dtrace/ptreetime.d")), "-s", str(helper(f"dtrace/{part}"))]
    return [*_prefix(sudo), "-x", "argref", "-x", "evaltime=exec", *scripts, pid_field, str(root_pid)]


@waiting_for_children()
def _try(command: Sequence[str]) -> str | None:
    """Why dtrace would not run the script, found out by letting it compile and no more (``-e``); else None."""
    helper("ptreetime-gate")
    try:
        done = subprocess.run(
            [*command[:-2], "-e", *command[-2:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TRIAL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"dtrace was not ready after {TRIAL_SECONDS:g} s"
    said = done.stderr.decode(errors="replace")
    return None if done.returncode == 0 and "System Integrity Protection" not in said else explain(said)


def explain(said: str) -> str:
    """Why dtrace did not start, and what to do about it, from what it said on its standard error."""
    lines = [line.removeprefix("dtrace: ").strip() for line in said.splitlines() if line.strip()]
    for pattern, advice in _COMPLAINTS:
        for line in lines:
            if re.search(pattern, line):
                return advice.format(line=line)
    return f"dtrace did not start: {lines[-1] if lines else 'it said nothing'}"


def _capture(child: Launched, dtrace: DtraceProcess, wait: DtraceWait, start: Start, shift_ns: int) -> Capture:
    returncode = child.process.wait()
    recorded = DtraceOutput.parse(dtrace.output()).events(shift_ns)
    if not any(isinstance(event, Exec) for event in recorded):
        said = dtrace.said().strip() or "it said nothing"
        raise RecordingFailed(f"dtrace recorded nothing of the command: {said}")
    user_events = child.interposer_events()
    events: list[Event] = [start, *_with_status(with_programs(recorded, user_events), child.pid, returncode)]
    events += user_events
    last_ns = max(event.time_ns for event in recorded)
    lost = lost_records(dtrace.said())
    if lost:
        events.append(Lost(last_ns, lost, "dtrace dropped them: the machine made more than its buffers hold"))
    if wait.broken is None:
        creates = sum(isinstance(event, Create) for event in recorded)
        exits = sum(isinstance(event, Exit) for event in recorded)
        events.append(End(last_ns, max(0, creates + 1 - exits)))
    return Capture(events, returncode, wait.timed_out, wait.interrupted, wait.broken)


def _with_status(events: list[Event], root_pid: int, returncode: int) -> list[Event]:
    """``events``, the root's end with the status that its parent got where DTrace does not tell it."""
    status = -returncode if returncode < 0 else returncode << 8

    def unknown(event: Event) -> bool:
        return isinstance(event, Exit) and event.pid == root_pid and event.status is None

    return [msgspec.structs.replace(event, status=status) if unknown(event) else event for event in events]
