"""Recordings of builds that never ran: what a tracer would have written, with times of choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from pytest_ptreetime.recording.events import (
    Create,
    End,
    Event,
    Exec,
    Exit,
    Start,
    Usage,
    UserExit,
    UserStartup,
)

ROOT = 1000
REALTIME_NS = 1_700_000_000 * 10**9
MILLISECOND = 10**6


@dataclass
class Simulation:
    """Writes events one after the other; each call lasts ``step_ns``."""

    step_ns: int = MILLISECOND
    now_ns: int = 10**12
    events: list[Event] = field(default_factory=list)
    used: dict[int, Usage] = field(default_factory=dict)

    def tick(self) -> int:
        self.now_ns += self.step_ns
        return self.now_ns

    def start(self, args: Sequence[bytes] = (b"make", b"-j2"), cwd: bytes = b"/b") -> Simulation:
        self.events.append(Start(self.tick(), ROOT, REALTIME_NS))
        return self.exec(ROOT, *args, cwd=cwd)

    def create(self, pid: int, parent: int = ROOT) -> Simulation:
        self.events.append(Create(self.tick(), pid, parent))
        self.used[pid] = Usage(0, 0, 0)
        return self

    def exec(
        self, pid: int, *args: bytes, name: bytes | None = None, exe: bytes | None = None, cwd: bytes = b"/b"
    ) -> Simulation:
        comm = args[0].rpartition(b"/")[2][:15] if name is None else name
        self.events.append(
            Exec(
                self.tick(), pid, comm, exe or b"/usr/bin/" + comm, list(args), cwd, self.used.get(pid, Usage(0, 0, 0))
            )
        )
        return self

    def use(self, pid: int, cpu_ns: int, utime_ns: int = 0, stime_ns: int = 0) -> Simulation:
        before = self.used.get(pid, Usage(0, 0, 0))
        self.used[pid] = Usage(
            (before.cpu_ns or 0) + cpu_ns,
            (before.utime_ns or 0) + utime_ns,
            (before.stime_ns or 0) + stime_ns,
            max_rss_bytes=1 << 20,
        )
        return self

    def startup(self, pid: int, parent: int = ROOT) -> Simulation:
        self.events.append(UserStartup(self.tick(), pid, parent, 0, 0))
        return self

    def user_exit(self, pid: int, parent: int = ROOT) -> Simulation:
        self.events.append(UserExit(self.tick(), pid, parent, 0, 0, 0))
        return self

    def exit(self, pid: int, status: int = 0) -> Simulation:
        self.events.append(Exit(self.tick(), pid, status, None, self.used.get(pid, Usage(0, 0, 0))))
        return self

    def run(self, pid: int, *args: bytes, parent: int = ROOT) -> Simulation:
        """One whole process."""
        return self.create(pid, parent).exec(pid, *args).exit(pid)

    def end(self, alive: int = 0) -> list[Event]:
        self.exit(ROOT)
        self.events.append(End(self.tick(), alive))
        return self.events


NAMES = [b"sh", b"gcc", b"cc1", b"as", b"ld"]


@st.composite
def simulations(draw: st.DrawFn) -> list[Event]:
    """Complete recordings of any shape: forks, execs, exits in any possible order, pids used again, survivors."""
    simulation = Simulation(step_ns=1000).start()
    alive = [ROOT]
    free = list(range(2000, 2006))
    for _ in range(draw(st.integers(0, 40))):
        pid = draw(st.sampled_from(alive))
        action = draw(st.sampled_from(["create", "create", "exec", "use", "startup", "user_exit", "exit"]))
        if action == "create" and free:
            child = free.pop(draw(st.integers(0, len(free) - 1)))
            simulation.create(child, pid)
            alive.append(child)
        elif action == "exec":
            simulation.exec(pid, draw(st.sampled_from(NAMES)), b"-x")
        elif action == "use":
            simulation.use(pid, *(draw(st.integers(0, 10**6)) for _ in range(3)))
        elif action == "startup":
            simulation.startup(pid)
        elif action == "user_exit":
            simulation.user_exit(pid)
        elif action == "exit" and pid != ROOT:
            simulation.exit(pid, draw(st.sampled_from([0, 256, 9])))
            alive.remove(pid)
            free.append(pid)
    return simulation.end(alive=len(alive) - 1)
