"""A measurement against its baseline: under one set of keys, decided, and named by the baseline's keys everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pytest_ptreetime.baselines import store
from pytest_ptreetime.decision.alignment import align
from pytest_ptreetime.decision.comparing import Comparison, compare
from pytest_ptreetime.decision.outside import outside_changes
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.rekeying import rekeyed
from pytest_ptreetime.decision.starring import starred
from pytest_ptreetime.decision.typical import typical
from pytest_ptreetime.reports.results import Measurement
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.label import Label
from pytest_ptreetime.session.progress import Progress
from pytest_ptreetime.settings import Settings

__all__ = ["Evaluation", "WorkerResult", "evaluate", "name_alike"]


@dataclass
class Evaluation:
    """A measurement with the settings that it is evaluated by, and what that needs."""

    measurement: Measurement
    label: Label
    settings: Settings
    profiles: list[Profile]
    baseline_profiles: list[Profile] = field(default_factory=list)
    stored: store.Baseline | None = None
    keep: bool = True
    #: What was measured, for confirming: the candidate's build, and the baseline's where there was one.
    build: Build | None = None
    baseline_build: Build | None = None
    progress: Progress | None = None

    @property
    def named_profiles(self) -> list[Profile]:
        """The profiles under the keys that reports and stores have."""
        names = self.measurement.names or [{}] * len(self.profiles)
        return [rekeyed([profile], new, {})[0] for profile, new in zip(self.profiles, names, strict=True)]

    @property
    def fails(self) -> bool:
        """Whether the verdict fails the test under its ``--ptreetime-fail-on``."""
        measurement, failing = self.measurement, self.settings.fail_on
        if measurement.comparison is not None:
            if measurement.message is not None and "inconclusive" in failing:  # part of it could not be compared
                return True
            if "structure" in failing and measurement.comparison.structure:
                return True
        return measurement.verdict in failing


class WorkerResult(msgspec.Struct):
    """What an xdist worker sends to its controller: finished measurements, and sessions to be stored by their test.

    Each is encoded by its own module, a session as the store's line.
    """

    result: bytes
    to_save: list[tuple[str, bytes]]


def evaluate(
    measurement: Measurement,
    baseline: Sequence[Sequence[Profile]],
    current: Sequence[Profile],
    *,
    pinned: Sequence[Profile] | None = None,
    decide: Callable[..., Comparison | None] | None = None,
    **terms: Any,
) -> Comparison:
    """Compare and note the outcome in ``measurement``: the comparison, the baseline, the nodes' names.

    :param decide: asked first; where it gives None the built-in decision is made.
    :param terms: further arguments of :func:`compare`.
    """
    aligned = align(baseline, current, pinned)
    measurement.baseline = typical(aligned.baseline)
    measurement.names = [dict(names) for names in aligned.renamed]
    measurement.names_before = [dict(names) for names in aligned.renamed_before]
    comparison = None if decide is None else decide(aligned.baseline, aligned.current)
    if comparison is None:
        comparison = compare(aligned.baseline, aligned.current, pinned=aligned.pinned, **terms)
    comparison.changes += outside_changes(baseline, current, build_cpu=measurement.whole.get("cpu", 0.0))
    measurement.comparison = comparison
    return comparison


def name_alike(measurement: Measurement, rounds: Sequence[Profile], stored: Sequence[Profile] = ()) -> None:
    """Name the nodes where nothing is compared: as in the ``stored`` session, else one name for what varies."""
    if stored:
        measurement.names = [dict(names) for names in align([stored], rounds).renamed]
    elif len(rounds) > 1:
        joined = starred(rounds).joined
        names = [{key: joined.key_of(key) for key in profile.totals} for profile in rounds]
        measurement.names = [{key: new for key, new in one.items() if key != new} for one in names]
