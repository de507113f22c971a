"""How often the decision is wrong: unchanged builds that it flags, slower processes that it misses.

Run it by `make bench-decision`. The worlds are those of worlds.py; all four metrics are compared, so a build of 300
nodes is 1,200 questions. The changed node is one above 50 ms, 5 % slower. The other rules see cpu times only, as they
would be used: on the last stored session or the other side. "Also others" are sessions with the slower node in which
another one was flagged too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special, stats
from worlds import METRICS, WORLDS, Array, Build, World

from pytest_ptreetime.decision.comparing import DEFAULT_FDR, compare
from pytest_ptreetime.decision.metric_noise import metric_noise
from pytest_ptreetime.decision.panel import Panel, with_build
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.decision.rules import decide
from pytest_ptreetime.decision.terms import Terms

EFFECT = 0.05
#: Sessions of the baseline (0: interleaved) and rounds of each session.
DESIGNS = ((0, 5), (0, 10), (1, 5), (1, 10), (3, 5), (10, 5), (10, 10))


def panel(baseline: list[Array], current: Array) -> Panel:
    nodes = current.shape[2]
    nobody = np.full(nodes, -1, dtype=np.intp)
    table = Panel(
        keys=[f"n{n}" for n in range(nodes)],
        metrics=METRICS,
        baseline=baseline,
        current=current,
        baseline_counts=[np.ones((len(session), nodes)) for session in baseline],
        current_counts=np.ones((len(current), nodes)),
        parents=nobody,
        parents_before=nobody,
        parents_now=nobody,
        identities={},
    )
    return with_build(table, np.zeros(nodes, dtype=bool))


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
    world: World, sessions: int, rounds: int, trials: int, *, rivals: Sequence[str] = (), seed: int = 1
) -> dict[str, Score]:
    """Trials of one world; ``sessions`` 0 is the interleaved comparison."""
    random = np.random.default_rng([seed, sessions, rounds])
    scores = {name: Score() for name in ("ours", *rivals)}
    for _ in range(trials):
        build = Build(random, world)
        if sessions:
            baseline, current = [build.session(rounds) for _ in range(sessions)], build.session(rounds)
        else:
            before, current = build.interleaved(rounds)
            baseline = [before]
        slower = build.slower(current, EFFECT)
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


def _title(sessions: int, rounds: int) -> str:
    return f"{sessions} sessions of {rounds} rounds" if sessions else f"interleaved, {rounds} rounds"


def _sweep(worlds: Sequence[World], designs: Sequence[tuple[int, int]], trials: int) -> None:
    asked = [(design, world) for design in designs for world in worlds]
    with ProcessPoolExecutor() as pool:
        scores = pool.map(run, *zip(*((world, *design, trials) for design, world in asked), strict=True))
        for (design, world), score in zip(asked, scores, strict=True):
            print(f"  {_title(*design) + ', ' + world.name:66}{score['ours'].row()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400, help="sessions of each row; large builds take a tenth of it")
    parser.add_argument("--world", default="", help="only the worlds that have this in their names")
    trials, only = (arguments := parser.parse_args()).trials, arguments.world
    worlds = [world for world in WORLDS if only in world.name]
    print(f"{'':68}{'false sessions':>26}{'+5 % found':>26}  also others")
    for sessions, rounds in () if only else ((0, 10), (10, 5)):
        print(f"\n{_title(sessions, rounds)}, {WORLDS[1].name}, and what others would say")
        for name, score in run(WORLDS[1], sessions, rounds, trials, rivals=tuple(RIVALS)).items():
            print(f"  {name:66}{score.row()}", flush=True)
    print("\nAll worlds, 300 nodes (ours alone)")
    _sweep(worlds, DESIGNS, trials)
    print("\n3 rounds")
    _sweep(worlds, ((0, 3), (1, 3), (10, 3)), trials)
    for nodes in (30, 3_000, 30_000):
        print(f"\n{nodes} nodes")
        some = trials if nodes == 30 else max(trials // 10, 20) if nodes == 3_000 else max(trials // 100, 4)
        _sweep([replace(world, nodes=nodes) for world in worlds], ((0, 5), (3, 5)), some)
    for sessions in (1, 10):
        print(f"\n10,000 keys x 3 metrics x 10 rounds against {sessions} sessions: {speed(sessions=sessions):.2f} s")


if __name__ == "__main__":
    main()
