"""Simulated builds: how the cpu times of unchanged processes differ, in kinder worlds and in harsher ones.

The logarithm of a node's cpu time in one round is::

    size  +  machine in session  +  node in session  +  machine in round  +  node in round  +  disturbance

- size: lognormal, median 100 ms, sigma 1.5, from 2 ms to 10 s;
- between sessions 2.7 % (the machine, common to all nodes) and 0.5 % (each node);
- within a session 1 % by node, Student's t with 5 degrees of freedom, and 1 % by round that all nodes share;
- what else happens, which slows down and never speeds up, is the world's `Disturbance`.

Each process has another 0.3 ms of noise whatever its size; wall is cpu with a second, independent 1 %; user and system
time are dealt by 4 ms ticks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Generator = np.random.Generator
#: Of (rounds, nodes): what is added to the logarithms. Called once a session.
Disturbance = Callable[[Generator, int, int], Array]

METRICS = ("wall", "user", "sys", "cpu")
GRAIN, TICK = 0.0003, 0.004
SLOWER = (0.30, 0.45)  # what a busy sibling core does to a process


def quiet(random: Generator, rounds: int, nodes: int) -> Array:
    return np.zeros((rounds, nodes))


def spikes(part: float, slower: tuple[float, float] = SLOWER) -> Disturbance:
    """A sibling core that comes and goes: of all values this part is slower."""
    return partial(_spikes, part, slower)


def _spikes(part: float, slower: tuple[float, float], random: Generator, rounds: int, nodes: int) -> Array:
    hit = random.random((rounds, nodes)) < part
    return np.where(hit, np.log1p(random.uniform(*slower, (rounds, nodes))), 0.0)


def bursts(a_round: float, length: float) -> Disturbance:
    """So many bursts a round, each over a run of neighbours of this mean length (a part of the build)."""
    return partial(_bursts, a_round, length)


def _bursts(a_round: float, length: float, random: Generator, rounds: int, nodes: int) -> Array:
    added = np.zeros((rounds, nodes))
    for row in added:
        for _ in range(random.poisson(a_round)):
            start = random.integers(nodes)
            end = start + 1 + int(random.exponential(length * nodes))
            row[start:end] = np.maximum(row[start:end], np.log1p(random.uniform(*SLOWER)))
    return added


def bad_round(chance: float) -> Disturbance:
    """A round is bad with this chance: each of its processes is up to 45 % slower, some not at all."""
    return partial(_bad_round, chance)


def _bad_round(chance: float, random: Generator, rounds: int, nodes: int) -> Array:
    bad = random.random(rounds) < chance
    return np.where(bad[:, None], np.log1p(random.uniform(0.0, SLOWER[1], (rounds, nodes))), 0.0)


def bad_session(chance: float, rounds: float) -> Disturbance:
    """A session is bad with this chance: then this part of its rounds is."""
    return partial(_bad_session, chance, rounds)


def _bad_session(chance: float, part: float, random: Generator, rounds: int, nodes: int) -> Array:
    return _bad_round(part if random.random() < chance else 0.0, random, rounds, nodes)


def one_bad_round_of_five(random: Generator, rounds: int, nodes: int) -> Array:
    """In each five rounds one is bad."""
    added = np.zeros((rounds, nodes))
    for first in range(0, rounds, 5):
        row = random.integers(first, first + 5)
        if row < rounds:
            added[row] = np.log1p(random.uniform(0.0, SLOWER[1], nodes))
    return added


def drift(total: float) -> Disturbance:
    """A machine that slows down steadily over the session, by up to this either way; nodes follow by 0.7 to 1.3."""
    return partial(_drift, total)


def _drift(total: float, random: Generator, rounds: int, nodes: int) -> Array:
    way = np.linspace(0.0, random.uniform(-total, total), rounds)
    return np.asarray(way[:, None] * random.uniform(0.7, 1.3, nodes))


@dataclass(frozen=True)
class World:
    """One kind of noise."""

    name: str
    disturb: Disturbance = quiet
    nodes: int = 300
    machine: float = 0.027
    node: float = 0.005
    within: float = 0.01
    #: Degrees of freedom of the noise within a session, and of nodes between sessions.
    tails: float = 5.0
    session_tails: float = np.inf


WORLDS = (
    World("normal tails", tails=np.inf),
    World("heavy tails (t with 5 degrees of freedom)"),
    World("heavier tails (t with 3 degrees of freedom)", tails=3.0),
    World("heavy tails between sessions (t with 3)", session_tails=3.0),
    World("nodes differ by 2.7 % between sessions", machine=0.0, node=0.027),
    World("within 3 %", within=0.03),
    World("spikes in 1 %", spikes(0.01, (0.05, 0.50))),
    World("spikes in 5 %", spikes(0.05)),
    World("spikes in 20 %", spikes(0.20)),
    World("spikes in 40 %", spikes(0.40)),
    World("bursts, 1 a round over 10 % of the build", bursts(1.0, 0.1)),
    World("bursts, 3 a round over 3 % of the build", bursts(3.0, 0.03)),
    World("a bad round in 5 by chance", bad_round(0.2)),
    World("a bad session in 3, 7 of 10 rounds bad", bad_session(0.33, 0.7)),
    World("one bad round of 5", one_bad_round_of_five),
    World("drift by up to 10 %", drift(0.10)),
)


class Build:
    """The nodes of one simulated build; each trial makes a new one."""

    def __init__(self, random: Generator, world: World) -> None:
        self.random, self.world = random, world
        self.sizes = np.exp(np.log(0.1) + 1.5 * random.standard_normal(world.nodes)).clip(0.002, 10.0)
        self.sys_share = random.beta(2, 12, world.nodes)
        self.slowed = int(random.choice(np.flatnonzero(self.sizes >= min(0.05, self.sizes.max()))))

    def session(self, rounds: int) -> Array:
        """Rounds x metrics x nodes in seconds."""
        world, random = self.world, self.random
        shape = (rounds, world.nodes)
        level = world.machine * random.standard_normal() + world.node * self._noise(world.session_tails, shape[1:])
        level = level + 0.01 * random.standard_normal((rounds, 1)) + world.disturb(random, *shape)
        cpu = self.sizes * np.exp(level + world.within * self._noise(world.tails, shape))
        cpu = np.maximum(cpu + GRAIN * random.standard_normal(shape), 1e-4)
        wall = cpu * np.exp(world.within * np.abs(self._noise(world.tails, shape)))
        ticks = np.maximum(np.rint(cpu / TICK), 1).astype(np.int64)
        sys = cpu * random.binomial(ticks, self.sys_share) / ticks
        return np.stack([wall, cpu - sys, sys, cpu], axis=1)

    def interleaved(self, rounds: int) -> tuple[Array, Array]:
        """Two sides in the order A B B A ..., so many rounds each."""
        both = self.session(2 * rounds)
        turns = np.arange(2 * rounds) % 4
        return both[(turns == 0) | (turns == 3)], both[(turns == 1) | (turns == 2)]

    def slower(self, rounds: Array, effect: float) -> Array:
        """``rounds`` as they would be with one node slower by ``effect`` (0.05: 5 %)."""
        changed: Array = rounds.copy()
        changed[:, (0, 1, 3), self.slowed] *= 1 + effect
        return changed

    def _noise(self, df: float, shape: tuple[int, ...]) -> Array:
        """Noise of standard deviation 1."""
        if np.isinf(df):
            return np.asarray(self.random.standard_normal(shape))
        return np.asarray(self.random.standard_t(df, shape) / (df / (df - 2)) ** 0.5)
