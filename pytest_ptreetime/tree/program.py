"""What a process ran: one successful exec, or what the interposer knew of one."""

from __future__ import annotations

import functools
import os

import msgspec

from pytest_ptreetime.recording.events import COMM_BYTES, Exec, UserExec, UserSpawn, UserStartup

__all__ = ["Program", "program_name"]


class Program(msgspec.Struct, frozen=True, gc=False):
    """The strings of a program that was started, as the kernel has them; what is not known is None.

    ``comm`` is the kernel's name of the command at that moment, ``exe`` the file that ran. A node keeps this and not
    the event, which also holds what the process had used by then.
    """

    comm: bytes | None
    exe: bytes | None
    args: tuple[bytes, ...] | None
    cwd: bytes | None

    @classmethod
    def of(cls, event: Exec | UserStartup | UserExec | UserSpawn, paths: dict[bytes | None, bytes | None]) -> Program:
        """What ``event`` says.

        :param paths: names, files and directories of the programs before, so that each is in memory once.
        """
        share = paths.setdefault
        args = None if event.args is None else tuple(event.args)
        if isinstance(event, Exec):
            return cls(share(event.name, event.name), share(event.exe, event.exe), args, share(event.cwd, event.cwd))
        if isinstance(event, UserStartup):
            return cls(None, share(event.exe, event.exe), args, share(event.cwd, event.cwd))
        return cls(None, share(event.path, event.path), args, None)


def program_name(program: Program | None) -> str:
    """The last part of the path given to exec, completed where the kernel cut it; ``?`` where nothing is known."""
    if program is None:
        return "?"
    args = program.args or ()
    comm, exe = program.comm, program.exe
    if comm is None or (comm.isdigit() and exe is not None):  # fexecve names the process after the descriptor
        path = exe if comm is not None or not args or not args[0] else args[0]
        return os.fsdecode(path.rpartition(b"/")[2]) if path else "?"
    if len(comm) >= COMM_BYTES:
        for path in (*args[:1], exe, *args[1:2]):
            if path is not None:
                base = path.rpartition(b"/")[2]
                if base.startswith(comm):
                    return _text(base)
    return _text(comm)


@functools.lru_cache(1_000)
def _text(name: bytes) -> str:
    return os.fsdecode(name)
