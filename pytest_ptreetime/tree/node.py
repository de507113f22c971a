"""One image of one process: what the tree is made of.

A node keeps the events' data as it came, and decodes strings and computes numbers when it is asked. A tree of 200,000
processes is built in a second because nothing is computed that nobody reads.
"""

from __future__ import annotations

import os
import sys
from operator import add, attrgetter, sub

import msgspec

from pytest_ptreetime.metrics import COUNTERS, KNOWN, PLACES, UNCOUNTED, known_sums, no_sums
from pytest_ptreetime.recording.events import Usage
from pytest_ptreetime.tree.program import Program, program_name

__all__ = ["ProcessNode", "split_cpu"]

# os.fsdecode without its call of a Python function for each of a build's millions of arguments.
_ENCODING = sys.getfilesystemencoding()
_ERRORS = sys.getfilesystemencodeerrors()

LONGEST_IN_REPR = 80
COUNT, WALL, USER, SYS, CPU = (PLACES[name] for name in ("count", "wall", "user", "sys", "cpu"))
MAX_RSS, STARTLAG, EXITLAG = (PLACES[name] for name in ("max_rss", "startlag", "exitlag"))
INSTRUCTIONS = PLACES["instructions"]

_counters = attrgetter(*COUNTERS)
_FIRST_COUNTER, _LAST_COUNTER = min(COUNTERS.values()), max(COUNTERS.values())
_NO_COUNTERS = (None,) * len(COUNTERS)
_ALL_COUNTERS = sum(1 << place for place in COUNTERS.values())
assert list(COUNTERS.values()) == list(range(_FIRST_COUNTER, _LAST_COUNTER + 1)), "they are added up as one slice"

_NOTHING_USED = Usage(*[0] * len(Usage.__struct_fields__))


class ProcessNode(msgspec.Struct, eq=False, weakref=True):
    """One program that one process ran, from its start to its exit or its next exec.

    Times ending in ``_ns`` are CLOCK_MONOTONIC nanoseconds, other times are seconds; None is what the tracer could not
    know. Strings are decoded as file names are (``os.fsdecode``), so bytes that are not UTF-8 survive.

    ``start_ns`` is the process's creation for its first image, the exec for a later one. ``exit_ns`` is when the parent
    could see it dead, or the exec that started the next image, or None. ``children`` are the images that this image
    forked, in the order of their start; further images of a child follow it directly. ``previous_image`` and
    ``next_image`` link the images of one process. ``exit_code`` and ``signal`` are None for an image that ended by an
    exec. ``still_running``: the process was alive at the recording's end. ``reparented``: it outlived its parent, or
    its parent is not known and it was put under the root.
    """

    pid: int
    parent: ProcessNode | None
    start_ns: int
    depth: int = 0
    exit_ns: int | None = None
    children: list[ProcessNode] = []
    previous_image: ProcessNode | None = None
    next_image: ProcessNode | None = None
    exit_code: int | None = None
    signal: int | None = None
    still_running: bool = False
    reparented: bool = False
    _program: Program | None = None
    _execed: bool = False
    _exec_ns: int | None = None  # of the newest exec
    _usage_before: Usage | None = None
    _usage_after: Usage | None = None
    _usage_before_known: bool = True
    _startup_ns: int | None = None
    _user_exit_ns: int | None = None
    _name: str | None = None
    _args: list[str] | None = None
    _key: str | None = None

    @property
    def name(self) -> str:
        """The program's name: the last part of the path given to exec, a script's own name; ``?`` if never told.

        The kernel cuts it to 15 bytes; it is completed from the arguments or the executable where they begin with it.
        """
        if self._name is None:
            self._name = program_name(self._program)
        return self._name

    @property
    def exe(self) -> str | None:
        """The absolute path of the file that ran (of the interpreter, for a script)."""
        program = self._program
        return None if program is None or program.exe is None else os.fsdecode(program.exe)

    @property
    def args(self) -> list[str] | None:
        """The argument list, element 0 included. A process that never execed has its parent's."""
        if self._args is None and self._program is not None and self._program.args is not None:
            self._args = [argument.decode(_ENCODING, _ERRORS) for argument in self._program.args]
        return self._args

    @property
    def cwd(self) -> str | None:
        """The working directory when the program started."""
        program = self._program
        return None if program is None or program.cwd is None else program.cwd.decode(_ENCODING, _ERRORS)

    @property
    def forked_only(self) -> bool:
        """Whether this process never execed: it runs its parent's program."""
        return not self._execed and self.previous_image is None and self.parent is not None

    @property
    def key(self) -> str:
        """The stable name by the default rules (keys/keyer.py). Computed for the whole tree when first read."""
        if self._key is None:
            from pytest_ptreetime.keys.keyer import Keyer

            root = self
            while root.parent is not None:
                root = root.parent
            Keyer().assign(root)
        assert self._key is not None
        return self._key

    @property
    def wall(self) -> float | None:
        """Seconds from start to exit."""
        return None if self.exit_ns is None else (self.exit_ns - self.start_ns) / 1e9

    @property
    def cpu(self) -> float | None:
        """Processor seconds of this image, all its threads, not its children."""
        cpu_ns = self._used("cpu_ns")
        if cpu_ns is not None:
            return cpu_ns / 1e9
        user_ns, sys_ns = self._used("utime_ns"), self._used("stime_ns")
        return None if user_ns is None or sys_ns is None else (user_ns + sys_ns) / 1e9

    @property
    def user(self) -> float | None:
        """Processor seconds in user mode: the share of :attr:`cpu` by the rule of :func:`split_cpu`."""
        return self._split()[0]

    @property
    def sys(self) -> float | None:
        """Processor seconds in the kernel."""
        return self._split()[1]

    @property
    def startlag(self) -> float | None:
        """Seconds from the start to the first user constructor, or to the program's first instruction.

        docs/reference/tracers.md says which.

        None for a process that never execed.
        """
        return None if self._startup_ns is None else (self._startup_ns - self.start_ns) / 1e9

    @property
    def exitlag(self) -> float | None:
        """Seconds from the process's last call to its death; None for an image that ended by exec.

        The last call is exit_group, the end of its last thread, or the signal that ended it; with the tracers that have
        it from the interposer (dtrace, interpose) the call of exit, and None for a death by signal.
        """
        if self._user_exit_ns is None or self.exit_ns is None:
            return None
        return (self.exit_ns - self._user_exit_ns) / 1e9

    @property
    def run_delay(self) -> float | None:
        """Seconds spent runnable without a processor (/proc/PID/schedstat's second field)."""
        delay_ns = self._used("run_delay_ns")
        return None if delay_ns is None else delay_ns / 1e9

    @property
    def max_rss_bytes(self) -> int | None:
        """Peak resident size of this image, from the kernel's VmHWM or the counters behind it.

        None where the tracer can't know: ptrace, of an image that ended by an exec, unless it forked nothing and was
        larger than all memories that its process had before (its parent's too, where that one used vfork).
        """
        return None if self._usage_after is None else self._usage_after.max_rss_bytes

    @property
    def minor_faults(self) -> int | None:
        """Page faults served without input or output."""
        return self._used("minor_faults")

    @property
    def major_faults(self) -> int | None:
        """Page faults that needed input."""
        return self._used("major_faults")

    @property
    def voluntary_switches(self) -> int | None:
        """Context switches because the process waited."""
        return self._used("voluntary_switches")

    @property
    def involuntary_switches(self) -> int | None:
        """Context switches because something else was let run."""
        return self._used("involuntary_switches")

    @property
    def read_bytes(self) -> int | None:
        """Bytes that calls of read and its like (pread, readv, sendfile) moved: rchar of /proc/PID/io.

        From whatever file; what was mapped is not in it.
        """
        return self._used("read_bytes")

    @property
    def written_bytes(self) -> int | None:
        """Bytes that calls of write and its like moved: wchar."""
        return self._used("written_bytes")

    @property
    def reads(self) -> int | None:
        """Calls of read and its like."""
        return self._used("reads")

    @property
    def writes(self) -> int | None:
        """Calls of write and its like."""
        return self._used("writes")

    @property
    def instructions(self) -> int | None:
        """Instructions that this image executed in user space, all its threads, by a counter of the processor.

        Of a process's first program from its exec on. None where there is no such counter or where it did not count all
        the time.
        """
        return self._used("instructions")

    @property
    def failed_execs(self) -> int | None:
        """Calls of exec that failed (a search along PATH, for the most part)."""
        return self._used("failed_execs")

    def metrics(self) -> dict[str, float]:
        """What is known of the metrics (metrics.py), by name; the values are those of the attributes."""
        sums = no_sums()
        self.add_metrics(sums)
        return known_sums(sums)

    def add_metrics(self, sums: list[int]) -> None:
        """Add the metrics to ``sums`` (metrics.py); one call is many times as fast as the attributes."""
        known = 0
        exit_ns, after = self.exit_ns, self._usage_after
        sums[COUNT] += 1
        if exit_ns is not None:
            known = 1 << WALL
            sums[WALL] += exit_ns - self.start_ns
            if self._user_exit_ns is not None:
                known |= 1 << EXITLAG
                sums[EXITLAG] += exit_ns - self._user_exit_ns
        if self._startup_ns is not None:
            known |= 1 << STARTLAG
            sums[STARTLAG] += self._startup_ns - self.start_ns
        instructions = None if after is None or after.instructions is None else self._used("instructions")
        if instructions is None:
            known |= UNCOUNTED
        else:
            known |= 1 << INSTRUCTIONS
            sums[INSTRUCTIONS] += instructions
        if after is not None:
            max_rss_bytes = after.max_rss_bytes
            if max_rss_bytes is not None:
                if not sums[KNOWN] & 1 << MAX_RSS or max_rss_bytes > sums[MAX_RSS]:
                    sums[MAX_RSS] = max_rss_bytes
                known |= 1 << MAX_RSS
            if self._usage_before_known:
                known |= _add_cpu(sums, after, self._usage_before) | _add_counters(sums, after, self._usage_before)
        sums[KNOWN] |= known

    @property
    def process_exit_ns(self) -> int | None:
        """When the process ended, whatever images it went through."""
        node = self
        while node.next_image is not None:
            node = node.next_image
        return node.exit_ns

    def _used(self, field: str) -> int | None:
        """The image's share of a counter that counts from the process's creation."""
        if self._usage_after is None or not self._usage_before_known:
            return None
        return _share(getattr(self._usage_after, field), getattr(self._usage_before or _NOTHING_USED, field))

    def _split(self) -> tuple[float | None, float | None]:
        user_ns, sys_ns, cpu_ns = self._used("utime_ns"), self._used("stime_ns"), self._used("cpu_ns")
        if user_ns is None or sys_ns is None:
            return None, None
        if cpu_ns is not None:
            user_ns, sys_ns = split_cpu(cpu_ns, user_ns, sys_ns)
        return user_ns / 1e9, sys_ns / 1e9

    def __repr__(self) -> str:
        from pytest_ptreetime.keys.brief import brief

        wall = "still running" if self.wall is None else f"{self.wall:.4f} s"
        label = brief(self.name or "?", self.args or ())
        label = label if len(label) <= LONGEST_IN_REPR else f"{label[: LONGEST_IN_REPR - 1]}…"
        return f"<ProcessNode {self.pid} {label!r}, {wall}, {len(self.children)} children>"


def _add_counters(sums: list[int], after: Usage, before: Usage | None) -> int:
    """Add an image's shares of what is simply counted from a process's creation; the bits of those that are known."""
    now, then = _counters(after), _counters(before or _NOTHING_USED)
    if now == _NO_COUNTERS or then == _NO_COUNTERS:
        return 0
    unknown = None in now or None in then
    values = () if unknown else tuple(map(sub, now, then))
    if unknown or min(values) < 0:
        values = tuple(map(_share, now, then))
    if None not in values:
        sums[_FIRST_COUNTER : _LAST_COUNTER + 1] = map(add, sums[_FIRST_COUNTER : _LAST_COUNTER + 1], values)
        return _ALL_COUNTERS
    known = 0
    for place, value in enumerate(values, _FIRST_COUNTER):
        if value is not None:
            sums[place] += value
            known |= 1 << place
    return known


def _add_cpu(sums: list[int], after: Usage, before: Usage | None) -> int:
    """The same of processor time, which is divided into user and sys."""
    known = 0
    cpu_ns, user_ns, sys_ns = after.cpu_ns, after.utime_ns, after.stime_ns
    if before is not None:
        cpu_ns = _share(cpu_ns, before.cpu_ns)
        user_ns, sys_ns = _share(user_ns, before.utime_ns), _share(sys_ns, before.stime_ns)
    if cpu_ns is not None and cpu_ns < 0:
        cpu_ns = 0
    if user_ns is not None and sys_ns is not None:
        if user_ns < 0:
            user_ns = 0
        if sys_ns <= 0:
            sys_ns = 0
            if cpu_ns is not None:
                user_ns = cpu_ns  # as split_cpu() has it
        elif cpu_ns is not None:
            user_ns, sys_ns = split_cpu(cpu_ns, user_ns, sys_ns)
        if cpu_ns is None:
            cpu_ns = user_ns + sys_ns
        sums[USER] += user_ns
        sums[SYS] += sys_ns
        known = 1 << USER | 1 << SYS
    if cpu_ns is not None:
        sums[CPU] += cpu_ns
        known |= 1 << CPU
    return known


def split_cpu(cpu_ns: int, utime_ns: int, stime_ns: int) -> tuple[int, int]:
    """User and system nanoseconds that add up to the exact ``cpu_ns``.

    ``utime_ns`` and ``stime_ns`` are tick samples of which only the ratio means something. The rule is that of
    cputime_adjust() in Linux's kernel/sched/cputime.c: without a system tick all is user, without a user tick all is
    system, else the exact total is divided in the samples' proportion. (The kernel also keeps each from ever falling
    between two reads; a difference of two images has no such history.)
    """
    if stime_ns == 0:
        return cpu_ns, 0
    if utime_ns == 0:
        return 0, cpu_ns
    sys_ns = min(cpu_ns, cpu_ns * stime_ns // (utime_ns + stime_ns))
    return cpu_ns - sys_ns, sys_ns


def _share(after: int | None, before: int | None) -> int | None:
    if after is None or before is None:
        return None
    return after - before if after > before else 0
