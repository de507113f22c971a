"""Confirming a comparison: both builds run once more to capture their suspects' commands, which are then replayed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pytest_ptreetime.baselines.store import Baseline
from pytest_ptreetime.confirmation.capture import CapturedBuild, images_in
from pytest_ptreetime.confirmation.confirming import confirm, suspects_of
from pytest_ptreetime.confirmation.verdict import apply, note_unconfirmed
from pytest_ptreetime.decision.alignment import align
from pytest_ptreetime.decision.finding import Comparison
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import CommandFailed, RecordingFailed, RepositoryError, TracerUnavailable
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.progress import Progress, SilentProgress
from pytest_ptreetime.session.rounds import machine_lock, preparation_of
from pytest_ptreetime.session.run import run_once, run_untraced
from pytest_ptreetime.session.worktree import Worktree
from pytest_ptreetime.tracers.ptrace import PtraceTracer

__all__ = ["captured", "captured_sides", "confirm_comparison", "replays_shown", "stored_build"]


def confirm_comparison(
    comparison: Comparison,
    builds: tuple[Build, Build],
    reference: Sequence[Profile],
    *,
    budget: float,
    keyer: Keyer | None = None,
    progress: Progress | None = None,
) -> None:
    """Measure the suspects of ``comparison`` alone, and change it by the outcome.

    :param builds: the baseline's and the candidate's.
    :param reference: the baseline's rounds, under whose keys the findings are.
    :param budget: seconds for the replays.
    :raises KeyboardInterrupt: Ctrl-C was pressed; what was known by then is in the comparison.
    """
    suspects = suspects_of(comparison)
    if not suspects:
        return
    if sys.platform != "linux":
        note_unconfirmed(comparison, "programs are replayed on Linux only")
        return
    shown = progress or SilentProgress()
    try:
        with captured_sides(builds, reference, keyer or Keyer(), shown) as sides:
            done = confirm(suspects, sides, budget=budget, on_suspect=replays_shown(shown))
    except (TracerUnavailable, RecordingFailed, CommandFailed) as error:
        note_unconfirmed(comparison, str(error))
        return
    finally:
        shown.finished()
    apply(comparison, suspects, done)
    if done.interrupted:
        raise KeyboardInterrupt


def replays_shown(progress: Progress) -> Callable[[str, int, int], None]:
    """Tells of each suspect as of a round."""
    return lambda label, number, total: progress.round_started(f"replays of {label}, suspect", number, total)


@contextmanager
def captured_sides(
    builds: tuple[Build, Build], reference: Sequence[Profile], keyer: Keyer, progress: Progress
) -> Iterator[tuple[CapturedBuild, CapturedBuild]]:
    """Both builds, run once more each; they stay set up, and the machine is ours, until the block ends."""
    with machine_lock(progress), ExitStack() as set_ups:
        sides: list[CapturedBuild] = []
        for build in builds:
            set_ups.enter_context(_set_up(build))
            sides.append(captured(build, reference or (sides[0].profiles if sides else ()), keyer, progress))
        yield sides[0], sides[1]


@contextmanager
def _set_up(build: Build) -> Iterator[None]:
    preparation = preparation_of(build, lambda: run_untraced(build))
    preparation.start()
    with preparation.around():
        yield


@contextmanager
def stored_build(build: Build, stored: Baseline, comparison: Comparison, directory: Path) -> Iterator[Build | None]:
    """``build`` as it was at the commit of the newest stored session, checked out while the block runs.

    None where git does not have it, or nothing is to be confirmed; the comparison then says why.
    """
    commit = stored.recent[-1].commit
    worktree: Worktree | None = None
    made: Build | None = None
    try:
        if suspects_of(comparison):
            if commit is None:
                raise RepositoryError("the baseline was saved outside of a repository: its sources are not known")
            worktree = Worktree.add(commit, directory)
            made = worktree.build_here(build)
    except RepositoryError as error:
        note_unconfirmed(comparison, str(error).replace("--ptreetime-against: ", ""))
    try:
        yield made
    finally:
        if worktree is not None:
            worktree.remove()


def captured(build: Build, reference: Sequence[Profile], keyer: Keyer, progress: Progress) -> CapturedBuild:
    """Run ``build``, which is set up, once more with the ptrace tracer; keep what its programs need to be run again.

    :param reference: the rounds whose keys its nodes get; none: their own.
    """
    tracer = PtraceTracer()
    images = os.memfd_create("ptreetime-images", os.MFD_CLOEXEC)
    try:
        progress.round_started("a run to capture commands", 1, 1)
        done = run_once(
            replace(build, images=images, interpose=False), tracer, capture=True, on_progress=progress.processes
        )
        kept = images_in(os.pread(images, os.fstat(images).st_size, 0))
    finally:
        os.close(images)
        tracer.close()
    profile = Profile.from_tree(done.tree, keyer)
    names = align([reference], [profile]).renamed[0] if reference else {}
    keys = [names.get(key, key) for key in keyer.keys_in_preorder(done.tree)]
    return CapturedBuild(done.tree, keys, kept, [profile])
