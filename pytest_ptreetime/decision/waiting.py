"""The build's wall time, where it grew by waiting for what is not in the tree: a server, a lock, a sleep, the network.

A profile's metric ``waiting`` has, of the processes that the build waited for, the part of that time in which they
neither ran nor were in the run queue (profile.py). A busy machine does not make it longer, and a slow one hardly: what
the machine's shift may have caused is left to it. So a build of few processes can be judged by it as well as a large
one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.panel import Panel

__all__ = ["Waiting", "judge_waiting"]

Array = npt.NDArray[np.float64]

#: A wait is compared from this many seconds on, and from this part of the build's wall time.
LEAST_SECONDS = 0.02
LEAST_PART = 0.02
#: The stated noise of a session's waiting: a part of itself and of the wall time, as disks and servers have their days.
OWN_NOISE = 0.1
WALL_NOISE = 0.005
#: How many standard errors the change has to exceed: one test a build, p below 0.0005 with a few degrees of freedom.
STANDARD_ERRORS = 5.0
#: The wall time has to have changed by at least this part of what the waiting did.
SEEN_IN_WALL = 0.5


@dataclass(frozen=True)
class Waiting:
    """The build waits ``seconds`` longer (less where negative), mostly the process at ``position``."""

    seconds: float
    position: int
    wall_before: float
    wall_now: float


def judge_waiting(
    panel: Panel,
    roots_before: npt.NDArray[np.bool_],
    roots: npt.NDArray[np.bool_],
    machine: float = 0.0,
    *,
    paired: bool,
) -> Waiting | None:
    """What changed in the build's waiting; None where nothing did, or where single rounds can't tell.

    :param roots_before: which keys are the roots of the baseline's builds, whose wall time is the build's.
    :param roots: those of this session's, others where a wrapper came or went.
    :param machine: the logarithm by which the machine's wall times moved; so much of each wait may be its doing, too.
    """
    waiting, wall = panel.metric("waiting"), panel.metric("wall")
    if waiting is None or wall is None or not (roots_before.any() and roots.any()):
        return None
    sessions = [np.nan_to_num(values[:, waiting]) for values in panel.baseline]
    now = np.nan_to_num(panel.current[:, waiting])
    before = np.concatenate(sessions)
    if len(before) < 2 or len(now) < 2:
        return None
    totals_before, totals_now = before.sum(axis=1), now.sum(axis=1)
    walls_before = np.concatenate([_root_walls(values[:, wall], roots_before) for values in panel.baseline])
    wall_before = float(np.median(walls_before))
    wall_now = float(np.median(_root_walls(panel.current[:, wall], roots)))
    typical = float(np.median(totals_before))
    seconds = float(np.median(totals_now)) - typical
    explained = typical * float(np.expm1(machine))
    if explained * seconds > 0:
        seconds -= float(np.sign(seconds)) * min(abs(explained), abs(seconds))
    if abs(seconds) < max(LEAST_SECONDS, LEAST_PART * wall_before):
        return None
    stated = 0.0 if paired else (OWN_NOISE * typical) ** 2 + (WALL_NOISE * wall_before) ** 2
    within = (_variance(totals_before) / len(before)) + (_variance(totals_now) / len(now))
    if abs(seconds) < STANDARD_ERRORS * (within + stated / len(sessions)) ** 0.5:
        return None
    usual = totals_before * (float(np.exp(machine)) if explained * seconds > 0 else 1.0)
    apart = totals_now.min() > usual.max() if seconds > 0 else totals_now.max() < usual.min()
    moved = (wall_now - wall_before) * np.sign(seconds)
    if not apart or moved < SEEN_IN_WALL * abs(seconds):
        return None
    by_node = np.median(now, axis=0) - np.median(before, axis=0)
    return Waiting(seconds, int(np.argmax(by_node * np.sign(seconds))), wall_before, wall_now)


def _root_walls(wall: Array, roots: npt.NDArray[np.bool_]) -> Array:
    return np.asarray(np.nansum(wall[:, roots], axis=1), dtype=float)


def _variance(values: Array) -> float:
    """From the median absolute deviation, which one bad round does not move."""
    deviation = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return deviation**2 * len(values) / max(len(values) - 1, 1)
