"""One pytest session's measurements: made by the fixture, judged after each test, saved and reported at the end.

Nothing here knows pytest; plugin/__init__.py hands in the settings and the hooks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from pytest_ptreetime.baselines import lines as baseline_lines
from pytest_ptreetime.baselines import store as store
from pytest_ptreetime.confirmation.confirming import MOST_SUSPECTS
from pytest_ptreetime.decision.comparing import Comparison, compare
from pytest_ptreetime.decision.finding import Remark
from pytest_ptreetime.decision.history import History, Point, history_of
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import RecordingFailed
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.metrics import metric_of
from pytest_ptreetime.options.values import min_effect_terms
from pytest_ptreetime.reports import results
from pytest_ptreetime.reports.results import Measurement, SessionResult
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.evaluation import Evaluation, WorkerResult, evaluate, name_alike
from pytest_ptreetime.session.hooks import Hooks
from pytest_ptreetime.session.label import Label
from pytest_ptreetime.session.progress import Progress
from pytest_ptreetime.session.revisions import commit_of, commit_time_of
from pytest_ptreetime.session.rounds import machine_lock, measure, measure_interleaved, representative
from pytest_ptreetime.session.run import Round
from pytest_ptreetime.session.stored import Stores, recording_saver, saving_command
from pytest_ptreetime.session.survivors import warning_of_survivors
from pytest_ptreetime.session.worktree import Worktree
from pytest_ptreetime.settings import DEFAULT_ROUNDS, Settings
from pytest_ptreetime.system.calibration import Calibration, calibrate
from pytest_ptreetime.system.host import HostFacts, host_facts
from pytest_ptreetime.system.os_errors import refused_as
from pytest_ptreetime.tracers import PROCESS_COST, Choice, Tracer, builtin_tracers, choose

__all__ = ["MeasuringSession"]

MOST_ADAPTIVE_ROUNDS = 50
MOST_CALIBRATIONS = 4
FEWEST_ADAPTIVE_ROUNDS = 3
MOST_HISTORIES = 500


class MeasuringSession:
    """The state of one pytest session, from its first build to its reports."""

    def __init__(self, settings: Settings, hooks: Hooks, *, directory: Path) -> None:
        self.settings = settings
        self.hooks = hooks
        self.directory = directory
        self.started = time.time()
        self._began = time.monotonic()
        self.waited = 0.0  # seconds, for other measurements on this machine
        self.waited_by_others = 0.0  # by xdist's workers, for each other too
        self.host: HostFacts = host_facts()
        self.stores = Stores(directory, self.host)
        self.commit = commit_of(directory)
        self.commit_time = commit_time_of(directory)
        self.evaluations: list[Evaluation] = []
        self.others: list[Measurement] = []
        self.to_save: list[tuple[str, store.Session]] = []
        self._choices: dict[tuple[str, bool], Choice] = {}
        self._worktree: Worktree | None = None
        self._calibration: Calibration | None = None
        self._calibrations = 0

    # Measuring

    def choice(self, settings: Settings) -> Choice:
        """The tracer for ``settings``, chosen once and kept running until :meth:`close`."""
        wanted = (settings.tracer, settings.sudo)
        if wanted not in self._choices:
            tracers = {**builtin_tracers(sudo=settings.sudo), **self.hooks.tracers}
            self._choices[wanted] = choose(settings.tracer, tracers)
        return self._choices[wanted]

    @property
    def calibration(self) -> Calibration:
        """How fast this machine was in this session; measured now where it has not been."""
        if self._calibration is None:
            self._calibrate()
        assert self._calibration is not None
        return self._calibration

    def _note_wait(self, seconds: float) -> None:
        self.waited += seconds

    def _clock(self) -> float:
        """A clock that stands still while another measurement is waited for."""
        return time.monotonic() - self.waited

    def _calibrate(self, progress: Progress | None = None) -> None:
        """Measure the machine's speed once more: it is done before each of the first builds, to see it vary."""
        if self._calibrations < MOST_CALIBRATIONS:
            self._calibrations += 1
            # neither in another measurement's way, nor disturbed by it
            with (
                machine_lock(progress, self._note_wait),
                refused_as(RecordingFailed, "the machine's speed can't be measured"),
            ):
                now = calibrate()
            self._calibration = now if self._calibration is None else self._calibration.joined(now)

    def measure(
        self,
        build: Build,
        settings: Settings,
        *,
        label: Label,
        tracer: Tracer | str | None = None,
        progress: Progress | None = None,
    ) -> tuple[Evaluation, list[Round]]:
        """Run a build as often as the settings say; with ``--ptreetime-against``, in turns with the other revision's.

        :returns: the measurement, not yet evaluated, and its rounds.
        """
        if settings.against is not None:
            if self._worktree is None:
                self._worktree = Worktree.add(settings.against, self.directory)
            other = self._worktree.build_here(build)
            source = f"{self._worktree.revision} ({self._worktree.commit[:7]}), interleaved"
            return self.measure_against(
                other, build, settings, label=label, tracer=tracer, progress=progress, source=source
            )
        stored = self.stores.baseline(settings, label)  # what can't be compared with is told before the build runs
        choice = self._chosen(settings, tracer)
        keeper = recording_saver(settings, label)
        adaptive = settings.rounds == "auto"
        if settings.baseline is not None or settings.save_baseline is not None:
            self._calibrate(progress)
        began = self._clock()
        warm: list[Round] = []
        rounds = measure(
            build,
            choice.tracer,
            rounds=MOST_ADAPTIVE_ROUNDS if adaptive else settings.round_count,
            warmup=settings.warmup_count,
            progress=progress,
            on_round=keeper,
            on_warmup=warm.append,
            enough=self._enough(settings, stored, began) if adaptive else None,
            on_waited=self._note_wait,
        )
        evaluation = self._evaluation(build, settings, label, choice, rounds, [], source=None)
        _warn_of_survivors(evaluation, warm, rounds)
        evaluation.stored, evaluation.build, evaluation.progress = stored, build, progress
        return evaluation, rounds

    def measure_against(
        self,
        baseline: Build,
        candidate: Build,
        settings: Settings,
        *,
        label: Label,
        source: str,
        tracer: Tracer | str | None = None,
        progress: Progress | None = None,
    ) -> tuple[Evaluation, list[Round]]:
        """Run two builds in turns; the measurement is the candidate's."""
        choice = self._chosen(settings, tracer)
        adaptive = settings.rounds == "auto"
        began = self._clock()
        warm: list[Round] = []
        before, after = measure_interleaved(
            baseline,
            candidate,
            choice.tracer,
            rounds=MOST_ADAPTIVE_ROUNDS if adaptive else settings.round_count,
            warmup=settings.warmup_count,
            progress=progress,
            on_round=recording_saver(settings, label),
            on_warmup=warm.append,
            enough=self._enough_in_turns(settings, began) if adaptive else None,
            on_waited=self._note_wait,
        )
        evaluation = self._evaluation(candidate, settings, label, choice, after, before, source=source)
        _warn_of_survivors(evaluation, warm, before, after)
        evaluation.baseline_build, evaluation.build, evaluation.progress = baseline, candidate, progress
        return evaluation, after

    def profiles(self, rounds: Sequence[Round], settings: Settings) -> list[Profile]:
        """A profile a round, keyed as the settings and the hooks say."""
        keyer = self._keyer(settings)
        return [Profile.from_tree(done.tree, keyer=keyer) for done in rounds]

    def _keyer(self, settings: Settings) -> Keyer:
        return Keyer(substitutions=settings.sub_arg, key_hook=self.hooks.key, normalize_hook=self.hooks.normalize_args)

    # Judging

    def evaluate(self, evaluation: Evaluation) -> None:
        """Compare a measurement, where there is something to compare it with, and note the outcome in it.

        :raises RecordingFailed: the machine has not enough memory or descriptors for it.
        """
        try:
            with refused_as(RecordingFailed, f"{evaluation.label.shown_as} can't be compared"):
                self._evaluate(evaluation)
                if evaluation.settings.confirm and evaluation.measurement.comparison is not None:
                    self._confirm(evaluation, evaluation.measurement.comparison)
        finally:  # Ctrl-C while something is confirmed leaves what is known
            self.evaluations.append(evaluation)

    def _confirm(self, evaluation: Evaluation, comparison: Comparison) -> None:
        """Measure alone what may have become slower. The baseline's build is its commit's, where it is a stored one."""
        from pytest_ptreetime.session.confirmation_runs import confirm_comparison, stored_build

        assert evaluation.build is not None
        reference = evaluation.baseline_profiles or (
            evaluation.stored.recent[-1].profiles() if evaluation.stored else []
        )
        with ExitStack() as stack:
            before = evaluation.baseline_build
            if before is None and evaluation.stored is not None:
                before = stack.enter_context(
                    stored_build(evaluation.build, evaluation.stored, comparison, self.directory)
                )
            if before is None:
                return
            confirm_comparison(
                comparison,
                (before, evaluation.build),
                reference,
                budget=evaluation.settings.budget,
                keyer=self._keyer(evaluation.settings),
                progress=evaluation.progress,
            )

    def _evaluate(self, evaluation: Evaluation) -> None:
        measurement, settings = evaluation.measurement, evaluation.settings
        if evaluation.baseline_profiles:
            self._compare(evaluation, [evaluation.baseline_profiles], paired=True)
        elif evaluation.stored is not None:
            measurement.baseline_source = evaluation.stored.describe()
            self._compare(
                evaluation, [session.profiles() for session in evaluation.stored.recent], stored=evaluation.stored
            )
            self._tell_of_the_machine(evaluation, evaluation.stored)
            reference = evaluation.stored.recent[-1]  # whose keys all have
            measurement.outline, measurement.outline_keys = reference.outline, reference.columns.keys
            if any(wanted.partition(":")[0] == "html" for wanted in settings.report):
                measurement.history = _history(evaluation.stored)
        elif settings.baseline is not None:
            place = store.near(self.stores.at(settings.baseline, settings).directory)
            measurement.message = (
                f"not compared: no baseline of {measurement.name} in {place} (save one: {saving_command(settings)})"
            )
        if measurement.comparison is None:
            name_alike(measurement, evaluation.profiles, self.stores.last_session(settings, evaluation.label))

    def _tell_of_the_machine(self, evaluation: Evaluation, stored: store.Baseline) -> None:
        """What of the comparison is left out, or weak, because the baseline was measured elsewhere."""
        measurement = evaluation.measurement
        difference = self.host.difference(stored.host)
        if difference is not None and not evaluation.settings.allow_other_machine:
            measurement.message = (
                f"times not compared, only counts: the baseline of {measurement.name} is from another machine "
                f"({difference}); compare both revisions here with --ptreetime-against REV, or save a baseline here: "
                f"{saving_command(evaluation.settings)}"
            )
        elif measurement.comparison is not None:
            if difference is not None:
                measurement.comparison.notes.append(Remark("other-machine", {"difference": difference}))
            if stored.host.kernel != self.host.kernel:
                kernels = {"before": stored.host.kernel, "now": self.host.kernel}
                measurement.comparison.notes.append(Remark("other-kernel", {**kernels}))

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
        terms = self._terms(settings, paired, stored)
        evaluate(measurement, sessions, evaluation.profiles, decide=decide, tracing_cost=cost, **terms)

    def _terms(self, settings: Settings, paired: bool, stored: store.Baseline | None) -> dict[str, Any]:
        """The keyword arguments of compare() that the settings and the store give."""
        terms: dict[str, Any] = {"paired": paired, **min_effect_terms(settings.min_effect)}
        if settings.metrics:
            terms["metrics"] = tuple(settings.metrics)
        if settings.ignore:
            terms["ignore"] = tuple(settings.ignore)
        if settings.confirm:
            terms["suspects"] = MOST_SUSPECTS
        if stored is not None and not settings.allow_other_machine and self.host.difference(stored.host) is not None:
            # what another machine counted is as good as what this one did, its times are not
            terms["metrics"] = tuple(metric for metric in settings.metrics or () if metric_of(metric).work)
        if stored is not None:
            if stored.pinned_session is not None:
                terms["pinned"] = stored.pinned_session.profiles()
            terms["baseline_calibration"] = [session.calibration for session in stored.recent]
            terms["current_calibration"] = self.calibration
        return terms

    # Ending

    def collect(self) -> None:
        """Turn what was judged and is worth keeping into sessions to be stored.

        A session that is not complete, or in which a regression was found, does not become a baseline: a regression is
        accepted by saving one without comparing.
        """
        if self.settings.save_baseline is None:
            return
        for evaluation in self.evaluations:
            measurement = evaluation.measurement
            complete = all(profile.incomplete_reason is None for profile in evaluation.profiles)
            if evaluation.keep and complete and measurement.verdict != "regression":
                session = store.Session.from_profiles(
                    evaluation.named_profiles,
                    commit=self.commit,
                    tracer=measurement.tracer,
                    calibration=self.calibration,
                    representative=(measurement.tree, measurement.median_round),
                )
                self.to_save.append((evaluation.label.stored_as, session))

    def worker_result(self) -> bytes:
        """Everything that a controller needs of this worker."""
        self.collect()
        to_save = [(test, baseline_lines.line_of(session)) for test, session in self.to_save]
        return msgspec.msgpack.encode(WorkerResult(results.encode(self.result()), to_save))

    def add_worker_result(self, data: bytes) -> None:
        """Take over what a worker has sent."""
        worker_result = msgspec.msgpack.decode(data, type=WorkerResult)
        other = results.decode(worker_result.result)
        self.others.extend(other.measurements)
        self.waited_by_others += other.waited
        self.to_save.extend((test, baseline_lines.session_of(line)) for test, line in worker_result.to_save)

    def save(self) -> list[Path]:
        """Store the sessions that were collected.

        :raises BaselineError: one could not be stored; those before it are.
        """
        if self.settings.save_baseline is None:
            return []
        stored = self.stores.at(self.settings.save_baseline, self.settings)
        return [stored.add(test, self.host, session, of_now=True) for test, session in self.to_save]

    def result(self) -> SessionResult:
        """What the reports take."""
        machine_info: dict[str, str] = {}
        if self.hooks.machine_info is not None:
            self.hooks.machine_info(machine_info)
        return SessionResult(
            started=self.started,
            ended=self.started + time.monotonic() - self._began,  # whoever sets the clock meanwhile
            host=self.host,
            machine=self.settings.machine or self.host.hostname,
            commit=self.commit,
            commit_time=self.commit_time,
            run_order=self.settings.run_order,
            measurements=[evaluation.measurement for evaluation in self.evaluations] + self.others,
            machine_info=machine_info,
            waited=self.waited + self.waited_by_others,
        )

    def close(self) -> None:
        """End the tracers and remove the checkout of the other revision."""
        for choice in self._choices.values():
            choice.tracer.close()
        self._choices.clear()
        if self._worktree is not None:
            self._worktree.remove()
            self._worktree = None

    # Parts of measuring

    def _chosen(self, settings: Settings, tracer: Tracer | str | None) -> Choice:
        if tracer is None:
            return self.choice(settings)
        if isinstance(tracer, str):
            return self.choice(replace(settings, tracer=tracer))
        return Choice(tracer)

    def _evaluation(
        self,
        build: Build,
        settings: Settings,
        label: Label,
        choice: Choice,
        rounds: Sequence[Round],
        baseline_rounds: Sequence[Round],
        *,
        source: str | None,
    ) -> Evaluation:
        measurement = Measurement(
            test=label.test,
            name=label.shown_as,
            command=build.shown_args,
            rounds=[done.recording for done in rounds],
            baseline_rounds=[done.recording for done in baseline_rounds],
            median_round=representative(rounds),
            tracer=choice.tracer.name,
            tracer_explained=choice.explain(),
            baseline_source=source,
            substitutions=list(settings.sub_arg),
        )
        profiles = self.profiles(rounds, settings)
        measurement.take([done.tree for done in rounds], profiles, [done.tree for done in baseline_rounds])
        if self.hooks.key is not None or self.hooks.normalize_args is not None:
            keyer = self._keyer(settings)
            measurement.keys = [keyer.keys_in_preorder(done.tree) for done in rounds]
            measurement.round_profiles = profiles
        return Evaluation(measurement, label, settings, profiles, self.profiles(baseline_rounds, settings))

    def _enough(
        self, settings: Settings, baseline: store.Baseline | None, began: float
    ) -> Callable[[Sequence[Round]], bool]:
        """Whether the rounds so far decide, or nothing is there to decide, or the time is spent."""

        def enough(rounds: Sequence[Round]) -> bool:
            if baseline is None:
                return len(rounds) >= DEFAULT_ROUNDS
            sessions = [session.profiles() for session in baseline.recent]
            return self._decided(sessions, rounds, settings, began, paired=False, stored=baseline)

        return enough

    def _enough_in_turns(self, settings: Settings, began: float) -> Callable[[Sequence[Round], Sequence[Round]], bool]:
        def enough(before: Sequence[Round], after: Sequence[Round]) -> bool:
            return self._decided([self.profiles(before, settings)], after, settings, began, paired=True, stored=None)

        return enough

    def _decided(
        self,
        sessions: Sequence[Sequence[Profile]],
        rounds: Sequence[Round],
        settings: Settings,
        began: float,
        *,
        paired: bool,
        stored: store.Baseline | None,
    ) -> bool:
        if self._clock() - began > settings.budget:
            return True
        if len(rounds) < FEWEST_ADAPTIVE_ROUNDS:
            return False
        return compare(sessions, self.profiles(rounds, settings), **self._terms(settings, paired, stored)).decided


def _history(stored: store.Baseline) -> History:
    """For a page: what each node used the processor in the baseline's sessions."""
    points = [Point(session.session, session.time, session.commit) for session in stored.sessions]
    return history_of([session.columns for session in stored.sessions], points, "cpu", most=MOST_HISTORIES)


def _warn_of_survivors(evaluation: Evaluation, *runs: Sequence[Round]) -> None:
    warning = warning_of_survivors(done.tree for some in runs for done in some)
    if warning is not None:
        evaluation.measurement.warnings.append(warning)
