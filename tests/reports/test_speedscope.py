"""speedscope, as npm has it, opens our traces in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from report_sessions import regressed_session
from test_reports_html import browser  # noqa: F401 - a fixture

from pytest_ptreetime.reports import find_report, write_report


@pytest.fixture(scope="module")
def speedscope(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page: below PTREETIME_SPEEDSCOPE (the unpacked package), or fetched by npm."""
    given = os.environ.get("PTREETIME_SPEEDSCOPE")
    if given is None:
        directory = tmp_path_factory.mktemp("speedscope")
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("needs speedscope: npm, or its unpacked package as PTREETIME_SPEEDSCOPE")
        packed = subprocess.run(
            [npm, "pack", "speedscope@1"], cwd=directory, capture_output=True, text=True, timeout=120
        )
        archives = list(directory.glob("*.tgz"))
        if not archives:
            pytest.skip(f"npm can't fetch speedscope: {packed.stderr.strip()[-200:]}")
        subprocess.run(["tar", "xzf", archives[0]], cwd=directory, check=True)
        given = str(directory / "package")
    return Path(given) / "dist" / "release" / "index.html"


@pytest.mark.parametrize(
    ("report", "format_name"), [("chrome-trace", "Trace Event Format"), ("folded", "collapsed stack")]
)
def test_speedscope_opens_the_report(
    report: str,
    format_name: str,
    speedscope: Path,
    browser: Any,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    path = write_report(find_report(report), regressed_session(), tmp_path / f"session.{report}.txt")
    page = browser.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.goto(speedscope.as_uri())
    page.set_input_files("input[type=file]", str(path))
    page.click("text=Sandwich")
    page.wait_for_selector("text=cc1")
    assert "test_clean_build" in page.inner_text("body") or report == "folded"
    assert any(format_name in line for line in told), told
    assert not [line for line in told if line.startswith("error")]
    page.close()
