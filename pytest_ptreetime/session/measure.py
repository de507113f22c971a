"""Running builds and bringing back recordings: one run, rounds of one build, or two builds in turns.

Measurements exclude each other on a machine (per user), so that ``pytest -n 4`` never times four builds at once.
"""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Protocol

from pytest_ptreetime.errors import CommandFailed, CommandTimedOut, RecordingFailed, UsageError
from pytest_ptreetime.recording.events import Event
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.redaction.redactor import Redactor
from pytest_ptreetime.scenarios import Occasion
from pytest_ptreetime.session.leak_check import failed_leak_check, leak_check_advice
from pytest_ptreetime.session.preparation import Preparation, Setup, steps_of
from pytest_ptreetime.system.host import host_facts
from pytest_ptreetime.system.inherited import given_environment, waiting_for_children
from pytest_ptreetime.system.os_errors import refused_as
from pytest_ptreetime.system.user_lock import user_lock
from pytest_ptreetime.tracers import ChildOptions, Command, Interpose, Tracer, choose
from pytest_ptreetime.tracers.launch import launched
from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = [
    "Build",
    "Progress",
    "Round",
    "SilentProgress",
    "machine_lock",
    "measure",
    "measure_interleaved",
    "preparation_of",
    "record",
    "representative",
    "run_once",
    "run_untraced",
]

_CHILD_OPTIONS = frozenset(option.name for option in fields(ChildOptions))
LAST_LINES_SHOWN = 20


@dataclass(frozen=True)
class Build(Command):
    """A command that can be run again and again.

    ``input`` is what its standard input has; a regular file that is given as ``stdin`` instead is read from
    ``stdin_position`` in every round. ``setup`` is done before every round, untraced and untimed: a command, something
    to call, a step (scenarios.py), or a list of these. ``check`` makes a build that does not end with exit status 0 an
    error. ``redact`` are the patterns of what is hidden besides the default (redaction/redactor.py). ``whose`` begins
    the message of its failure.
    """

    args: Sequence[str]
    input: bytes | None = None
    stdin_position: int | None = None
    setup: Setup = None
    check: bool = True
    redact: Sequence[str] = ()
    whose: str = ""

    @cached_property
    def redactor(self) -> Redactor:
        """Hides the secrets of this build's runs, wherever they would be kept or shown."""
        return Redactor(self.redact)

    @property
    def shown_args(self) -> list[str]:
        """The command line as it may be shown."""
        return self.redactor.arguments([os.fsdecode(word) for word in self.args])

    @classmethod
    def from_arguments(
        cls,
        args: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        shell: bool = False,
        cwd: str | os.PathLike[str] | None = None,
        input: str | bytes | None = None,  # noqa: A002 - subprocess.run calls it so
        stdin: IO[Any] | int | None = None,
        **rest: Any,
    ) -> Build:
        """A build from arguments as ``subprocess.run`` takes them, those of ChildOptions among them.

        :raises UsageError: there is nothing to run, or its standard input would be two things.
        """
        if input is not None and stdin is not None:
            raise UsageError("stdin and input may not both be given, as in subprocess.run")
        child = ChildOptions(**{name: rest.pop(name) for name in _CHILD_OPTIONS & rest.keys()})
        words = [os.fspath(args)] if isinstance(args, (str, os.PathLike)) else [os.fspath(word) for word in args]
        if shell:
            words = ["/bin/sh", "-c", *words]
        if not words or not words[0]:
            raise UsageError("there is no command to run: give at least the program's name")
        steps_of(rest.get("setup"))  # what can't be used is told now
        data = input.encode() if isinstance(input, str) else input
        directory = os.fspath(cwd) if cwd is not None else None
        position = _position(stdin)
        return cls(words, cwd=directory, input=data, stdin=stdin, stdin_position=position, child=child, **rest)

    def run_setup(self, command: str | Sequence[str]) -> None:
        """Run a command of the set-up.

        :raises CommandFailed: it failed.
        """
        try:
            with waiting_for_children():
                done = subprocess.run(
                    command,
                    shell=isinstance(command, str),  # a text is a shell command because its author wrote it so
                    cwd=self.cwd,
                    env=given_environment() if self.env is None and self.child.inherit else self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
        except OSError as error:
            raise CommandFailed(f"the set-up {self._shown(command)} can't be run: {error}") from None
        if done.returncode != 0:
            raise CommandFailed(
                f"the set-up {self._shown(command)} {_how_it_ended(done.returncode)}" + self._last_lines(done.stdout)
            )

    def check_end(self, returncode: int, output: bytes | None, *, timed_out: bool = False) -> None:
        """Whether a run was as it should be.

        :param output: what it wrote; None where it wrote to the caller's own streams.
        :raises CommandFailed: it was not; CommandTimedOut where it was ended.
        """
        if timed_out:
            raise CommandTimedOut(
                f"{self._shown(self.args)} was ended with all its processes after its time-out of {self.timeout:g} s"
                + self._last_lines(output)
            )
        if self.check and returncode != 0:
            raise CommandFailed(f"{self._shown(self.args)} {_how_it_ended(returncode)}{self._last_lines(output)}")

    def _shown(self, args: str | Sequence[str]) -> str:
        import shlex

        return self.redactor.text(args) if isinstance(args, str) else shlex.join(self.redactor.arguments(args))

    def _last_lines(self, output: bytes | None) -> str:
        if output is None:
            return ""
        lines = _text(output).rstrip().splitlines()
        if not lines:
            return "\n  (it wrote nothing)"
        last = self.redactor.text("\n".join(lines[-LAST_LINES_SHOWN:]))
        shown = [f"  {line}" for line in last.split("\n")]
        left_out = len(lines) - LAST_LINES_SHOWN
        return "\n" + "\n".join([f"  ({left_out} lines before these)", *shown] if left_out > 0 else shown)


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


class Progress(Protocol):
    """Somebody who wants to see how a long measurement gets on."""

    def waiting(self, holder: int | None) -> None:
        """Another measurement holds the machine: that of the process ``holder``, where it is known."""

    def round_started(self, label: str, number: int, total: int | None) -> None:
        """Round ``number`` of ``total`` begins; ``label`` is ``warm-up``, ``round`` or what is compared."""

    def processes(self, count: int) -> None:
        """So many processes have been seen in this round."""

    def finished(self) -> None:
        """The measurement is over."""


class SilentProgress:
    """Progress that nobody looks at."""

    def waiting(self, holder: int | None) -> None:
        pass

    def round_started(self, label: str, number: int, total: int | None) -> None:
        pass

    def processes(self, count: int) -> None:
        pass

    def finished(self) -> None:
        pass


def record(
    args: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    input: str | bytes | None = None,  # noqa: A002 - subprocess.run calls it so
    timeout: float | None = None,
    check: bool = False,
    shell: bool = False,
    stdin: IO[Any] | int | None = None,
    pass_fds: Collection[int] = (),
    umask: int = -1,
    user: str | int | None = None,
    group: str | int | None = None,
    extra_groups: Sequence[str | int] | None = None,
    start_new_session: bool = False,
    process_group: int | None = None,
    inherit: bool = False,
    tracer: str | Tracer = "auto",
    interpose: Interpose = True,
    on_progress: Callable[[int], None] | None = None,
    on_events: Callable[[list[Event]], None] | None = None,
    redact: Sequence[str] = (),
) -> Recording:
    """Run a command once, with the caller's own standard streams, and return its recording.

    ``args`` to ``shell`` and ``stdin`` to ``process_group`` mean what they mean to ``subprocess.run``.

    :param inherit: start the command as a shell would have started it in this process's place: with the descriptors,
        the ignored signals and, without ``env``, the environment that this process was started with.
    :param timeout: seconds after which the whole process tree is ended.
    :param tracer: a name (``ptreetime doctor`` lists them) or a tracer.
    :param on_progress: called now and then with the number of processes seen so far.
    :param on_events: called as often with the events that are new.
    :param redact: regular expressions of what is hidden in the recording besides what looks like a password or a token
        (redaction/redactor.py); an empty one takes that default away.
    :raises CommandFailed: it could not be started; with ``check``, also where it did not end with exit status 0.
    :raises CommandTimedOut: it ran out of time.
    :raises TracerUnavailable: the tracer does not work here.
    """
    options = dict(locals())  # what is not taken out is the build's
    for name in ("tracer", "on_progress", "on_events"):
        del options[name]
    build = Build.from_arguments(**options)
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

    :raises KeyboardInterrupt: after the build has ended, when Ctrl-C was pressed while it ran; the exception carries
        the recording as its attribute ``recording``.
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
        capture_of_run = tracer.record(command)
        outputs = (_content(stdout), _content(stderr))
    capture_of_run.events = build.redactor.events(capture_of_run.events)  # before anybody can keep or show them
    recording = Recording.from_capture(capture_of_run, command=build.shown_args, tracer=tracer.name, host=host_facts())
    done = Round(recording, capture_of_run.returncode, stdout=outputs[0], stderr=outputs[1])
    if capture_of_run.interrupted:
        interrupt = KeyboardInterrupt()
        interrupt.recording = recording  # type: ignore[attr-defined] # read by those who want to keep it
        raise interrupt
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
    """The wall time of ``build`` in seconds when nobody looks: from the opening of the gate to the end of its root.

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


def measure(
    build: Build,
    tracer: Tracer,
    *,
    rounds: int,
    warmup: int,
    progress: Progress | None = None,
    on_round: Callable[[Round], None] | None = None,
    on_warmup: Callable[[Round], object] | None = None,
    enough: Callable[[Sequence[Round]], bool] | None = None,
    on_waited: Callable[[float], object] | None = None,
) -> list[Round]:
    """Run ``build`` ``rounds`` times after ``warmup`` unmeasured runs.

    :param on_round: called with every measured round as soon as it is there, ``on_warmup`` with every other.
    :param enough: asked after each round; a yes ends the measurement before ``rounds``.
    :param on_waited: called before the first run with the seconds that another measurement had to be waited for.
    """
    shown = progress or SilentProgress()
    done: list[Round] = []
    with _finishing(shown), machine_lock(progress, on_waited), _prepared(build, shown) as setup:
        for number in range(1, warmup + 1):
            warm = _one(build, setup, tracer, shown, "warm-up", number, warmup)
            if on_warmup is not None:
                on_warmup(warm)
        for number in range(1, rounds + 1):
            done.append(_one(build, setup, tracer, shown, "round", number, rounds))
            if on_round is not None:
                on_round(done[-1])
            if enough is not None and enough(done):
                break
    return done


def measure_interleaved(
    baseline: Build,
    candidate: Build,
    tracer: Tracer,
    *,
    rounds: int,
    warmup: int,
    progress: Progress | None = None,
    on_round: Callable[[Round], None] | None = None,
    on_warmup: Callable[[Round], object] | None = None,
    enough: Callable[[Sequence[Round], Sequence[Round]], bool] | None = None,
    on_waited: Callable[[float], object] | None = None,
) -> tuple[list[Round], list[Round]]:
    """Run two builds in the order A B B A A B B A ..., ``rounds`` times each.

    A drift of the machine that is linear over four runs falls out of each pair of pairs; the n-th round of one build
    and the n-th of the other were made next to each other in time.

    :param enough: asked after each complete pair; a yes ends the measurement before ``rounds``.
    :param on_waited: as for :func:`measure`.
    """
    shown = progress or SilentProgress()
    sides: tuple[list[Round], list[Round]] = ([], [])
    builds = ((baseline, "baseline"), (candidate, "candidate"))
    with (
        _finishing(shown),
        machine_lock(progress, on_waited),
        _prepared(baseline, shown) as baseline_setup,
        _prepared(candidate, shown) as candidate_setup,
    ):
        setups = (baseline_setup, candidate_setup)
        for number in range(1, warmup + 1):
            for (build, label), setup in zip(builds, setups, strict=True):
                warm = _one(build, setup, tracer, shown, f"warm-up of the {label}", number, warmup)
                if on_warmup is not None:
                    on_warmup(warm)
        for number in range(1, rounds + 1):
            for side in (0, 1) if number % 2 else (1, 0):
                build, label = builds[side]
                sides[side].append(_one(build, setups[side], tracer, shown, label, number, rounds))
                if on_round is not None:
                    on_round(sides[side][-1])
            if enough is not None and enough(*sides):
                break
    return sides


def representative(rounds: Sequence[Round]) -> int:
    """Index of the round with the median wall time (the lower of two)."""
    walls = [tree_round.tree.wall or 0.0 for tree_round in rounds]
    return sorted(range(len(rounds)), key=walls.__getitem__)[(len(rounds) - 1) // 2]


@contextmanager
def machine_lock(
    progress: Progress | None = None, on_waited: Callable[[float], object] | None = None
) -> Iterator[None]:
    """Hold this user's right to measure on this machine.

    :param progress: is told of a wait; without it, standard error is.
    :param on_waited: called with the seconds that had to be waited.
    """
    with user_lock("measuring", waiting=None if progress is None else progress.waiting) as waited:
        if on_waited is not None:
            on_waited(waited)
        yield


@contextmanager
def _finishing(progress: Progress) -> Iterator[None]:
    try:
        yield
    finally:
        progress.finished()


@contextmanager
def _prepared(build: Build, progress: Progress) -> Iterator[Preparation]:
    """The build's set-up for one measurement, which may run the build before its first round and after its last."""

    def run() -> None:
        progress.round_started("untraced run", 1, 1)
        run_untraced(build)

    preparation = preparation_of(build, run)
    with _whose(build):
        preparation.start()
    yield preparation
    with _whose(build):
        preparation.finish()


def preparation_of(build: Build, run: Callable[[], object]) -> Preparation:
    """The set-up of ``build``; ``run`` runs it untraced."""
    return Preparation(build.setup, Occasion(Path(build.cwd or Path.cwd()), run), build.run_setup)


@contextmanager
def _whose(build: Build) -> Iterator[None]:
    """Say whose build failed, where there are two."""
    try:
        yield
    except CommandFailed as error:
        if build.whose:
            error.args = (f"{build.whose}: {error}",)
        raise


def _one(
    build: Build, setup: Preparation, tracer: Tracer, progress: Progress, label: str, number: int, total: int
) -> Round:
    with _whose(build), setup.around(), refused_as(RecordingFailed, f"the {label} can't be measured"):
        progress.round_started(label, number, total)
        done = run_once(build, tracer, capture=True, on_progress=progress.processes)
        _ = done.tree  # built here, where the lack of memory for it is told
    return done


def _how_it_ended(returncode: int) -> str:
    return f"was killed by signal {-returncode}" if returncode < 0 else f"ended with exit status {returncode}"


def _text(output: bytes) -> str:
    return output.decode(errors="replace")


def _appending(file: IO[bytes]) -> IO[bytes]:
    """The file in append mode: processes of the build that open their standard output anew still add to it."""
    import fcntl

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
            os.lseek(_descriptor(build.stdin), build.stdin_position, os.SEEK_SET)
        yield subprocess.DEVNULL if build.stdin == subprocess.PIPE else build.stdin  # run() closes such a pipe at once
        return
    with tempfile.TemporaryFile() as file:
        file.write(build.input)
        file.seek(0)
        yield file


def _descriptor(file: IO[Any] | int) -> int:
    return file if isinstance(file, int) else file.fileno()


def _position(stdin: IO[Any] | int | None) -> int | None:
    """Where a regular file given as standard input is read from; None for everything else."""
    if stdin is None or (isinstance(stdin, int) and stdin < 0):  # DEVNULL and PIPE are negative
        return None
    descriptor = _descriptor(stdin)
    return os.lseek(descriptor, 0, os.SEEK_CUR) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
