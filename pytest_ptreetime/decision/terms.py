"""The settings of a comparison, in terms of its panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision.finding import (
    CommandDifference,
)
from pytest_ptreetime.decision.host_speed import Calibrations
from pytest_ptreetime.decision.metric_noise import MetricNoise
from pytest_ptreetime.decision.structure_cost import StructureLimits

__all__ = ["Terms"]


@dataclass(frozen=True)
class Terms:
    """What the user may set.

    ``models`` are the metrics that are tested; ``ignored`` keys are not compared at all, ``untested`` ones not in a
    metric; ``overrides`` give the keys of a mask another minimum effect.
    """

    models: Mapping[str, MetricNoise]
    fdr: float
    paired: bool = False
    calibrations: Calibrations | None = None
    ignored: npt.NDArray[np.bool_] | None = None
    untested: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    overrides: Mapping[str, Sequence[tuple[npt.NDArray[np.bool_], MetricNoise]]] = field(default_factory=dict)
    #: Seconds that tracing adds to a process.
    tracing_cost: float = 0.0
    #: By key, how a command differs from the baseline's.
    commands: Mapping[str, CommandDifference] = field(default_factory=dict)
    #: Drivers whose steps differ, which are compared with all that they run.
    whole_drivers: npt.NDArray[np.bool_] | None = None
    #: Whether the user says what the smallest change is that matters; else the build as a whole has its own.
    min_effect_given: bool = False
    structure: StructureLimits = field(default_factory=StructureLimits)
    #: Only the power of a session of so many rounds, still to come, is asked for.
    planned: int | None = None
    #: How many processes may be named that may have become slower.
    suspects: int = 0
