"""An independent witness: what strace saw of a command's processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Image", "Witnessed", "witness"]

# One file for each process (-ff), so no line is ever interrupted; every byte of a string in hexadecimal (-xx).
STRACE = ["strace", "-ff", "-q", "-xx", "-v", "-s", "131072", "--seccomp-bpf"]
STRACE += ["-e", "trace=execve,execveat,fork,vfork,clone,clone3", "-e", "signal=none"]
EXEC = re.compile(
    r'execve\("[^"]*", \[(?P<args>[^\]]*)\], .*\) += 0$|execveat\([^[]*\[(?P<at_args>[^\]]*)\], .*\) += 0$'
)
FORK = re.compile(r"(?:fork|vfork|clone3?)\(.*\) += (?P<pid>\d+)$")
ENDED = re.compile(r"\+\+\+ (?:exited with (?P<code>\d+)|killed by (?P<signal>SIG\w+)(?: \(core dumped\))?) \+\+\+$")


@dataclass
class Image:
    """One program that one process ran. ``ended`` is the exit code, minus a signal's number, None before an exec."""

    args: tuple[str, ...]
    ended: int | None = None


@dataclass
class Witnessed:
    """A process: its images in order, and for each child the image that forked it."""

    images: list[Image] = field(default_factory=list)
    forked_by: dict[int, int] = field(default_factory=dict)
    ended: int | None = None


def witness(
    command: Sequence[str], directory: Path, *, cwd: Path, env: Mapping[str, str] | None = None
) -> list[tuple[Image | None, Image]]:
    """Run ``command`` under strace: every image, with the image that forked its process (None for the root)."""
    prefix = directory / "strace"
    done = subprocess.run(
        [*STRACE, "-o", str(prefix), "--", *command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    processes = {int(path.suffix[1:]): read(path) for path in directory.glob("strace.*")}
    parents = {child: (parent, image) for parent, seen in processes.items() for child, image in seen.forked_by.items()}
    pairs: list[tuple[Image | None, Image]] = []
    # a parent's number may be the larger one: walk from the root down, so that what a child inherits is known
    waiting = [pid for pid in processes if pid not in parents]
    while waiting:
        pid = waiting.pop()
        process = processes[pid]
        waiting.extend(process.forked_by)
        parent = None
        if pid in parents:
            number, image = parents[pid]
            parent = processes[number].images[image]
            if not process.images or process.images[0].args == ():
                process.images[:1] = [Image(parent.args)]
        process.images[-1].ended = process.ended
        pairs.extend((parent, image) for image in process.images)
    return pairs


def read(path: Path) -> Witnessed:
    """A process's own lines. What it was before its first exec is an image without arguments, if it forked then."""
    seen = Witnessed()
    for line in path.read_text().splitlines():
        if execed := EXEC.search(line):
            seen.images.append(Image(strings(execed["args"] or execed["at_args"] or "")))
        elif "CLONE_THREAD" not in line and (forked := FORK.match(line)):
            if not seen.images:
                seen.images.append(Image(()))
            seen.forked_by[int(forked["pid"])] = len(seen.images) - 1
        elif ended := ENDED.match(line):
            seen.ended = int(ended["code"]) if ended["code"] else -signal.Signals[ended["signal"]].value
    return seen


def strings(listed: str) -> tuple[str, ...]:
    found = re.findall(r'"((?:\\x[0-9a-f]{2})*)"', listed)
    return tuple(os.fsdecode(bytes.fromhex(each.replace("\\x", ""))) for each in found)
