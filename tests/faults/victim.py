"""A run of pytest or of ``ptreetime profile`` to which a fault happens."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from faults.processes import Process, children, descendants
from faults.project import Project, as_user

HANGS_AFTER_SECONDS = 90.0
RECORDERS = ("ptreetime-reco", "dtrace")  # the first as the kernel cuts it


class Missed(Exception):
    """The run was over before the fault could happen."""


class Victim:
    """A running command of ``project``.

    :param terminal: run it in the foreground of a terminal of its own, for Ctrl-C.
    """

    def __init__(
        self,
        project: Project,
        command: list[str],
        *,
        terminal: bool = False,
        user: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.project = project
        self.command = command
        self._stages = os.open(project.stages, os.O_RDWR | os.O_NONBLOCK)
        self._heard = b""
        self._output = b""
        ours, theirs = os.openpty() if terminal else os.pipe()
        self._ours = ours

        def take_terminal() -> None:
            fcntl.ioctl(1, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            as_user(user, command),
            cwd=project.source,
            env=project.environment(**(environment or {})),
            stdin=theirs if terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal if terminal else None,
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._ours, 65536)
            except OSError:  # a terminal's other end is closed
                return
            if not part:
                return
            self._output += part

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        return self._output.decode(errors="replace")

    def below(self) -> list[Process]:
        return [one for one in descendants(self.process.pid) if one.state not in "ZX"]

    def recorder(self) -> Process | None:
        """The process of the recorder that works, once it is one."""
        return next(
            (one for one in children(self.process.pid) if one.state not in "ZX" and one.name.startswith(RECORDERS)),
            None,
        )

    def root(self) -> Process | None:
        """The root of the build, from its gate on."""
        for one in children(self.process.pid):
            if one.state not in "ZX" and (one.name == "make" or b"ptreetime-gate" in one.command):
                return one
        return None

    def build(self) -> Process | None:
        """The root of the build, when its gate is open."""
        root = self.root()
        return root if root is not None and root.name == "make" else None

    def log(self) -> Path | None:
        """The interposer's log."""
        return next(iter(self.project.temporary.glob("ptreetime-*/interposer.events")), None)

    def await_stage(self, stage: str, times: int = 1) -> None:
        """Return when the run has announced this stage so many times.

        :raises Missed: it ended before.
        """
        deadline = time.monotonic() + HANGS_AFTER_SECONDS
        while self._heard.split(b"\n").count(stage.encode()) < times:
            if not self.running or time.monotonic() > deadline:
                raise Missed
            if select.select([self._stages], [], [], 0.02)[0]:
                with suppress(BlockingIOError):
                    self._heard += os.read(self._stages, 4096)

    def await_output(self, words: str) -> None:
        """Return when the run has said this.

        :raises Missed: it ended before.
        """
        while words not in self.output:
            if not self.running:
                raise Missed
            time.sleep(0.001)

    def await_process(self, what: str) -> Process:
        """The recorder, the root or the build, as soon as there is one.

        :raises Missed: the run ended before.
        """
        while True:
            found = {"recorder": self.recorder, "root": self.root, "build": self.build}[what]()
            if found is not None:
                return found
            if not self.running:
                raise Missed
            time.sleep(0.002)

    def press_ctrl_c(self) -> None:
        os.write(self._ours, b"\x03")

    def wait(self) -> int | None:
        """The exit status (minus the signal's number for a killed one), or None: it hangs, and is killed."""
        try:
            status: int | None = self.process.wait(HANGS_AFTER_SECONDS)
        except subprocess.TimeoutExpired:
            status = None
            for one in self.below():
                with suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        # A pipe is at its end when the last process of the run that holds it is gone.
        self._reader.join(5)
        return status

    def close(self) -> None:
        if self.running:
            self.process.kill()
            self.process.wait()
        self._reader.join(1)
        os.close(self._stages)
        os.close(self._ours)
