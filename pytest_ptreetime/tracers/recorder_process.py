"""The native recorder as a process: its start, its control protocol, its end.

The protocol is described at the head of ``libptreetime/recorder/main.c``: one message of words in each packet of a
socket that is the recorder's standard input. One recorder is kept running for many recordings.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import weakref
from collections.abc import Sequence
from typing import cast, get_args

from pytest_ptreetime.errors import Obstacle, RecordingFailed, TracerUnavailable
from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import WIRE_VERSION
from pytest_ptreetime.system.inherited import waiting_for_children
from pytest_ptreetime.system.os_errors import message_of

__all__ = ["RecorderGone", "RecorderProcess"]

# How long the recorder may take for an answer that it owes. Loading a BPF program on a busy machine is the longest.
ANSWER_SECONDS = 30.0
MESSAGE_BYTES = 4096


class RecorderGone(Exception):
    """The recorder has died, or was found to be stuck and was killed; the message says how."""


class RecorderProcess:
    """A running ``ptreetime-recorder MODE``.

    It runs in a session of its own, so that what the terminal sends to the build (Ctrl-C, a hang-up) does not reach
    it, and it ends with its control socket: at :meth:`close`, or however this process ends.

    :param prefix: words in front of its command, for example ``["sudo", "-n"]``.
    :raises TracerUnavailable: it can't work here; the message is its reason.
    :raises NativeHelperMissing: it was not built.
    """

    def __init__(self, mode: str, *, prefix: Sequence[str] = ()) -> None:
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            raise TracerUnavailable(f"can't start the recorder: {message_of(error)}") from None
        with theirs:
            try:
                with waiting_for_children():  # as it will do itself, and sudo
                    self._process = subprocess.Popen(
                        [*prefix, str(helper("ptreetime-recorder")), mode],
                        stdin=theirs.fileno(),
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                        start_new_session=True,
                        cwd="/",
                        env={},
                    )
            except OSError as error:
                ours.close()
                raise TracerUnavailable(f"can't start the recorder: {message_of(error)}") from None
            except BaseException:
                ours.close()
                raise
        self.socket = ours
        self.recording = False
        self.sees_connections = False
        self._end = weakref.finalize(self, _end, ours, self._process)
        try:
            self._greet(mode)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The pid of the recorder (of the first word of ``prefix``, where there is one)."""
        return self._process.pid

    @property
    def idle(self) -> bool:
        """Whether another recording can be made: none is under way, and the recorder lives."""
        return not self.recording and self.socket.fileno() >= 0

    def _greet(self, mode: str) -> None:
        try:
            word, _, rest = self.receive(ANSWER_SECONDS).partition(" ")
        except RecorderGone as error:
            raise TracerUnavailable(f"the {mode} recorder does not start: {error}") from None
        if word == "unavailable":
            words, _, obstacle = rest.partition("\t")
            raise TracerUnavailable(words, cast("Obstacle", obstacle) if obstacle in get_args(Obstacle) else None)
        if (word, rest) != ("hello", str(WIRE_VERSION)):
            raise TracerUnavailable(
                f"the recorder says {word} {rest!r} instead of hello {WIRE_VERSION}: the native helpers and the Python "
                "package are of different versions, reinstall pytest-ptreetime"
            )

    def send(self, message: str) -> None:
        """Send a request; a recorder that is gone is noticed by :meth:`receive`."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.send(message.encode())

    def receive(self, timeout: float | None) -> str:
        """The next message.

        :param timeout: in seconds; a recorder that lets it pass is killed, and its tracees go on unharmed.
        :raises RecorderGone: there will be none.
        """
        readable = select.poll()
        readable.register(self.socket, select.POLLIN)
        if not readable.poll(None if timeout is None else timeout * 1000):
            _kill(self._process)
            self.close()
            raise RecorderGone(f"no answer within {timeout:g} s")
        try:
            message = self.socket.recv(MESSAGE_BYTES)
        except ConnectionResetError:
            message = b""
        if not message:
            reason = self._how_it_ended()
            self.close()
            raise RecorderGone(reason)
        return message.decode(errors="replace")

    def _how_it_ended(self) -> str:
        try:
            returncode = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "it has closed its control socket"
        if returncode < 0:
            return f"it was killed by {signal.Signals(-returncode).name}"
        return f"it exited with status {returncode}"

    def record(self, pid: int, *, failed_execs: bool = False, images: int | None = None) -> int:
        """Attach to ``pid``, which waits at its gate: the descriptor of a memory file that receives the events.

        From now on ``done`` or ``error WHY`` will come, and ``count N RUNNING`` after each ``count``.

        :param failed_execs: count failed execs even where that slows the machine down, if there is a way at all.
        :param images: the descriptor of a memory file for what each image needs to be run again.
        :raises TracerUnavailable: this process can't be traced; the message is the recorder's reason.
        :raises RecordingFailed: the recorder is gone.
        """
        events = os.memfd_create("ptreetime-events", os.MFD_CLOEXEC)
        request = f"record {pid} failed-execs" if failed_execs else f"record {pid}"
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # receive knows how it ended
                if images is not None:
                    socket.send_fds(self.socket, [b"images"], [images])
                socket.send_fds(self.socket, [request.encode()], [events])
            try:
                word, _, rest = self.receive(ANSWER_SECONDS).partition(" ")
                while word == "count":  # asked for when the recording before this one was just done
                    word, _, rest = self.receive(ANSWER_SECONDS).partition(" ")
            except RecorderGone as error:
                raise RecordingFailed(f"the recorder is gone: {error}") from None
            if word == "error":
                raise TracerUnavailable(rest)
            if word != "ready":
                raise RecordingFailed(f"the recorder answers {word!r} instead of ready")
            self.sees_connections = rest == "connections"
        except BaseException:
            os.close(events)
            raise
        self.recording = True
        return events

    def why_uncounted(self) -> str | None:
        """Why it does not count instructions, None where it does. Not while it records.

        :raises RecorderGone: there is no answer.
        """
        self.send("instructions")
        word, _, reason = self.receive(ANSWER_SECONDS).partition(" ")
        while word == "count":  # asked for when the recording before was just done
            word, _, reason = self.receive(ANSWER_SECONDS).partition(" ")
        return reason or None

    def close(self) -> None:
        """End the recorder. What it traces goes on, unharmed."""
        self._end()


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    try:
        process.wait(ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        _kill(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ANSWER_SECONDS)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it where we may: sudo is root's, and ends with the recorder, which ends with its control socket."""
    with contextlib.suppress(PermissionError):
        process.kill()
