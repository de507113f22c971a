"""Starting a command that waits at a gate, with the interposer loaded: what every tracer does first.

The gate is a small native program (libptreetime/recorder/gate.c) that the command replaces by its own exec, so the
command keeps the pid, the parent, the streams and everything else that ``subprocess`` gave it, or could
not give it (see the gate's options). Over its socket::

    us -> gate   "p" int32    let the process with this pid trace you (Yama's PR_SET_PTRACER); answered by "p"
    us -> gate   "g"          go: exec the command
    gate -> us   int32        errno of the exec that failed, or minus that of personality(2), which no_aslr needs;
                              the end of the stream without it means that the exec succeeded
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pytest_ptreetime.errors import CommandFailed, FileUnreadable, RecordingFailed, UsageError
from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import Event, Lost, decode_stream
from pytest_ptreetime.system.inherited import (
    first_ignored_signals,
    given_environment,
    ignored_signals,
    inheritable_descriptors,
    waiting_for_children,
)
from pytest_ptreetime.system.temporary_files import private_directory
from pytest_ptreetime.tracers import ChildOptions, Command
from pytest_ptreetime.tracers.interposer_log import InterposerLog
from pytest_ptreetime.tracers.preload import MAILBOX, preload_value
from pytest_ptreetime.tracers.proc_members import end_members
from pytest_ptreetime.tracers.public_library import public_library

__all__ = ["Launched", "launched", "read_events"]

LOG_VARIABLE = "PTREETIME_LOG"
PRELOAD_VARIABLE = "DYLD_INSERT_LIBRARIES" if sys.platform == "darwin" else "LD_PRELOAD"
_INT32 = struct.Struct("=i")
END_SECONDS = 30.0  # how long the processes of a build that has to end are looked for and killed


@dataclass
class Launched:
    """A command at its gate."""

    process: subprocess.Popen[bytes]
    gate: socket.socket
    interposer_log: InterposerLog | None
    command: Command

    @property
    def pid(self) -> int:
        """The pid of the gate, which will be that of the command."""
        return self.process.pid

    def allow_tracer(self, pid: int) -> None:
        """Let process ``pid`` attach where Yama restricts ptrace to descendants."""
        with suppress(ConnectionError):
            self.gate.sendall(b"p" + _INT32.pack(pid))
            if self.gate.recv(1) == b"p":
                return
        raise RecordingFailed(self._gate_ended())

    def _gate_ended(self) -> str:
        returncode = self.process.wait()
        how = f"by signal {-returncode}" if returncode < 0 else f"with exit status {returncode}"
        return f"the gate ended {how} before the command could be started: run it again"

    def open_gate(self) -> None:
        """Let the command run; returns when its exec has happened.

        :raises CommandFailed: the exec failed.
        :raises UsageError: addresses must not be fixed here.
        """
        try:
            self.gate.sendall(b"g")
            answer = self.gate.recv(_INT32.size)
        except ConnectionError:
            raise RecordingFailed(self._gate_ended()) from None
        self.gate.close()
        if answer:
            (number,) = _INT32.unpack(answer)
            self.process.wait()
            if number < 0:
                raise UsageError(
                    f"address randomisation can't be switched off here ({os.strerror(-number)}), perhaps by a "
                    "container's seccomp profile: leave --ptreetime-no-aslr out, or allow personality(2)"
                )
            program = os.fsdecode(self.command.args[0])
            raise CommandFailed(f"can't run {program}: {os.strerror(number)}")

    def interposer_events(self, *, alone: bool = False) -> list[Event]:
        """What the interposer has written. ``alone``: nobody else tells of the build."""
        return [] if self.interposer_log is None else self.interposer_log.events(alone=alone)

    @property
    def log_entry(self) -> bytes | None:
        """What the build's processes have in their environment, and no others; None: nothing is."""
        log = self.interposer_log
        return None if log is None else os.fsencode(f"{LOG_VARIABLE}={log.path}")

    def end_tree(self) -> None:
        """Kill the command and all that descends from it, as far as it can be found: see proc_members.py."""
        if sys.platform != "linux":
            with suppress(PermissionError):  # it has become somebody else's, as `sudo make` has
                self.process.kill()
            return
        end_members(self.log_entry, self.pid, END_SECONDS)

    def wait_or_kill(self) -> None:
        """Wait for a command that is no longer watched: it must not overlap with what comes next.

        Its time-out is kept; a KeyboardInterrupt ends it.
        """
        try:
            self.process.wait(self.command.timeout)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as error:
            self.end_tree()
            self.process.wait()
            if isinstance(error, KeyboardInterrupt):
                raise


@contextmanager
def launched(command: Command, *, interposer: str | None = None) -> Iterator[Launched]:
    """Start ``command`` behind its gate. A command still behind it when the block ends never runs; one that was let
    through and still runs, because the block failed, is waited for.

    :param interposer: the library that is loaded into its programs, by the file's name.
    :raises CommandFailed: the working directory is missing, or there is no memory or process left.
    :raises OSError: there is no place for temporary files, or no descriptor left.
    """
    with (
        private_directory() as directory,
        _socket_pair() as (ours, theirs),
        waiting_for_children(),
        ExitStack() as opened,
    ):
        log = None
        environment = _environment(command)
        if interposer is not None:
            if interposer != MAILBOX:
                log = opened.enter_context(InterposerLog.at(directory / "interposer.events"))
                environment[LOG_VARIABLE] = str(log.path)
            environment[PRELOAD_VARIABLE] = preload_value(
                public_library(helper(interposer)), environment.get(PRELOAD_VARIABLE), directory
            )
        try:
            process = subprocess.Popen(
                [*_gate(command.child), str(theirs.fileno()), "--", *command.args],
                cwd=command.cwd,
                env=environment,
                stdin=command.stdin,
                stdout=command.stdout,
                stderr=command.stderr,
                **_popen_options(command.child, theirs),
            )
        except OSError as error:
            raise CommandFailed(f"can't start {os.fsdecode(command.args[0])}: {error}") from None
        theirs.close()
        child = Launched(process, ours, log, command)
        try:
            yield child
        finally:
            ours.close()  # a gate that was never opened reads the end of the stream and exits
            child.wait_or_kill()


def _environment(command: Command) -> dict[str, str]:
    if command.env is not None:
        return dict(command.env)
    return given_environment() if command.child.inherit else dict(os.environ)


def _popen_options(child: ChildOptions, gate: socket.socket) -> dict[str, Any]:
    """The parameters of ``subprocess.Popen`` for ``child``, besides those that the gate sees to.

    :raises UsageError: this Python has no such parameter.
    """
    options: dict[str, Any] = {"umask": child.umask, "start_new_session": child.start_new_session}
    if child.process_group is not None:
        if sys.version_info < (3, 11):
            raise UsageError("process_group needs Python 3.11, as in subprocess")
        options["process_group"] = child.process_group
    # Not close_fds=False: Popen may call posix_spawn then, and glibc's leaves two signals ignored.
    further = inheritable_descriptors() if child.inherit else child.pass_fds
    return {**options, "pass_fds": [gate.fileno(), *further]}


def _gate(child: ChildOptions) -> list[str]:
    """The gate with its options: what ``subprocess`` can't do or would do too early.

    :raises UsageError: there is no such user or group.
    """
    ignored = first_ignored_signals() if child.inherit else ignored_signals() & {signal.SIGCHLD}
    options = ["-i", _list(ignored)] if ignored else []
    if child.no_aslr:
        options.append("-R")
    if child.extra_groups is not None:
        options += ["-G", _list(map(_group, child.extra_groups))]
    if child.group is not None:
        options += ["-g", str(_group(child.group))]
    if child.user is not None:
        options += ["-u", str(_user(child.user))]
    return [str(helper("ptreetime-gate")), *options]


def _list(numbers: Iterable[int]) -> str:
    return ",".join(str(int(number)) for number in sorted(numbers))


def _user(user: str | int) -> int:
    import pwd

    try:
        return user if isinstance(user, int) else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise UsageError(f"there is no user {user!r}") from None


def _group(group: str | int) -> int:
    import grp

    try:
        return group if isinstance(group, int) else grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {group!r}") from None


@contextmanager
def _socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def read_events(stream: bytes | memoryview, source: str) -> list[Event]:
    """All events of a tracer's stream; damage becomes a LOST event, so that the tree says that it is not complete."""
    events: list[Event] = []
    try:
        for frame in decode_stream(stream, source):
            events.extend(frame)
    except FileUnreadable as error:
        last = events[-1].time_ns if events else 0
        events.append(Lost(last, 1, str(error)))
    return events
