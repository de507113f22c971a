from __future__ import annotations

from pytest_ptreetime.session.progress import ProgressLine


def test_progress_line_when_finished_is_wiped_and_the_cursor_is_where_it_was() -> None:
    written: list[str] = []
    line = ProgressLine(written.append, 60, "test_build", lambda: 14)
    line.round_started("round", 1, 3)
    line.processes(120)
    line.finished()
    assert written == [
        "\n",
        "\r\x1b[Kround 1 of 3: test_build",
        "\r\x1b[Kround 1 of 3, 120 processes: test_build",
        "\r\x1b[K\x1b[A\x1b[14C",
    ]


def test_progress_line_when_the_terminal_is_narrow_never_wraps() -> None:
    written: list[str] = []
    line = ProgressLine(written.append, 20, "a_test_with_a_very_long_name")
    line.round_started("round", 1, 3)
    assert len(written[-1].removeprefix("\r\x1b[K")) < 20


def test_progress_line_when_nothing_was_shown_leaves_the_terminal_alone() -> None:
    written: list[str] = []
    ProgressLine(written.append, 80, "test").finished()
    assert written == []


def test_progress_line_after_the_first_round_says_how_long_it_will_take() -> None:
    written: list[str] = []
    line = ProgressLine(written.append, 80, "test")
    line.round_started("round", 1, 3)
    line.round_started("round", 2, 3)
    assert "s left" in written[-1]
