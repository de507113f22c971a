"""The names that only exist elsewhere: registered tracers and reports, revisions, stored baselines, LNT's suites.

They are looked up once, before any build runs: an hour of building must not end in "there is no report 'htlm'".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_ptreetime.errors import BaselineError, UsageError
from pytest_ptreetime.metrics import unknown_names
from pytest_ptreetime.options.table import TRACERS
from pytest_ptreetime.plugin import answers
from pytest_ptreetime.settings import Settings

__all__ = ["check"]


def check(settings: Settings, hook: Any, rootdir: Path) -> None:
    """Whether everything that the session's settings name exists.

    :param hook: pytest's hooks, with which plugins may have registered more.
    :raises UsageError: something does not, with what does.
    :raises RepositoryError: ``--ptreetime-against`` names no revision.
    """
    tracers = answers.tracers(hook)
    if settings.tracer != "auto":
        _refuse(settings.tracer, ["auto", *TRACERS, *tracers], "tracer", "--ptreetime-tracer")
    _check_reports(settings, hook)
    _check_lnt(settings)
    if settings.against is not None:
        from pytest_ptreetime.session.revisions import revision_at

        revision_at(settings.against, rootdir)
    if settings.baseline is not None:
        _check_baseline(settings, rootdir)


def _refuse(name: str, known: list[str], kind: str, flag: str) -> None:
    unknown = unknown_names([name], known, kind)
    if unknown is not None:
        raise UsageError(f"{flag}: {unknown}")


def _check_reports(settings: Settings, hook: Any) -> None:
    if not settings.report:
        return
    from pytest_ptreetime.reports import report_names

    known = sorted({*report_names(), *(report.name for report in answers.reports(hook))})
    for wanted in settings.report:
        name, colon, file = wanted.partition(":")
        _refuse(name, known, "report", "--ptreetime-report")
        if colon and not file:
            raise UsageError(f"--ptreetime-report {wanted}: give a file after the colon")


def _check_lnt(settings: Settings) -> None:
    from_lnt = (settings.lnt_report, settings.lnt_submit, settings.run_order)
    if settings.lnt_suite == "compile" and all(value is None for value in from_lnt):
        return
    from pytest_ptreetime.reports.lnt import SUITES, checked_run_order

    _refuse(settings.lnt_suite, list(SUITES), "LNT suite", "--ptreetime-lnt-suite")
    if settings.run_order is not None:
        checked_run_order(settings.run_order)
    if settings.lnt_submit is not None:
        from pytest_ptreetime.reports.lnt_submit import submission_url

        submission_url(settings.lnt_submit, settings.lnt_suite)


def _check_baseline(settings: Settings, rootdir: Path) -> None:
    """A store that has baselines has the one that is compared with, or gets it in this session."""
    from pytest_ptreetime.baselines.store import Store, near

    assert settings.baseline is not None
    if settings.save_baseline is not None:
        return
    store = Store(rootdir / settings.baseline, settings.baseline_name)
    try:
        names = store.names()
    except BaselineError:
        return  # told by each test that can't be compared
    if names and settings.baseline_name not in names:
        _refuse(settings.baseline_name, names, f"baseline in {near(store.root)} called", "--ptreetime-baseline-name")
