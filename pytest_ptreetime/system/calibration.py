"""A fixed piece of work that runs in every session: how fast is this machine today?

It does what builds do: compute, start processes, and write, read and delete files. Its times are stored with the
session. Where a later session's processes are all slower and this is as slow, it is the machine; where this is as fast
as ever, it is the build (host_speed.py).

It lasts a third of a second, in which other work on the machine can do anything to it. So both clocks are read (cpu
times are compared with cpu times), every repetition is kept (their spread says how well the speed is known), and a
calibration knows whether it was disturbed.

The work must never change, or stored times mean nothing any more; a change would need a new list of parts.
"""

from __future__ import annotations

import math
import os
import resource
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from pytest_ptreetime.system.temporary_files import private_directory

__all__ = ["PARTS", "Calibration", "calibrate"]

#: What the times are of, in this order.
PARTS = ("compute", "fork", "file")

#: Runs of each part, taken in turns, so that a short disturbance does not fall on one part alone.
REPETITIONS = 5
COMPUTE_BYTES = 1 << 20
PROCESSES = 8
FILES = 12
FILE_BYTES = 1 << 14

LONGEST = 1e6  # seconds: nothing that a calibration does takes a week

#: Disturbed: computing, which waits for nothing, took this many times its cpu time,
BUSY_WAIT = 1.2
#: or the repetitions of most parts differed by this much.
BUSY_SPREAD = 0.15


class Calibration(msgspec.Struct, frozen=True):
    """Seconds of every repetition of each of PARTS: ``wall`` time, and ``cpu`` time of itself and its processes."""

    wall: dict[str, list[float]]
    cpu: dict[str, list[float]]

    def joined(self, other: Calibration) -> Calibration:
        """Both as one, so that the spread shows what changed between them; parts that only one has are left out."""
        clocks = ((self.wall, other.wall), (self.cpu, other.cpu))
        wall, cpu = ({part: mine[part] + others[part] for part in mine if part in others} for mine, others in clocks)
        return Calibration(wall, cpu)

    @property
    def is_whole(self) -> bool:
        """Whether it has repetitions of every part by both clocks, in numbers that times can be."""
        if not set(self.wall) == set(self.cpu) == set(PARTS):
            return False
        pairs = [(self.wall[part], self.cpu[part]) for part in PARTS]
        return all(
            len(wall) == len(cpu) > 0 and 0 < min(wall) <= max(wall) < LONGEST and 0 <= min(cpu) <= max(cpu) < LONGEST
            for wall, cpu in pairs
        )

    @property
    def disturbance(self) -> str | None:
        """In words, why it can't say how fast the machine was; None where nothing speaks against it."""
        waits = [wall / cpu for wall, cpu in zip(self.wall["compute"], self.cpu["compute"], strict=True) if cpu > 0]
        wait = statistics.median(waits) if waits else math.inf
        if wait > BUSY_WAIT:
            return f"its work took {wait:.1f} times its cpu time"
        differing = statistics.median(spread(times) for times in self.cpu.values())
        return f"its repetitions differed by {100 * differing:.0f} %" if differing > BUSY_SPREAD else None


def spread(times: list[float]) -> float:
    """The relative standard deviation of one repetition, from the median absolute deviation (0.01: 1 %)."""
    logs = [math.log(max(seconds, 1e-9)) for seconds in times]
    middle = statistics.median(logs)
    return 1.4826 * statistics.median(abs(log - middle) for log in logs)


def calibrate(repetitions: int = REPETITIONS) -> Calibration:
    """Run the work; takes about a third of a second."""
    calibration = Calibration({part: [] for part in PARTS}, {part: [] for part in PARTS})
    with private_directory() as directory:
        work: dict[str, Callable[[], object]] = {
            "compute": _compute,
            "fork": _start_processes,
            "file": lambda: _use_files(directory),
        }
        for part in PARTS:  # the first run warms caches up and does not count
            work[part]()
        for _ in range(repetitions):
            for part in PARTS:
                began, used = time.perf_counter(), _cpu_seconds()
                work[part]()
                calibration.cpu[part].append(_cpu_seconds() - used)
                calibration.wall[part].append(time.perf_counter() - began)
    return calibration


def _cpu_seconds() -> float:
    """Of this process and of its children that have been waited for."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _compute() -> int:
    """Compress text that a multiplicative generator makes: branches, tables and memory, as in a compiler."""
    state, words = 1, []
    for _ in range(COMPUTE_BYTES // 64):
        state = state * 48271 % 2147483647
        words.append(f"{state % 997:x} {state % 89:d};")
    return len(zlib.compress(" ".join(words).encode() * 2, 6))


def _start_processes() -> None:
    """Start an empty program and wait for it, several times: exec, page faults, exit."""
    program = next((path for path in ("/bin/true", "/usr/bin/true") if os.access(path, os.X_OK)), None)
    arguments = [program] if program is not None else [sys.executable, "-I", "-S", "-c", ""]
    for _ in range(PROCESSES):
        os.waitpid(os.posix_spawn(arguments[0], arguments, {}), 0)


def _use_files(directory: Path) -> None:
    """Write, read and delete files; without fsync, as compilers do."""
    content = bytes(range(256)) * (FILE_BYTES // 256)
    paths = [directory / f"{number}.o" for number in range(FILES)]
    for path in paths:
        path.write_bytes(content)
    for path in paths:
        path.read_bytes()
        path.unlink()
