"""A build: a command that can be run again and again, with its set-up, its input and what is hidden of it."""

from __future__ import annotations

import functools
import inspect
import os
import shlex
import stat
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import IO, Any, TypedDict, TypeVar, cast

from pytest_ptreetime.errors import CommandFailed, CommandTimedOut, UsageError
from pytest_ptreetime.redaction.redactor import Redactor
from pytest_ptreetime.session.preparation import Setup, steps_of
from pytest_ptreetime.system.inherited import given_environment, waiting_for_children
from pytest_ptreetime.tracers import ChildOptions, Command

__all__ = ["Args", "Build", "RunOptions", "descriptor_of", "takes_run_options"]

_CHILD_OPTIONS = frozenset(option.name for option in fields(ChildOptions))
LAST_LINES_SHOWN = 20

Args = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_Function = TypeVar("_Function", bound=Callable[..., Any])


class RunOptions(TypedDict, total=False):
    """The keyword arguments of ``subprocess.run`` that whatever runs a build takes, and their meaning there.

    ``timeout`` ends the whole process tree. A regular file that is given as ``stdin`` is read anew in every round.
    """

    cwd: str | os.PathLike[str] | None
    env: Mapping[str, str] | None
    input: str | bytes | None
    timeout: float | None
    shell: bool
    stdin: IO[Any] | int | None
    pass_fds: Collection[int]
    umask: int
    user: str | int | None
    group: str | int | None
    extra_groups: Sequence[str | int] | None
    start_new_session: bool
    process_group: int | None


def takes_run_options(function: _Function) -> _Function:
    """Give a function with ``**options: Unpack[RunOptions]`` a signature that names each of them, and hold it to it."""
    defaults = {"shell": False, **vars(Command), **vars(ChildOptions)}
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(name),
            annotation=getattr(annotation, "__forward_arg__", annotation),
        )
        for name, annotation in RunOptions.__annotations__.items()
    ]
    signature = signature.replace(parameters=[*own, *options])

    @functools.wraps(function)
    def checked(*args: Any, **arguments: Any) -> Any:
        try:
            signature.bind(*args, **arguments)
        except TypeError as error:
            raise TypeError(f"{function.__qualname__}() {error}") from None
        return function(*args, **arguments)

    checked.__signature__ = signature  # type: ignore[attr-defined]
    return cast("_Function", checked)


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
        args: Args,
        *,
        shell: bool = False,
        cwd: str | os.PathLike[str] | None = None,
        input: str | bytes | None = None,  # noqa: A002 - subprocess.run calls it so
        stdin: IO[Any] | int | None = None,
        **rest: Any,
    ) -> Build:
        """A build from RunOptions and what else a build has, ``inherit`` and ``no_aslr`` of ChildOptions among it.

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
        return self.redactor.text(args) if isinstance(args, str) else shlex.join(self.redactor.arguments(args))

    def _last_lines(self, output: bytes | None) -> str:
        if output is None:
            return ""
        lines = output.decode(errors="replace").rstrip().splitlines()
        if not lines:
            return "\n  (it wrote nothing)"
        last = self.redactor.text("\n".join(lines[-LAST_LINES_SHOWN:]))
        shown = [f"  {line}" for line in last.split("\n")]
        left_out = len(lines) - LAST_LINES_SHOWN
        return "\n" + "\n".join([f"  ({left_out} lines before these)", *shown] if left_out > 0 else shown)


def _how_it_ended(returncode: int) -> str:
    return f"was killed by signal {-returncode}" if returncode < 0 else f"ended with exit status {returncode}"


def descriptor_of(file: IO[Any] | int) -> int:
    """The descriptor of an open file that may be given as one."""
    return file if isinstance(file, int) else file.fileno()


def _position(stdin: IO[Any] | int | None) -> int | None:
    """Where a regular file given as standard input is read from; None for everything else."""
    if stdin is None or (isinstance(stdin, int) and stdin < 0):  # DEVNULL and PIPE are negative
        return None
    descriptor = descriptor_of(stdin)
    return os.lseek(descriptor, 0, os.SEEK_CUR) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
