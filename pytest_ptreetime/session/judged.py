"""What a measurement becomes when it is judged, and what plugins and workers have to do with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from pytest_ptreetime.baselines import store
from pytest_ptreetime.decision.comparing import Comparison
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.rekeying import rekeyed
from pytest_ptreetime.reports.results import Measurement
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.label import Label
from pytest_ptreetime.session.progress import Progress
from pytest_ptreetime.settings import Settings
from pytest_ptreetime.tracers import Tracer
from pytest_ptreetime.tree.process_tree import ProcessNode

__all__ = ["Hooks", "Judged", "WorkerResult"]


@dataclass
class Hooks:
    """What plugins may override; see plugin/hookspecs.py."""

    key: Callable[[ProcessNode], str | None] | None = None
    normalize_args: Callable[[ProcessNode], Sequence[str] | None] | None = None
    compare: Callable[..., Comparison | None] | None = None
    tracers: Mapping[str, Callable[[], Tracer]] = field(default_factory=dict)
    machine_info: Callable[[dict[str, str]], object] | None = None


@dataclass
class Judged:
    """A measurement with the settings that it is judged by, and what the judgement needs."""

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

    Both are encoded by the modules whose they are, a session as the store's own line.
    """

    result: bytes
    to_save: list[tuple[str, bytes]]
