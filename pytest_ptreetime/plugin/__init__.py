"""The pytest side: options, hooks and the fixture. What they do is in session/, fixture.py and reports/.

Imported in every pytest run where the package is installed, so it imports nothing heavy before a test uses the fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_ptreetime.errors import PtreetimeError, RecordingFailed, UsageError
from pytest_ptreetime.options.table import OPTIONS
from pytest_ptreetime.plugin import answers, hookspecs
from pytest_ptreetime.plugin.bisection import STOP, Bisection
from pytest_ptreetime.settings import Settings, resolve

if TYPE_CHECKING:
    from pytest_ptreetime.plugin.fixture import PtreetimeFixture
    from pytest_ptreetime.plugin.session_end import Outcome
    from pytest_ptreetime.session.measuring_session import MeasuringSession
    from pytest_ptreetime.session.progress import Progress

__all__ = ["ptreetime", "ptreetime_module", "ptreetime_session"]

FIXTURES = frozenset(__all__)
MARKER = (
    f"ptreetime({', '.join(f'{option.attribute}=None' for option in OPTIONS if option.marker)}, setup=None): "
    "how the builds of this test are measured and judged"
)
_session_key: pytest.StashKey[MeasuringSession] = pytest.StashKey()
_settings_key: pytest.StashKey[Settings] = pytest.StashKey()
_fixture_key: pytest.StashKey[PtreetimeFixture] = pytest.StashKey()
_outcome_key: pytest.StashKey[Outcome] = pytest.StashKey()
_worker_results_key: pytest.StashKey[list[bytes]] = pytest.StashKey()
_lost_key: pytest.StashKey[list[str]] = pytest.StashKey()
_bisection_key: pytest.StashKey[Bisection] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ptreetime", "build-performance regression tests")
    for option in OPTIONS:
        explained = option.help
        arguments: dict[str, Any] = {"dest": option.key, "default": None, "help": explained}
        if option.switch:
            arguments.update(action="store_const", const="true")
        elif option.repeatable:
            arguments.update(action="append", metavar=option.metavar)
        elif option.implied is not None:
            arguments.update(nargs="?", const=option.implied, metavar=option.metavar)
        else:
            arguments.update(metavar=option.metavar)
        group.addoption(option.flag, **arguments)
        words = f"{explained} (as {option.flag})"
        if option.repeatable:
            parser.addini(option.key, words, type="linelist")
        else:
            parser.addini(option.key, words, type="string", default="")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(args: list[str]) -> None:
    """Keep a flag whose directory is optional from taking the test path that follows it as its directory."""
    bare = {option.flag for option in OPTIONS if option.implied is not None}
    args[:] = [f"{argument}=" if argument in bare else argument for argument in args]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    config.stash[_worker_results_key] = []
    config.stash[_lost_key] = []
    config.stash[_bisection_key] = Bisection()
    try:
        config.stash[_settings_key] = _settings(config, {})
    except UsageError as error:
        raise _refusal(config, str(error)) from None


def _refusal(config: pytest.Config, message: str) -> BaseException:
    """What ends the run with a usage error: ``git bisect run`` would take pytest's status for a bad commit's."""
    if config.getoption("ptreetime_bisect") or config.getini("ptreetime_bisect"):
        return pytest.exit.Exception(message, returncode=STOP)
    return pytest.UsageError(message)


def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(_session_key, None)
    if session is not None:
        try:
            session.close()
        except KeyboardInterrupt:  # it must not keep a recorder or a checkout alive
            session.close()


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> str | None:
    """Which tracer was taken and why, once, where there is a test that will use it."""
    if config.stash[_settings_key].disable or not any(map(_measures, items)):
        return None
    try:
        return f"ptreetime: tracer {_session(config).choice(config.stash[_settings_key]).explain()}"
    except PtreetimeError as error:
        return f"ptreetime: {error}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Refuse names that do not exist, now that all conftest files are loaded and before any build runs."""
    config = session.config
    if config.stash[_settings_key].disable or hasattr(config, "workerinput"):
        return
    from_workers = config.pluginmanager.hasplugin("dsession")  # xdist's controller collects nothing
    if from_workers and config.stash[_settings_key].bisect:
        raise _refusal(config, "--ptreetime-bisect needs all tests in one process: leave -n out")
    if from_workers or any(map(_measures, session.items)):
        from pytest_ptreetime.plugin.known_names import check

        try:
            check(config.stash[_settings_key], config.hook, Path(config.rootpath))
        except PtreetimeError as error:
            raise _refusal(config, str(error)) from None


def _measures(item: pytest.Item) -> bool:
    return not FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))


@pytest.fixture
def ptreetime(request: pytest.FixtureRequest) -> PtreetimeFixture:
    """Run a build under a kernel-level tracer and return its process tree.

    ``tree = ptreetime(["make", "-j8"], cwd="src", setup=["make", "clean"])``; see docs/reference/fixture.md.
    """
    return _fixture(request)


@pytest.fixture(scope="module")
def ptreetime_module(request: pytest.FixtureRequest) -> PtreetimeFixture:
    """The same for a fixture of a module, whose build several tests make assertions about.

    What is measured bears the module's name, and is evaluated with the first test that uses it.
    """
    return _fixture(request)


@pytest.fixture(scope="session")
def ptreetime_session(request: pytest.FixtureRequest) -> PtreetimeFixture:
    """The same for a fixture of the session; what is measured is called ``session``."""
    return _fixture(request)


def _fixture(request: pytest.FixtureRequest) -> PtreetimeFixture:
    from pytest_ptreetime.plugin.fixture import PtreetimeFixture

    config, node = request.config, request.node
    if config.stash[_settings_key].disable:
        pytest.skip("builds are not measured: --ptreetime-disable")
    marker: dict[str, Any] = {}
    for mark in reversed(list(node.iter_markers("ptreetime"))):
        marker.update(mark.kwargs)
    setup = marker.pop("setup", None)
    try:
        settings = _settings(config, marker)
        session = _session(config)
    except PtreetimeError as error:
        pytest.fail(str(error), pytrace=False)
    test = request.scope if request.scope == "session" else node.nodeid
    fixture = PtreetimeFixture(session, settings, test, _progress(config, node), setup, str(request.fixturename))
    node.stash[_fixture_key] = fixture
    return fixture


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, None]:
    """Tell what keeps a fixture of a wider scope from building as a test's own failure is told."""
    outcome = yield
    if _without_traceback(outcome) is not None:
        item.config.stash[_bisection_key].note_error()


def _without_traceback(outcome: Any) -> BaseException | None:
    """The error of a phase; one of this package is shown without its traceback."""
    error: BaseException | None = outcome.excinfo[1] if outcome.excinfo is not None else None
    if isinstance(error, PtreetimeError):
        outcome.force_exception(pytest.fail.Exception(str(error), pytrace=False))
    return error


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    """Evaluate what the test has measured, in its call phase: a regression is the test's failure.

    What a fixture of a module or of the session measured is evaluated with the first test that uses it.
    """
    outcome = yield
    error = _without_traceback(outcome)
    item.config.stash[_bisection_key].note_end(error)
    failures = []
    for node in item.listchain():
        fixture = node.stash.get(_fixture_key, None)
        if fixture is None or not (fixture.pending or fixture.name in getattr(item, "fixturenames", ())):
            continue
        try:
            failures += _evaluate(item, fixture, keep=error is None)
        except PtreetimeError as refused:
            failures.append(str(refused))
    if failures and error is None:
        outcome.force_exception(pytest.fail.Exception("\n\n".join(failures), pytrace=False))


def _evaluate(item: pytest.Item, fixture: PtreetimeFixture, *, keep: bool) -> list[str]:
    """The texts of what fails the test."""
    from pytest_ptreetime.system.os_errors import os_errors_as

    session = _session(item.config)
    failures = []
    with os_errors_as(RecordingFailed, "the measurements can't be compared"):
        from pytest_ptreetime.reports.terminal import failure_text, how_to_accept, properties

        for evaluation in fixture.pending:
            session.evaluate(evaluation)
        for evaluation in (*fixture.evaluated, *fixture.pending):
            item.config.stash[_bisection_key].note(evaluation)
            item.user_properties.extend(properties(evaluation.measurement))
            if evaluation.fails:
                measurement = evaluation.measurement
                if measurement.verdict == "regression":
                    measurement.accept = how_to_accept(measurement, evaluation.settings, item.nodeid)
                measurement.told = keep and item.config.option.tbstyle != "no"
                failures.append(failure_text(measurement))
    fixture.done += fixture.pending
    if not keep:  # a build of a module is kept where all tests of it pass
        for evaluation in fixture.done:
            evaluation.keep = False
    fixture.pending.clear()
    fixture.evaluated.clear()
    return failures


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> list[str] | None:
    """Say what ran and must not, where an assertion about ``tree.ran()`` or ``tree.compiled()`` fails."""
    programs_run = sys.modules.get("pytest_ptreetime.keys.programs_run")  # else neither is one of them
    if programs_run is None:
        return None
    explained: list[str] | None = programs_run.explained(op, left, right, verbose=config.option.verbose > 1)
    return explained


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """An xdist worker has ended: keep what it measured."""
    sent = getattr(node, "workeroutput", {})
    if "ptreetime" in sent:
        node.config.stash[_worker_results_key].append(sent["ptreetime"])
    if "ptreetime_lost" in sent:
        node.config.stash[_lost_key].append(
            f"what {node.gateway.id} measured is neither stored nor reported: {sent['ptreetime_lost']}"
        )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker sends what it measured; the controller takes it over, and alone stores and reports."""
    config = session.config
    if hasattr(config, "workeroutput"):
        if _session_key in config.stash:
            _send(config)
        return
    _end(session)
    if config.stash[_settings_key].bisect:
        collected = session.testscollected > 0
        session.exitstatus = config.stash[_bisection_key].exit_status(session.exitstatus, collected=collected)


def _end(session: pytest.Session) -> None:
    """Store and report."""
    config = session.config
    if session.exitstatus == pytest.ExitCode.USAGE_ERROR:
        return  # nothing was run: there is nothing to store or report
    if _session_key not in config.stash and not config.stash[_worker_results_key] and not config.stash[_lost_key]:
        return
    try:
        outcome = _finish(config)
    except (KeyboardInterrupt, ImportError, OSError, MemoryError, PtreetimeError) as error:
        from pytest_ptreetime.plugin.session_end import nothing_done

        outcome = nothing_done(error)
    lost = config.stash[_lost_key]
    outcome.errors.extend(lost)
    config.stash[_outcome_key] = outcome
    if outcome.interrupted:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    elif outcome.errors and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _send(config: pytest.Config) -> None:
    """Let xdist send the worker's measurements; it says nothing of what goes wrong here, so the controller has to."""
    from pytest_ptreetime.system.os_errors import message_of

    sent: dict[str, bytes | str]
    try:
        sent = {"ptreetime": _session(config).worker_result()}
    except (KeyboardInterrupt, Exception) as error:
        sent = {"ptreetime_lost": message_of(error)}
    config.workeroutput.update(sent)  # type: ignore[attr-defined]


def _finish(config: pytest.Config) -> Outcome:
    from pytest_ptreetime.plugin.session_end import finish

    for worker_result in config.stash[_worker_results_key]:
        _session(config).add_worker_result(worker_result)
    write, _ = _writer(config)
    return finish(
        _session(config),
        reports=answers.reports(config.hook) if config.stash[_settings_key].report else [],
        amend_lnt=lambda report: config.hook.pytest_ptreetime_lnt_report(report=report),
        tell=lambda line: write(f"\nptreetime: {line}"),
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell what was measured, found, stored and written."""
    outcome = config.stash.get(_outcome_key, None)
    if outcome is None:
        return
    try:
        _tell(terminalreporter, config, outcome)
    except (KeyboardInterrupt, ImportError, OSError, MemoryError, PtreetimeError) as error:
        terminalreporter.write_line(f"error: the summary is not complete: {error or type(error).__name__}", red=True)


def _tell(terminalreporter: pytest.TerminalReporter, config: pytest.Config, outcome: Outcome) -> None:
    from pytest_ptreetime.reports.terminal import summary_text

    measurements = _session(config).result().measurements
    if not measurements and not outcome.errors:
        return
    terminalreporter.section("ptreetime")
    verbosity = config.get_verbosity() if hasattr(config, "get_verbosity") else config.option.verbose
    writer = terminalreporter._tw  # the only public way to its width and colours
    if measurements:
        summary = summary_text(
            _session(config).result(), width=writer.fullwidth, colour=writer.hasmarkup, verbosity=verbosity
        )
        terminalreporter.write_line(summary)
    for text in outcome.shown:
        terminalreporter.write_line(text.rstrip())
    for line in outcome.written:
        terminalreporter.write_line(line)
    for error in outcome.errors:
        terminalreporter.write_line(f"error: {error}", red=True)


def _progress(config: pytest.Config, item: pytest.Item | pytest.Collector) -> Progress:
    """A progress line where there is a terminal to show it on, and nobody asked for quiet; a wait is always told."""
    from pytest_ptreetime.session.progress import ProgressLine, WaitingLine

    write, writer = _writer(config)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if writer is None or not getattr(reporter, "isatty", False) or config.option.verbose < 0:
        return WaitingLine(write, item.nodeid)
    return ProgressLine(write, writer.fullwidth, item.name, lambda: int(writer.width_of_current_line))


def _writer(config: pytest.Config) -> tuple[Callable[[str], object], Any]:
    """What shows a text at once, captured or not, and pytest's terminal; None in a worker, which has none."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    worker = reporter is None or hasattr(config, "workerinput")
    writer: Any = None if worker else getattr(reporter, "_tw")  # noqa: B009 - pytest has no public way to its terminal

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled() if capture is not None else nullcontext():
            # not writer.write(): pytest goes on counting the columns of its own line
            file = sys.stderr if writer is None else writer._file
            file.write(text)
            file.flush()

    return write, writer


def _settings(config: pytest.Config, marker: dict[str, Any]) -> Settings:
    flags = {option.attribute: config.getoption(option.key) for option in OPTIONS}
    ini = {option.attribute: config.getini(option.key) for option in OPTIONS}
    return resolve(flags, marker, {name: value for name, value in ini.items() if value not in (None, "", [])})


def _session(config: pytest.Config) -> MeasuringSession:
    """The one session of this process, made when something first needs it."""
    if _session_key not in config.stash:
        from pytest_ptreetime.system.os_errors import os_errors_as

        with os_errors_as(RecordingFailed, "nothing can be measured"):
            from pytest_ptreetime.session.hooks import Hooks
            from pytest_ptreetime.session.measuring_session import MeasuringSession

        hook = config.hook
        hooks = Hooks(
            key=answers.key(hook),
            normalize_args=answers.normalized_args(hook),
            compare=answers.comparison(hook),
            tracers=answers.tracers(hook),
            machine_info=lambda info: answers.add_machine_info(hook, info),
        )
        with os_errors_as(RecordingFailed, "nothing can be measured"):
            config.stash[_session_key] = MeasuringSession(
                config.stash[_settings_key], hooks, directory=Path(config.rootpath)
            )
    return config.stash[_session_key]
