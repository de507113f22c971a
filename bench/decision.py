"""How often the decision is wrong: unchanged builds that it flags, slower processes that it misses.

Run it by `make bench-decision`.

A simulated build has 1,000 nodes. The logarithm of a node's cpu time in one round is::

    size  +  machine in session  +  node in session  +  node in round

- size: lognormal, median 100 ms, sigma 1.3 (a tenth of the nodes are below 20 ms, a tenth above half a second);
- between sessions 2.7 % in all: its variance is split between the machine (common to all nodes) and the node by
  session; the share of the latter is given as "node share" and is swept;
- within a session 1 % by node, and another 1 % by round that all nodes share; the node's is normal, Student's t with 3
  degrees of freedom (same standard deviation), or normal with spikes (1 % of the values are 5 to 50 % slower);
- each process has another 0.3 ms of noise whatever its size; wall is cpu with a second, independent 1 %; user and
  system time are dealt by 4 ms ticks.

All four metrics are compared: 4,000 questions a session. The changed node is one above 50 ms, 5 % slower.
The other rules see cpu times only (1,000 questions), as they would be used: on the last stored session or
the other side. "Also others" are sessions with the slower node in which another one was flagged too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from pytest_ptreetime.decision.comparing import DEFAULT_FDR, compare
from pytest_ptreetime.decision.metric_noise import metric_noise
from pytest_ptreetime.decision.panel import Panel, with_build
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.rules import Terms, decide

Array = npt.NDArray[np.float64]

NODES = 1000
METRICS = ("wall", "user", "sys", "cpu")
BETWEEN, WITHIN, GRAIN, TICK = 0.027, 0.01, 0.0003, 0.004
EFFECT = 0.05


@dataclass(frozen=True)
class World:
    """One kind of noise."""

    name: str
    node_share: float = 0.01
    tails: str = "normal"
    session_tails: str = "normal"


class Build:
    """The nodes of one simulated build; each trial makes a new one."""

    def __init__(self, random: np.random.Generator, world: World) -> None:
        self.random, self.world = random, world
        self.sizes = np.exp(np.log(0.1) + 1.3 * random.standard_normal(NODES)).clip(0.002, 20)
        self.sys_share = random.beta(2, 12, NODES)
        self.slowed = int(random.choice(np.flatnonzero(self.sizes >= 0.05)))

    def session(self, rounds: int) -> Array:
        """Rounds x metrics x nodes in seconds."""
        world, random = self.world, self.random
        machine = BETWEEN * (1 - world.node_share) ** 0.5 * random.standard_normal()
        by_session = BETWEEN * world.node_share**0.5 * self._noise(world.session_tails, (NODES,))
        return self.rounds(rounds, machine + by_session)

    def rounds(self, rounds: int, level: Array) -> Array:
        """Rounds of one session whose nodes have these levels (logarithms on top of their sizes)."""
        shape, random = (rounds, NODES), self.random
        level = level + WITHIN * random.standard_normal((rounds, 1))
        cpu = self.sizes * np.exp(level + WITHIN * self._noise(self.world.tails, shape))
        cpu = np.maximum(cpu + GRAIN * random.standard_normal(shape), 1e-4)
        wall = cpu * np.exp(WITHIN * self._noise(self.world.tails, shape))
        ticks = np.maximum(np.rint(cpu / TICK), 1).astype(np.int64)
        sys = cpu * random.binomial(ticks, self.sys_share) / ticks
        return np.stack([wall, cpu - sys, sys, cpu], axis=1)

    def _noise(self, tails: str, shape: tuple[int, ...]) -> Array:
        if tails == "t3":
            return self.random.standard_t(3, shape) / 3**0.5
        values = self.random.standard_normal(shape)
        if tails == "spikes":
            spikes = self.random.random(shape) < 0.01
            values[spikes] += self.random.uniform(5, 50, int(spikes.sum()))
        return values


def panel(baseline: list[Array], current: Array) -> Panel:
    nobody = np.full(NODES, -1, dtype=np.intp)
    nodes = Panel(
        keys=[f"n{n}" for n in range(NODES)],
        metrics=METRICS,
        baseline=baseline,
        current=current,
        baseline_counts=[np.ones((len(session), NODES)) for session in baseline],
        current_counts=np.ones((len(current), NODES)),
        parents=nobody,
        parents_before=nobody,
        parents_now=nobody,
        identities={},
    )
    return with_build(nodes, np.zeros(NODES, dtype=bool))


def ours(baseline: list[Array], current: Array, *, paired: bool) -> set[int]:
    """The nodes that have a finding."""
    terms = Terms({metric: metric_noise(metric) for metric in METRICS}, DEFAULT_FDR, paired)
    return {int(f.key[1:]) if f.key[0] == "n" else -1 for f in decide(panel(baseline, current), terms).findings}


def pytest_benchmark_mean(baseline: list[Array], current: Array) -> npt.NDArray[np.bool_]:
    """`--benchmark-compare-fail=mean:5%` against the last saved run."""
    return np.asarray(current[:, 3].mean(axis=0) > 1.05 * baseline[-1][:, 3].mean(axis=0))


def mann_whitney(level: float) -> Callable[[list[Array], Array], npt.NDArray[np.bool_]]:
    def rule(baseline: list[Array], current: Array) -> npt.NDArray[np.bool_]:
        result = stats.mannwhitneyu(current[:, 3], baseline[-1][:, 3], axis=0, method="asymptotic")
        return np.asarray(result.pvalue < level)

    return rule


def rustc_perf_fence(baseline: list[Array], current: Array) -> npt.NDArray[np.bool_]:
    """A relative change beyond Q3 + 3 IQR of those between earlier sessions; a single session has none: 0.2 %."""
    means = np.stack([session[:, 3].mean(axis=0) for session in [*baseline, current]])
    changes = np.abs(np.diff(means, axis=0) / means[:-1])
    if len(changes) < 3:
        return np.asarray(changes[-1] > 0.002)
    q1, q3 = np.quantile(changes[:-1], [0.25, 0.75], axis=0)
    return np.asarray(changes[-1] > q3 + 3 * (q3 - q1))


RIVALS: dict[str, Callable[[list[Array], Array], npt.NDArray[np.bool_]]] = {
    "pytest-benchmark mean:5%": pytest_benchmark_mean,
    "Mann-Whitney 5% (LNT)": mann_whitney(0.05),
    "Mann-Whitney 0.1% (gradle-profiler)": mann_whitney(0.001),
    "rustc-perf fence": rustc_perf_fence,
}


@dataclass
class Score:
    """How many sessions had a false finding, and in how many the slower node was found."""

    trials: int = 0
    false: int = 0
    found: int = 0
    #: Sessions with the slower node that flagged another node as well.
    astray: int = 0

    def row(self) -> str:
        shares = (share_with_interval(self.false, self.trials), share_with_interval(self.found, self.trials))
        return f"{shares[0]}  {shares[1]}  {self.astray / self.trials:6.1%}"


def share_with_interval(hits: int, trials: int) -> str:
    """A share with its 95 % interval (Clopper and Pearson)."""
    low = float(special.betaincinv(hits, trials - hits + 1, 0.025)) if hits else 0.0
    high = float(special.betaincinv(hits + 1, trials - hits, 0.975)) if hits < trials else 1.0
    return f"{hits / trials:6.1%} [{low:5.1%}, {high:6.1%}]"


def run(
    world: World, sessions: int, trials: int, *, rivals: Sequence[str] = (), rounds: int = 10, seed: int = 1
) -> dict[str, Score]:
    """Trials of one world; ``sessions`` 0 is the interleaved comparison."""
    random = np.random.default_rng([seed, sessions, rounds])
    scores = {name: Score() for name in ("ours", *rivals)}
    for _ in range(trials):
        build = Build(random, world)
        if sessions:
            baseline, current = [build.session(rounds) for _ in range(sessions)], build.session(rounds)
        else:
            both = build.session(2 * rounds)
            turns = np.arange(2 * rounds) % 4  # A B B A
            baseline, current = [both[(turns == 0) | (turns == 3)]], both[(turns == 1) | (turns == 2)]
        slower = current.copy()
        slower[:, (0, 1, 3), build.slowed] *= 1 + EFFECT
        for name, score in scores.items():
            score.trials += 1
            unchanged, changed = (_flagged(name, baseline, values, paired=not sessions) for values in (current, slower))
            score.false += bool(unchanged)
            score.found += build.slowed in changed
            score.astray += bool(changed - {build.slowed})
    return scores


def _flagged(name: str, baseline: list[Array], current: Array, *, paired: bool) -> set[int]:
    if name == "ours":
        return ours(baseline, current, paired=paired)
    return set(np.flatnonzero(RIVALS[name](baseline, current)).tolist())


def speed(keys: int = 10_000, rounds: int = 10, sessions: int = 1) -> float:
    """Seconds for a comparison of profiles of three metrics, all included."""
    random = np.random.default_rng(7)
    sizes = np.exp(np.log(0.1) + 1.3 * random.standard_normal(keys))
    names = [f"make/gcc/cc1[f{n}.c]" for n in range(keys)]
    parents: dict[str, str | None] = dict.fromkeys(names, None)

    def profile() -> Profile:
        cpu = (sizes * np.exp(0.01 * random.standard_normal(keys))).tolist()
        return Profile(
            totals={
                name: {"count": 1.0, "wall": 1.1 * value, "user": 0.9 * value, "sys": 0.1 * value}
                for name, value in zip(names, cpu, strict=True)
            },
            parents=parents,
        )

    stored = [[profile() for _ in range(rounds)] for _ in range(sessions)]
    now = [profile() for _ in range(rounds)]
    compare(stored[:1], now[:2], metrics=("wall", "user", "sys"))  # imports
    began = time.perf_counter()
    compare(stored, now, metrics=("wall", "user", "sys"))
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400, help="for the bars; the sweeps take an eighth of it")
    arguments = parser.parse_args()
    few = max(arguments.trials // 8, 20)
    print(f"{'':44}{'false sessions':>26}{'+5 % found':>26}  also others")
    for title, sessions, world, trials in (
        ("interleaved, 10 rounds", 0, World("bar"), arguments.trials),
        ("10 sessions of 10 rounds", 10, World("bar"), arguments.trials),
    ):
        print(f"\n{title}; node share {world.node_share:.0%}, normal")
        for name, score in run(world, sessions, trials, rivals=tuple(RIVALS)).items():
            print(f"  {name:42}{score.row()}", flush=True)
    print("\nOther noise (ours alone)")
    for sessions in (0, 10):
        title = f"{sessions} sessions" if sessions else "interleaved"
        for world in (
            World("t3 within", tails="t3"),
            World("1 % spikes within", tails="spikes"),
            World("t3 by session, node share 1 %", session_tails="t3"),
            *(World(f"node share {share:.1%}", node_share=share) for share in (0.0, 0.02, 0.05, 0.1, 0.25, 1.0)),
        ):
            print(f"  {title + ', ' + world.name:42}{run(world, sessions, few)['ours'].row()}", flush=True)
    for sessions in (1, 3, 5):
        print(f"  {f'{sessions} sessions of 10 rounds':42}{run(World('few'), sessions, few)['ours'].row()}", flush=True)
    for sessions in (1, 10):
        print(f"\n10,000 keys x 3 metrics x 10 rounds against {sessions} sessions: {speed(sessions=sessions):.2f} s")


if __name__ == "__main__":
    main()
