"""Recordings of builds as large as one likes: a real one (the build of four Lua interpreters), many times over."""

from __future__ import annotations

import random
import re
from pathlib import Path

from pytest_ptreetime.recording.events import Create, End, Event, Exec, Exit, Start, Usage, UserExit, UserStartup
from pytest_ptreetime.recording.recording import Recording

__all__ = ["LUA_BUILD", "lua_build", "replicated"]

LUA_BUILD = Path(__file__).parents[1] / "golden" / "lua-build.ptreetime"
ROOT = 1000
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

_TEMPORARY = re.compile(rb"/tmp/cc\w{6}")


def lua_build() -> Recording:
    """What the tracer ``ebpf`` recorded of ``make -j2`` and 134 compiler runs; only the directories were renamed."""
    return Recording.load(LUA_BUILD)


def replicated(processes: int, *, directories: int = 200, seed: int = 1) -> Recording:
    """A build of about ``processes`` processes: its make runs the recorded make again and again.

    Each time the same happens in another of ``directories`` (and under other names of temporary files), a few per cent
    slower or faster, each process with a cpu time of its own. So commands repeat as in a build of several variants.
    """
    build = lua_build()
    (start,) = (event for event in build.events if isinstance(event, Start))
    events = [event for event in build.events if not isinstance(event, (Start, End))]
    chance = random.Random(seed)
    pids = {event.pid: number for number, event in enumerate(e for e in events if isinstance(e, Create))}
    pids[start.root_pid] = len(pids)
    last_ns = max(event.time_ns for event in events)
    now_ns = 10**12
    made: list[Event] = [
        Start(now_ns, ROOT, start.realtime_ns),
        Exec(now_ns, ROOT, b"make", b"/usr/bin/make", [b"make", b"everything"], b"/build", Usage(*[0] * 14)),
    ]
    for copy in range(max(1, round(processes / len(pids)))):
        variant = _Variant(copy, directories, chance, {pid: ROOT + 1 + copy * len(pids) + n for pid, n in pids.items()})
        now_ns += 50_000
        make = variant.pids[start.root_pid]
        made.append(Create(now_ns, make, ROOT))
        made += [variant.event(event, start.time_ns, now_ns) for event in events]
        now_ns += int((last_ns - start.time_ns) * variant.pace)
    made += [Exit(now_ns + 1, ROOT, 0, b"make", Usage(10**9, *[0] * 11)), End(now_ns + 2, 0)]
    return Recording(made, host=build.host, tracer=build.tracer, command=["make", "everything"])


class _Variant:
    """One of the copies."""

    def __init__(self, number: int, directories: int, chance: random.Random, pids: dict[int, int]) -> None:
        self.pids = pids
        self.pace = chance.uniform(0.97, 1.03)
        self._chance = chance
        self._directory = b"/build/module%d/" % (number % directories)
        self._strings: dict[bytes | None, bytes | None] = {None: None}
        self._temporaries: dict[bytes, bytes] = {}

    def event(self, event: Event, from_ns: int, to_ns: int) -> Event:
        time_ns = to_ns + int((event.time_ns - from_ns) * self.pace)
        if isinstance(event, Create):
            return Create(time_ns, self.pids[event.pid], self.pids[event.parent_pid])
        if isinstance(event, Exec):
            args = None if event.args is None else [self._string(argument) or b"" for argument in event.args]
            cwd = self._string(event.cwd)
            return Exec(time_ns, self.pids[event.pid], event.name, event.exe, args, cwd, self._usage(event.usage))
        if isinstance(event, Exit):
            return Exit(time_ns, self.pids[event.pid], event.status, event.name, self._usage(event.usage))
        assert isinstance(event, (UserStartup, UserExit)), event
        parent = self.pids.get(event.parent_pid, ROOT)
        kind = type(event)
        return kind(time_ns, self.pids[event.pid], parent, event.user_ns, event.sys_ns)

    def _usage(self, usage: Usage | None) -> Usage | None:
        if usage is None or usage.cpu_ns is None:
            return usage
        rest = [getattr(usage, field) for field in usage.__struct_fields__[1:]]
        return Usage(int(usage.cpu_ns * self._chance.uniform(0.97, 1.03)), *rest)

    def _string(self, text: bytes | None) -> bytes | None:
        if text not in self._strings:
            assert text is not None
            renamed = _TEMPORARY.sub(self._temporary, text)
            self._strings[text] = renamed.replace(b"/build/", self._directory)
        return self._strings[text]

    def _temporary(self, found: re.Match[bytes]) -> bytes:
        name = self._temporaries.get(found.group())
        if name is None:
            name = b"/tmp/cc" + "".join(self._chance.choices(LETTERS, k=6)).encode()
            self._temporaries[found.group()] = name
        return name
