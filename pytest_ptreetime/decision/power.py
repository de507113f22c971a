"""Which of the effects that would have been found the verdict depends on."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_ptreetime.decision.finding import Power, PowerLevel

__all__ = ["OK_RESOLUTION", "SIZEABLE", "power_of_levels", "sees_little"]

#: The metric whose power a verdict depends on: the steadiest that is there.
_METRICS = ("cpu", "wall", "user", "sys")
#: ``ok`` promises that a change of this size in a sizeable node would have been found; else it is ``inconclusive``.
OK_RESOLUTION = 0.25
#: The verdict depends on nodes of this many seconds and more, where there are such nodes.
SIZEABLE = 0.05


def power_of_levels(
    levels: Sequence[PowerLevel], *, sessions: int, rounds: int, paired: bool, planned: bool = False
) -> Power | None:
    """The level of SIZEABLE nodes, or of the largest there are; None where no times were compared."""
    own = next((own for metric in _METRICS if (own := [level for level in levels if level.metric == metric])), None)
    if own is None:
        return None
    chosen = next((level for level in own if level.above >= SIZEABLE), own[-1])
    return Power(
        chosen.effect,
        chosen.above,
        chosen.metric,
        list(levels),
        sessions=sessions,
        rounds=rounds,
        paired=paired,
        planned=planned,
        probability=chosen.probability,
    )


def sees_little(power: Power) -> bool:
    """Whether a large change of a sizeable node may have been missed."""
    return power.above >= SIZEABLE and power.effect > OK_RESOLUTION
