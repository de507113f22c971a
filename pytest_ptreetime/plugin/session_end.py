"""What happens when a session is over: baselines are stored, reports written and sent, and all of it is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_ptreetime.errors import PtreetimeError, ReportFailed, UsageError
from pytest_ptreetime.reports import Report, find_report, write_report
from pytest_ptreetime.system.os_errors import message_of, os_errors_as

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import SessionResult
    from pytest_ptreetime.session.measuring_session import MeasuringSession

__all__ = ["Outcome", "finish", "nothing_done"]


@dataclass
class Outcome:
    """What to tell at the end: files that were written, and what went wrong (which fails the run).

    ``interrupted``: Ctrl-C was pressed meanwhile; what was not done by then is not done any more.
    """

    written: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    interrupted: bool = False

    def attempt(self, what: str, action: Callable[[], None]) -> None:
        """Do one thing; its failure is noted and the rest goes on.

        :param what: what is not there if it fails, as the beginning of a sentence.
        """
        if self.interrupted:
            self.errors.append(f"{what} not written: interrupted")
            return
        try:
            with os_errors_as(ReportFailed, f"{what} not written"):
                action()
        except PtreetimeError as error:
            self.errors.append(str(error))
        except KeyboardInterrupt:
            self.interrupted = True
            self.errors.append(f"{what} not written: interrupted; the earlier one is unchanged")


def finish(
    session: MeasuringSession,
    *,
    reports: list[Report],
    amend_lnt: Callable[[dict[str, Any]], object],
    tell: Callable[[str], object],
) -> Outcome:
    """Store the baselines and write every report that was asked for.

    :param reports: those of plugins.
    :param amend_lnt: may change the LNT report before it is written.
    :param tell: shows a line at once: what is waited for.
    """
    outcome = Outcome()
    settings = session.settings

    def save() -> None:
        from pytest_ptreetime.baselines.store import near

        session.collect()
        for path in session.save():
            outcome.written.append(f"baseline saved in {near(path)}")

    outcome.attempt("the baselines are", save)
    try:
        result = session.result()
    except PtreetimeError as error:
        outcome.errors.append(f"the reports are not written: {error}")
        return outcome
    except KeyboardInterrupt:
        outcome.interrupted = True
        outcome.errors.append("the reports are not written: interrupted")
        return outcome

    def lnt() -> None:
        from pytest_ptreetime.reports.lnt import LntReport

        path = write_report(LntReport(settings.lnt_suite, amend_lnt), result, settings.lnt_report)
        outcome.written.append(f"LNT report written to {path}")
        if settings.lnt_submit is not None:
            from pytest_ptreetime.reports.lnt_submit import submit

            outcome.written.append(submit(path, settings.lnt_submit, suite=settings.lnt_suite, tell=tell))

    if settings.lnt_report is not None or settings.lnt_submit is not None:
        outcome.attempt("the LNT report is", lnt)
    outcome.attempt("the summary of the job is", lambda: _github(result, outcome))
    for wanted in settings.report:
        outcome.attempt(f"the report {wanted} is", partial(_report, wanted, reports, result, outcome))
    return outcome


def nothing_done(error: BaseException) -> Outcome:
    """What to tell where not even the beginning could be made."""
    interrupted = isinstance(error, KeyboardInterrupt)
    reason = "interrupted" if interrupted else message_of(error)
    return Outcome(errors=[f"nothing is stored or reported: {reason}"], interrupted=interrupted)


def _github(result: SessionResult, outcome: Outcome) -> None:
    """In a GitHub Actions job: the step's summary, and annotations of what failed."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from pytest_ptreetime.reports.markdown import append_step_summary, workflow_commands

    path = append_step_summary(result)
    if path is not None:
        outcome.written.append(f"summary added to {path}")
    outcome.shown.extend(workflow_commands(result))


def _report(wanted: str, further: list[Report], result: SessionResult, outcome: Outcome) -> None:
    """One ``NAME[:FILE]``; a report that has no file's suffix and got no file is shown on the terminal."""
    import io

    name, colon, file = wanted.partition(":")
    if colon and not file:
        raise UsageError(f"--ptreetime-report {wanted}: give a file after the colon")
    report = find_report(name, further)
    if not file and not report.suffix:
        text = io.BytesIO()
        report.render(result, text)
        outcome.shown.append(text.getvalue().decode())
        return
    path = write_report(report, result, file or None)
    outcome.written.append(f"{name} report written to {path}")
