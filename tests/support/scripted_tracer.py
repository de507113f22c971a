"""A tracer whose builds are written in a file: every time is exact, none passes, and what it is asked to do is kept.

The file ``plan`` in the build's directory, or else beside the tests, has a line for each process below the root,
``cc1 a.c = 0.5`` with its seconds of processor time, run one after the other. The times of rounds differ by a few
thousandths, the same ones each time; the bytes that it reads, a million for each second, do not. A line ``(lost)`` is
an event that was lost, ``server (alive)`` a process that outlives the build. Every run adds a line to ``runs.jsonl``
beside the tests.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pytest_ptreetime.recording.events import Create, End, Event, Exec, Exit, Lost, Start, Usage
from pytest_ptreetime.tracers import Capture, Command

__all__ = ["ScriptedTracer", "capture_of", "runs"]

SECOND = 1_000_000_000
STARTED = 1_795_428_000
JITTER = (0, 2, -1, 1, -2)  # thousandths
ENVIRONMENT = "WIRING"  # the variable that is kept


class ScriptedTracer:
    """Plays ``plan`` and says what it was asked for in ``log``."""

    def __init__(self, log: Path, name: str = "scripted") -> None:
        self.log = log
        self.name = name
        self.runs = 0

    def available(self) -> str | None:
        return None

    def close(self) -> None:
        pass

    def record(self, command: Command) -> Capture:
        directory = Path(command.cwd or ".").resolve()
        args = [os.fsdecode(word) for word in command.args]
        asked = {
            "tracer": self.name,
            "args": args,
            "cwd": str(directory),
            "env": (command.env or {}).get(ENVIRONMENT),
            "input": None if command.stdin is None or isinstance(command.stdin, int) else command.stdin.read().decode(),
            "timeout": command.timeout,
            "interpose": command.interpose,
            "no_aslr": command.child.no_aslr,
        }
        with self.log.open("a") as log:
            log.write(json.dumps(asked) + "\n")
        self.runs += 1
        plan = next(path for path in (directory / "plan", self.log.with_name("plan")) if path.exists())
        return capture_of(args, plan.read_text(), self.runs - 1)


def runs(log: Path) -> list[dict[str, Any]]:
    """What the tracer was asked to run, in order."""
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def capture_of(args: list[str], plan: str, number: int) -> Capture:
    """Run ``number`` of a plan."""
    words = [word.encode() for word in args]
    events: list[Event] = [
        Start(0, 100, STARTED * SECOND),
        Exec(0, 100, words[0], b"/bin/" + words[0], words, b"/build", _usage(0)),
    ]
    now, alive = SECOND // 1000, 0
    for index, line in enumerate(plan.splitlines()):
        if line == "(lost)":
            events.append(Lost(now, 1, "by the plan"))
            continue
        if line.endswith(" (alive)"):
            server = [word.encode() for word in line.split()[:-1]]
            events += [
                Create(now, 100_000, 100),
                Exec(now, 100_000, server[0], server[0], server, b"/build", _usage(0)),
            ]
            alive += 1
            continue
        text, _, seconds = line.partition(" = ")
        child = [word.encode() for word in text.split()]
        cpu_ns = int(float(seconds) * SECOND * (1 + JITTER[(2 * number + index) % len(JITTER)] / 1000))
        pid = 101 + index
        events += [
            Create(now, pid, 100),
            Exec(now, pid, child[0], b"/bin/" + child[0], child, b"/build", _usage(0)),
            Exit(now + cpu_ns, pid, 0, child[0], _usage(cpu_ns, read_bytes=int(1e6 * float(seconds)))),
        ]
        now += cpu_ns
    events += [Exit(now + SECOND // 1000, 100, 0, words[0], _usage(SECOND // 1000)), End(now + SECOND // 500, alive)]
    return Capture(events, returncode=0)


def _usage(cpu_ns: int, read_bytes: int = 0) -> Usage:
    return Usage(
        cpu_ns=cpu_ns,
        utime_ns=cpu_ns * 3 // 4,
        stime_ns=cpu_ns // 4,
        max_rss_bytes=50 << 20,
        run_delay_ns=0,
        voluntary_switches=0,
        involuntary_switches=0,
        minor_faults=0,
        major_faults=0,
        read_bytes=read_bytes,
        written_bytes=0,
        failed_execs=0,
        reads=0,
        writes=0,
    )
