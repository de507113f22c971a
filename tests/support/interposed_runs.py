"""Running programs with the interposer loaded, without any tracer, and reading what it wrote."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import Event, UserExit, UserStartup, decode_stream
from pytest_ptreetime.tracers.preload import preload_value

SOURCES = Path(__file__).parents[1] / "programs"
STARTUP, INTERPOSE = "libptreetime.so", "libptreetime_interpose.so"

Kind = TypeVar("Kind", bound=Event)


def compiler(name: str) -> str:
    """The path of a compiler; a visible skip where the machine has none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def compiled(directory: Path, source: str, *flags: str, cc: str = "cc", name: str | None = None) -> Path:
    """``source`` of tests/programs as a program; a visible skip where the compiler can't do what ``flags`` ask."""
    target = directory / (name or source)
    if not target.exists():
        command: list[str | Path] = [
            compiler(cc),
            "-O1",
            "-Wall",
            "-Wextra",
            "-pthread",
            SOURCES / f"{source}.c",
            *flags,
            "-o",
            target,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            if not flags:
                pytest.fail(done.stderr)
            pytest.skip(f"{cc} {' '.join(flags)} does not work here: {done.stderr.strip().splitlines()[-1]}")
    return target


@dataclass
class Interposed:
    """A program's run: how it ended, what it wrote, what the interposer wrote."""

    pid: int
    returncode: int
    stdout: str
    stderr: str
    events: list[Event]

    def of(self, kind: type[Kind], pid: int | None = None) -> list[Kind]:
        """The events of a kind, of the program itself or of another pid."""
        wanted = self.pid if pid is None else pid
        return [event for event in self.events if isinstance(event, kind) and getattr(event, "pid", None) == wanted]

    @property
    def exits(self) -> list[int | None]:
        """The exit statuses that the program itself logged: at most one, or something is wrong."""
        return [event.status for event in self.of(UserExit)]

    @property
    def started(self) -> bool:
        """Whether the program itself logged its startup, once."""
        return len(self.of(UserStartup)) == 1


def run(
    log: Path,
    args: list[Any],
    *,
    library: str = STARTUP,
    env: dict[str, str] | None = None,
    preload: str | None = None,
    preexec: Callable[[], None] | None = None,
) -> Interposed:
    """Run ``args`` with the library loaded and ``log`` (made empty where it is a file or missing) as its log."""
    if not log.exists() or log.is_file():
        log.write_bytes(b"")
    value = preload_value(helper(library), None, log.parent) if preload is None else preload
    environment = {**os.environ, "LD_PRELOAD": value, "PTREETIME_LOG": str(log), **(env or {})}
    process = subprocess.Popen(
        [str(arg) for arg in args],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=preexec,
    )
    stdout, stderr = process.communicate(timeout=60)
    stream = log.read_bytes() if log.is_file() else b""
    events = [event for frame in decode_stream(stream, str(log)) for event in frame]
    return Interposed(process.pid, process.returncode, stdout, stderr, events)
