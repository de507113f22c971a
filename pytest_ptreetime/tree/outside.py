"""A process that is not in the tree and worked for it, or may have: a compile server, a daemon."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pytest_ptreetime.recording.events import Outside

__all__ = ["OutsideProcess"]


@dataclass(frozen=True)
class OutsideProcess:
    """``cpu`` are the seconds that it has used from the build's begin to its end, with what it started meanwhile.

    ``name`` is its program, of an interpreter with the script's name. ``socket`` is where a process of the tree
    connected to it: the path of a Unix socket (``@name`` of one without a file) or ``port 4226``. None where no
    connection was seen (which needs the tracer ebpf): it listens, and worked at the same time.
    """

    name: str
    pid: int | None
    cpu: float
    socket: str | None = None

    @classmethod
    def of(cls, event: Outside) -> OutsideProcess:
        """What the event says."""
        socket = None if event.socket is None else os.fsdecode(event.socket)
        return cls(os.fsdecode(event.name or b"?"), event.pid, (event.cpu_ns or 0) / 1e9, socket)
