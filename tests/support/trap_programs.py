"""Recording the trap programs of tests/programs, and what they say of themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pytest_ptreetime.recording.events import Create, End, Event, Exec, Exit
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tracers import Capture, Command, Tracer
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

SOURCES = Path(__file__).parents[1] / "programs"
SKIPPED = 77  # what a trap exits with where the machine does not allow what it wants to do

DEADLINE_SECONDS = 20.0
# Of the three images of the trap failed-exec, of its forked and of its spawned child: see failed-exec.c.
FAILED_EXECS = [3, 4, 0, 2, 3]


class Programs:
    """The traps, compiled when first asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, name: str, *flags: str) -> str:
        """The compiled ``name``; a skip where ``flags`` ask for what this machine's compiler can't do."""
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler")
        target = self.directory / "".join([name, *flags])
        if not target.exists():
            command = [compiler, "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", *flags]
            done = subprocess.run(
                [*command, "-o", target, SOURCES / f"{name}.c"], capture_output=True, text=True, check=False
            )
            if done.returncode != 0 and flags:
                pytest.skip(f"{compiler} can't build for {' '.join(flags)}")
            assert done.returncode == 0, done.stderr
        return str(target)


@dataclass
class Run:
    """One recorded trap: what the tracer saw, and what the trap said."""

    capture: Capture
    output: bytes
    tracer: str = ""

    @property
    def events(self) -> list[Event]:
        return self.capture.events

    @cached_property
    def facts(self) -> Any:
        return json.loads(self.output)

    @cached_property
    def tree(self) -> ProcessTree:
        return Recording(events=self.events, incomplete_reason=self.capture.incomplete_reason).tree()

    def of(self, pid: int) -> list[ProcessNode]:
        """The images of a process, in their order."""
        return [node for node in self.tree if node.pid == pid]

    def one(self, pid: int) -> ProcessNode:
        (node,) = self.of(pid)
        return node

    def execs(self, pid: int) -> list[Exec]:
        return [event for event in self.events if isinstance(event, Exec) and event.pid == pid]

    def exits(self, pid: int) -> list[Exit]:
        return [event for event in self.events if isinstance(event, Exit) and event.pid == pid]

    def creates(self) -> dict[int, int]:
        """The forker of each pid."""
        return {event.pid: event.parent_pid for event in self.events if isinstance(event, Create)}

    def alive(self) -> int | None:
        (end,) = [event for event in self.events if isinstance(event, End)]
        return end.alive


def record(tracer: Tracer, args: Sequence[str | bytes], **options: Any) -> Run:
    """Record ``args``, without the interposer unless told; its output is kept, its exit status is checked.

    Programs and directories of dynamic programs are what dtrace has from the interposer.
    """
    expected = options.pop("returncode", 0)
    options.setdefault("interpose", tracer.name == "dtrace")
    with tempfile.TemporaryFile() as output:
        capture = tracer.record(Command(args=args, stdout=output, **options))
        output.seek(0)
        run = Run(capture, output.read(), tracer.name)
    if capture.returncode == SKIPPED:
        pytest.skip(f"this machine does not let {os.fsdecode(args[0])} do what it wants to")
    assert capture.returncode == expected, run.output
    return run


def assert_lawful(run: Run) -> None:
    """Nothing is lost: every process was created once and ended once, or lives on."""
    creates = sum(isinstance(event, Create) for event in run.events)
    exits = sum(isinstance(event, Exit) for event in run.events)
    alive = run.alive()
    assert alive is not None
    assert creates + 1 == exits + alive
    assert run.tree.complete, run.tree.incomplete_reason
    for node in run.tree:
        assert node.args is not None, node
        if run.tracer != "dtrace":  # it does not know them of static programs
            assert node.exe is not None, node
            assert node.cwd is not None or node.forked_only, node
        assert node.still_running or node.exit_ns is not None, node
        assert node.exit_ns is None or node.start_ns <= node.exit_ns


def failed_execs(tree: ProcessTree, facts: Any) -> list[int | None]:
    """What a tracer counted where the trap failed-exec has FAILED_EXECS."""
    return [node.failed_execs for name in ("pid", "forked", "spawned") for node in tree if node.pid == facts[name]]


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.01)


def is_dead(pid: int) -> bool:
    """Whether the process is gone, or a zombie whose new parent takes its time."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"
