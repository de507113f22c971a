"""Every error that the package raises on purpose.

::

    PtreetimeError
    +-- UsageError             an option, marker or argument is wrong
    +-- NativeHelperMissing    a compiled helper is not where the installation should have put it
    +-- TracerUnavailable      the tracer that was asked for does not work here
    +-- RecordingFailed        the build ran, but its recording could not be made
    +-- CommandFailed          the build could not be started, failed, or ran out of time
    |   +-- CommandTimedOut
    +-- ScenarioError          a step of a build's set-up can't be done or undone
    +-- FileUnreadable         a recording, log or report input is not what it should be
    +-- BaselineError          the store has no usable baseline
    |   +-- StoreMissing
    |   +-- BaselineMissing
    |   +-- BaselineOtherVersion
    |   +-- BaselineCorrupt
    +-- RepositoryError        git can't give the revision that was asked for
    +-- ReportFailed           a report could not be written or sent

A message says what is wrong, where, and what to do next. The command line and the plugin print the message alone;
a traceback of one of these reaching a user is a bug.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pytest_ptreetime.system.untrusted_text import shown_lines

__all__ = [
    "BaselineCorrupt",
    "BaselineError",
    "BaselineMissing",
    "BaselineOtherVersion",
    "CommandFailed",
    "CommandTimedOut",
    "FileUnreadable",
    "NativeHelperMissing",
    "PtreetimeError",
    "RecordingFailed",
    "ReportFailed",
    "RepositoryError",
    "ScenarioError",
    "StoreMissing",
    "TracerUnavailable",
    "UsageError",
]


class PtreetimeError(Exception):
    """The root of the tree above. Its text holds nothing that could do something to a terminal."""

    def __str__(self) -> str:
        return shown_lines(super().__str__())


class UsageError(PtreetimeError):
    """An option, a marker or an argument is wrong."""


#: What keeps a tracer from working; the C recorder names them, too (PTREETIME_OBSTACLE).
Obstacle: TypeAlias = Literal[
    "native-helper", "capabilities", "capabilities-of-root", "libbpf", "bpf-program", "yama", "seccomp"
]


class NativeHelperMissing(PtreetimeError):
    """A compiled helper (recorder, gate, interposer, BPF object) is not where the installation should have put it."""


class TracerUnavailable(PtreetimeError):
    """The tracer that was asked for does not work here; the message carries its reason.

    ``obstacle`` is what is in the way, where ``ptreetime doctor`` may know a remedy.
    """

    def __init__(self, reason: str, obstacle: Obstacle | None = None) -> None:
        super().__init__(reason)
        self.obstacle = obstacle


class RecordingFailed(PtreetimeError):
    """The tracer stopped working while it recorded. The build itself was left alone."""


class CommandFailed(PtreetimeError):
    """The build could not be started or did not end with exit status 0.

    The message shows the command, how it ended and the last lines of its output.
    """


class CommandTimedOut(CommandFailed):
    """The build ran longer than ``timeout``; its whole process tree was ended.

    ``recording`` is the Recording of the time until then.
    """

    recording: Any = None


class ScenarioError(PtreetimeError):
    """A step of a build's set-up (scenarios.py) can't be done or undone."""


class FileUnreadable(PtreetimeError):
    """A file is truncated, corrupt, of a newer version, or something else altogether.

    The message names the file and, where there is one, the byte position.
    """


class BaselineError(PtreetimeError):
    """The store has no baseline that this run may be compared with."""


class StoreMissing(BaselineError):
    """The store's directory is not there: nothing was ever saved, or it is looked for in the wrong place."""


class BaselineMissing(BaselineError):
    """The store exists, but has no baseline of this test."""


class BaselineOtherVersion(BaselineError):
    """The file was written in a format that this version does not read."""


class BaselineCorrupt(BaselineError):
    """The file is not a baseline, or part of it is missing."""


class RepositoryError(PtreetimeError):
    """git can't give the revision that was asked for: no repository, no such revision, a shallow clone."""


class ReportFailed(PtreetimeError):
    """A report could not be written or sent."""
