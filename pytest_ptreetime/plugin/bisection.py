"""``--ptreetime-bisect``: what a run of pytest says of a commit, as an exit status for ``git bisect run``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_ptreetime.errors import PtreetimeError

if TYPE_CHECKING:
    from pytest_ptreetime.session.evaluation import Evaluation

__all__ = ["BAD", "GOOD", "STOP", "UNTESTABLE", "Bisection"]

GOOD, BAD = 0, 1
UNTESTABLE = 125  # git leaves the commit out
STOP = 128  # git ends the bisection: from here on the next commit would say the same


class Bisection:
    """Collects what the tests say. A commit is bad where any test says so."""

    def __init__(self) -> None:
        self._bad = False
        self._unknown = False
        self._seen = False

    def note_end(self, error: BaseException | None) -> None:
        """A test has ended: an assertion of its own that fails is bad, a build that can't be measured says nothing."""
        self._seen = True
        if isinstance(error, (PtreetimeError, pytest.skip.Exception)):
            self._unknown = True
        elif error is not None:
            self._bad = True

    def note_error(self) -> None:
        """A test could not be begun."""
        self._unknown = True

    def note(self, evaluation: Evaluation) -> None:
        """A measurement was evaluated."""
        measurement = evaluation.measurement
        if measurement.verdict in ("inconclusive", "no-baseline") or measurement.comparison is None:
            self._unknown = True
        elif evaluation.fails:
            self._bad = True

    def exit_status(self, exit_status: int, *, collected: bool) -> int:
        """``exit_status``, pytest's own, as git wants it.

        :param collected: whether there were tests; where they can't be imported, pytest calls itself interrupted.
        """
        if exit_status == pytest.ExitCode.INTERRUPTED and not collected:
            return UNTESTABLE
        known = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        if exit_status not in known:
            return STOP
        if self._bad:
            return BAD
        return UNTESTABLE if self._unknown or not self._seen else GOOD
