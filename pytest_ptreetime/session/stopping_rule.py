"""When ``--ptreetime-rounds auto`` has measured enough: what is known decides, or the time is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_ptreetime.baselines import store
from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.session.evaluator import Evaluator
from pytest_ptreetime.session.run import Round
from pytest_ptreetime.settings import DEFAULT_ROUNDS, Settings

__all__ = ["MOST_ADAPTIVE_ROUNDS", "StoppingRule"]

MOST_ADAPTIVE_ROUNDS = 50
FEWEST_ADAPTIVE_ROUNDS = 3


@dataclass(frozen=True)
class StoppingRule:
    """The rule for one measurement, which began at ``began`` by the machine's clock."""

    evaluator: Evaluator
    settings: Settings
    began: float

    def against(self, stored: store.Baseline | None) -> Callable[[Sequence[Round]], bool] | None:
        """Whether the rounds so far decide against a stored baseline; None where their number is given."""
        if self.settings.rounds != "auto":
            return None

        def enough(rounds: Sequence[Round]) -> bool:
            if stored is None:
                return len(rounds) >= DEFAULT_ROUNDS
            return self._decided([session.profiles() for session in stored.recent], rounds, stored)

        return enough

    def in_turns(self) -> Callable[[Sequence[Round], Sequence[Round]], bool] | None:
        """Whether the rounds of both sides decide; None where their number is given."""
        if self.settings.rounds != "auto":
            return None
        return lambda before, after: self._decided([self.evaluator.profiles(before, self.settings)], after, None)

    def _decided(
        self, sessions: Sequence[Sequence[Profile]], rounds: Sequence[Round], stored: store.Baseline | None
    ) -> bool:
        if self.evaluator.machine.clock() - self.began > self.settings.budget:
            return True
        if len(rounds) < FEWEST_ADAPTIVE_ROUNDS:
            return False
        terms = self.evaluator.terms(self.settings, paired=stored is None, stored=stored)
        return compare(sessions, self.evaluator.profiles(rounds, self.settings), **terms).decided
