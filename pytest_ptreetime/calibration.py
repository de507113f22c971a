"""A fixed piece of work that runs in every session: how fast is this machine today?

It does what builds do: compute, start processes, and write, read and delete files. Its times are stored with the
session. Where a later session's processes are all slower and this is as slow, it is the machine; where this is as fast
as ever, it is the build (host_speed.py).

The work must never change, or stored times mean nothing any more; a change would need a new list of parts.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

__all__ = ["PARTS", "calibrate"]

#: What the times are of, in this order.
PARTS = ("compute", "fork", "file")

#: Runs of each part, taken in turns, so that a short disturbance does not fall on one part alone.
REPETITIONS = 5
COMPUTE_BYTES = 1 << 20
PROCESSES = 8
FILES = 12
FILE_BYTES = 1 << 14


def calibrate(repetitions: int = REPETITIONS) -> list[float]:
    """The median wall time in seconds of each of PARTS; takes about a quarter of a second."""
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    with tempfile.TemporaryDirectory(prefix="ptreetime-calibration-") as directory:
        work: dict[str, Callable[[], object]] = {
            "compute": _compute,
            "fork": _start_processes,
            "file": lambda: _use_files(Path(directory)),
        }
        for part in PARTS:  # the first run warms caches up and does not count
            work[part]()
        for _ in range(repetitions):
            for part in PARTS:
                began = time.perf_counter()
                work[part]()
                times[part].append(time.perf_counter() - began)
    return [statistics.median(times[part]) for part in PARTS]


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
