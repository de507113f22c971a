"""What is known of one metric of all nodes: amounts of every round, and which nodes tell the machine's speed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.decision import host_speed
from pytest_ptreetime.decision.metric_noise import HOST_NOISE, MetricNoise

__all__ = ["ENOUGH_FOR_SPREAD", "Samples"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
#: With this many reference nodes and more, the spread of the effects over nodes is itself a measure of the noise.
ENOUGH_FOR_SPREAD = 20
#: Where nearly all commands changed, all nodes together tell the machine's speed if they moved by no more than this
#: logarithm, twice what machines differ by from day to day; more than that may be what the commands do.
SUSPECTED_SHIFT = 2 * HOST_NOISE
#: So many nodes that do as before, together so many grains of their metric long (20 ms where the grain is 0.5 ms), tell
#: the machine's speed to this logarithm: starting programs and compiling do not slow down alike.
FEWEST_STEADY = 10
STEADY_GRAINS = 40


@dataclass(frozen=True)
class Samples:
    """The tested nodes of one metric: amounts (seconds, bytes; none NaN), rounds x nodes for each session."""

    noise: MetricNoise
    baseline: list[Array]
    current: Array
    #: Whether the node has no child that is tested.
    leaves: Mask
    pinned: Array | None = None
    #: Nodes whose command changed: what they share may be the build's doing.
    suspects: Mask | None = None
    #: Nodes that do the same work whatever their command says: compilers' drivers.
    drivers: Mask | None = None

    @cached_property
    def sizes(self) -> Array:
        """Typical amounts of the baseline (geometric means), plus the start of the logarithm."""
        sizes: Array = np.exp(np.mean([self.logs(session).mean(axis=0) for session in self.baseline], axis=0))
        return sizes

    def logs(self, amounts: Array, factors: Array | None = None) -> Array:
        """Started logarithms of amounts, each round divided by its (log) factor first.

        The start would bend a factor of small amounts, so it is added after the machine's speed has been taken out.
        """
        scaled = amounts if factors is None else amounts * np.exp(-factors)[:, None]
        return np.log(np.maximum(scaled, 0.0) + self.noise.start)

    def reference_nodes(self) -> Mask | None:
        """The nodes that say how fast the machine was; None if too few, or the metric does not follow the machine."""
        if not self.noise.follows_machine:
            return None
        every = host_speed.reference_nodes(self.sizes, self.noise.start, self.leaves)
        if self.suspects is None or not self.suspects.any():
            return every
        chosen = host_speed.reference_nodes(self.sizes, self.noise.start, self.leaves & ~self.suspects)
        if chosen is not None or every is None:
            return chosen
        return every if abs(self._shared(every)) <= SUSPECTED_SHIFT else None

    def suspected_nodes(self) -> Mask | None:
        """All that would say it, where too few of them have the command that they had before."""
        if self.suspects is None or not self.suspects.any() or not self.noise.follows_machine:
            return None
        chosen = host_speed.reference_nodes(self.sizes, self.noise.start, self.leaves & ~self.suspects)
        every = host_speed.reference_nodes(self.sizes, self.noise.start, self.leaves)
        return every if chosen is None else None

    def _shared(self, chosen: Mask) -> float:
        reference = np.mean([self.reference_logs(session).mean(axis=0) for session in self.baseline], axis=0)
        return float(np.median(host_speed.round_factors(self.reference_logs(self.current), reference, chosen)))

    @cached_property
    def exact(self) -> Mask:
        """The nodes of which all rounds agree, in a count of work: then a difference is one, however small."""
        if not self.noise.work or sum(map(len, self.baseline)) < 2:
            return np.zeros(self.current.shape[1], dtype=bool)
        before = np.concatenate(self.baseline)
        return np.asarray((before == before[0]).all(axis=0) & (self.current == self.current[0]).all(axis=0))

    @property
    def tells_noise(self) -> bool:
        """Whether the noise can be seen at all: between rounds, or in the spread over enough nodes."""
        replicated = len(self.baseline) > 1 or len(self.baseline[0]) > 1 or len(self.current) > 1
        chosen = None if replicated else self.reference_nodes()
        return replicated or (chosen is not None and bool(np.count_nonzero(chosen) >= ENOUGH_FOR_SPREAD))

    def steady_nodes(self) -> Mask | None:
        """Where nearly all commands changed: small nodes that do as before and together tell the machine's speed."""
        if self.suspects is None or self.drivers is None or self.noise.cumulative or not self.noise.follows_machine:
            return None
        steady = self.leaves & (self.drivers | ~self.suspects)
        together = float((self.sizes[steady] - self.noise.start).sum())
        known = np.count_nonzero(steady) >= FEWEST_STEADY and together >= STEADY_GRAINS * self.noise.start
        return steady if self.suspects.any() and known else None

    def reference_logs(self, amounts: Array) -> Array:
        """Plain logarithms, for the nodes that say how fast the machine was: they are large."""
        return np.log(np.maximum(amounts, self.noise.start / 10))
