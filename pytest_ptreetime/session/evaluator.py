"""Comparing what was measured with its baseline, as the settings and the hooks want it; confirming what was found."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_ptreetime.baselines import store
from pytest_ptreetime.confirmation.confirming import MOST_SUSPECTS
from pytest_ptreetime.decision.comparing import Comparison
from pytest_ptreetime.decision.finding import Remark
from pytest_ptreetime.decision.history import MOST_SERIES, History, Point, history_of
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.metrics import metric_of
from pytest_ptreetime.options.values import min_effect_terms
from pytest_ptreetime.session.evaluation import Evaluation, evaluate, name_alike
from pytest_ptreetime.session.hooks import Hooks
from pytest_ptreetime.session.machine_speed import MachineSpeed
from pytest_ptreetime.session.run import Round
from pytest_ptreetime.session.stored import Stores, saving_command
from pytest_ptreetime.settings import Settings
from pytest_ptreetime.tracers import PROCESS_COST

__all__ = ["Evaluator"]


@dataclass(frozen=True)
class Evaluator:
    """What every comparison of one session needs besides the measurement. ``directory`` is pytest's rootdir."""

    hooks: Hooks
    stores: Stores
    machine: MachineSpeed
    directory: Path

    def keyer(self, settings: Settings) -> Keyer:
        """How nodes are named."""
        return Keyer(substitutions=settings.sub_arg, key_hook=self.hooks.key, normalize_hook=self.hooks.normalize_args)

    def profiles(self, rounds: Sequence[Round], settings: Settings) -> list[Profile]:
        """A profile a round, keyed as the settings and the hooks say."""
        keyer = self.keyer(settings)
        return [Profile.from_tree(done.tree, keyer=keyer) for done in rounds]

    def evaluate(self, evaluation: Evaluation) -> None:
        """Compare a measurement, where there is something to compare it with, and note the outcome in it."""
        measurement, settings, stored = evaluation.measurement, evaluation.settings, evaluation.stored
        if evaluation.baseline_profiles:
            self._compare(evaluation, [evaluation.baseline_profiles], paired=True)
        elif stored is not None:
            measurement.baseline_source = stored.describe()
            self._compare(evaluation, [session.profiles() for session in stored.recent], stored=stored)
            self._note_other_machine(evaluation, stored)
            reference = stored.recent[-1]  # whose keys all have
            measurement.outline, measurement.outline_keys = reference.outline, reference.columns.keys
            if any(wanted.partition(":")[0] == "html" for wanted in settings.report):
                measurement.history = _history(stored)
        elif settings.baseline is not None:
            place = store.near(self.stores.at(settings.baseline, settings).directory)
            measurement.message = (
                f"not compared: no baseline of {measurement.name} in {place} (save one: {saving_command(settings)})"
            )
        if measurement.comparison is None:
            name_alike(measurement, evaluation.profiles, self.stores.last_session(settings, evaluation.label))
        elif settings.confirm:
            self._confirm(evaluation, measurement.comparison)

    def terms(self, settings: Settings, *, paired: bool, stored: store.Baseline | None) -> dict[str, Any]:
        """The keyword arguments of compare() that the settings and the store give."""
        terms: dict[str, Any] = {"paired": paired, **min_effect_terms(settings.min_effect)}
        if settings.metrics:
            terms["metrics"] = tuple(settings.metrics)
        if settings.ignore:
            terms["ignore"] = tuple(settings.ignore)
        if settings.confirm:
            terms["suspects"] = MOST_SUSPECTS
        if stored is not None:
            if not settings.allow_other_machine and self.stores.host.difference(stored.host) is not None:
                # what another machine counted is as good as what this one did, its times are not
                terms["metrics"] = tuple(metric for metric in settings.metrics or () if metric_of(metric).work)
            if stored.pinned_session is not None:
                terms["pinned"] = stored.pinned_session.profiles()
            terms["baseline_calibration"] = [session.calibration for session in stored.recent]
            terms["current_calibration"] = self.machine.calibration
        return terms

    def _compare(
        self,
        evaluation: Evaluation,
        sessions: Sequence[Sequence[Profile]],
        *,
        paired: bool = False,
        stored: store.Baseline | None = None,
    ) -> None:
        measurement, settings = evaluation.measurement, evaluation.settings
        hook = self.hooks.compare

        def decide(baseline: Sequence[Sequence[Profile]], current: Sequence[Profile]) -> Comparison | None:
            if hook is None:
                return None
            return hook(measurement=measurement, baseline=baseline, current=current, settings=settings)

        cost = PROCESS_COST.get(measurement.tracer, 0.0)
        terms = self.terms(settings, paired=paired, stored=stored)
        evaluate(measurement, sessions, evaluation.profiles, decide=decide, tracing_cost=cost, **terms)

    def _note_other_machine(self, evaluation: Evaluation, stored: store.Baseline) -> None:
        """What of the comparison is left out, or weak, because the baseline was measured elsewhere."""
        measurement, host = evaluation.measurement, self.stores.host
        difference = host.difference(stored.host)
        if difference is not None and not evaluation.settings.allow_other_machine:
            measurement.message = (
                f"times not compared, only counts: the baseline of {measurement.name} is from another machine "
                f"({difference}); compare both revisions here with --ptreetime-against REV, or save a baseline here: "
                f"{saving_command(evaluation.settings)}"
            )
        elif measurement.comparison is not None:
            if difference is not None:
                measurement.comparison.notes.append(Remark("other-machine", {"difference": difference}))
            if stored.host.kernel != host.kernel:
                kernels = {"before": stored.host.kernel, "now": host.kernel}
                measurement.comparison.notes.append(Remark("other-kernel", {**kernels}))

    def _confirm(self, evaluation: Evaluation, comparison: Comparison) -> None:
        """Measure alone what may have become slower. The baseline's build is its commit's, where it is a stored one."""
        from pytest_ptreetime.session.confirmation_runs import confirm_comparison, stored_build

        assert evaluation.build is not None
        stored = evaluation.stored
        reference = evaluation.baseline_profiles or (stored.recent[-1].profiles() if stored is not None else [])
        with ExitStack() as stack:
            before = evaluation.baseline_build
            if before is None and stored is not None:
                before = stack.enter_context(stored_build(evaluation.build, stored, comparison, self.directory))
            if before is None:
                return
            confirm_comparison(
                comparison,
                (before, evaluation.build),
                reference,
                budget=evaluation.settings.budget,
                keyer=self.keyer(evaluation.settings),
                progress=evaluation.progress,
            )


def _history(stored: store.Baseline) -> History:
    """For a page: what each node used the processor in the baseline's sessions."""
    points = [Point(session.session, session.time, session.commit) for session in stored.sessions]
    return history_of([session.columns for session in stored.sessions], points, "cpu", most=MOST_SERIES)
