"""What a session reads from stores and writes to disk: baselines to compare with, recordings that are kept."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pytest_ptreetime.baselines import store
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import BaselineError, BaselineMissing, ReportFailed, StoreMissing
from pytest_ptreetime.session.label import Label
from pytest_ptreetime.session.run import Round
from pytest_ptreetime.settings import Settings
from pytest_ptreetime.system.host import HostFacts
from pytest_ptreetime.system.os_errors import os_errors_as

__all__ = ["Stores", "recording_saver", "saving_command"]


@dataclass(frozen=True)
class Stores:
    """The stores below pytest's rootdir ``directory``, for this machine."""

    directory: Path
    host: HostFacts

    def at(self, directory: str, settings: Settings) -> store.Store:
        """The store in ``directory``, which is relative to pytest's rootdir wherever pytest was started."""
        return store.Store(self.directory / directory, settings.baseline_name)

    def baseline(self, settings: Settings, label: Label) -> store.Baseline | None:
        """What to compare with; None where nothing is asked for, or nothing of this test is stored.

        :raises BaselineError: the store is missing, though not where this session is about to make it, or damaged.
        """
        if settings.baseline is None:
            return None
        where = self.at(settings.baseline, settings)
        try:
            return where.load(label.stored_as, self.host)
        except BaselineMissing:
            return None
        except StoreMissing as error:
            saved_in = settings.save_baseline
            if saved_in is not None and self.at(saved_in, settings).root == where.root:
                return None
            raise StoreMissing(
                f"{error}, so {label.shown_as} can't be compared: save a baseline first ({saving_command(settings)}), "
                f"or give --ptreetime-baseline=DIR, below {self.directory}"
            ) from None

    def last_session(self, settings: Settings, label: Label) -> Sequence[Profile]:
        """The newest stored session, whose names this one takes; empty where there is none."""
        if settings.save_baseline is None:
            return ()
        where = self.at(settings.save_baseline, settings)
        with suppress(BaselineError):  # said when it is stored
            sessions = where.load(label.stored_as, self.host).sessions
            return sessions[-1].profiles() if sessions else ()
        return ()


def saving_command(settings: Settings) -> str:
    """The command that saves what was missing."""
    return shlex.join(["pytest", *settings.saving_flags])


def recording_saver(settings: Settings, label: Label) -> Callable[[Round], None] | None:
    """Saves each round's recording where ``--ptreetime-record-dir`` asks for it."""
    if settings.record_dir is None:
        return None
    directory = Path(settings.record_dir)
    what = f"the recordings can't be saved in {directory}"
    with os_errors_as(ReportFailed, what):
        directory.mkdir(parents=True, exist_ok=True)
    readable = store.file_name(label.stored_as)
    numbers = iter(range(1, 1_000_000))

    def keep(done: Round) -> None:
        with os_errors_as(ReportFailed, what):
            done.recording.save(directory / f"{readable}-{next(numbers)}.ptreetime")

    return keep
