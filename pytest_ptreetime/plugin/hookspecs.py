"""The hooks that other plugins and conftest.py files can implement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_ptreetime.decision.comparing import Comparison
    from pytest_ptreetime.decision.profile import Profile
    from pytest_ptreetime.reports import Report
    from pytest_ptreetime.reports.results import Measurement
    from pytest_ptreetime.settings import Settings
    from pytest_ptreetime.tracers import Tracer
    from pytest_ptreetime.tree.process_tree import ProcessNode


@pytest.hookspec(firstresult=True)
def pytest_ptreetime_key(node: ProcessNode) -> str | None:
    """The name of ``node`` that stays the same from run to run, or None for the default.

    The first implementation that returns a string decides. Nodes with equal keys are counted and timed together.
    """


@pytest.hookspec(firstresult=True)
def pytest_ptreetime_normalize_args(node: ProcessNode) -> Sequence[str] | None:
    """The arguments of ``node`` that belong into its key, or None for the default reduction."""


@pytest.hookspec(firstresult=True)
def pytest_ptreetime_compare(
    measurement: Measurement,
    baseline: Sequence[Sequence[Profile]],
    current: Sequence[Profile],
    settings: Settings,
) -> Comparison | None:
    """Compare ``current`` (a profile a round) with ``baseline`` (sessions of rounds); None for the default decision."""


@pytest.hookspec
def pytest_ptreetime_tracers() -> Mapping[str, Callable[[], Tracer]]:
    """Further tracers, by name; ``auto`` tries them after the built-in ones."""
    raise AssertionError("a specification is never called")


@pytest.hookspec
def pytest_ptreetime_reports() -> Sequence[Report]:
    """Further reports for ``--ptreetime-report``."""
    raise AssertionError("a specification is never called")


@pytest.hookspec
def pytest_ptreetime_lnt_report(report: dict[str, Any]) -> None:
    """Change the LNT report in place before it is written; its form is described in reports/lnt.py."""


@pytest.hookspec
def pytest_ptreetime_machine_info(info: dict[str, str]) -> None:
    """Add to, or change, what the reports say of this machine. Keys and values are strings."""
