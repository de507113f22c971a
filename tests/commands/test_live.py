"""The view of a running build: what it says, and that it leaves the terminal and the build's output alone."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_sessions import HOSTILE_SOURCE
from simulated_processes import simulations

from pytest_ptreetime.commands.live_view import LiveLines, live_lines
from pytest_ptreetime.commands.running_build import RunningBuild
from pytest_ptreetime.recording.events import Create, Event, Exec, Exit, Start, encode_frame
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tracers import builtin_tracers
from pytest_ptreetime.tracers.growing_stream import GrowingStream

CALC = Path(__file__).parents[2] / "examples" / "calc"
ENDING_SECONDS = 120


def running(*events: Event) -> RunningBuild:
    build = RunningBuild()
    build.take([Start(0, 1, 0), Exec(1, 1, b"make", b"/usr/bin/make", [b"make"], b"/"), *events])
    return build


def program(time_ns: int, pid: int, parent: int, *args: str) -> list[Event]:
    words = [os.fsencode(word) for word in args]
    return [Create(time_ns, pid, parent), Exec(time_ns + 1, pid, words[0], words[0], words, b"/")]


def labels(build: RunningBuild) -> dict[int, str]:
    return {slot: process.label() for slot, process in build.working().items()}


# What works on which slot


def test_process_with_a_living_child_fills_no_slot() -> None:
    build = running(*program(10, 2, 1, "gcc", "-c", "a.c"), *program(20, 3, 2, "cc1", "-quiet", "a.c"))
    assert labels(build) == {0: "cc1 a.c"}


def test_slot_passes_from_the_driver_to_the_compiler_and_on_to_the_assembler() -> None:
    build = running(*program(10, 2, 1, "gcc", "-c", "a.c"), *program(11, 3, 1, "gcc", "-c", "b.c"))
    assert labels(build) == {0: "gcc a.c", 1: "gcc b.c"}
    build.take([*program(20, 4, 3, "cc1", "b.c"), *program(21, 5, 2, "cc1", "a.c")])
    assert labels(build) == {0: "cc1 a.c", 1: "cc1 b.c"}
    build.take([Exit(30, 5, 0), *program(31, 6, 2, "as", "-o", "a.o", "/tmp/x.s")])
    assert labels(build) == {0: "as a.o", 1: "cc1 b.c"}
    build.take([Exit(40, 6, 0), Exit(41, 2, 0)])
    assert labels(build) == {1: "cc1 b.c"}


def test_end_that_is_told_before_the_beginning_leaves_nothing_behind() -> None:
    build = running()
    build.take([Exit(20, 2, 0)])
    build.take([Create(10, 2, 1)])
    assert labels(build) == {0: "make"}


@given(simulations(), st.integers(1, 7))
def test_slots_hold_exactly_the_living_processes_without_living_children(events: list[Event], size: int) -> None:
    build = RunningBuild()
    for position in range(0, len(events), size):
        build.take(events[position : position + size])
        working = build.working()
        assert sorted(working) == list(working)
        assert len({process.pid for process in working.values()}) == len(working)
        assert all(process.children == 0 for process in working.values())
        assert build.working() == working
        for line in live_lines(build, "make", cpus=2, rows=3, width=40, now_ns=0):
            assert len(line) <= 40


# What it says


def test_lines_say_how_busy_the_build_is_and_what_fills_each_slot() -> None:
    build = running(*program(10, 2, 1, "cc1", "a.c"))
    lines = live_lines(build, "make -j2", cpus=2, rows=2, width=60, now_ns=1_500_000_011)
    assert lines[0] == "make -j2: 1.5 s, 2 processes seen"
    assert lines[1] == "[##########..........] 1 of 2 CPUs busy"
    assert lines[2].split() == ["1", "cc1", "a.c", "1.5", "s"]
    assert lines[3].split() == ["2", "-"]


def test_lines_count_what_has_no_row() -> None:
    events = [event for pid in range(2, 8) for event in program(pid, pid, 1, "cc1", f"{pid}.c")]
    lines = live_lines(running(*events), "make", cpus=2, rows=3, width=60, now_ns=0)
    assert lines[1] == "[####################] 6 at work on 2 CPUs"
    assert lines[-1].strip() == "and 4 more"


def test_lines_of_hostile_names_hold_no_escape_and_no_break() -> None:
    build = running(*program(10, 2, 1, "\x1b[2J\n\x9b", HOSTILE_SOURCE + "\x07" * 500))
    for line in live_lines(build, HOSTILE_SOURCE, cpus=2, rows=2, width=79, now_ns=0):
        assert len(line) <= 79
        assert line.isprintable()


def test_without_a_terminal_a_line_says_it_now_and_then() -> None:
    written: list[str] = []
    lines = LiveLines("make", written.append, cpus=2, interval_seconds=0.0)
    lines.events([Start(time.monotonic_ns(), 1, 0), *program(time.monotonic_ns(), 2, 1, "cc1", "\x1b[31m.c")])
    (line,) = written
    assert line.startswith("make: 0.0 s, 2 processes seen, 1 of 2 CPUs busy: cc1 \\x1b[31m.c 0.0 s")
    assert line.count("\n") == 1
    often: list[str] = []
    LiveLines("make", often.append, cpus=2).events([Start(time.monotonic_ns(), 1, 0)])
    assert often == []


# Reading while somebody writes


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_growing_stream_when_read_at_any_moment_gives_each_event_once(frames: list[int], cuts: list[int]) -> None:
    events: list[list[Event]] = [[Create(10 * n + m, m, n) for m in range(size)] for n, size in enumerate(frames)]
    stream = b"".join(encode_frame(frame) for frame in events)
    seen: list[Event] = []
    with tempfile.TemporaryFile() as file:
        growing = GrowingStream(file.fileno())
        position = 0
        while position < len(stream):
            size = cuts[position % len(cuts)]
            os.pwrite(file.fileno(), stream[position : position + size], position)
            position += size
            seen += growing.read_new()
    assert seen == [event for frame in events for event in frame]


def test_growing_stream_when_damaged_has_no_more_news() -> None:
    with tempfile.TemporaryFile() as file:
        os.write(file.fileno(), encode_frame([Create(1, 2, 1)]) + b"rubbish that is no frame")
        growing = GrowingStream(file.fileno())
        assert growing.read_new() == [Create(1, 2, 1)]
        os.write(file.fileno(), encode_frame([Create(2, 3, 1)]))
        assert growing.read_new() == []


# On a terminal


class Terminal:
    """``ptreetime profile --live`` on a terminal of its own, which pyte interprets."""

    def __init__(self, directory: Path, *command: str, tracer: str, columns: int = 80, lines: int = 24) -> None:
        pyte: Any = pytest.importorskip("pyte", reason="needs pyte, a terminal in Python (the extra `test`)")
        self.directory = directory
        self.screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=0.1)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        controller, terminal = pty.openpty()
        self._controller = controller
        self.resize(columns, lines)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "xterm"}
        arguments = [
            sys.executable,
            "-m",
            "pytest_ptreetime.cli",
            "profile",
            "--quiet",
            "--live",
            f"--tracer={tracer}",
            "-o",
        ]
        self.process = subprocess.Popen(
            [*arguments, str(directory / "live.ptreetime"), *command],
            stdin=terminal, stdout=terminal, stderr=terminal, cwd=directory, env=environment,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(terminal)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def until(self, seen: Callable[[], bool]) -> bool:
        """Whether ``seen`` became true before the end of the output."""
        deadline = time.monotonic() + ENDING_SECONDS
        while not seen():
            assert time.monotonic() < deadline, self.text()
            if not select.select([self._controller], [], [], 1.0)[0]:
                continue
            try:
                data = os.read(self._controller, 65536)
            except OSError:  # nobody has the terminal open any more
                data = b""
            if not data:
                return False
            self.raw += data
            self._stream.feed(data)
        return True

    def end(self) -> int:
        self.until(lambda: False)
        os.close(self._controller)
        return self.process.wait(ENDING_SECONDS)

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def everything(self) -> str:
        """What has scrolled away, and the screen."""
        above = ["".join(line[x].data for x in range(self.screen.columns)) for line in self.screen.history.top]
        return "\n".join(line.rstrip() for line in [*above, *self.screen.display]).rstrip()

    def is_clean(self) -> bool:
        """No region is left, and the cursor is on the line after the output, below which nothing is."""
        below = self.screen.display[self.screen.cursor.y :]
        margins = self.screen.margins
        whole = margins is None or (margins.top, margins.bottom) == (0, self.screen.lines - 1)
        return whole and self.screen.cursor.x == 0 and not "".join(below).strip()


@pytest.fixture(params=["ebpf", "ptrace", "interpose"])
def tracer(request: pytest.FixtureRequest) -> str:
    chosen = builtin_tracers()[request.param]()
    reason = chosen.available()
    chosen.close()
    if reason is not None:
        pytest.skip(f"{request.param}: {reason}")
    return str(request.param)


def test_view_of_a_real_build_shows_its_compilers_and_leaves_the_output_as_it_was(tracer: str, tmp_path: Path) -> None:
    shutil.copytree(CALC, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build"))
    expected = subprocess.run(["make", "--dry-run", "-j2"], cwd=tmp_path, capture_output=True, text=True, check=True)
    terminal = Terminal(tmp_path, "make", "-j2", tracer=tracer, columns=200, lines=20)
    assert terminal.until(lambda: "CPUs" in terminal.text() and "  cc1 src/" in terminal.text()), terminal.text()
    assert "make -j2: " in terminal.text()
    assert terminal.end() == 0
    assert terminal.is_clean(), terminal.text()
    gcc = [line for line in expected.stdout.splitlines() if line.startswith("gcc")]
    shown = "".join(terminal.everything().splitlines())  # the linker's line is longer than the screen is wide
    assert len(gcc) > 20
    assert all(line in shown for line in gcc), terminal.everything()
    assert "processes seen" not in terminal.everything()
    assert len(Recording.load(tmp_path / "live.ptreetime").tree().find(name="cc1")) == 20


SLEEPER = "while [ ! -e done ]; do sleep 0.1; done; printf 'without an end'"


def test_view_when_the_terminal_changes_its_size_keeps_to_its_last_lines(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "sh", "-c", f"echo first; {SLEEPER}", tracer="ptrace")
    assert terminal.until(lambda: "CPUs" in terminal.text() and "first" in terminal.text())
    for columns, lines in ((40, 12), (120, 30)):
        terminal.resize(columns, lines)
        terminal.raw = b""
        assert terminal.until(lambda: b"CPUs" in terminal.raw), terminal.text()
        assert terminal.text().count("CPUs") == 1, terminal.text()
        assert "CPUs" in "\n".join(terminal.text().splitlines()[lines // 2 :])
    (tmp_path / "done").touch()
    assert terminal.end() == 0
    assert terminal.everything().endswith("without an end")


@pytest.mark.parametrize(("columns", "lines", "is_shown"), [(80, 3, False), (80, 5, True), (12, 24, True)])
def test_view_on_a_small_terminal_never_takes_the_room_of_the_build(
    columns: int, lines: int, is_shown: bool, tmp_path: Path
) -> None:
    script = "for i in 1 2 3 4 5 6; do echo line $i; sleep 0.1; done"
    terminal = Terminal(tmp_path, "sh", "-c", script, tracer="ptrace", columns=columns, lines=lines)
    assert terminal.until(lambda: "[" in terminal.text()) is is_shown
    assert terminal.end() == 0
    assert terminal.is_clean()
    assert [f"line {i}" for i in range(1, 7)] == terminal.everything().split("\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_view_when_a_signal_ends_us_is_wiped_first(number: signal.Signals, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "sh", "-c", "trap '' HUP; echo first; " + SLEEPER, tracer="ptrace")
    assert terminal.until(lambda: "CPUs" in terminal.text() and "first" in terminal.text())
    terminal.process.send_signal(number)
    assert terminal.process.wait(ENDING_SECONDS) == -number
    (tmp_path / "done").touch()  # the build runs on
    terminal.end()
    assert "CPUs" not in terminal.text()
    assert "first" in terminal.text()


def test_view_without_a_terminal_leaves_the_streams_to_the_build(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command: Sequence[str] = [
        "profile",
        "--quiet",
        "--live",
        "--tracer=ptrace",
        "-o",
        "x.ptreetime",
        "sh",
        "-c",
        "echo out",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest_ptreetime.cli", *command],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=ENDING_SECONDS,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "")
