"""The sessions of a baseline as histories: for each node a value a session, and since when it is what it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from pytest_ptreetime.decision.change_points import change_points
from pytest_ptreetime.decision.columns import Columns
from pytest_ptreetime.decision.finding import BUILD_KEY
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.typical import medians
from pytest_ptreetime.metrics import metric_of

__all__ = ["MOST_SERIES", "History", "Point", "Series", "history_of"]

#: Of so many nodes, those that used most, a page has the history.
MOST_SERIES = 500


class Point(msgspec.Struct):
    """A session: its identity, when it was (UTC, as ``2026-11-23T10:00:00Z``), its commit."""

    session: str
    time: str
    commit: str | None = None

    @property
    def name(self) -> str:
        """What it is called: the commit's first letters, or the day."""
        return self.commit[:9] if self.commit else self.time[:10]


class Series(msgspec.Struct):
    """One node's values, None where it did not run; ``changes`` are the positions at which a new stretch begins."""

    key: str
    values: list[float | None]
    changes: list[int] = []

    @property
    def known(self) -> list[float]:
        """Those of the sessions in which it ran."""
        return [value for value in self.values if value is not None]


class History(msgspec.Struct):
    """All series of one metric, that of the whole build first, then by their last amount."""

    metric: str
    points: list[Point]
    series: list[Series]


def history_of(
    sessions: Sequence[Columns], points: Sequence[Point], metric: str, *, most: int | None = None
) -> History:
    """The medians of the sessions' rounds.

    :param sessions: the oldest first, one for each of ``points``.
    :param most: how many series are wanted, those with the largest last amounts.
    """
    values: dict[str, list[float | None]] = {BUILD_KEY: [None] * len(sessions)}
    described = metric_of(metric)
    for place, rounds in enumerate(sessions):
        profile = Profile.of_round(medians([rounds]), 0)
        build: list[float] = []
        for key, metrics in profile.totals.items():
            value = metrics.get(metric)
            if value is None:
                continue
            values.setdefault(key, [None] * len(sessions))[place] = value
            if not described.cumulative or profile.parents.get(key) is None:
                build.append(value)
        if build:
            values[BUILD_KEY][place] = max(build) if described.largest or described.cumulative else sum(build)
    series = [Series(key, row) for key, row in values.items() if any(row)]
    series.sort(key=lambda each: (each.key != BUILD_KEY, -each.known[-1]))
    series = series[:most]
    for each in series:
        each.changes = _changes(each.values, metric)
    return History(metric, list(points), series)


def _changes(values: Sequence[float | None], metric: str) -> list[int]:
    """Among the sessions in which the node ran; as positions of all."""
    described = metric_of(metric)
    places = [place for place, value in enumerate(values) if value is not None]
    amounts = [value + described.resolution for value in values if value is not None]
    found = change_points(amounts, noise=described.between, least=math.log1p(max(described.min_ratio, 0.01)))
    return [places[position] for position in found]
