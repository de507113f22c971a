"""Why nothing can be said, and what else should be known of a comparison."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_ptreetime.decision.finding import COMMON_KEY, Comparison, Remark
from pytest_ptreetime.decision.power import sees_little

if TYPE_CHECKING:
    from pytest_ptreetime.decision.panel import Panel
    from pytest_ptreetime.decision.rules import Decision
    from pytest_ptreetime.decision.terms import Terms

__all__ = ["NOTABLE_SHIFT", "add_remarks"]

#: A shift of the machine is worth a word from here.
NOTABLE_SHIFT = 0.02
#: Nodes that scatter so many times as much as in the baseline are worth a note.
NOTABLE_SCATTER = 1.5
#: So many keys whose count varies are told.
MOST_UNSTEADY = 3


def add_remarks(result: Comparison, panel: Panel, decision: Decision, terms: Terms) -> None:
    """Fill in the reasons and the notes; the findings and the power are there."""
    reasons, notes = result.reasons, result.notes
    if terms.ignored is not None and terms.ignored[:-1].all():  # the last is the build as a whole
        reasons.append(Remark("all-ignored"))
    if result.contentions:
        reasons.append(Remark("contention"))
    if result.rounds == 1 and len(panel.baseline) == 1 and len(panel.baseline[0]) == 1 and terms.models:
        reasons.append(Remark("single-rounds"))
    elif result.power is not None and sees_little(result.power) and not _build_improved(result, panel):
        reasons.append(Remark("little-data"))
    before, now = len(panel.baseline[0]), len(panel.current)
    if terms.paired and before != now:
        notes.append(Remark("unpaired-rounds", {"before": before, "now": now}))
    for position in decision.structure.unsteady[:MOST_UNSTEADY]:
        counts = sorted(set(panel.current_counts[:, position].tolist()))
        notes.append(Remark("unsteady-count", {"key": panel.keys[position], "counts": counts}))
    if result.left:
        notes.append(Remark("left-to-wrapper"))
    if not terms.paired:
        _add_remarks_on_machine(result, decision, terms)
    elif _is_split(decision) and not _is_of_most(result):
        reasons.append(Remark("shift-undecided-split"))
    if decision.inflation > NOTABLE_SCATTER:
        notes.append(Remark("scatter", {"factor": decision.inflation}))


def _build_improved(result: Comparison, panel: Panel) -> bool:
    """Whether the build as a whole is seen to be faster: then no process's noise leaves that open."""
    roots = {panel.keys[n] for n, parent in enumerate(panel.parents_now.tolist()) if parent < 0}
    return any(finding.key in roots and finding.kind == "improvement" for finding in result.findings)


def _is_split(decision: Decision) -> bool:
    """Whether most processes moved and many did not: then it was not the machine alone."""
    return any(shift.doubt == "split" for shift in decision.shifts.values())


def _is_of_most(result: Comparison) -> bool:
    return any(finding.key == COMMON_KEY for finding in result.findings)


def _add_remarks_on_machine(result: Comparison, decision: Decision, terms: Terms) -> None:
    """What became of the shift that everything shares, and what the calibration has to do with it."""
    shifts = decision.shifts.values()
    notable = abs(math.log(result.host_shift)) >= NOTABLE_SHIFT
    busy = terms.calibrations.disturbance if terms.calibrations is not None else None
    suspected = decision.shifts["cpu"].suspected if "cpu" in decision.shifts else 0.0
    if suspected and not any(finding.is_worse for finding in result.findings):
        result.reasons.append(Remark("shift-undecided-commands", {"ratio": math.exp(suspected)}))
    elif _is_of_most(result):
        result.notes.append(Remark("shift-unexplained"))
    elif any(shift.doubt == "disturbed" and not shift.calibrated for shift in shifts):
        result.reasons.append(Remark("shift-undecided-busy", {"busy": str(busy)}))
    elif _is_split(decision):
        result.reasons.append(Remark("shift-undecided-split"))
    elif busy is not None:
        result.notes.append(Remark("shift-removed-busy", {"busy": busy}))
    elif any(shift.doubt == "contradicted" for shift in shifts):
        result.reasons.append(Remark("shift-contradicted"))
    elif notable:
        calibrated = any(shift.calibrated for shift in shifts)
        result.notes.append(Remark("shift-confirmed" if calibrated else "shift-removed"))
