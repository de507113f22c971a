"""The page: what is in the file, and what it does in a real browser (Debian's Chromium, driven by Playwright)."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from opened_page import FOUND, Opened, chromium
from report_sessions import HOSTILE_SOURCE, build, measurement, regressed_session, rounds, session

from pytest_ptreetime.reports import find_report, write_report
from pytest_ptreetime.reports.results import SessionResult


def page_of(result: SessionResult) -> str:
    out = io.BytesIO()
    find_report("html").render(result, out)
    return out.getvalue().decode()


class Elements(HTMLParser):
    """The elements of a page and the text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data


@pytest.fixture(scope="module")
def regressed() -> SessionResult:
    return regressed_session()


def test_page_needs_nothing_from_anywhere(regressed: SessionResult) -> None:
    elements = Elements(page_of(regressed))
    for tag, attributes in elements.tags:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith(("#", "data:,")), tag


def test_page_lets_no_script_run_but_its_own(regressed: SessionResult) -> None:
    page = page_of(regressed)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy.replace("&#39;", "'")
    assert "default-src 'none'" in policy.replace("&#39;", "'")


def test_names_are_text_and_never_markup() -> None:
    hostile = measurement(f"test_x.{HOSTILE_SOURCE}", now=[build([HOSTILE_SOURCE, "a.c"])])
    hostile.command = ["make", HOSTILE_SOURCE, "-->", "]]>", "{{ 7 * 7 }}"]
    page = page_of(session(hostile))
    elements = Elements(page)
    assert [tag for tag, _ in elements.tags].count("script") == 3
    assert "</script><script>alert(1)</script>\\x1b[31m\\u202e" in elements.text
    assert "{{ 7 * 7 }}" in elements.text
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_page_without_javascript_has_the_verdict_the_findings_and_the_nodes(regressed: SessionResult) -> None:
    text = Elements(page_of(regressed)).text
    for words in (
        "cc1 c.c: cpu +",
        "make/gcc/cc1[c.c]",
        "+99.4 %",
        "Example CPU 3000",
        "5 stored sessions",
        "make -j2",
    ):
        assert words in text
    assert text.count("make/gcc/as[") >= 12


def test_page_has_the_stored_sessions_in_each_row_with_the_commit_at_each_point(regressed: SessionResult) -> None:
    elements = Elements(page_of(regressed))
    titles = [attributes["title"] for tag, attributes in elements.tags if tag == "td" and "title" in attributes]
    assert any(title and re.fullmatch(r"0f2a1c9d0 90 ms, .*4f2a1c9d0 90 ms, now 180 ms", title) for title in titles)
    assert "▁▁▁▁▁█" in elements.text


def test_page_of_a_session_without_measurements_says_so() -> None:
    assert "Nothing was measured." in Elements(page_of(session())).text


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, regressed: SessionResult) -> Path:
    return write_report(find_report("html"), regressed, tmp_path_factory.mktemp("html") / "report.html")


@pytest.fixture
def opened(browser: Any, path: Path) -> Iterator[Opened]:
    opened = Opened(browser, path, viewport={"width": 1200, "height": 900})
    yield opened
    opened.page.close()
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(("file:", "blob:", "data:"))] == []


def test_verdict_leads_to_the_process(opened: Opened) -> None:
    page = opened.ready()
    before = opened.pixels()
    page.click("th button[data-key]")
    assert "cc1" in opened.selected()
    assert "make/gcc/cc1[c.c]" in opened.selected()
    assert "-dumpbase c.c" in opened.selected()
    assert opened.pixels() != before
    assert page.evaluate("() => document.activeElement.tagName") == "CANVAS"


def test_search_finds_by_argument_and_steps_through_the_matches(opened: Opened) -> None:
    page = opened.ready()
    page.fill("section:not([hidden]) .search", "-dumpbase")
    assert page.inner_text(FOUND) == "6 processes match"
    page.press("section:not([hidden]) .search", "Enter")
    first = opened.selected()
    page.press("section:not([hidden]) .search", "Enter")
    assert "cc1" in first
    assert opened.selected() != first
    page.click("section:not([hidden]) .previous")
    assert opened.selected() == first


def test_timeline_zooms_pans_and_comes_back(opened: Opened) -> None:
    page = opened.ready()
    whole = opened.pixels()
    page.click("section:not([hidden]) .zoom-in")
    zoomed = opened.pixels()
    page.evaluate("() => document.querySelector('canvas').scrollIntoView({block: 'center'})")
    box = page.query_selector("section:not([hidden]) canvas").bounding_box()
    page.mouse.move(box["x"] + 600, box["y"] + 120)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 120, steps=4)
    page.mouse.up()
    page.mouse.move(0, 0)
    panned = opened.pixels()
    page.click("section:not([hidden]) .zoom-all")
    assert len({whole, zoomed, panned}) == 3
    assert opened.pixels() == whole


def test_wheel_zooms_with_control_and_scrolls_the_page_without(opened: Opened) -> None:
    page = opened.ready()
    page.evaluate("() => document.querySelector('canvas').scrollIntoView({block: 'center'})")
    box = page.query_selector("section:not([hidden]) canvas").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 30)
    whole = opened.pixels()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    zoomed = opened.pixels()
    assert zoomed != whole
    page.mouse.wheel(0, 100)
    assert opened.pixels() == zoomed


def test_timeline_is_used_by_keyboard_and_tells_what_is_selected(opened: Opened) -> None:
    page = opened.ready()
    page.focus("section:not([hidden]) canvas")
    page.keyboard.press("ArrowRight")
    assert page.inner_text(FOUND).endswith(": make")
    page.keyboard.press("ArrowDown")
    assert page.inner_text(FOUND).endswith(": sh gcc a.c")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.inner_text(FOUND).endswith(": gcc c.c")
    page.keyboard.press("ArrowUp")
    assert page.inner_text(FOUND).endswith(": sh gcc c.c")
    whole = opened.pixels()
    page.keyboard.press("Enter")
    assert opened.pixels() != whole
    page.keyboard.press("Escape")
    assert "Nothing is selected" in opened.selected()
    page.keyboard.press("/")
    assert page.evaluate("() => document.activeElement.className") == "search"


def first_key(page: Any) -> str:
    return str(page.inner_text("section:not([hidden]) table.nodes tbody tr:first-child th .jump"))


def test_nodes_are_sorted_by_any_column_both_ways(opened: Opened) -> None:
    page = opened.ready()
    assert first_key(page) == "make/gcc/cc1[c.c]"
    page.click("section:not([hidden]) th[data-column=wall] .sort")
    assert first_key(page) == "make"
    assert page.get_attribute("section:not([hidden]) th[data-column=wall]", "aria-sort") == "descending"
    page.click("section:not([hidden]) th[data-column=wall] .sort")
    assert first_key(page).startswith("make/gcc/as[")
    page.click("section:not([hidden]) th[data-column=key] .sort")
    keys = page.eval_on_selector_all(
        "section:not([hidden]) table.nodes tbody th .jump", "found => found.map((one) => one.textContent)"
    )
    assert keys == sorted(keys)


def test_nodes_are_filtered_and_shown_as_a_tree(opened: Opened) -> None:
    page = opened.ready()
    rows = "section:not([hidden]) table.nodes tbody tr"
    page.fill("section:not([hidden]) .filter", "cc1[c.c]")
    assert len(page.query_selector_all(rows)) == 1
    page.fill("section:not([hidden]) .filter", "")
    page.check("section:not([hidden]) .as-tree")
    collapsed = len(page.query_selector_all(rows))
    page.click("section:not([hidden]) .toggle[aria-expanded=false]")
    assert len(page.query_selector_all(rows)) > collapsed


def test_added_and_removed_nodes_are_marked(browser: Any, tmp_path: Path) -> None:
    changed = measurement(now=rounds(sources=["a.c", "new.c"]), before=rounds(sources=["a.c", "old.c"]))
    opened = Opened(browser, write_report(find_report("html"), session(changed), tmp_path / "report.html"))
    page = opened.ready()
    rows = page.eval_on_selector_all(
        "table.nodes tbody tr", "rows => rows.map((row) => [row.cells[0].textContent, row.textContent])"
    )
    texts = dict(rows)
    assert any("cc1[new.c]" in key and "added" in key and "new" in texts[key] for key in texts)
    assert any("cc1[old.c]" in key and "removed" in key and "gone" in texts[key] for key in texts)
    page.close()
    assert opened.complaints == []


def test_each_test_of_the_session_has_its_view(opened: Opened) -> None:
    page = opened.ready()
    page.click("nav a:has-text('test_first_time')")
    page.wait_for_selector("#test-3[data-complete]")
    assert page.is_hidden("#test-1")
    assert "no baseline is stored" in page.inner_text("#test-3")
    page.click("#test-3 .zoom-in")
    assert page.get_attribute("nav a:has-text('test_first_time')", "aria-current") == "true"


def test_hostile_names_do_nothing_in_a_browser(browser: Any, tmp_path: Path) -> None:
    hostile = measurement(f"test_x.{HOSTILE_SOURCE}", now=[build([HOSTILE_SOURCE, "a.c"])])
    opened = Opened(browser, write_report(find_report("html"), session(hostile), tmp_path / "report.html"))
    dialogs: list[str] = []

    def refuse(dialog: Any) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    opened.page.on("dialog", refuse)
    page = opened.ready()
    page.fill(".search", "</script>")
    page.press(".search", "Enter")
    assert "</script><script>alert(1)</script>" in opened.selected()
    page.close()
    assert dialogs == []
    assert opened.complaints == []


def test_page_without_javascript_shows_its_tables(browser: Any, path: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(path.as_uri())
    assert page.is_hidden("canvas >> nth=0")
    assert page.is_visible("#test-3 table.nodes")
    assert "make/gcc/cc1[c.c]" in page.inner_text("#test-1 table.nodes")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_page_fits_its_window_in_both_schemes(scheme: str, width: int, browser: Any, path: Path) -> None:
    opened = Opened(browser, path, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = opened.ready()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    background = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    page.close()
    assert opened.complaints == []


def test_every_control_has_a_name_for_a_screen_reader(opened: Opened) -> None:
    page = opened.ready()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, canvas, a")]
             .filter((one) => !(one.textContent.trim() || one.getAttribute("aria-label") || one.closest("label")))
             .map((one) => one.outerHTML)"""
    )
    assert nameless == []


def test_page_of_a_large_build_is_small_and_opens(browser: Any, tmp_path: Path) -> None:
    large = measurement(now=[build([f"src/module{n % 300}/file_{n}.c" for n in range(4_000)])])
    path = write_report(find_report("html"), session(large), tmp_path / "report.html")
    assert len(large.tree) > 16_000
    assert path.stat().st_size < 15_000_000 * 16 / 100
    opened = Opened(browser, path)
    page = opened.ready()
    before = opened.pixels()
    page.click(".zoom-in")
    assert opened.pixels() != before
    page.fill(".search", "file_3999.c")
    assert page.inner_text(FOUND) == "3 processes match"
    page.close()
    assert opened.complaints == []
