"""Injecting one fault: the directories of a trial, its run, its checks, and everything cleared away."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from faults import kernel_objects, other_faults, process_faults, resource_faults
from faults.invariants import check
from faults.processes import end, remaining, subreaper
from faults.trial import DTRACE, PYTEST, Fault, NotHere, Trial
from faults.victim import Missed
from pytest_ptreetime.tracers import builtin_tracers

FAULTS: list[Fault] = [*process_faults.FAULTS, *resource_faults.FAULTS, *other_faults.FAULTS]
#: The outcomes of faults that were injected, with their columns' names.
COLUMNS = {"error": "honest error", "incomplete": "incomplete", "complete": "complete", "killed": "run killed"}


@dataclass(frozen=True)
class Combination:
    """A fault, and what it is to happen to."""

    fault: Fault
    tracer: str
    kind: str

    @property
    def name(self) -> str:
        return f"{self.fault.name}-{self.tracer}-{self.kind}"


@dataclass
class Result:
    """What came of one fault. ``outcome`` is a key of COLUMNS, ``missed`` or ``not here``."""

    seed: int
    outcome: str
    violations: list[str] = field(default_factory=list)
    output: str = ""

    @property
    def injected(self) -> bool:
        return self.outcome in COLUMNS


@cache
def why_not(tracer: str) -> str | None:
    made = builtin_tracers()[tracer]()
    try:
        return None if (reason := made.available()) is None else str(reason)
    finally:
        made.close()


def combinations() -> Iterator[Combination]:
    """Everything that there is, also with tracers that do not work here.

    What pytest does around a recording is the same for every tracer; dtrace would start four times.
    """
    for fault in FAULTS:
        for kind in fault.victims:
            for tracer in fault.tracers:
                if (tracer, kind) != (DTRACE, PYTEST):
                    yield Combination(fault, tracer, kind)


def inject(one: Combination, seed: int, *, long: bool = False, haste: float = 1.0) -> Result:
    """Inject a fault at the moments that ``seed`` decides, ``haste`` times sooner, and check everything."""
    if why_not(one.tracer) is not None:
        return Result(seed, "not here", output=f"{one.tracer}: {why_not(one.tracer)}")
    directory = Path(tempfile.mkdtemp(prefix="faults-"))
    objects = kernel_objects.existing() if kernel_objects.can_be_looked_for() else set()
    pinned = kernel_objects.pinned()
    trial = Trial(one.fault, one.tracer, one.kind, seed, directory, long, haste)
    try:
        with subreaper() as before:
            try:
                one.fault.inject(trial)
                outcome = check(trial, before, objects, pinned)
            finally:
                _clear_away(trial, before)
    except Missed:
        return Result(seed, "missed")
    except NotHere as error:
        return Result(seed, "not here", output=str(error))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    output = trial.victim.output
    return Result(seed, outcome, trial.violations, output)


def _clear_away(trial: Trial, before: set[int]) -> None:
    for victim in [*trial.others, *([trial.victim] if hasattr(trial, "victim") else [])]:
        victim.close()
    deadline = 5
    while deadline and (left := remaining(before, 0.0)):
        end(left)
        remaining(before, 0.2)
        deadline -= 1
    assert os.getpid() not in before
