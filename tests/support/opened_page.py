"""A report in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("PTREETIME_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
#: Where what was found or selected is told, at the search field.
FOUND = "section:not([hidden]) .controls .found"


@contextmanager
def chromium() -> Iterator[Any]:
    """The running browser; skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install playwright)")
    if CHROMIUM is None:
        pytest.skip("needs Chromium (apt-get install chromium), or its path as PTREETIME_CHROMIUM")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


class Opened:
    """A page in the browser, with everything that it complained about."""

    def __init__(self, browser: Any, path: Path, *, link: str = "", **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri() + link)

    def ready(self) -> Any:
        self.page.wait_for_selector("section[data-complete]:not([hidden])")
        return self.page

    def selected(self) -> str:
        return str(self.page.inner_text("section:not([hidden]) .details"))

    def drawn(self) -> None:
        """Wait until everything has been painted."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def pixels(self, side: str = "now") -> str:
        """The timeline as it is drawn."""
        self.drawn()
        canvas = f"section:not([hidden]) .lanes.{side} canvas"
        return str(self.page.evaluate(f"() => document.querySelector('{canvas}').toDataURL()"))
