"""Histories on a terminal and as a page of plots."""

from __future__ import annotations

import re

from pytest_ptreetime.decision.history import History, Point, Series
from pytest_ptreetime.reports.history import history_page, history_table, sparkline

POINTS = [Point(f"{n}", f"2026-11-{n + 1:02}T00:00:00Z", f"{n}f2a1c9d0e8b") for n in range(10)]
GROWING: list[float | None] = [1.0 + n / 100 for n in range(10)]
FLAT: list[float | None] = [0.5] * 10
STEP: list[float | None] = [0.08, 0.08, 0.08, 0.08, 0.08, 0.08, 0.12, 0.12, 0.12, 0.12]
HISTORY = History(
    "cpu",
    POINTS,
    [
        Series("(the build)", list(GROWING)),
        Series("make/gcc/cc1[src/big.c]", list(FLAT)),
        Series("make/gcc/cc1[src/strings.c]", list(STEP), [6]),
        Series("</script><b>", [None] * 5 + [0.05] * 5),
    ],
)


def test_sparkline_goes_from_the_smallest_to_the_largest_and_is_flat_where_nothing_moves() -> None:
    assert sparkline([1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇█"
    assert sparkline([1.0, None, 1.001, 1.0]) == "▁ ▁▁"
    assert sparkline([float(n) for n in range(100)], most=5) == "▁▃▅▆█"
    assert sparkline([None]) == ""


def test_table_has_a_line_a_node_what_changed_before_what_is_large() -> None:
    lines = history_table(HISTORY, width=120).splitlines()
    assert [line.split("  ")[0] for line in lines[2:]] == [
        "(the build)", "make/gcc/cc1[src/strings.c]", "make/gcc/cc1[src/big.c]", "</script><b>",
    ]  # fmt: skip
    assert re.search(r"▁▁▁▁▁▁████ +80 ms +120 ms +\+50\.0 % +since 6f2a1c9d0", lines[3])


def test_table_fits_a_narrow_terminal_and_says_what_is_left_out() -> None:
    lines = history_table(HISTORY, width=60, limit=2).splitlines()
    assert max(map(len, lines)) <= 60
    assert "cc1 strings.c" in lines[3]
    assert lines[-1] == "(2 more)"


def test_table_has_no_column_for_changes_that_are_not_there() -> None:
    flat = History("cpu", POINTS, [Series("(the build)", list(FLAT))])
    head, *_ = history_table(flat, width=120).splitlines()
    assert head.split() == ["cpu", "sessions", "first", "last", "change"]
    assert history_table(HISTORY, width=120).splitlines()[0].split()[-1] == "changed"


def test_page_has_a_plot_each_with_commits_and_the_change() -> None:
    page = history_page([("test_clean", HISTORY)], limit=10)
    assert page.count("<svg") == 4
    assert "<title>6f2a1c9d0, 2026-11-07: 120 ms</title>" in page
    assert "since 6f2a1c9d0" in page
    assert page.count("<line") == 1
    assert "<script" not in page
