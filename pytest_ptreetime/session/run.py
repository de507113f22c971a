"""One run of a build, traced or not, and the public ``record``."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any

from pytest_ptreetime.errors import CommandFailed, CommandTimedOut
from pytest_ptreetime.recording.events import Event
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.redaction.redactor import Redactor
from pytest_ptreetime.session.build import Args, Build, RunOptions, descriptor_of, takes_run_options
from pytest_ptreetime.session.leak_check import failed_leak_check, leak_check_advice
from pytest_ptreetime.session.outside import with_work_outside
from pytest_ptreetime.system.host import host_facts
from pytest_ptreetime.system.other_processes import processes
from pytest_ptreetime.tracers import Interpose, Tracer, choose
from pytest_ptreetime.tracers.launch import launched
from pytest_ptreetime.tree.process_tree import ProcessTree

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Interrupted", "Round", "record", "run_once", "run_untraced"]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed while a build ran. The build has got the signal too, and has ended: ``recording`` has it."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.recording = recording


@dataclass
class Round:
    """One run of a build."""

    recording: Recording
    returncode: int
    stdout: bytes = b""
    stderr: bytes = b""
    _tree: ProcessTree | None = field(default=None, repr=False)

    @property
    def tree(self) -> ProcessTree:
        """The run's process tree, built when it is first asked for."""
        if self._tree is None:
            self._tree = self.recording.tree()
            self._tree.stdout = _text(self.stdout)
            self._tree.stderr = _text(self.stderr)
        return self._tree


@takes_run_options
def record(
    args: Args,
    *,
    check: bool = False,
    inherit: bool = False,
    tracer: str | Tracer = "auto",
    interpose: Interpose = True,
    on_progress: Callable[[int], None] | None = None,
    on_events: Callable[[list[Event]], None] | None = None,
    redact: Sequence[str] = (),
    **options: Unpack[RunOptions],
) -> Recording:
    """Run a command once, with the caller's own standard streams, and return its recording.

    :param inherit: start the command as a shell would have started it in this process's place: with the descriptors,
        the ignored signals and, without ``env``, the environment that this process was started with.
    :param options: as of ``subprocess.run`` (RunOptions); ``timeout`` ends the whole process tree.
    :param tracer: a name (``ptreetime doctor`` lists them) or a tracer.
    :param on_progress: called now and then with the number of processes seen so far.
    :param on_events: called as often with the events that are new.
    :param redact: regular expressions of what is hidden in the recording besides what looks like a password or a token
        (redaction/redactor.py); an empty one takes that default away.
    :raises CommandFailed: it could not be started; with ``check``, also where it did not end with exit status 0.
    :raises CommandTimedOut: it ran out of time.
    :raises TracerUnavailable: the tracer does not work here.
    """
    build = Build.from_arguments(args, check=check, inherit=inherit, interpose=interpose, redact=redact, **options)
    chosen = choose(tracer).tracer if isinstance(tracer, str) else tracer
    try:
        return run_once(build, chosen, capture=False, on_progress=on_progress, on_events=on_events).recording
    finally:
        if isinstance(tracer, str):
            chosen.close()


def run_once(
    build: Build,
    tracer: Tracer,
    *,
    capture: bool,
    on_progress: Callable[[int], None] | None = None,
    on_events: Callable[[list[Event]], None] | None = None,
) -> Round:
    """Run ``build`` once under ``tracer``.

    Output that is captured goes to files without a name, not to pipes: nothing in the build ever waits for us to read,
    and a daemon that keeps its standard output open does not keep us waiting.

    :raises Interrupted: after the build has ended, when Ctrl-C was pressed while it ran.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr, _stdin(build) as stdin:
        command = replace(
            build,
            stdin=stdin,
            stdout=_appending(stdout) if capture else None,
            stderr=_appending(stderr) if capture else None,
            on_progress=on_progress,
            on_events=None if on_events is None else _redacting(on_events, build.redactor),
        )
        others = processes()
        capture_of_run = tracer.record(command)
        capture_of_run.events = with_work_outside(
            capture_of_run.events, others, build.redactor, sees_connections=capture_of_run.sees_connections
        )
        outputs = (_content(stdout), _content(stderr))
    capture_of_run.events = build.redactor.events(capture_of_run.events)  # before anybody can keep or show them
    recording = Recording.from_capture(capture_of_run, command=build.shown_args, tracer=tracer.name, host=host_facts())
    done = Round(recording, capture_of_run.returncode, stdout=outputs[0], stderr=outputs[1])
    if capture_of_run.interrupted:
        raise Interrupted(recording)
    output = done.stdout + done.stderr if capture else None
    try:
        build.check_end(done.returncode, output, timed_out=capture_of_run.timed_out)
    except CommandTimedOut as error:
        error.recording = recording
        raise
    except CommandFailed as error:
        program = failed_leak_check(done.tree, output or b"")
        if program is None:
            raise
        raise CommandFailed(f"{error}\n{leak_check_advice(program, prefix='--ptreetime-')}") from None
    return done


def _redacting(on_events: Callable[[list[Event]], None], redactor: Redactor) -> Callable[[list[Event]], None]:
    return lambda events: on_events(redactor.events(events))


def run_untraced(build: Build) -> float:
    """The wall time of ``build`` in seconds, untraced: from the opening of the gate to the end of its root.

    :raises CommandFailed: it could not be started, or did not end with exit status 0 (with ``check``).
    """
    with tempfile.TemporaryFile() as output, _stdin(build) as stdin:
        command = replace(build, stdin=stdin, stdout=_appending(output), stderr=output, timeout=None)
        with launched(command) as child:
            child.open_gate()
            began = time.monotonic_ns()
            returncode = child.process.wait()
            wall = (time.monotonic_ns() - began) / 1e9
        build.check_end(returncode, _content(output))
    return wall


def _text(output: bytes) -> str:
    return output.decode(errors="replace")


def _appending(file: IO[bytes]) -> IO[bytes]:
    """The file in append mode: processes of the build that open their standard output anew still add to it."""
    fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
    return file


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


@contextmanager
def _stdin(build: Build) -> Iterator[IO[Any] | int | None]:
    """A file with the input, or what was given as standard input; None for the caller's own."""
    if build.input is None:
        if build.stdin_position is not None and build.stdin is not None:
            os.lseek(descriptor_of(build.stdin), build.stdin_position, os.SEEK_SET)
        yield subprocess.DEVNULL if build.stdin == subprocess.PIPE else build.stdin  # run() closes such a pipe at once
        return
    with tempfile.TemporaryFile() as file:
        file.write(build.input)
        file.seek(0)
        yield file
