"""One pytest session's measurements: made by the fixture, compared after each test, saved and reported at the end.

Nothing here knows pytest; plugin/__init__.py hands in the settings and the hooks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pytest_ptreetime.baselines import lines as baseline_lines
from pytest_ptreetime.baselines import store
from pytest_ptreetime.errors import RecordingFailed
from pytest_ptreetime.reports import results
from pytest_ptreetime.reports.results import Measurement, SessionResult
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.evaluation import Evaluation, WorkerResult
from pytest_ptreetime.session.evaluator import Evaluator
from pytest_ptreetime.session.hooks import Hooks
from pytest_ptreetime.session.label import Label
from pytest_ptreetime.session.machine_speed import MachineSpeed
from pytest_ptreetime.session.progress import Progress
from pytest_ptreetime.session.revisions import commit_of, commit_time_of
from pytest_ptreetime.session.rounds import measure, measure_interleaved, representative
from pytest_ptreetime.session.run import Round
from pytest_ptreetime.session.stopping_rule import MOST_ADAPTIVE_ROUNDS, StoppingRule
from pytest_ptreetime.session.stored import Stores, recording_saver
from pytest_ptreetime.session.survivors import warning_of_survivors
from pytest_ptreetime.session.worktree import Worktree
from pytest_ptreetime.settings import Settings
from pytest_ptreetime.system.host import HostFacts, host_facts
from pytest_ptreetime.system.os_errors import os_errors_as
from pytest_ptreetime.tracers import Choice, Tracer, builtin_tracers, choose
from pytest_ptreetime.wording.outside import outside_in_words

__all__ = ["MeasuringSession"]


class MeasuringSession:
    """The state of one pytest session, from its first build to its reports."""

    def __init__(self, settings: Settings, hooks: Hooks, *, directory: Path) -> None:
        self.settings = settings
        self.hooks = hooks
        self.directory = directory
        self.started = time.time()
        self._began = time.monotonic()
        self.waited_by_others = 0.0  # by xdist's workers, for each other too
        self.host: HostFacts = host_facts()
        self.stores = Stores(directory, self.host)
        self.machine = MachineSpeed()
        self._evaluator = Evaluator(hooks, self.stores, self.machine, directory)
        self.commit = commit_of(directory)
        self.commit_time = commit_time_of(directory)
        self.evaluations: list[Evaluation] = []
        self.others: list[Measurement] = []
        self.to_save: list[tuple[str, store.Session]] = []
        self._choices: dict[tuple[str, bool], Choice] = {}
        self._worktree: Worktree | None = None

    # Measuring

    def choice(self, settings: Settings) -> Choice:
        """The tracer for ``settings``, chosen once and kept running until :meth:`close`."""
        wanted = (settings.tracer, settings.sudo)
        if wanted not in self._choices:
            tracers = {**builtin_tracers(sudo=settings.sudo), **self.hooks.tracers}
            self._choices[wanted] = choose(settings.tracer, tracers)
        return self._choices[wanted]

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
        if settings.baseline is not None or settings.save_baseline is not None:
            self.machine.calibrate(progress)
        warm: list[Round] = []
        rounds = measure(
            build,
            choice.tracer,
            rounds=MOST_ADAPTIVE_ROUNDS if settings.rounds == "auto" else settings.round_count,
            warmup=settings.warmup_count,
            progress=progress,
            on_round=keeper,
            on_warmup=warm.append,
            enough=self._stopping_rule(settings).against(stored),
            on_waited=self.machine.note_wait,
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
        warm: list[Round] = []
        before, after = measure_interleaved(
            baseline,
            candidate,
            choice.tracer,
            rounds=MOST_ADAPTIVE_ROUNDS if settings.rounds == "auto" else settings.round_count,
            warmup=settings.warmup_count,
            progress=progress,
            on_round=recording_saver(settings, label),
            on_warmup=warm.append,
            enough=self._stopping_rule(settings).in_turns(),
            on_waited=self.machine.note_wait,
        )
        evaluation = self._evaluation(candidate, settings, label, choice, after, before, source=source)
        _warn_of_survivors(evaluation, warm, before, after)
        evaluation.baseline_build, evaluation.build, evaluation.progress = baseline, candidate, progress
        return evaluation, after

    def evaluate(self, evaluation: Evaluation) -> None:
        """Compare a measurement, where there is something to compare it with, and note the outcome in it.

        :raises RecordingFailed: the machine has not enough memory or descriptors for it.
        """
        try:
            with os_errors_as(RecordingFailed, f"{evaluation.label.shown_as} can't be compared"):
                self._evaluator.evaluate(evaluation)
        finally:  # Ctrl-C while something is confirmed leaves what is known
            self.evaluations.append(evaluation)

    # Ending

    def collect(self) -> None:
        """Turn what was evaluated and is worth keeping into sessions to be stored.

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
                    calibration=self.machine.calibration,
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
            ended=self.started + time.monotonic() - self._began,  # even if the clock is set meanwhile
            host=self.host,
            machine=self.settings.machine or self.host.hostname,
            commit=self.commit,
            commit_time=self.commit_time,
            run_order=self.settings.run_order,
            measurements=[evaluation.measurement for evaluation in self.evaluations] + self.others,
            machine_info=machine_info,
            waited=self.machine.waited + self.waited_by_others,
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
            return self.choice(settings._replace(tracer=tracer))
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
        profiles = self._evaluator.profiles(rounds, settings)
        measurement.take([done.tree for done in rounds], profiles, [done.tree for done in baseline_rounds])
        measurement.warnings += outside_in_words([done.tree for done in rounds])
        if self.hooks.key is not None or self.hooks.normalize_args is not None:
            keyer = self._evaluator.keyer(settings)
            measurement.keys = [keyer.keys_in_preorder(done.tree) for done in rounds]
            measurement.round_profiles = profiles
        return Evaluation(measurement, label, settings, profiles, self._evaluator.profiles(baseline_rounds, settings))

    def _stopping_rule(self, settings: Settings) -> StoppingRule:
        return StoppingRule(self._evaluator, settings, self.machine.clock())


def _warn_of_survivors(evaluation: Evaluation, *runs: Sequence[Round]) -> None:
    warning = warning_of_survivors(done.tree for some in runs for done in some)
    if warning is not None:
        evaluation.measurement.warnings.append(warning)
