"""What holds for every input: its time and its memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

SECONDS = 1.0
MEMORY_BYTES = 512 << 20


class Violation(Exception):
    """An input took too long or too much memory, or two ways of reading it disagree."""


def bounded(one_input: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """``one_input``, which raises what it must not raise, with the bounds checked.

    Time is the processor's: the machine may be busy. Memory is the growth of the process's peak, which one input can
    only raise.
    """

    def checked(data: bytes) -> None:
        begin = time.process_time()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        one_input(data)
        seconds = time.process_time() - begin
        if seconds > SECONDS:
            raise Violation(f"{len(data)} bytes took {seconds:.1f} s")
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if grown > MEMORY_BYTES:
            raise Violation(f"{len(data)} bytes took {grown >> 20} MiB")

    return checked
