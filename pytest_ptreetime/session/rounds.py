"""Rounds of a build, or of two builds in turns.

Measurements exclude each other on a machine (per user), so that ``pytest -n 4`` never times four builds at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from pytest_ptreetime.errors import CommandFailed, RecordingFailed
from pytest_ptreetime.scenarios import Occasion
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.preparation import Preparation
from pytest_ptreetime.session.progress import Progress, SilentProgress
from pytest_ptreetime.session.run import Interrupted, Round, run_once, run_untraced
from pytest_ptreetime.system.os_errors import os_errors_as
from pytest_ptreetime.system.user_lock import user_lock
from pytest_ptreetime.tracers import Tracer

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["machine_lock", "measure", "measure_interleaved", "preparation_of", "representative"]


class Listeners(TypedDict, total=False):
    """Who is told what while builds are measured.

    ``on_round`` is called with every measured round as soon as it is there, ``on_warmup`` with every other;
    ``on_waited`` before the first run with the seconds that another measurement had to be waited for.
    """

    progress: Progress | None
    on_round: Callable[[Round], None] | None
    on_warmup: Callable[[Round], object] | None
    on_waited: Callable[[float], object] | None


def measure(
    build: Build,
    tracer: Tracer,
    *,
    rounds: int,
    warmup: int,
    enough: Callable[[Sequence[Round]], bool] | None = None,
    **listeners: Unpack[Listeners],
) -> list[Round]:
    """Run ``build`` ``rounds`` times after ``warmup`` unmeasured runs.

    :param enough: asked after each round; a yes ends the measurement before ``rounds``.
    """
    side = (build, "round", "warm-up")
    return _measure([side], tracer, rounds, warmup, lambda sides: enough is not None and enough(*sides), listeners)[0]


def measure_interleaved(
    baseline: Build,
    candidate: Build,
    tracer: Tracer,
    *,
    rounds: int,
    warmup: int,
    enough: Callable[[Sequence[Round], Sequence[Round]], bool] | None = None,
    **listeners: Unpack[Listeners],
) -> tuple[list[Round], list[Round]]:
    """Run two builds in the order A B B A A B B A ..., ``rounds`` times each.

    A drift of the machine that is linear over four runs falls out of each pair of pairs; the n-th round of one build
    and the n-th of the other were made next to each other in time.

    :param enough: asked after each complete pair; a yes ends the measurement before ``rounds``.
    """
    sides = [
        (baseline, "baseline", "warm-up of the baseline"),
        (candidate, "candidate", "warm-up of the candidate"),
    ]
    before, after = _measure(
        sides, tracer, rounds, warmup, lambda done: enough is not None and enough(*done), listeners
    )
    return before, after


def _measure(
    sides: Sequence[tuple[Build, str, str]],
    tracer: Tracer,
    rounds: int,
    warmup: int,
    enough: Callable[[list[list[Round]]], bool],
    listeners: Listeners,
) -> list[list[Round]]:
    """Each build's rounds; of a build there are also the names of its rounds and of its warm-ups."""
    progress, on_round, on_warmup = listeners.get("progress"), listeners.get("on_round"), listeners.get("on_warmup")
    shown = progress or SilentProgress()
    done: list[list[Round]] = [[] for _ in sides]
    with ExitStack() as stack:
        stack.enter_context(_finishing(shown))
        stack.enter_context(machine_lock(progress, listeners.get("on_waited")))
        setups = [stack.enter_context(_prepared(build, shown)) for build, _, _ in sides]
        for number in range(1, warmup + 1):
            for (build, _, label), setup in zip(sides, setups, strict=True):
                warm = _one(build, setup, tracer, shown, label, number, warmup)
                if on_warmup is not None:
                    on_warmup(warm)
        for number in range(1, rounds + 1):
            order = range(len(sides)) if number % 2 else reversed(range(len(sides)))
            for side in order:
                build, label, _ = sides[side]
                done[side].append(_one(build, setups[side], tracer, shown, label, number, rounds))
                if on_round is not None:
                    on_round(done[side][-1])
            if enough(done):
                break
    return done


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
    with _whose(build), setup.around(), os_errors_as(RecordingFailed, f"the {label} can't be measured"):
        progress.round_started(label, number, total)
        try:
            done = run_once(build, tracer, capture=True, on_progress=progress.processes)
        except Interrupted:
            raise KeyboardInterrupt from None  # pytest shows the exception's name; nobody keeps the recording
        _ = done.tree  # build it now, so that a MemoryError is reported for this round
    return done
