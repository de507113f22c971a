"""A small parallel build as a tracer would have seen it: events with exact times, so that reports of it can be golden.

::

    make -j2
    |-- sh -c 'gcc -c a.c'          one for each source
    |   `-- gcc -c a.c
    |       |-- cc1 ... a.c
    |       `-- as ... a.o
    `-- gcc -o program
        `-- collect2
            `-- ld
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.history import Point, history_of
from pytest_ptreetime.decision.profile import Profile, columns_of
from pytest_ptreetime.decision.typical import typical
from pytest_ptreetime.keys.outline import Outline
from pytest_ptreetime.recording.events import Create, End, Event, Exec, Exit, Start, Usage, UserExit, UserStartup
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports.results import Measurement, SessionResult
from pytest_ptreetime.reports.terminal import how_to_accept
from pytest_ptreetime.session.evaluation import evaluate
from pytest_ptreetime.settings import Settings
from pytest_ptreetime.system.host import HostFacts

HOST = HostFacts(
    cpu_model="Example CPU 3000",
    cpu_count=4,
    memory_bytes=16 * 2**30,
    kernel="Linux 6.18.0",
    os="Debian GNU/Linux 12 (bookworm)",
    machine="x86_64",
    hostname="builder-1",
)
STARTED = 1_795_428_000.0  # 2026-11-23 10:00:00 UTC
MILLISECOND = 1_000_000

HOSTILE_SOURCE = "</script><script>alert(1)</script>\x1b[31m\u202e\udcff'\"&.c"
"""A source whose name attacks a browser, a terminal and an encoder."""


class BuildEvents:
    """Collects the events of one run; times are milliseconds from the start."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self.pid = 1000
        self.events: list[Event] = []

    def process(
        self,
        parent: int,
        args: Sequence[str],
        start: float,
        wall: float,
        *,
        exit_status: int = 0,
        cpu: float | None = None,
        dynamic: bool = True,
    ) -> int:
        """A process with one program that has used ``cpu`` (else nine tenths of its life), a quarter in the kernel."""
        self.pid += 1
        pid = self.pid
        start_ns, wall_ns = int(start * MILLISECOND * self.scale), int(wall * MILLISECOND * self.scale)
        end_ns = start_ns + wall_ns
        words = [word.encode("utf-8", "surrogateescape") for word in args]
        cpu_ns = wall_ns * 9 // 10 if cpu is None else int(cpu * MILLISECOND * self.scale)
        name = words[0].rsplit(b"/", 1)[-1][:15]
        usage = Usage(
            cpu_ns=cpu_ns,
            utime_ns=cpu_ns * 3 // 4,
            stime_ns=cpu_ns // 4,
            max_rss_bytes=(8 + len(words)) * 2**20,
            run_delay_ns=wall_ns // 100,
            voluntary_switches=3,
            involuntary_switches=1,
            minor_faults=500,
            major_faults=0,
            read_bytes=4096,
            written_bytes=8192,
            failed_execs=0,
            reads=3,
            writes=2,
        )
        self.events.append(Create(start_ns, pid, parent))
        self.events.append(Exec(start_ns + MILLISECOND // 10, pid, name, words[0], words, b"/build", Usage(cpu_ns=0)))
        if dynamic:
            self.events.append(UserStartup(start_ns + MILLISECOND // 2, pid, parent, 0, 0))
            self.events.append(
                UserExit(end_ns - MILLISECOND // 4, pid, parent, cpu_ns * 3 // 4, cpu_ns // 4, exit_status)
            )
        self.events.append(Exit(end_ns, pid, exit_status << 8, name, usage))
        return pid

    def finished(self, root_end: float, usage: Usage, *, incomplete_reason: str | None = None) -> Recording:
        """The recording, with the root (``make``, pid 1000) around everything."""
        end_ns = int(root_end * MILLISECOND * self.scale)
        make = [b"make", b"-j2"]
        events: list[Event] = [
            Start(-5 * MILLISECOND, 1000, int(STARTED * 1e9)),
            Exec(0, 1000, b"make", b"/usr/bin/make", make, b"/build", Usage(*[0] * 14)),
            UserStartup(MILLISECOND // 2, 1000, 1, 0, 0),
            *self.events,
            UserExit(end_ns - MILLISECOND // 4, 1000, 1, 10 * MILLISECOND, 5 * MILLISECOND, 0),
            Exit(end_ns, 1000, 0, b"make", usage),
            End(end_ns + MILLISECOND, 0),
        ]
        return Recording(
            events=events, host=HOST, tracer="ptrace", command=["make", "-j2"], incomplete_reason=incomplete_reason
        )


def build(
    sources: Sequence[str] = ("a.c", "b.c", "c.c", "d.c", "e.c", "f.c"),
    *,
    slow: Mapping[str, float] | None = None,
    scale: float = 1.0,
    incomplete_reason: str | None = None,
    jobs: int = 2,
) -> Recording:
    """A recording of the build above, ``jobs`` compiles at a time; ``slow`` multiplies single ones, ``scale`` all."""
    events = BuildEvents(scale)
    free_at = [2.0 + 0.5 * job for job in range(jobs)]
    for index, source in enumerate(sources):
        slot = free_at.index(min(free_at))
        begin = free_at[slot]
        compile_ms = 80.0 + 10 * (index % 4)
        compile_ms *= (slow or {}).get(source, 1.0)
        shell = events.process(1000, ["/bin/sh", "-c", f"gcc -c {source}"], begin, compile_ms + 34, cpu=2)
        gcc = events.process(shell, ["/usr/bin/gcc", "-c", source], begin + 2, compile_ms + 30, cpu=5)
        object_file = f"/tmp/cc{index:06d}.s"
        cc1 = ["/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "-quiet", source, "-dumpbase", source, "-O2", "-o", object_file]
        events.process(gcc, cc1, begin + 4, compile_ms)
        events.process(gcc, ["/usr/bin/as", "--64", "-o", f"{source[:-2]}.o", object_file], begin + 5 + compile_ms, 22)
        free_at[slot] = begin + compile_ms + 36
    begin = max(free_at)
    gcc = events.process(1000, ["/usr/bin/gcc", "-o", "program", "a.o"], begin, 60, cpu=3)
    collect = events.process(gcc, ["/usr/lib/gcc/x86_64-linux-gnu/12/collect2", "-o", "program"], begin + 3, 54, cpu=1)
    events.process(collect, ["/usr/bin/ld", "-o", "program", "a.o"], begin + 5, 50, dynamic=False)
    usage = Usage(15 * MILLISECOND, 10 * MILLISECOND, 5 * MILLISECOND, 12 * 2**20, *[0] * 8)
    return events.finished(begin + 64, usage, incomplete_reason=incomplete_reason)


def rounds(
    *, slow: Mapping[str, float] | None = None, count: int = 5, sources: Sequence[str] | None = None
) -> list[Recording]:
    """Rounds that differ by a few per mille, as rounds do."""
    scales = [1.0 + 0.002 * ((index * 2) % 5 - 2) for index in range(count)]
    if sources is None:
        return [build(slow=slow, scale=scale) for scale in scales]
    return [build(sources, slow=slow, scale=scale) for scale in scales]


def measurement(
    name: str = "test_build.test_clean_build",
    *,
    now: Sequence[Recording],
    before: Sequence[Recording] | None = None,
    message: str | None = None,
) -> Measurement:
    """A finished measurement; ``before`` stands for five stored sessions."""
    walls = [recording.tree().wall or 0.0 for recording in now]
    result = Measurement(
        test=f"tests/{name.split('.')[0]}.py::{name.split('.')[1]}",
        name=name,
        command=["make", "-j2"],
        rounds=list(now),
        median_round=sorted(range(len(walls)), key=walls.__getitem__)[len(walls) // 2],
        tracer="ptrace",
        tracer_explained="ptrace (ebpf: needs root or CAP_BPF)",
        message=message,
    )
    if before is not None:
        profiles = [Profile.from_tree(recording.tree()) for recording in before]
        sessions = [profiles] * 5
        result.baseline = typical(sessions)
        points = [Point(f"{day}", f"2026-11-{16 + day}T10:00:00Z", f"{day}f2a1c9d0e8b") for day in range(5)]
        result.history = history_of([columns_of(profiles)] * 5, points, "cpu", most=500)
        result.comparison = compare(sessions, result.profiles)
        result.baseline_source = "5 sessions, last 2026-11-20 (4f2a1c9), in .ptreetime/main"
        if result.comparison.verdict == "regression":
            result.accept = how_to_accept(result, Settings(), result.test)
        result.outline_keys = list(profiles[0].totals)
        result.outline = Outline.of(before[0].tree(), 0, result.outline_keys)
    return result


def compared_sides(
    before: Sequence[str], now: Sequence[str], *, slow: Mapping[str, float] | None = None
) -> Measurement:
    """A measurement of which both sides were recorded, as with ``--ptreetime-against``, by their sources."""
    sides = rounds(sources=before), rounds(sources=now, slow=slow)
    result = measurement(now=sides[1])
    result.baseline_rounds, result.baseline_source = sides[0], "main (1a2b3c4), interleaved"
    profiles = [[Profile.from_tree(recording.tree()) for recording in side] for side in sides]
    evaluate(result, [profiles[0]], profiles[1], paired=True)
    return result


def session(*measurements: Measurement) -> SessionResult:
    return SessionResult(
        started=STARTED,
        ended=STARTED + 300,
        host=HOST,
        machine="builder-1",
        commit="4f2a1c9d0e8b7a6c5d4e3f2a1b0c9d8e7f6a5b4c",
        commit_time=1_795_420_000,
        run_order="101",
        measurements=list(measurements),
    )


def regressed_session() -> SessionResult:
    """Three tests: one whose compile of c.c takes twice as long, one unchanged, one without a baseline."""
    return session(
        measurement(now=rounds(slow={"c.c": 2.0}), before=rounds()),
        measurement("test_build.test_nothing_changed", now=rounds(), before=rounds()),
        measurement(
            "test_build.test_first_time",
            now=rounds(sources=["a.c", HOSTILE_SOURCE]),
            message="no baseline is stored for this test on this machine: save one with --ptreetime-save-baseline",
        ),
    )
