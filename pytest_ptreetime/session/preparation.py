"""A build's set-up: what ``setup=`` takes, as steps that are done before each run and undone after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.scenarios import Occasion, Step

__all__ = ["Preparation", "Setup", "is_incremental", "moved_setup", "steps_of"]

#: A command (a text for the shell, or its words), something to call, or a step.
Part: TypeAlias = str | Sequence[str] | Callable[[], object] | Step
#: One part or a list of them; a list of texts alone is one command.
Setup: TypeAlias = Part | Sequence[Part] | None


class Preparation:
    """The set-up of one build in one measurement.

    :param run_command: runs a command of the set-up as the build would be run.
    """

    def __init__(self, setup: Setup, occasion: Occasion, run_command: Callable[[str | Sequence[str]], object]) -> None:
        self._steps = steps_of(setup, run_command)
        self._occasion = occasion

    def start(self) -> None:
        """What is done once, before the first run."""
        for step in self._steps:
            step.start(self._occasion)

    @contextmanager
    def around(self) -> Iterator[None]:
        """Do the steps, and undo them in the opposite order whatever happens meanwhile."""
        with ExitStack() as stack:
            for step in self._steps:
                stack.enter_context(step.around(self._occasion))
            yield

    def finish(self) -> None:
        """What is done once, after the last run, where all went well."""
        if any(step.settles for step in self._steps):
            self._occasion.run()


@dataclass(frozen=True)
class _Call(Step):
    """A command or a function, whose effect is not known."""

    function: Callable[[], object]

    incremental = False

    def around(self, occasion: Occasion) -> AbstractContextManager[None]:
        self.function()
        return nullcontext()


def steps_of(setup: Setup, run_command: Callable[[Any], object] = lambda command: None) -> list[Step]:
    """The steps of a set-up.

    :raises UsageError: it is none.
    """
    if setup is None:
        return []
    if isinstance(setup, Step):
        return [setup]
    if callable(setup):
        return [_Call(setup)]
    if is_command(setup):
        return [_Call(lambda: run_command(setup))]
    if isinstance(setup, Sequence):
        return [step for part in setup for step in steps_of(part, run_command)]
    raise UsageError(
        f"setup={setup!r} can't be used: give a command, a function, a step of pytest_ptreetime.scenarios, "
        "or a list of these"
    )


def is_command(setup: Any) -> bool:
    """Whether it is a text for the shell, or the words of a command."""
    if isinstance(setup, (str, os.PathLike)):
        return True
    return isinstance(setup, Sequence) and len(setup) > 0 and all(isinstance(one, (str, os.PathLike)) for one in setup)


def is_incremental(setup: Setup) -> bool:
    """Whether it sets up an incremental build: all steps are known, and leave what was built before."""
    steps = steps_of(setup)
    return bool(steps) and all(step.incremental for step in steps)


def moved_setup(setup: Any, move: Callable[[str], str], call: Callable[[Callable[[], object]], Any]) -> Any:
    """The set-up in another checkout.

    :param move: gives a path's or a word's name there; a text for the shell stays as it is.
    :param call: gives a function that does its work there.
    """
    if setup is None or isinstance(setup, str):
        return setup
    if isinstance(setup, Step):
        return setup.moved(move)
    if callable(setup):
        return call(setup)
    if is_command(setup):
        return [move(os.fspath(word)) for word in setup]
    return [moved_setup(part, move, call) for part in setup]
