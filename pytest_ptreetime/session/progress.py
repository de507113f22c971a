"""What is shown of a measurement while it runs: what is measured right now, how far it is, how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Progress", "ProgressLine", "SilentProgress", "WaitingLine"]


class Progress(Protocol):
    """Shows how a long measurement proceeds."""

    def waiting(self, holder: int | None) -> None:
        """Another measurement holds the machine: that of the process ``holder``, where it is known."""

    def round_started(self, label: str, number: int, total: int | None) -> None:
        """Round ``number`` of ``total`` begins; ``label`` is ``warm-up``, ``round`` or what is compared."""

    def processes(self, count: int) -> None:
        """So many processes have been seen in this round."""

    def finished(self) -> None:
        """The measurement is over."""


class SilentProgress:
    """Progress that is not shown."""

    def waiting(self, holder: int | None) -> None:
        pass

    def round_started(self, label: str, number: int, total: int | None) -> None:
        pass

    def processes(self, count: int) -> None:
        pass

    def finished(self) -> None:
        pass


def _waiting_for(holder: int | None) -> str:
    whose = "another measurement" if holder is None else f"the measurement of process {holder}"
    return f"waiting for {whose} on this machine"


class WaitingLine(SilentProgress):
    """Without a terminal: a line when another measurement has to be waited for, and nothing else.

    :param write: puts text where it is seen while the test runs.
    """

    def __init__(self, write: Callable[[str], object], title: str) -> None:
        self._write = write
        self._title = title

    def waiting(self, holder: int | None) -> None:
        self._write("\nptreetime: " + ": ".join(filter(None, [_waiting_for(holder), self._title])) + "\n")


class ProgressLine:
    """One line below the current one that is rewritten in place; at the end it is wiped, and the cursor back.

    :param write: puts text on the terminal as it is.
    :param width: of the terminal, in columns.
    :param column: tells where the cursor stands in the line that was there before.
    """

    def __init__(
        self, write: Callable[[str], object], width: int, title: str, column: Callable[[], int] = lambda: 0
    ) -> None:
        self._write = write
        self._width = width
        self._title = title
        self._column = column
        self._column_before: int | None = None
        self._round = ""
        self._began = 0.0
        self._durations: list[float] = []
        self._left = 0

    def waiting(self, holder: int | None) -> None:
        self._show(_waiting_for(holder))

    def round_started(self, label: str, number: int, total: int | None) -> None:
        now = time.monotonic()
        if self._began:
            self._durations.append(now - self._began)
        self._began = now
        self._left = (total - number + 1) if total is not None else 0
        self._round = f"{label} {number} of {total}" if total is not None else f"{label} {number}"
        self.processes(0)

    def processes(self, count: int) -> None:
        parts = [self._round]
        if count:
            parts.append(f"{count} {'process' if count == 1 else 'processes'}")
        if self._durations and self._left:
            seconds = self._left * sorted(self._durations)[len(self._durations) // 2]
            parts.append(f"about {max(0.0, seconds - (time.monotonic() - self._began)):.0f} s left")
        self._show(", ".join(parts))

    def finished(self) -> None:
        if self._column_before is None:
            return
        right = f"\x1b[{self._column_before}C" if self._column_before else ""
        self._write("\r\x1b[K\x1b[A" + right)
        self._column_before = None
        self._durations.clear()
        self._began = 0.0

    def _show(self, text: str) -> None:
        if self._column_before is None:
            self._column_before = self._column()
            self._write("\n")
        line = f"{text}: {self._title}"
        self._write("\r\x1b[K" + line[: max(0, self._width - 1)])
