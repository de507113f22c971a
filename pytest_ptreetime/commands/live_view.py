"""The running build, shown while it runs: ``ptreetime profile --live``.

The build writes to the same terminal, and nothing stands between it and the terminal. So the view keeps to the last
lines of the screen, and the build scrolls in the rest of it: a scrolling region (DECSTBM), as apt uses for its progress
bar. A redraw is one write that leaves the cursor, its colours and everything above the view as they were::

    gcc -O2 -c -o build/lvm.o src/lvm.c
    gcc -O2 -c -o build/lgc.o src/lgc.c        <- the build's own output
    make -j4 all: 3.2 s, 41 processes seen
    [#######...] 3 of 4 CPUs busy
     1  cc1 src/lvm.c                 1.4 s
     2  cc1 src/lgc.c                 0.2 s
     3  as build/lapi.o               0.0 s
     4  -
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Protocol

from pytest_ptreetime.commands.running_build import RunningBuild, RunningProcess
from pytest_ptreetime.recording.events import Event
from pytest_ptreetime.system.untrusted_text import clip, middle, shown

__all__ = ["LiveLines", "LiveView", "live_lines", "view_for"]

MOST_ROWS = 10  # of slots; the rest is counted
BAR_WIDTH = 20
LONGEST_LABEL = 60
FEWEST_LINES_LEFT = 3  # of the screen for the build
PLAIN_SECONDS = 10.0
DRAW_SECONDS = 0.2

_LEAVING = (signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP)
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_DOWN = "\x1bD"  # one line down in the same column; the screen scrolls at its end


class Shown(Protocol):
    """A view of a running build."""

    def __enter__(self) -> Shown: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def events(self, new: list[Event]) -> None:
        """Something happened, or only time has passed."""


def view_for(
    title: str, write: Callable[[str], object], *, terminal: int | None, cpus: int, term: str | None = None
) -> Shown:
    """The view on the terminal behind the descriptor ``terminal``; lines now and then where there is no such terminal.

    :param write: puts text there as it is, at once.
    :param term: the terminal's kind, ``$TERM``; one that is "dumb" gets lines.
    """
    if terminal is None or term in ("dumb", "unknown"):
        return LiveLines(title, write, cpus=cpus)
    return LiveView(title, write, terminal=terminal, cpus=cpus)


def live_lines(build: RunningBuild, title: str, *, cpus: int, rows: int, width: int, now_ns: int) -> list[str]:
    """The view as text, each line at most ``width`` characters: a title, how busy the build is, ``rows`` slots.

    With no room for slots the title is left out too.
    """
    working = build.working()
    busy = f"{_bar(len(working), cpus)} {_busy(len(working), cpus)}"
    if rows <= 0:
        return [clip(busy, width)]
    since = "" if build.began_ns is None else f": {_age(now_ns, build.began_ns)}, {build.seen} processes seen"
    lines = [f"{clip(shown(title), max(width - len(since), 10))}{since}", busy]
    first = {slot: process for slot, process in working.items() if slot < rows}
    hidden = len(working) - len(first)
    lines += [_row(slot, first.get(slot), width, now_ns) for slot in range(rows)]
    if hidden:
        last = first.get(rows - 1)
        lines[-1] = f"  and {hidden + (last is not None)} more"
    return [clip(line, width) for line in lines]


def _bar(working: int, cpus: int) -> str:
    filled = min(working, cpus) * BAR_WIDTH // max(cpus, 1)
    return f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}]"


def _busy(working: int, cpus: int) -> str:
    return f"{working} of {cpus} CPUs busy" if working <= cpus else f"{working} at work on {cpus} CPUs"


def _row(slot: int, process: RunningProcess | None, width: int, now_ns: int) -> str:
    number = f"{slot + 1:>3}  "
    if process is None:
        return f"{number}-"
    age = _age(now_ns, process.since_ns)
    room = max(min(width - len(number) - 10, LONGEST_LABEL), 1)
    return f"{number}{middle(shown(process.label()) or '?', room):<{room}} {age:>9}"


def _age(now_ns: int, since_ns: int) -> str:
    seconds = max(now_ns - since_ns, 0) / 1e9
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


class LiveView:
    """The view on a terminal, redrawn at most five times a second; at its end the terminal is as it was.

    As long as it is there, ending or stopping this process by a signal wipes it first.
    """

    def __init__(self, title: str, write: Callable[[str], object], *, terminal: int, cpus: int) -> None:
        self._title = title
        self._write = write
        self._terminal = terminal
        self._cpus = cpus
        self._most = cpus  # slots that were filled at once
        self._build = RunningBuild()
        self._drawn_for: tuple[os.terminal_size, int] | None = None
        self._drawn_ns = 0
        self._handlers: dict[int, object] = {}

    def __enter__(self) -> LiveView:
        for number in _LEAVING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._leave)
                self._handlers[number] = signal.SIG_DFL
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._wipe()
        for number in self._handlers:
            signal.signal(number, signal.SIG_DFL)

    def events(self, new: list[Event]) -> None:
        self._build.take(new)
        now_ns = time.monotonic_ns()
        if now_ns - self._drawn_ns < DRAW_SECONDS * 1e9:
            return
        self._drawn_ns = now_ns
        with contextlib.suppress(OSError):  # a terminal that hung up, or that the build has made non-blocking
            if os.tcgetpgrp(self._terminal) == os.getpgrp():  # else it is somebody else's now
                self._draw(now_ns)

    def _draw(self, now_ns: int) -> None:
        size = os.get_terminal_size(self._terminal)
        self._most = max(self._most, len(self._build.working()))
        rows = min(self._most, MOST_ROWS, size.lines - FEWEST_LINES_LEFT - 2)
        lines = live_lines(
            self._build, self._title, cpus=self._cpus, rows=rows, width=max(size.columns - 1, 1), now_ns=now_ns
        )
        if len(lines) + FEWEST_LINES_LEFT > size.lines:
            self._wipe()
            return
        text = ""
        if self._drawn_for != (size, len(lines)):
            text = self._wiping() + self._making_room(size.lines, len(lines))
            self._drawn_for = (size, len(lines))
        top = size.lines - len(lines) + 1
        drawn = "".join(f"\x1b[{top + index};1H\x1b[m{line}\x1b[K" for index, line in enumerate(lines))
        self._write(f"{text}{_SAVE}{_NO_WRAP}{drawn}{_WRAP}{_RESTORE}")

    @staticmethod
    def _making_room(height: int, lines: int) -> str:
        """Scroll by so many lines if need be, and keep the build out of them. Setting a region moves the cursor."""
        return f"{_DOWN * lines}\x1b[{lines}A{_SAVE}\x1b[1;{height - lines}r{_RESTORE}"

    def _wiping(self) -> str:
        """No region, and nothing below the cursor, which is the build's and so above the view."""
        return "" if self._drawn_for is None else f"{_SAVE}\x1b[r{_RESTORE}\x1b[J"

    def _wipe(self) -> None:
        text = self._wiping()
        self._drawn_for = None
        if text:
            self._write(text)

    def _leave(self, number: int, frame: FrameType | None) -> None:
        """A signal ends or stops this process: do so, with a clean terminal."""
        with contextlib.suppress(OSError):
            self._wipe()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.signal(number, self._leave)  # it was only stopped


class LiveLines:
    """For a file or a pipe: a line every ten seconds."""

    def __init__(
        self, title: str, write: Callable[[str], object], *, cpus: int, interval_seconds: float = PLAIN_SECONDS
    ) -> None:
        self._title = title
        self._write = write
        self._cpus = cpus
        self._interval_ns = int(interval_seconds * 1e9)
        self._build = RunningBuild()
        self._told_ns = time.monotonic_ns()

    def __enter__(self) -> LiveLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def events(self, new: list[Event]) -> None:
        self._build.take(new)
        now_ns = time.monotonic_ns()
        if now_ns - self._told_ns < self._interval_ns or self._build.began_ns is None:
            return
        self._told_ns = now_ns
        working = self._build.working()
        what = ", ".join(
            f"{clip(shown(process.label()), LONGEST_LABEL)} {_age(now_ns, process.since_ns)}"
            for process in list(working.values())[:3]
        )
        more = f", and {len(working) - 3} more" if len(working) > 3 else ""
        with contextlib.suppress(OSError):
            self._write(
                f"{clip(shown(self._title), LONGEST_LABEL)}: {_age(now_ns, self._build.began_ns)}, "
                f"{self._build.seen} processes seen, {_busy(len(working), self._cpus)}: {what}{more}\n"
            )
