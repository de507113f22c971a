"""What the package's own tests share: pytester, which tests run, hypothesis' profile, and what CI says at the end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy  # noqa: F401 # pytester takes what a run has imported away again, and numpy can't be imported twice
import pytest

pytest_plugins = ["pytester"]

with suppress(ImportError):  # a user's environment, in which one test may be run, need not have it
    import hypothesis

    # The machine is shared: how long an example takes says nothing about the code.
    hypothesis.settings.register_profile(
        "ptreetime", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.register_profile("fast", hypothesis.settings.get_profile("ptreetime"), max_examples=15)
    hypothesis.settings.load_profile("ptreetime")

# A shell starts what runs in the background with SIGINT ignored, and every process that a test starts would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")
"""The audit events of Python that stand for a new process."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--slow", action="store_true", help="run the tests marked slow too (they build and install packages)"
    )
    parser.addoption("--fast", action="store_true", help="leave out the tests that start processes or take seconds")
    parser.addoption("--try", dest="which_try", metavar="second", help="note what passes as passed on this try")
    parser.addoption("--notes", metavar="FILE", help="notes of CI: a line each, shown before the closing line")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes a minute or a package index; runs with --slow, as .ci/run does")
    config.addinivalue_line("markers", "promise(name): holds this promise of docs/explanation/reliability.md")
    config.addinivalue_line("markers", "seconds: starts no process but takes seconds; --fast leaves it out")
    if config.getoption("--fast"):
        config.pluginmanager.register(NoProcesses())
        if "hypothesis" in sys.modules:
            hypothesis.settings.load_profile("fast")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if not config.getoption("--slow") and item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.skip(reason="slow: give --slow to run it"))


class NoProcesses:
    """With ``--fast``, a test is skipped at its first start of a process: no list of such tests can be out of date."""

    def __init__(self) -> None:
        self.in_test = False
        sys.addaudithook(self._heard)

    def _heard(self, event: str, _: object) -> None:
        if self.in_test and event in STARTS:
            pytest.skip("fast: starts a process")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            # what runs pytest within pytest would take the skip for its own
            if "pytester" in getattr(item, "fixturenames", ()) or item.get_closest_marker("seconds") is not None:
                item.add_marker(pytest.mark.skip(reason="fast: takes longer"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        self.in_test = True
        try:
            return (yield)
        finally:
            self.in_test = False


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What a reader of CI's last lines must not miss, before pytest's closing line."""
    notes = config.getoption("--notes")
    if notes is None:
        return
    if which := config.getoption("which_try"):
        with Path(notes).open("a", encoding="utf-8") as file:
            for report in terminalreporter.getreports("passed"):
                file.write(f"passed on the {which} try: {report.nodeid}\n")
    for line in Path(notes).read_text(encoding="utf-8").splitlines():
        terminalreporter.write_line(line, yellow=True)
