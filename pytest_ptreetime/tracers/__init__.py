"""The tracers: one file each, one protocol, and the choice among them.

A new tracer is a file here with a class that has the three members of :class:`Tracer`, and one line in
:func:`builtin_tracers`; a plugin adds its own with the hook ``pytest_ptreetime_tracers``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any, Literal, Protocol, TypeAlias

from pytest_ptreetime.errors import TracerUnavailable, UsageError
from pytest_ptreetime.recording.events import Event

__all__ = [
    "PROCESS_COST",
    "Capture",
    "ChildOptions",
    "Choice",
    "Command",
    "Interpose",
    "Tracer",
    "Unavailable",
    "builtin_tracers",
    "choose",
]


#: Seconds that a tracer adds to the processor time of a process, as bench/overhead.py measured them ("cpu us more") on
#: a virtual machine of two processors, where a process takes 0.7 ms. Ptrace was measured on a quiet one, the others on
#: a busy one. A tracer that is not named has not been measured.
PROCESS_COST = {"ebpf": 15e-6, "ptrace": 285e-6, "interpose": 200e-6}


#: Whether a library may be loaded into the programs of the build, where the tracer can use one: True is the one that
#: disturbs least, "log" the one that logs each start and end, False is none.
Interpose: TypeAlias = bool | Literal["log"]


@dataclass(frozen=True)
class ChildOptions:
    """How a command is started: the parameters of ``subprocess.run`` of the same names, with the same defaults.

    ``no_aslr`` starts it without randomised addresses, all that descends from it too (personality(2)).

    ``inherit`` starts it as a shell would have started it in our place: with the descriptors, the ignored signals and
    (where the command has no ``env``) the environment that this process was started with, whatever Python has changed
    of them since. The others are not for use with it.
    """

    pass_fds: Collection[int] = ()
    umask: int = -1
    user: str | int | None = None
    group: str | int | None = None
    extra_groups: Sequence[str | int] | None = None
    start_new_session: bool = False
    process_group: int | None = None
    inherit: bool = False
    no_aslr: bool = False


@dataclass(frozen=True)
class Command:
    """What to run, as ``subprocess.Popen`` would; the streams are open files or None for the caller's own.

    ``timeout`` is in seconds. ``on_progress`` is called a few times a second with the number of processes seen so far
    and may be ignored by a tracer that can't count while it runs. ``on_events`` is called as often with the events that
    are new, or with none: roughly in their order, without all the details that the recording will have.
    """

    args: Sequence[str | bytes]
    cwd: str | None = None
    env: Mapping[str, str] | None = None
    stdin: IO[Any] | int | None = None
    stdout: IO[Any] | int | None = None
    stderr: IO[Any] | int | None = None
    timeout: float | None = None
    interpose: Interpose = True
    child: ChildOptions = field(default_factory=ChildOptions)
    on_progress: Callable[[int], None] | None = None
    on_events: Callable[[list[Event]], None] | None = None
    images: int | None = None


@dataclass
class Capture:
    """What a tracer brings back from one run.

    ``returncode`` is that of the root as ``subprocess`` gives it (minus the signal's number for a killed process).
    ``interrupted`` is true where Ctrl-C was pressed meanwhile: the build has got the signal too, and has ended.
    ``incomplete_reason`` is what the tracer knows to be missing and the events don't say by themselves (LOST events,
    a missing END); None where nothing is known to be missing. ``sees_connections`` is true where the events have an
    Outside for each socket of this machine that the tree's processes connected to.
    """

    events: list[Event]
    returncode: int
    timed_out: bool = False
    interrupted: bool = False
    incomplete_reason: str | None = None
    sees_connections: bool = False


@dataclass(frozen=True)
class Unavailable:
    """Why a tracer does not work here, in words, and the one command that would enable it, where one is known."""

    reason: str
    remedy: str | None = None

    def __str__(self) -> str:
        return self.reason

    @classmethod
    def of(cls, answer: str | Unavailable) -> Unavailable:
        """What :meth:`Tracer.available` answered: a plugin's tracer may give the reason alone."""
        return answer if isinstance(answer, cls) else cls(str(answer))


class Tracer(Protocol):
    """One way to see processes."""

    name: str

    def available(self) -> str | Unavailable | None:
        """None where the tracer works, else the reason in words; with a remedy, as an :class:`Unavailable`."""

    def record(self, command: Command) -> Capture:
        """Run ``command`` to its end, or to its timeout, and bring back its events in any order.

        :raises CommandFailed: the command could not be started (no such file, not executable).
        :raises TracerUnavailable: the tracer can't be used after all.
        :raises RecordingFailed: the tracer broke; the command was left to run to its end all the same.
        """

    def close(self) -> None:
        """End what was kept running between recordings. The tracer can be used again afterwards."""


def builtin_tracers(*, sudo: bool = False) -> dict[str, Callable[[], Tracer]]:
    """The tracers that come with the package, by name, in the order in which ``auto`` tries them.

    :param sudo: whether those that need privileges may be started by ``sudo -n``.
    """
    from pytest_ptreetime.tracers.dtrace import DtraceTracer
    from pytest_ptreetime.tracers.ebpf import EbpfTracer
    from pytest_ptreetime.tracers.interpose import InterposeTracer
    from pytest_ptreetime.tracers.ptrace import PtraceTracer

    return {
        "ebpf": partial(EbpfTracer, sudo=sudo),
        "ptrace": PtraceTracer,
        "dtrace": partial(DtraceTracer, sudo=sudo),
        "interpose": InterposeTracer,
    }


@dataclass(frozen=True)
class Choice:
    """The tracer that was taken, and why each one before it was not."""

    tracer: Tracer
    passed_over: Mapping[str, Unavailable] = field(default_factory=dict)

    def explain(self) -> str:
        """One line for a header: ``ptrace (ebpf: needs root or CAP_BPF)``."""
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self.passed_over.items())
        return f"{self.tracer.name} ({reasons})" if reasons else self.tracer.name


def choose(wanted: str = "auto", tracers: Mapping[str, Callable[[], Tracer]] | None = None) -> Choice:
    """The tracer called ``wanted``, or the first that works here for ``auto``.

    :raises UsageError: there is no tracer of that name.
    :raises TracerUnavailable: it, or every one, does not work here; the message has the reasons.
    """
    known = dict(builtin_tracers() if tracers is None else tracers)
    if wanted != "auto":
        if wanted not in known:
            raise UsageError(f"there is no tracer {wanted!r}: choose one of auto, {', '.join(known)}")
        known = {wanted: known[wanted]}
    elif sys.platform == "darwin" and "dtrace" in known:
        known = {"dtrace": known.pop("dtrace"), **known}
    passed_over: dict[str, Unavailable] = {}
    for name, make in known.items():
        tracer = make()
        answer = tracer.available()
        if answer is None:
            return Choice(tracer, passed_over)
        passed_over[name] = Unavailable.of(answer)
    reasons = "; ".join(f"{name}: {reason}" for name, reason in passed_over.items())
    remedy = None if wanted == "auto" else passed_over[wanted].remedy
    advice = f"to enable it: {remedy}" if remedy else "run `ptreetime doctor` for what would enable one"
    raise TracerUnavailable(f"no tracer works here ({reasons}): {advice}")
