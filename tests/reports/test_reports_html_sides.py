"""The page of a comparison of which both sides were recorded: before and now, one above the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from opened_page import FOUND, Opened, chromium
from report_sessions import build, compared_sides, measurement, rounds, session

from pytest_ptreetime.reports import find_report, write_report
from pytest_ptreetime.reports.results import from_recordings

WINDOW = {"width": 1400, "height": 900}
SOURCES = [f"src/{directory}/module{n}.c" for n in range(24) for directory in ("net", "disk", "core")]
SLOW = SOURCES[30]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nearly three hundred processes, of which one compile takes four times as long and another one is new."""
    changed = compared_sides(SOURCES, [*SOURCES, "src/net/new.c"], slow={SLOW: 4.0})
    return write_report(find_report("html"), session(changed), tmp_path_factory.mktemp("html") / "report.html")


@pytest.fixture
def opened(browser: Any, path: Path) -> Iterator[Opened]:
    opened = Opened(browser, path, viewport=WINDOW)
    yield opened
    opened.page.close()
    assert opened.complaints == []


def bottom_of(page: Any, selector: str) -> float:
    return float(page.evaluate("(one) => document.querySelector(one).getBoundingClientRect().bottom", selector))


def test_first_screen_has_verdict_figures_findings_and_both_timelines(opened: Opened) -> None:
    page = opened.ready()
    for selector in (".verdict", "table.build", ".findings table", ".lanes.before canvas", ".lanes.now canvas"):
        assert bottom_of(page, selector) <= WINDOW["height"], selector


def test_first_screen_has_both_timelines_beside_long_names_and_many_lanes(browser: Any, tmp_path: Path) -> None:
    sources = [f"source/networking/transport/connection_pool_{n}.c" for n in range(72)]
    changed = compared_sides(sources, [*sources, "source/new.c"], slow=dict.fromkeys(sources[:9], 4.0))
    opened = Opened(
        browser, write_report(find_report("html"), session(changed), tmp_path / "report.html"), viewport=WINDOW
    )
    page = opened.ready()
    for selector in ("table.build", ".findings", ".lanes.before canvas", ".lanes.now canvas"):
        assert bottom_of(page, selector) <= WINDOW["height"], selector
    page.close()
    assert opened.complaints == []


def test_title_has_the_verdict_and_its_cause(opened: Opened) -> None:
    assert opened.ready().title() == f"regression: cc1 {SLOW} - test_build.test_clean_build"


def test_timelines_have_one_axis_that_begins_at_the_same_place(opened: Opened) -> None:
    page = opened.ready()
    before, now = (page.query_selector(f".lanes.{side} canvas").bounding_box() for side in ("before", "now"))
    assert (before["x"], before["width"]) == (now["x"], now["width"])
    assert before["y"] + before["height"] <= now["y"]
    both = opened.pixels("before"), opened.pixels("now")
    page.click(".zoom-in")
    zoomed = opened.pixels("before"), opened.pixels("now")
    assert zoomed[0] != both[0]
    assert zoomed[1] != both[1]


def test_finding_is_marked_in_both_and_reached_by_one_click(opened: Opened) -> None:
    page = opened.ready()
    whole = opened.pixels("before"), opened.pixels("now")
    page.click("text=Show it")
    assert f"cc1 {SLOW}" in opened.selected()
    assert opened.pixels("before") != whole[0]
    assert opened.pixels("now") != whole[1]
    for side in ("before", "now"):  # its bar is in the middle of what is shown, in the colour of what is selected
        assert page.evaluate(
            """(side) => {
              const canvas = document.querySelector(`.lanes.${side} canvas`);
              const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
              for (let i = 0; i < data.length; i += 4)
                if (data[i] === 0x0b && data[i + 1] === 0x5f && data[i + 2] === 0xff) return true;
              return false;
            }""",
            side,
        )


def test_stored_baseline_s_timeline_is_above_that_of_now(browser: Any, tmp_path: Path) -> None:
    sides = rounds(sources=SOURCES), rounds(sources=SOURCES, slow={SLOW: 4.0})
    result = session(measurement(now=sides[1], before=sides[0]))
    opened = Opened(browser, write_report(find_report("html"), result, tmp_path / "report.html"), viewport=WINDOW)
    page = opened.ready()
    before, now = (page.query_selector(f".lanes.{side} canvas").bounding_box() for side in ("before", "now"))
    assert (before["x"], before["width"]) == (now["x"], now["width"])
    assert before["y"] + before["height"] <= now["y"]
    assert now["y"] + now["height"] <= WINDOW["height"]
    page.click("text=Show it")
    (wall,) = (row for row in opened.selected().splitlines() if row.startswith("wall"))
    assert wall.split("\t") == ["wall", "99.6 ms", "400 ms"]
    page.close()
    assert opened.complaints == []


def test_stored_outline_that_is_damaged_leaves_the_page_as_without_one(browser: Any, tmp_path: Path) -> None:
    one = measurement(now=rounds(), before=rounds())
    assert one.outline is not None
    one.outline = replace(one.outline, columns=one.outline.columns[:-8])
    path = write_report(find_report("html"), session(one), tmp_path / "report.html")
    opened = Opened(browser, path, viewport=WINDOW)
    page = opened.ready()
    assert page.query_selector(".lanes.before") is None
    page.click("text=Keys; what the picture")
    assert "there is no timeline of before until another one is saved" in page.inner_text("main")
    page.close()
    assert opened.complaints == []


def test_details_show_both_sides_of_the_process(opened: Opened) -> None:
    page = opened.ready()
    page.click("text=Show it")
    heads = page.eval_on_selector_all(".details thead th", "found => found.map((one) => one.textContent)")
    (wall,) = (row for row in opened.selected().splitlines() if row.startswith("wall"))
    assert heads == ["before", "now"]
    assert wall.split("\t") == ["wall", "100 ms", "400 ms"]


def test_memory_of_all_processes_is_drawn_above_both_timelines_on_one_scale(opened: Opened) -> None:
    page = opened.ready()
    assert "memory, at most" in page.inner_text(".legend")
    page.evaluate("() => document.querySelector('.zoom-all').click()")
    opened.drawn()
    heights = page.evaluate(
        """() => ["before", "now"].map((side) => {
          const canvas = document.querySelector(`.lanes.${side} canvas`);
          const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, 80);
          for (let i = 0; i < data.length; i += 4) {
            const isLeft = (i / 4) % width < width / 2; // of the words
            if (isLeft && data[i] === 0x82 && data[i + 1] === 0x50 && data[i + 2] === 0xdf)
              return Math.floor(i / 4 / width);
          }
          return null;
        })"""
    )
    assert None not in heights
    assert abs(heights[0] - (heights[1] + 18)) <= 2  # before has the axis above it; both builds held the same


def test_tip_begins_with_the_label_then_both_times_then_the_command(opened: Opened) -> None:
    page = opened.ready()
    page.click("text=Show it")
    box = page.query_selector(".lanes.now canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 111)
    lines = page.inner_text(".tip").splitlines()
    assert lines[0] == f"cc1 {SLOW}"
    assert lines[1].startswith("before: ")
    assert lines[2].startswith("now: ")
    assert lines[3].startswith("/usr/lib/gcc/")


def test_search_answers_at_its_field_by_label_and_moves_nothing(opened: Opened) -> None:
    page = opened.ready()
    top = page.query_selector(".lanes.now").bounding_box()["y"]
    page.fill(".search", f"cc1 {SLOW}")
    page.press(".search", "Enter")
    assert page.inner_text(FOUND) == f"match 1 of 1: cc1 {SLOW}"
    field, answer = page.query_selector(".search").bounding_box(), page.query_selector(FOUND).bounding_box()
    assert abs(field["y"] - answer["y"]) < field["height"]
    assert page.query_selector(".lanes.now").bounding_box()["y"] == top


def test_colours_are_by_tool_directory_or_change_and_the_legend_says_which(opened: Opened) -> None:
    page = opened.ready()
    legends, pictures = {}, set()
    for scheme in ("tool", "directory", "change"):
        page.select_option(".colour-by", scheme)
        legends[scheme] = page.inner_text(".colours")
        pictures.add(opened.pixels())
    assert len(pictures) == 3
    assert "cc1 7" in legends["tool"]
    assert "src/net 3" in legends["directory"]
    assert "slower by 2 % or more" in legends["change"]


def test_link_holds_what_is_selected_and_shown(browser: Any, path: Path, opened: Opened) -> None:
    page = opened.ready()
    page.click("text=Show it")
    page.wait_for_function("() => location.hash.includes('node=')")
    shown, link = opened.pixels(), page.evaluate("() => location.hash")
    again = Opened(browser, path, link=link, viewport=WINDOW)
    again.ready()
    assert again.selected() == opened.selected()
    assert again.pixels() == shown
    again.page.close()
    assert again.complaints == []


def test_tree_has_totals_sorted_by_change_and_is_open_down_to_the_findings(opened: Opened) -> None:
    page = opened.ready()
    page.check(".as-tree")
    rows = page.eval_on_selector_all(
        "table.nodes tbody tr", "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    assert [row[0].strip("▾▸ ") for row in rows[:3]] == ["make", f"sh gcc {SLOW}", f"gcc {SLOW}"]
    assert rows[3][0].startswith(f"cc1 {SLOW}")
    assert rows[0][1] == "292 → 296"
    cpu_of_make, change_of_shell = rows[0][6], rows[1][7]
    assert float(cpu_of_make.removesuffix(" s")) > 8
    assert change_of_shell == "x3.3"


def test_tables_say_what_each_tool_and_directory_costs(opened: Opened) -> None:
    text = opened.ready().inner_text("main")
    assert "By tool" in text
    assert "By directory" in text
    assert any(line.startswith("cc1\t73") for line in text.splitlines())
    assert any(line.startswith("src/net\t") for line in text.splitlines())


def test_flame_graph_is_coloured_by_change_and_zooms(opened: Opened) -> None:
    page = opened.ready()
    page.click("details.flames summary")
    slow = page.query_selector(f'.frame[aria-label^="cc1 {SLOW}:"]')
    assert slow.get_attribute("class") == "frame change-slower"
    width = slow.bounding_box()["width"]
    page.click(f'.frame[aria-label^="gcc {SLOW}:"]')
    zoomed = page.query_selector(f'.frame[aria-label^="cc1 {SLOW}:"]')
    assert zoomed.bounding_box()["width"] > 5 * width
    page.select_option(".flame-by", "tool")
    assert page.get_attribute(f'.frame[aria-label^="cc1 {SLOW}:"]', "class") == "frame bar-0"


def test_critical_path_is_drawn_on_bars_that_are_too_thin_for_names(browser: Any, tmp_path: Path) -> None:
    uneven = {f"{n}.c": 1 + n * 7919 % 13 / 40 for n in range(3000)}  # so that the path goes from lane to lane
    recording = build(list(uneven), slow=uneven, jobs=4)
    tree = recording.tree()
    result = from_recordings([recording], name="thin")
    opened = Opened(browser, write_report(find_report("html"), result, tmp_path / "report.html"), viewport=WINDOW)
    page = opened.ready()
    opened.drawn()
    marked = page.evaluate(
        """() => { // by column of pixels how many are of the critical path's colour, those of make not counted
          const canvas = document.querySelector(".lanes.now canvas");
          const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const found = new Array(width).fill(0);
          for (let y = 90; y < height; y++) for (let x = 0; x < width; x++) {
            const i = 4 * (y * width + x);
            if (data[i] === 0x32 && data[i + 1] === 0x38 && data[i + 2] === 0x3f) found[x]++;
          }
          return found;
        }"""
    )
    compiles = [node for node in tree.critical_path() if node.name == "gcc"]
    middles = [(one.start_ns - tree.root.start_ns) / 1e9 + (one.wall or 0.0) / 2 for one in compiles]
    columns = [int(middle / (tree.wall or 1.0) * len(marked)) for middle in middles]
    drawn = [marked[column] >= 9 for column in columns]  # three pixels each: the shell, gcc, cc1 or as
    assert sum(drawn) >= 0.9 * len(drawn)
    page.close()


def test_lane_of_the_finding_is_seen_at_once_however_many_there_are(browser: Any, tmp_path: Path) -> None:
    wide = [f"{n}.c" for n in range(64)]
    scales = (1.0, 1.001, 0.999, 1.002, 0.998)
    before = [build(wide, jobs=32, scale=scale) for scale in scales]
    now = [build(wide, jobs=32, scale=scale, slow={"30.c": 4.0}) for scale in scales]
    result = session(measurement(now=now, before=before))
    opened = Opened(browser, write_report(find_report("html"), result, tmp_path / "report.html"), viewport=WINDOW)
    page = opened.ready()
    opened.drawn()
    at_once = page.evaluate("() => document.querySelector('.lanes.now').scrollTop")
    assert at_once > 500
    page.click("text=Show it")
    opened.drawn()
    assert page.evaluate("() => document.querySelector('.lanes.now').scrollTop") == at_once
    page.close()
    assert opened.complaints == []


def test_lanes_beyond_the_window_scroll_with_a_bar_of_their_own(browser: Any, tmp_path: Path) -> None:
    wide = [f"{n}.c" for n in range(64)]
    result = from_recordings([build(wide, jobs=32)], name="wide")
    opened = Opened(browser, write_report(find_report("html"), result, tmp_path / "report.html"), viewport=WINDOW)
    page = opened.ready()
    whole, visible = page.evaluate(
        "() => { const box = document.querySelector('.lanes.now'); return [box.scrollHeight, box.clientHeight]; }"
    )
    assert whole > visible + 500
    top = opened.pixels()
    box = page.query_selector(".lanes.now canvas").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 200)
    page.mouse.wheel(0, 600)
    page.wait_for_function("() => document.querySelector('.lanes.now').scrollTop > 500")
    assert opened.pixels() != top
    page.close()
    assert opened.complaints == []


def test_paper_has_both_timelines_and_all_columns(opened: Opened) -> None:
    page = opened.ready()
    page.set_viewport_size({"width": 1040, "height": 720})  # of a landscape page
    page.emulate_media(media="print")
    opened.drawn()
    for side in ("before", "now"):
        assert page.is_visible(f".lanes.{side} canvas")
    width = page.evaluate("() => document.documentElement.clientWidth")
    cut = page.eval_on_selector_all(
        "section:not([hidden]) table", f"found => found.filter((t) => t.getBoundingClientRect().right > {width}).length"
    )
    assert cut == 0


def test_paper_has_the_lanes_that_the_screen_has_no_room_for(browser: Any, path: Path) -> None:
    opened = Opened(browser, path, viewport={"width": 1040, "height": 500})
    page = opened.ready()
    height = "() => document.querySelector('.lanes.before').clientHeight"
    on_screen = page.evaluate(height)
    assert on_screen < page.evaluate("() => document.querySelector('.lanes.before').scrollHeight")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    on_paper = page.evaluate(height)
    assert on_paper == page.evaluate("() => document.querySelector('.lanes.before').scrollHeight")
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(height) == on_screen
    page.close()


def test_paper_of_a_dark_page_is_light(browser: Any, path: Path) -> None:
    opened = Opened(browser, path, viewport=WINDOW, color_scheme="dark")
    page = opened.ready()
    page.select_option(".colour-by", "change")
    dark = opened.pixels()
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    light = page.evaluate("() => document.querySelector('.lanes.now canvas').toDataURL()")
    assert light != dark
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert opened.pixels() == dark
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_violation_that_axe_finds(scheme: str, browser: Any, path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe (pip install axe-playwright-python)")
    source = (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    opened = Opened(browser, path, viewport=WINDOW, color_scheme=scheme, bypass_csp=True)
    page = opened.ready()
    page.click("text=Show it")
    page.click("details.flames summary")
    page.check(".as-tree")
    page.add_script_tag(content=source)
    found = page.evaluate("async () => (await axe.run()).violations")
    assert [(each["id"], each["impact"], each["nodes"][0]["html"]) for each in found] == []
    page.close()
