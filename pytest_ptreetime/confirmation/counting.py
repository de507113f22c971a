"""Instructions counted under an emulator: the same number in each run of most compilers, on any machine.

By QEMU's user mode emulation with this package's plugin (14 times the processor time), or by valgrind's cachegrind (34
times). They see the program's own instructions: not the kernel's, not caches or waiting, and of a program that compiles
itself while it runs (a JIT) something else than what a processor would.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pytest_ptreetime.confirmation.refused import Refused
from pytest_ptreetime.confirmation.replaying import Replayer
from pytest_ptreetime.errors import NativeHelperMissing
from pytest_ptreetime.native import helper

__all__ = ["Counted", "count", "counters"]

#: Written in the sandbox, where it is nobody else's.
_RESULT = "/tmp/ptreetime-count"  # noqa: S108 - that of the sandbox


@dataclass(frozen=True)
class Counter:
    """A program that counts, called ``name``: the words in front of a command, by its argument 0."""

    name: str
    wrapper: Callable[[bytes], Sequence[str]]
    read: Callable[[str], int]


@dataclass(frozen=True)
class Counted:
    """What both sides executed; ``spread`` is how far two counts of the first side lie apart, as a ratio."""

    by: str
    before: int
    after: int
    spread: float

    @property
    def ratio(self) -> float:
        return self.after / self.before


def counters() -> Iterator[Counter]:
    """Those that are installed here, the fastest first."""
    qemu = shutil.which(f"qemu-{platform.machine()}")
    if qemu is not None:
        try:
            plugin = f"{helper('ptreetime-count.so')},out={_RESULT}"
        except NativeHelperMissing:
            plugin = ""
        if plugin:
            yield Counter(
                "qemu",
                lambda name: [qemu, "-0", os.fsdecode(name), "-plugin", plugin],
                lambda text: int(text.split()[-1]),
            )
    valgrind = shutil.which("valgrind")
    if valgrind is not None:
        words = [valgrind, "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={_RESULT}"]
        yield Counter("valgrind", lambda name: words, _of_cachegrind)


def _of_cachegrind(text: str) -> int:
    found = re.search(r"^summary:\s*(\d+)", text, re.MULTILINE)
    if found is None:
        raise ValueError("no summary")
    return int(found[1])


def count(replays: Replayer) -> Counted | None:
    """Count the instructions of both sides; None where nothing is installed that can."""
    for counter in counters():
        try:
            first, after, second = (_count(replays, counter, side) for side in (0, 1, 0))
        except (Refused, ValueError, IndexError):
            continue
        if min(first, second) > 0:
            return Counted(counter.name, min(first, second), after, abs(first - second) / min(first, second))
    return None


def _count(replays: Replayer, counter: Counter, side: int) -> int:
    return counter.read(replays.run_under(counter.wrapper, side, _RESULT).decode(errors="replace"))
