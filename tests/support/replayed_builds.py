"""Builds of tests/programs/busy.c, whose processes can be replayed: one process for each file, its work in the file."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from trap_programs import Programs

from pytest_ptreetime.confirmation.capture import CapturedBuild
from pytest_ptreetime.confirmation.refused import Refused
from pytest_ptreetime.confirmation.replaying import Replayer, Suspect, replayer
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.confirmation_runs import captured
from pytest_ptreetime.session.progress import SilentProgress
from pytest_ptreetime.session.run import run_once
from pytest_ptreetime.tracers.ptrace import PtraceTracer

__all__ = ["BusyBuild", "busy_build", "replayed", "tree_hash"]

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="programs are replayed on Linux only")


@dataclass
class BusyBuild:
    """A directory with busy, a file for each of ``work`` (in thousands of turns), and a script that does it all."""

    directory: Path
    work: Mapping[str, float]

    @classmethod
    def made(cls, directory: Path, programs: Programs, work: Mapping[str, float], how: str = "") -> BusyBuild:
        directory.mkdir(exist_ok=True)
        shutil.copy(programs.path("busy"), directory / "busy")
        lines = [f"./busy {name} {name}.out {how}\n" for name in work]
        (directory / "build.sh").write_text("".join(lines))
        made = cls(directory, work)
        made.write_work()
        return made

    def write_work(self) -> None:
        """Write what the processes read, whatever became of it."""
        for name, thousands in self.work.items():
            (self.directory / name).write_text(f"{thousands}\n")

    @property
    def build(self) -> Build:
        return Build.from_arguments(["sh", "build.sh"], cwd=self.directory, setup=self.write_work)

    def profiles(self) -> list[Profile]:
        tracer = PtraceTracer()
        self.write_work()
        try:
            return [Profile.from_tree(run_once(self.build, tracer, capture=True).tree)]
        finally:
            tracer.close()

    def captured(self) -> CapturedBuild:
        profiles = self.profiles()
        self.write_work()
        return captured(self.build, profiles, Keyer(), SilentProgress())


def busy_build(directory: Path, programs: Programs, how: str = "", thousands: float = 3000) -> BusyBuild:
    """A build of one process."""
    return BusyBuild.made(directory, programs, {"a": thousands}, how)


def suspect(build: CapturedBuild, word: str = "busy") -> Suspect:
    """The node whose key has ``word``."""
    (key,) = {key for key in build.keys if word in key}
    node = build.node(key)
    return Suspect(build.image(node), node)


def replayed(build: BusyBuild, times: int = 3, *, alone: bool = False) -> Sequence[float]:
    """The cpu seconds of so many replays of the process, on both sides of one suspect.

    :raises Refused: it can't be replayed.
    """
    both = [suspect(build.captured())] * 2
    with replayer_or_skip(both, alone=alone) as replays:
        return [replays.cpu(number % 2) for number in range(times)]


class replayer_or_skip:  # noqa: N801 - used as a function
    """replayer(), or a skip where this machine makes no sandbox."""

    def __init__(self, sides: Sequence[Suspect], *, alone: bool = False) -> None:
        self._context = replayer(sides, alone=alone)

    def __enter__(self) -> Replayer:
        try:
            return self._context.__enter__()
        except Refused as refused:
            if "no sandbox" in str(refused):
                pytest.skip(str(refused))
            raise

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)  # type: ignore[arg-type]


def tree_hash(directory: Path) -> str:
    """Of every file's path, mode, times and content."""
    whole = hashlib.sha256()
    for path in sorted(directory.rglob("*")):
        facts = path.lstat()
        whole.update(f"{path.relative_to(directory)} {facts.st_mode} {facts.st_mtime_ns} {facts.st_ino}\n".encode())
        if path.is_file():
            whole.update(path.read_bytes())
        if path.is_symlink():
            whole.update(os.fsencode(path.readlink()))
    return whole.hexdigest()
