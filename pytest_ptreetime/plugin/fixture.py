"""What a test holds in its hands: the fixture ``ptreetime``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

from pytest_ptreetime.decision.comparing import Comparison
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.session.label import Label
from pytest_ptreetime.session.measure import Build, Progress, representative
from pytest_ptreetime.session.measuring import Judged, MeasuringSession
from pytest_ptreetime.session.preparation import Setup, is_incremental
from pytest_ptreetime.settings import Settings, parse_fail_on
from pytest_ptreetime.tracers import Interpose, Tracer
from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["PtreetimeFixture"]

INTERLEAVED_ROUNDS = 10
_SETTINGS = ("rounds", "warmup", "timeout", "interpose")  # arguments of a call that are options, too

Args = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


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
        self.unjudged: list[Judged] = []
        self.judged: list[Judged] = []
        self.done: list[Judged] = []

    def __call__(
        self,
        args: Args,
        *,
        name: str | None = None,
        rounds: int | None = None,
        warmup: int | None = None,
        setup: Setup = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        input: str | bytes | None = None,  # noqa: A002 - subprocess.run calls it so
        timeout: float | None = None,
        check: bool = True,
        shell: bool = False,
        stdin: IO[Any] | int | None = None,
        pass_fds: Collection[int] = (),
        umask: int = -1,
        user: str | int | None = None,
        group: str | int | None = None,
        extra_groups: Sequence[str | int] | None = None,
        start_new_session: bool = False,
        process_group: int | None = None,
        tracer: str | Tracer | None = None,
        interpose: Interpose | None = None,
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
        :param timeout: seconds after which the whole process tree of a run is ended.
        :param stdin: an open file, a descriptor or ``subprocess.DEVNULL``; a regular file is read anew in
            every round. By default it is pytest's own.
        :param pass_fds: descriptors that stay open in the build; all others but the standard streams are closed.
        :param umask, user, group, extra_groups: what the build runs with and as; not so ``setup``.
        :param start_new_session, process_group: as in ``subprocess.run``; Ctrl-C does not reach such a build by itself,
            and a second one ends it.
        :param check: a build that does not end with exit status 0 raises ``CommandFailed``.
        :param tracer: a tracer's name, or a tracer; the session's by default.
        :param interpose: whether a library may be loaded into the build's programs, where the tracer has a use for one;
            "log" for the one that logs each start and end.
        :returns: the tree of the round with the median wall time; ``.rounds`` has the trees of all rounds, ``.stdout``,
            ``.stderr`` and ``.exit_code`` what the build gave.
        :raises CommandFailed: the build could not be started, failed, or (CommandTimedOut) ran out of time.
        :raises TracerUnavailable: the tracer does not work here.
        """
        options = dict(locals())
        for taken in ("self", "args", "name", "tracer"):
            del options[taken]
        settings, options = self._decided(options)
        build = Build.from_arguments(args, **options)
        if "regression" in settings.fail_on and is_incremental(build.setup):
            settings = replace(settings, fail_on=settings.fail_on | {"structure"})
        label = Label.unique(self._test, name, self._names)
        judged, done = self._session.measure(build, settings, label=label, tracer=tracer, progress=self._progress)
        self.unjudged.append(judged)
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
        if options.get("rounds") is None and self._settings.rounds is None:
            options["rounds"] = INTERLEAVED_ROUNDS
        settings, options = self._decided(options)
        settings = replace(settings, fail_on=_failing(fail_on))
        baseline = Build.from_arguments(baseline_args, cwd=baseline_cwd if baseline_cwd is not None else cwd, **options)
        judged, _ = self._session.measure_against(
            baseline,
            Build.from_arguments(candidate_args, cwd=cwd, **options),
            settings,
            label=Label.unique(self._test, name, self._names),
            tracer=tracer,
            progress=self._progress,
            source="the first command of compare_with, interleaved",
        )
        self._session.judge(judged)
        judged.keep = False
        self.judged.append(judged)
        assert judged.measurement.comparison is not None
        return judged.measurement.comparison

    def _decided(self, options: Mapping[str, Any]) -> tuple[Settings, dict[str, Any]]:
        """The test's settings with what a call says where no flag says otherwise, and the arguments for its build."""
        said = {name: options[name] for name in _SETTINGS if options.get(name) is not None}
        settings = self._settings.with_call(said)
        rest = {name: value for name, value in options.items() if name not in _SETTINGS}
        if rest.get("setup") is None:
            rest["setup"] = self._setup
        return settings, {
            **rest,
            "timeout": settings.timeout,
            "interpose": settings.interpose,
            "no_aslr": settings.no_aslr,
            "redact": settings.redact,
        }


def _failing(text: str) -> frozenset[str]:
    try:
        return parse_fail_on(text)
    except ValueError as error:
        raise UsageError(f"compare_with: fail_on={text!r}: {error}") from None
