"""What a test holds in its hands: the fixture ``ptreetime``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pytest_ptreetime.decision.comparing import Comparison
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.values import parse_fail_on
from pytest_ptreetime.session.build import Args, Build, RunOptions, takes_run_options
from pytest_ptreetime.session.evaluation import Evaluation
from pytest_ptreetime.session.label import Label
from pytest_ptreetime.session.measuring_session import MeasuringSession
from pytest_ptreetime.session.preparation import Setup, is_incremental
from pytest_ptreetime.session.progress import Progress
from pytest_ptreetime.session.rounds import representative
from pytest_ptreetime.settings import Settings
from pytest_ptreetime.tracers import Interpose, Tracer
from pytest_ptreetime.tree.process_tree import ProcessTree

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["PtreetimeFixture"]

INTERLEAVED_ROUNDS = 10


class PtreetimeFixture:
    """Runs builds and returns their process trees; called with a command as ``subprocess.run`` is.

    Every call is a measurement: after the test function has returned, it is compared with its baseline, and a
    regression fails the test.
    """

    def __init__(
        self,
        session: MeasuringSession,
        settings: Settings,
        test: str,
        progress: Progress | None,
        setup: Setup = None,
        name: str = "ptreetime",
    ) -> None:
        self.name = name
        self._session = session
        self._settings = settings
        self._test = test
        self._progress = progress
        self._setup = setup  # the marker's
        self._names: set[str] = set()
        self.pending: list[Evaluation] = []
        self.evaluated: list[Evaluation] = []
        self.done: list[Evaluation] = []

    @takes_run_options
    def __call__(
        self,
        args: Args,
        *,
        name: str | None = None,
        rounds: int | None = None,
        warmup: int | None = None,
        setup: Setup = None,
        check: bool = True,
        tracer: str | Tracer | None = None,
        interpose: Interpose | None = None,
        **options: Unpack[RunOptions],
    ) -> ProcessTree:
        """Run a build, a number of times where numbers are wanted, and return its process tree.

        :param args: the command; a text with ``shell``.
        :param name: tells several measurements of one test apart, in reports and in the store.
        :param rounds: measured runs. The flag ``--ptreetime-rounds`` wins, then this, then marker, ini and default (5
            where something is compared, saved or reported to LNT, else 1). ``warmup`` and ``timeout`` likewise.
        :param warmup: runs before the measured ones.
        :param setup: what to do before every run, untraced and untimed: a command, something to call, a step of
            ``pytest_ptreetime.scenarios``, or a list of these. What ran after a ``touch`` or an ``edit`` is compared
            exactly, as ``--ptreetime-fail-on structure`` does.
        :param check: a build that does not end with exit status 0 raises ``CommandFailed``.
        :param tracer: a tracer's name, or a tracer; the session's by default.
        :param interpose: whether a library may be loaded into the build's programs, where the tracer has a use for one;
            "log" for the one that logs each start and end.
        :param options: as of ``subprocess.run`` (RunOptions), for the build, not for ``setup``. ``timeout`` ends the
            whole process tree of a run. ``stdin`` is pytest's own by default; a regular file is read anew in every
            round. Ctrl-C does not reach a build with ``start_new_session`` or ``process_group`` by itself, and a second
            one ends it.
        :returns: the tree of the round with the median wall time; ``.rounds`` has the trees of all rounds, ``.stdout``,
            ``.stderr`` and ``.exit_code`` what the build gave.
        :raises CommandFailed: the build could not be started, failed, or (CommandTimedOut) ran out of time.
        :raises TracerUnavailable: the tracer does not work here.
        """
        said = {"rounds": rounds, "warmup": warmup, "interpose": interpose, "timeout": options.get("timeout")}
        settings = self._settings.with_call(said)
        build = self._build(args, settings, setup=setup, check=check, **options)
        if "regression" in settings.fail_on and is_incremental(build.setup):
            settings = settings._replace(fail_on=settings.fail_on | {"structure"})
        label = Label.unique(self._test, name, self._names)
        evaluation, done = self._session.measure(build, settings, label=label, tracer=tracer, progress=self._progress)
        self.pending.append(evaluation)
        tree = done[representative(done)].tree
        tree.rounds = [one.tree for one in done]
        return tree

    def compare_with(
        self,
        baseline_args: Args,
        candidate_args: Args,
        *,
        name: str | None = None,
        cwd: str | os.PathLike[str] | None = None,
        baseline_cwd: str | os.PathLike[str] | None = None,
        tracer: str | Tracer | None = None,
        fail_on: str = "never",
        **options: Any,
    ) -> Comparison:
        """Run two builds in turns (A B B A ...) and compare the second with the first.

        :param baseline_cwd: the directory of the first build where it is not ``cwd``.
        :param options: the other arguments of a call of the fixture; ``rounds`` are 10 by default.
        :param fail_on: what fails the test, as ``--ptreetime-fail-on`` has it; by default the verdict is the caller's
            to assert.
        :returns: the comparison; ``assert comparison.verdict != "regression", comparison.sentence``.
        """
        said = {name: options.pop(name, None) for name in ("rounds", "warmup", "interpose")}
        if said["rounds"] is None and self._settings.rounds is None:
            said["rounds"] = INTERLEAVED_ROUNDS
        settings = self._settings.with_call({**said, "timeout": options.get("timeout")})
        settings = settings._replace(fail_on=_failing(fail_on))
        first_cwd = baseline_cwd if baseline_cwd is not None else cwd
        evaluation, _ = self._session.measure_against(
            self._build(baseline_args, settings, cwd=first_cwd, **options),
            self._build(candidate_args, settings, cwd=cwd, **options),
            settings,
            label=Label.unique(self._test, name, self._names),
            tracer=tracer,
            progress=self._progress,
            source="the first command of compare_with, interleaved",
        )
        self._session.evaluate(evaluation)
        evaluation.keep = False
        self.evaluated.append(evaluation)
        assert evaluation.measurement.comparison is not None
        return evaluation.measurement.comparison

    def _build(self, args: Args, settings: Settings, **options: Any) -> Build:
        """The build of a call, with what the settings and the marker say of it."""
        if options.get("setup") is None:
            options["setup"] = self._setup
        return Build.from_arguments(
            args,
            **{
                **options,
                "timeout": settings.timeout,
                "interpose": settings.interpose,
                "no_aslr": settings.no_aslr,
                "redact": settings.redact,
            },
        )


def _failing(text: str) -> frozenset[str]:
    try:
        return parse_fail_on(text)
    except ValueError as error:
        raise UsageError(f"compare_with: fail_on={text!r}: {error}") from None
