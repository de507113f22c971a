"""What is done for a build outside its tree, by a compile server or a daemon, compared with what was done before."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from pytest_ptreetime.decision.finding import Change
from pytest_ptreetime.decision.profile import Profile

__all__ = ["LEAST_PART", "outside_changes"]

#: A change is told from this part of the build's cpu time on, of the server's own, and from so many seconds.
LEAST_PART = 0.01
LEAST_OF_OWN = 0.1
LEAST_SECONDS = 0.05


def outside_changes(
    baseline: Sequence[Sequence[Profile]], current: Sequence[Profile], *, build_cpu: float
) -> list[Change]:
    """Which processes outside the tree have used the processor for another time than in all rounds before.

    :param build_cpu: the seconds of the tree.
    """
    before = [profile.outside for rounds in baseline for profile in rounds]
    now = [profile.outside for profile in current]
    changes = []
    for name in sorted({name for used in [*before, *now] for name in used}):
        olds, news = [[used.get(name, 0.0) for used in side] for side in (before, now)]
        if min(len(olds), len(news)) < 2 or (min(news) <= max(olds) and max(news) >= min(olds)):
            continue
        old, new = median(olds), median(news)
        if abs(new - old) >= max(LEAST_SECONDS, LEAST_PART * build_cpu, LEAST_OF_OWN * old):
            changes.append(Change("outside", name, 1, seconds=(old, new)))
    return sorted(changes, key=lambda change: -abs(change.seconds[1] - change.seconds[0]) if change.seconds else 0.0)
