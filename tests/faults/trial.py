"""One fault of one run: what it is, when it happens, how the run came out of it."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faults.processes import Process
from faults.project import Project
from faults.victim import Missed, Victim

PROFILE, PYTEST = "profile", "pytest"
DTRACE = "dtrace"
TRACERS = ("ebpf", "ptrace", "interpose", DTRACE)
NATIVE_RECORDERS = ("ebpf", "ptrace")
WITH_RECORDER = (*NATIVE_RECORDERS, DTRACE)
DTRACE_COMPILES_SECONDS = 5.0  # about: it is tried for so long, and compiles for so long again before the build starts


class NotHere(Exception):
    """This machine does not allow the fault; the message says why."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault, and what it can happen to."""

    name: str
    inject: Callable[[Trial], None]
    victims: tuple[str, ...] = (PROFILE, PYTEST)
    tracers: tuple[str, ...] = TRACERS


@dataclass
class Trial:
    """A fault that happens to one run, at moments that ``seed`` decides.

    A fault's function starts the run, does its harm, calls :meth:`finish` and repairs what the next run needs.
    """

    fault: Fault
    tracer: str
    kind: str
    seed: int
    directory: Path
    long: bool = False
    haste: float = 1.0  # moments come so many times sooner: what came too late is tried again
    project: Project = field(init=False)
    random: random.Random = field(init=False)
    victim: Victim = field(init=False)
    status: int | None = field(init=False, default=None)
    user: int | None = field(init=False, default=None)
    earlier_sessions: list[str] = field(init=False, default_factory=list)
    others: list[Victim] = field(init=False, default_factory=list)
    violations: list[str] = field(init=False, default_factory=list)
    must_end_everything: bool = field(init=False, default=False)  # no process may be left to end by itself
    may_leave_files: bool = field(init=False, default=False)  # for the next run to remove
    may_be_different: bool = field(init=False, default=False)  # the build itself, where it ended well

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.name} {self.seed}")
        self.directory.chmod(0o755)
        self.project = Project(self.directory)

    @property
    def name(self) -> str:
        return f"{self.fault.name}-{self.tracer}-{self.kind}"

    def command(self, *options: str) -> list[str]:
        made = self.project.profile if self.kind == PROFILE else self.project.pytest
        return made(self.tracer, *options)

    def add_store(self) -> None:
        if self.kind == PYTEST and not self.earlier_sessions:
            self.earlier_sessions = self.project.add_store()

    def start(self, *options: str, terminal: bool = False, environment: Mapping[str, str] | None = None) -> Victim:
        """Start the run; it is this trial's to end."""
        self.add_store()
        if self.user is not None:
            self.project.belongs_to(self.user)
        self.victim = Victim(
            self.project, self.command(*options), terminal=terminal, user=self.user, environment=environment
        )
        return self.victim

    def until_measuring(self) -> None:
        """Return when the run has begun what a fault should hit: pytest's collection is over, or profile's build is on.

        With dtrace, the build may still be at its gate then.

        :raises Missed: it ended before.
        """
        if self.kind == PYTEST:
            self.victim.await_stage("collected")
            return
        self.victim.await_process("root")
        if self.tracer == DTRACE:
            if self.random.random() < 0.4:
                self.moment(DTRACE_COMPILES_SECONDS)
            else:
                self.victim.await_process("build")

    def until_recording(self) -> Process:
        """Return when there is a recorder: it. Dtrace may only be tried, may compile or may record then.

        :raises Missed: the run ended before.
        """
        found = self.victim.await_process("recorder")
        if self.tracer == DTRACE:
            if self.random.random() < 0.2:
                self.moment(DTRACE_COMPILES_SECONDS)
            else:
                self.until_measuring()
            found = self.victim.await_process("recorder")
        return found

    def moment(self, seconds: float) -> None:
        """Let a random part of ``seconds`` pass, less in haste.

        :raises Missed: the run was over by then.
        """
        delay = self.random.uniform(0, seconds / self.haste)
        try:
            self.victim.process.wait(delay)
        except subprocess.TimeoutExpired:
            return
        raise Missed

    @property
    def measuring_seconds(self) -> float:
        """About how long an undisturbed run takes from :meth:`until_measuring` on."""
        return 0.25 if self.kind == PROFILE else 2.5

    def finish(self) -> None:
        """Wait for the end of the run."""
        self.status = self.victim.wait()
        if self.status is None:
            self.violations.append("the run hangs")
