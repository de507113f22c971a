"""Waiting for a build's end under any tracer: Ctrl-C, the time-out and progress."""

from __future__ import annotations

import select
import time
from collections.abc import Collection

from pytest_ptreetime.recording.events import Event
from pytest_ptreetime.system.termination import Terminated
from pytest_ptreetime.tracers.launch import Launched

__all__ = ["Wait"]

PROGRESS_SECONDS = 0.25


class Wait:
    """One build's end. A tracer says what its end is (:meth:`until_ended`), how it is ended before, and what is new.

    The time-out counts from the making of this object.
    """

    def __init__(self, child: Launched) -> None:
        self.child = child
        self.timed_out = self.interrupted = False
        command, now = child.command, time.monotonic()
        self._deadline = None if command.timeout is None else now + command.timeout
        told = command.on_progress is not None or command.on_events is not None
        self.next_progress = now + PROGRESS_SECONDS if told else None

    def to_the_end(self) -> None:
        """Return when the build has ended.

        A first KeyboardInterrupt is left to the build, which got its own from the terminal; a second one ends it; a
        third is raised. SIGTERM, where it is raised, the build has not got: it ends the build.
        """
        try:
            self.until_ended()
        except KeyboardInterrupt as first:
            self.interrupted = True
            try:
                if isinstance(first, Terminated):
                    self.end_tree()
                self.until_ended()
            except KeyboardInterrupt:
                self.end_tree()
                self.until_ended()

    def until_ended(self) -> None:
        """Return when the build has ended; called again where a KeyboardInterrupt came out of it."""
        raise NotImplementedError

    def end_tree(self) -> None:
        """Kill every process of the build, and return soon."""
        self.child.end_tree()

    def progress(self) -> None:
        """See what is new, and :meth:`tell` it."""

    def tell(self, processes: int, events: list[Event]) -> None:
        """Tell who wants to know it."""
        command = self.child.command
        if command.on_progress is not None:
            command.on_progress(processes)
        if command.on_events is not None:
            command.on_events(events)

    def sleep(
        self, descriptors: Collection[int], *, until: float | None = None, telling: Collection[int] | None = None
    ) -> list[int]:
        """The descriptors with something to read; what a passing time asks for is done.

        :param until: wake up then (time.monotonic), too.
        :param telling: those that can tell of the build's end, which goes before the rest; by default all.
        """
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        times = [at for at in (self._deadline, self.next_progress, until) if at is not None]
        wait_ms = None if not times else max(0.0, (min(times) - time.monotonic()) * 1000 + 1)
        ready = [descriptor for descriptor, _ in poll.poll(wait_ms)]
        now = time.monotonic()
        if set(ready).intersection(descriptors if telling is None else telling):
            return ready
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self.timed_out = True
            self.end_tree()
        if self.next_progress is not None and now >= self.next_progress:
            self.next_progress = now + PROGRESS_SECONDS
            self.progress()
        return ready
