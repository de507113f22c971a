"""What must have happened, from what the interposer saw: user events to the kernel's vocabulary.

The interposer (``libptreetime_interpose.so``) is inside the dynamic programs only. From its events follow:

- a creation: a fork that it saw, a posix_spawn with its child's pid, a system or popen with the shell that starts with
  the same command, else the first event of a process (the exec call of a vfork child, or its startup);
- an exec: the call, followed by the startup of the program. Followed by nothing, it started a program that the
  interposer is not in: a node without an end. Followed by anything else, it failed;
- an exit: the call of exit. When the kernel ended the process is not known, so there is no exitlag, but the root's.

A startup whose process's creation is a guess is left out, for it would be a startlag of zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_ptreetime.recording.event_order import in_order
from pytest_ptreetime.recording.events import (
    COMM_BYTES,
    Create,
    Event,
    Exec,
    Exit,
    Lost,
    Start,
    Usage,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
)

__all__ = ["Inferred", "Root", "infer_events"]


@dataclass(frozen=True)
class Root:
    """What the tracer knows of the command without the interposer.

    ``start`` was made before the gate was opened; ``gate`` is the gate's executable. ``status`` is as wait(2) gives it.
    """

    start: Start
    gate: bytes
    args: list[bytes]
    cwd: bytes | None
    ended_ns: int
    status: int

    @property
    def pid(self) -> int:
        """The command's pid, which was the gate's."""
        return self.start.root_pid


@dataclass
class Inferred:
    """``events`` in no order; ``endless`` are the pids of processes whose end was not seen.

    ``unseen_shells`` is the number of system and popen calls whose shell was not seen.
    """

    events: list[Event]
    endless: set[int]
    unseen_shells: int


@dataclass
class _Life:
    """One process, from its creation on; a pid may have several."""

    pid: int
    created_is_known: bool
    call: UserExec | UserSpawn | None = None  # the exec or spawn whose program has not started yet
    started: bool = False
    user_exit: UserExit | None = None


def infer_events(user_events: Iterable[Event], root: Root) -> Inferred:
    """The events of the recording, the user events that still mean something among them, START included, END not."""
    inference = _Inference(root)
    for event in in_order(list(user_events)):
        inference.take(event)
    return inference.finish()


@dataclass
class _Inference:
    root: Root
    events: list[Event] = field(default_factory=list)
    lives: dict[int, _Life] = field(default_factory=dict)
    ended_lives: list[_Life] = field(default_factory=list)
    shells: dict[int, list[UserSpawn]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.lives[self.root.pid] = _Life(self.root.pid, created_is_known=True)
        self.events.append(self.root.start)

    def take(self, event: Event) -> None:
        if isinstance(event, Create):
            self.goes_on(event.parent_pid)
            self.begin(event.pid, event.parent_pid, event.time_ns, created_is_known=True)
        elif isinstance(event, UserSpawn):
            self.user_spawn(event)
        elif isinstance(event, UserExec):
            self.life_of(event, created_is_known=True).call = event
        elif isinstance(event, UserStartup):
            if event.pid != self.root.pid or event.exe != self.root.gate:
                self.user_startup(event)
        elif isinstance(event, UserExit):
            self.user_exit(event)
        elif isinstance(event, Lost):
            self.events.append(event)

    def begin(self, pid: int, parent_pid: int, time_ns: int, *, created_is_known: bool) -> _Life:
        if pid in self.lives:
            self.ended_lives.append(self.lives[pid])
        self.lives[pid] = life = _Life(pid, created_is_known)
        # A parent that was never seen is static, or dead already: its children are put under the root.
        parent = parent_pid if parent_pid in self.lives and parent_pid != pid else self.root.pid
        self.events.append(Create(time_ns, pid, parent))
        return life

    def goes_on(self, pid: int) -> None:
        """The process does something else than to start up: an exec that it called has failed."""
        life = self.lives.get(pid)
        if life is not None and isinstance(life.call, UserExec):
            life.call = None

    def is_over(self, life: _Life | None) -> bool:
        """Whether an event of this life's pid belongs to another process."""
        return life is None or (life.user_exit is not None and life.pid != self.root.pid)

    def life_of(self, event: UserExec | UserStartup | UserExit, *, created_is_known: bool) -> _Life:
        """The life that ``event`` is part of; a new one where the pid is new or its last process has exited."""
        life = self.lives.get(event.pid)
        if life is None or self.is_over(life):
            return self.begin(event.pid, event.parent_pid, event.time_ns, created_is_known=created_is_known)
        return life

    def user_spawn(self, event: UserSpawn) -> None:
        self.goes_on(event.pid)
        if event.child_pid is None:
            self.shells.setdefault(event.pid, []).append(event)
        else:
            self.begin(event.child_pid, event.pid, event.time_ns, created_is_known=True).call = event

    def user_startup(self, event: UserStartup) -> None:
        life = self.lives.get(event.pid)
        if life is None or self.is_over(life):
            shell = self.shell_of(event)
            if shell is not None:
                life = self.begin(event.pid, event.parent_pid, shell.time_ns, created_is_known=True)
                life.call = shell
            else:
                life = self.begin(event.pid, event.parent_pid, event.time_ns, created_is_known=False)
        self.exec_of_startup(life, event)
        if life.call is not None or (life.created_is_known and not life.started):
            self.events.append(UserStartup(event.time_ns, event.pid, event.parent_pid, event.user_ns, event.sys_ns))
        life.call, life.started = None, True

    def shell_of(self, event: UserStartup) -> UserSpawn | None:
        """The system or popen call that started this shell: one with the same command, the oldest."""
        calls = self.shells.get(event.parent_pid, [])
        for call in calls:
            if event.args and call.args[-1] == event.args[-1] and call.args[:2] == event.args[:2]:
                calls.remove(call)
                return call
        return None

    def exec_of_startup(self, life: _Life, event: UserStartup) -> None:
        call = life.call
        path = event.exe if call is None else call.path
        name = None if path is None else _comm(path)
        if call is not None:
            time_ns = call.time_ns
        elif life.pid == self.root.pid and not life.started:
            time_ns = self.root.start.time_ns
        else:
            time_ns = event.time_ns
        self.events.append(Exec(time_ns, life.pid, name, event.exe, event.args, event.cwd, _usage_at(call)))

    def user_exit(self, event: UserExit) -> None:
        life = self.lives.get(event.pid)
        if life is not None and life.user_exit is not None:
            return
        self.goes_on(event.pid)
        self.life_of(event, created_is_known=False).user_exit = event

    def finish(self) -> Inferred:
        endless: set[int] = set()
        for life in [*self.ended_lives, *self.lives.values()]:
            if life.call is not None:
                self.exec_of_call(life.call, life)
            if life is self.lives[self.root.pid]:
                self.end_of_root(life)
            elif life.user_exit is not None:
                status = life.user_exit.status
                self.events.append(
                    Exit(
                        life.user_exit.time_ns,
                        life.pid,
                        None if status is None else status << 8,
                        usage=_usage_at(life.user_exit),
                    )
                )
            else:
                endless.add(life.pid)
        return Inferred(self.events, endless, sum(map(len, self.shells.values())))

    def exec_of_call(self, call: UserExec | UserSpawn, life: _Life) -> None:
        """A program that never started up as far as the interposer could see: it is static."""
        exe = call.path if call.path.startswith(b"/") else None
        usage = _usage_at(call) if isinstance(call, UserExec) else None
        cwd = self.root.cwd if life.pid == self.root.pid and not life.started else None
        self.events.append(Exec(call.time_ns, life.pid, _comm(call.path), exe, call.args, cwd, usage))
        life.started = True

    def end_of_root(self, life: _Life) -> None:
        root = self.root
        if not life.started:  # static, and so was the gate
            self.events.append(Exec(root.start.time_ns, root.pid, _comm(root.args[0]), None, root.args, root.cwd))
        if life.user_exit is not None:
            self.events.append(life.user_exit)
        self.events.append(Exit(root.ended_ns, root.pid, root.status, usage=_usage_at(life.user_exit)))


def _comm(path: bytes) -> bytes:
    return path.rpartition(b"/")[2][:COMM_BYTES]


def _usage_at(event: UserExec | UserSpawn | UserExit | None) -> Usage | None:
    """What the process had used; None for a spawn, whose times are the parent's."""
    if event is None or isinstance(event, UserSpawn):
        return None
    return Usage(cpu_ns=event.user_ns + event.sys_ns, utime_ns=event.user_ns, stime_ns=event.sys_ns)
