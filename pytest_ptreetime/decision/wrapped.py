"""What a program in front of others does to all that it runs, told apart from what one of these does by itself.

fakeroot loads a library into each process below it; strace and proot stop each at its system calls. So everything below
takes longer, small processes by the larger part, and none of them is the cause. A change of one process is left to the
wrapper where most of the others below it moved in the same direction and this one is not out of line with them. It is
then a part of the row of the build as a whole, which is judged as always and names the wrapper. Where the wrapper's
own work is a large part of the build, and everything moved, nothing below it is judged by its times: each process pays
by what it does, a long one less than short ones. Below ``nice``, which does nothing to them, the others move to neither
side, and each process answers for itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.finding import BUILD_KEY, COMMON_KEY, Finding
from pytest_ptreetime.decision.panel import Panel
from pytest_ptreetime.keys.identity import Identity

__all__ = ["leave_to_wrappers"]

Mask = npt.NDArray[np.bool_]

#: So many other processes below a wrapper say what it does to them.
FEWEST_OTHERS = 5
#: It does something to all if this part of them moved in one direction, or this part of those without a finding.
MOST_OTHERS = 0.75
MOST_UNFOUND = 2 / 3
#: Out of line is what moved by more than this many times as much as nine in ten of the others.
OUT_OF_LINE = 2.0
#: A wrapper is dear from this part of the build's processor time on, a shift of all sizeable from this logarithm on.
DEAR = 0.2
SIZEABLE_SHIFT = 0.1
#: The wrapper's own processor time is the cause of the build's change from this part of it on.
ACCOUNTED = 0.3


def leave_to_wrappers(
    findings: Sequence[Finding],
    differences: Sequence[Finding],
    effects: Mapping[str, Mapping[int, float]],
    panel: Panel,
    suspects: Mask,
) -> tuple[list[Finding], list[Finding]]:
    """The findings that stand, and those that are left to the wrappers among ``differences``.

    :param effects: by metric, the log ratio of each tested position.
    :param suspects: positions whose command changed, which may be the cause.
    """
    index = {key: position for position, key in enumerate(panel.keys)}
    wrappers = {index[finding.key]: finding for finding in differences if finding.level}
    if not wrappers:
        return list(findings), []
    below, tops = _below(wrappers, panel)
    dear = sum(finding.part or 0.0 for finding in wrappers.values()) >= DEAR
    kept, left = [], []
    for finding in findings:
        if finding.metric not in effects or finding.kind not in ("regression", "improvement"):
            kept.append(finding)
            continue
        of_metric, sign = effects[finding.metric], 1.0 if finding.kind == "regression" else -1.0
        whole, position = finding.key in (BUILD_KEY, COMMON_KEY), index.get(finding.key, -1)
        if not whole and (position not in below or suspects[position]):
            kept.append(finding)
            continue
        if dear and not whole and _shift(finding) >= SIZEABLE_SHIFT:
            left.append(finding)
            continue
        found = {index.get(f.key, -1) for f in findings if f.metric == finding.metric and f.kind == finding.kind}
        others = [n for n in of_metric if n in below and not suspects[n] and n != position]
        touched = _all_moved(
            [sign * of_metric[n] for n in others], [sign * of_metric[n] for n in others if n not in found]
        )
        if whole or (finding.metric == "wall" and position in tops):
            if touched or _pays_for(finding, wrappers.values()):
                costliest = max(wrappers.values(), key=lambda wrapper: abs(wrapper.cost or 0.0))
                finding.wrapper = Identity.of_key(costliest.key).name
                finding.wrapper_gone = costliest.kind == "removed"
            kept.append(finding)
        elif touched and sign * of_metric[position] <= OUT_OF_LINE * _nine_tenths(sign * of_metric[n] for n in others):
            left.append(finding)
        else:
            kept.append(finding)
    return kept, left


def _below(wrappers: Mapping[int, Finding], panel: Panel) -> tuple[set[int], set[int]]:
    """All positions below a wrapper; those that have nothing but wrappers above them."""
    below: set[int] = set()
    tops: set[int] = set()
    for position in range(len(panel.keys) - 1):
        if position in wrappers:
            continue
        for parents in (panel.parents_now, panel.parents_before):
            above, only_wrappers = int(parents[position]), True
            wrapped = False
            while above >= 0:
                wrapped |= above in wrappers
                only_wrappers &= above in wrappers
                above = int(parents[above])
            if wrapped:
                below.add(position)
                if only_wrappers:
                    tops.add(position)
    return below, tops


def _all_moved(others: Sequence[float], unfound: Sequence[float]) -> bool:
    """Whether most of the ``others``, or of those of them that are ``unfound``, moved in the direction of a finding."""
    return any(
        len(moves) >= FEWEST_OTHERS and sum(move > 0 for move in moves) >= part * len(moves)
        for moves, part in ((others, MOST_OTHERS), (unfound, MOST_UNFOUND))
    )


def _shift(finding: Finding) -> float:
    """What was taken out of the measurement as the shift of all, as a logarithm."""
    return abs(math.log((finding.measured or finding.current) / finding.current)) if finding.current > 0 else 0.0


def _nine_tenths(effects: Iterable[float]) -> float:
    return float(np.quantile(np.fromiter(effects, dtype=float), 0.9))


def _pays_for(finding: Finding, wrappers: Iterable[Finding]) -> bool:
    """Whether the wrappers' own processor time accounts for the change."""
    own = sum(wrapper.cost or 0.0 for wrapper in wrappers)
    change = finding.current - finding.baseline
    return finding.metric == "cpu" and own * change > 0 and abs(own) >= ACCOUNTED * abs(change)
