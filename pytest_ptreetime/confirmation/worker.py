"""``python -m pytest_ptreetime.confirmation.worker``: a process with a sandbox of its own that runs commands in it.

It reads requests and writes answers (msgpack, each with its length before it) and ends with its standard input.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import struct
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from pytest_ptreetime.confirmation.refused import Refused
from pytest_ptreetime.confirmation.sandbox import Sandbox, enter, refuse_servers

__all__ = ["Answer", "Opening", "Replay", "Side", "receive", "send"]

_libc = ctypes.CDLL(None)
_LENGTH = struct.Struct("=I")


class Side(msgspec.Struct):
    """A command to replay. ``stdin`` is the file that it read from; None: nothing."""

    exe: bytes
    args: list[bytes]
    env: dict[bytes, bytes]
    cwd: bytes
    stdin: bytes | None = None
    personality: int = 0


class Opening(msgspec.Struct):
    """The first request: what the sandbox has, and whether replays get a processor for themselves."""

    sides: list[Side]
    places: list[str]
    scratch: str
    alone: bool = True


class Replay(msgspec.Struct):
    """Run one side; ``wrapper`` are words in front of its command, ``result`` a file that it makes for us to read."""

    side: int
    timeout: float
    wrapper: list[str] = []
    result: str | None = None


class Answer(msgspec.Struct):
    """What became of a request. ``status`` is as ``subprocess`` has it; bytes are those of calls of read and write."""

    refused: str | None = None
    processor: int | None = None
    status: int = 0
    timed_out: bool = False
    cpu_ns: int = 0
    wall_ns: int = 0
    read_bytes: int | None = None
    written_bytes: int | None = None
    result: bytes = b""


def send(stream: IO[bytes], message: msgspec.Struct) -> None:
    """Write one message."""
    data = msgspec.msgpack.encode(message)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """The next message's bytes; None at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    return stream.read(_LENGTH.unpack(head)[0])


class _Worker:
    def __init__(self, opening: Opening, sandbox: Sandbox) -> None:
        self._sides = opening.sides
        self._sandbox = sandbox
        self._scheduler: tuple[int, os.sched_param] | None = None
        self.processor = self._alone() if opening.alone else None

    def _alone(self) -> int | None:
        """Bind this process to a processor where its replays may be real-time ones; that one."""
        parameter = os.sched_param(os.sched_get_priority_min(os.SCHED_FIFO))
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, parameter)
            os.sched_setscheduler(0, *before)
        except PermissionError:
            return None
        processor = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {processor})
        self._scheduler = os.SCHED_FIFO, parameter
        return processor

    def replay(self, request: Replay) -> Answer:
        side = self._sides[request.side]
        os.chdir("/")
        self._sandbox.renew()
        os.chdir(side.cwd)
        _libc.personality(ctypes.c_ulong(side.personality))
        program, args = side.exe, side.args
        if request.wrapper:
            wrapper = [os.fsencode(word) for word in request.wrapper]
            program, args = wrapper[0], [*wrapper, side.exe, *side.args[1:]]
        answer = self._run(program, args, side, request)
        if request.result is not None and answer.status == 0:
            answer.result = Path(request.result).read_bytes()
        return answer

    def _run(self, program: bytes, args: list[bytes], side: Side, request: Replay) -> Answer:
        null = os.open(os.devnull, os.O_RDWR)
        try:
            stdin = null if side.stdin is None else os.open(side.stdin, os.O_RDONLY)
        except OSError as error:
            os.close(null)
            raise Refused(f"its standard input is gone: {error.strerror}") from None
        streams = [(os.POSIX_SPAWN_DUP2, of, to) for of, to in ((stdin, 0), (null, 1), (null, 2))]
        options: dict[str, Any] = {}
        if self._scheduler is not None and not request.wrapper:
            options["scheduler"] = self._scheduler
        signals = [signal.SIGPIPE, signal.SIGXFSZ]  # which Python ignores
        began = time.monotonic_ns()
        try:
            pid = os.posix_spawn(program, args, side.env, file_actions=streams, setsigdef=signals, **options)
        except OSError as error:
            raise Refused(f"its program can't be started: {error.strerror}") from None
        finally:
            os.close(null)
            if stdin != null:
                os.close(stdin)
        return _ended(pid, began, request.timeout)


def _ended(pid: int, began: int, timeout: float) -> Answer:
    """Wait for ``pid``, and read what it used while it is dead and not yet reaped.

    Its CPU clock counts all its threads to the nanosecond, and its children not (kernel/time/posix-cpu-timers.c).
    """
    answer = Answer()
    process = os.pidfd_open(pid)
    try:
        if not select.select([process], [], [], timeout)[0]:
            answer.timed_out = True
            os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        answer.wall_ns = time.monotonic_ns() - began
        answer.cpu_ns = time.clock_gettime_ns(~pid << 3 | 2)
        counters = _counters(pid)
        answer.read_bytes, answer.written_bytes = counters.get("rchar"), counters.get("wchar")
    finally:
        os.close(process)
        answer.status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return answer


def _counters(pid: int) -> Mapping[str, int]:
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return {}
    return {name: int(value) for name, _, value in (line.partition(":") for line in lines)}


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    first = receive(requests)
    if first is None:
        return
    opening = msgspec.msgpack.decode(first, type=Opening)
    try:
        worker = _Worker(opening, enter(opening.places, opening.scratch))
        refuse_servers()
    except (Refused, OSError) as error:
        send(answers, Answer(refused=str(error)))
        return
    send(answers, Answer(processor=worker.processor))
    while (message := receive(requests)) is not None:
        try:
            answer = worker.replay(msgspec.msgpack.decode(message, type=Replay))
        except Refused as error:
            answer = Answer(refused=str(error))
        except OSError as error:
            answer = Answer(refused=f"the replay can't be made: {error.strerror}: {error.filename}")
        send(answers, answer)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks
    with suppress(BrokenPipeError):  # nobody wants to know any more
        _serve(sys.stdin.buffer, sys.stdout.buffer)
