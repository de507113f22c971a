"""A measurement against its baseline: under one set of keys, decided, and named by the baseline's keys everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pytest_ptreetime.decision.alignment import align
from pytest_ptreetime.decision.comparing import Comparison, compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.starring import starred
from pytest_ptreetime.reports.results import Measurement, typical

__all__ = ["evaluate", "name_alike"]


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
