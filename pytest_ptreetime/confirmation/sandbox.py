"""A view of the files that replays may write to, and of which nothing stays: mount namespace, overlays, no network.

Everything is read-only but the places, which are overlays with their upper layer in memory. They are made anew for
each replay: all replays find what the first one found. The mounts are the replaying process's own, and go with it
however it ends. No network is there, and no server can be connected to.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_ptreetime.confirmation.refused import Refused

__all__ = ["Sandbox", "enter", "places_of", "refuse_servers"]

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
_MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x4000, 0x40000, 2
_SYS_MOUNT_SETATTR, _AT_RECURSIVE, _AT_FDCWD, _ATTR_RDONLY = 442, 0x8000, -100, 1
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
#: By machine: the audit architecture, and the numbers of socket() and connect().
_NETWORK_CALLS = {"x86_64": (0xC000003E, 41, 42), "aarch64": (0xC00000B7, 198, 203)}
#: What no replay may write to, whatever a command names; an overlay would only slow the reading of headers down.
_SYSTEM = frozenset(map(Path, ("/dev", "/proc", "/sys", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/boot")))
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - covered by memory of our own

_libc = ctypes.CDLL(None, use_errno=True)


class Sandbox:
    """The overlays, made anew by :meth:`renew`. This process must not stand in one of them meanwhile."""

    def __init__(self, places: Sequence[str], scratch: int) -> None:
        self._places = places
        self._scratch = f"/proc/self/fd/{scratch}"  # reached even where an overlay covers its path
        self._number = 0
        self._mounted: list[str] = []

    def renew(self) -> None:
        """Forget what was written.

        :raises Refused: a place can't be covered.
        """
        while self._mounted:
            _call("umount2", self._mounted.pop().encode(), _MNT_DETACH)
        shutil.rmtree(f"{self._scratch}/{self._number}", ignore_errors=True)
        self._number += 1
        for index, place in enumerate(self._places):
            upper, work = (Path(self._scratch, str(self._number), str(index), name) for name in ("upper", "work"))
            upper.mkdir(parents=True)
            work.mkdir()
            upper.chmod(Path(place).stat().st_mode & 0o7777)
            _mount("overlay", place, "overlay", 0, f"lowerdir={_escaped(place)},upperdir={upper},workdir={work}")
            self._mounted.append(place)


def enter(places: Sequence[str], scratch: str) -> Sandbox:
    """Give this process its own view: from here on it can write nowhere but to places.

    :param scratch: an empty directory, over which memory is mounted for what is written.
    :raises Refused: this machine does not allow it.
    """
    flags = _CLONE_NEWNS | _CLONE_NEWNET
    uid, gid = os.getuid(), os.getgid()
    if _libc.unshare(flags) != 0:
        _call("unshare", flags | _CLONE_NEWUSER, why="no sandbox can be made here")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path("/proc/self", name).write_text(text)
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    attributes = struct.pack("=QQQQ", _ATTR_RDONLY, 0, 0, 0)
    _call("syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, attributes, len(attributes))
    _mount("tmpfs", scratch, "tmpfs", 0, "mode=700")
    if Path(_SHARED_MEMORY).is_dir():
        _mount("tmpfs", _SHARED_MEMORY, "tmpfs", 0, "mode=1777")
    descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    sandbox = Sandbox(places, descriptor)
    sandbox.renew()
    return sandbox


def refuse_servers() -> None:
    """From now on, in what this process starts, a socket of the network kills, and no server listens."""
    known = _NETWORK_CALLS.get(platform.machine())
    if known is None:
        return  # there is no network all the same
    architecture, socket, connect = known
    allow, kill, refuse = 0x7FFF0000, 0x80000000, 0x00050000 | 111  # ECONNREFUSED
    load, equal, give = 0x20, 0x15, 0x06
    program = [  # (operation, lines to skip if so, if not, operand) on struct seccomp_data
        (load, 0, 0, 4),  # arch
        (equal, 0, 6, architecture),  # else: allow
        (load, 0, 0, 0),  # nr
        (equal, 6, 0, connect),  # refuse
        (equal, 0, 3, socket),  # else: allow
        (load, 0, 0, 16),  # args[0], the family
        (equal, 2, 0, 2),  # AF_INET: kill
        (equal, 1, 0, 10),  # AF_INET6: kill
        (give, 0, 0, allow),
        (give, 0, 0, kill),
        (give, 0, 0, refuse),
    ]
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    filter_program = struct.pack("@HP", len(program), ctypes.addressof(buffer))
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_program, 0, 0)


def places_of(cwd: str, args: Iterable[str], temporary: str) -> list[str]:
    """Where a command may write: its directory, that for temporary files, and those of the files that it names."""
    named = {Path(directory).resolve() for directory in (cwd, temporary, "/tmp")}  # noqa: S108 - whatever TMPDIR says
    for word in args:
        for text in (word, word.partition("=")[2], word[2:] if word.startswith("-") else ""):
            path = Path(cwd, text).resolve()
            if text and not _is_system(path):
                named.update((path.parent, path))
    usable = {path for path in named if path.parent != path and path.is_dir() and os.access(path, os.W_OK)}
    return [str(place) for place in sorted(usable) if usable.isdisjoint(place.parents)]


def _is_system(path: Path) -> bool:
    return not _SYSTEM.isdisjoint((path, *path.parents))


def _escaped(path: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\:," else letter for letter in path)


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    words = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    _call("mount", *words, flags, os.fsencode(options) or None, why=f"the sandbox can't cover {target}")


def _call(name: str, *arguments: object, why: str | None = None) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        raise Refused(f"{why or 'no sandbox can be made here'}: {name}: {os.strerror(ctypes.get_errno())}")
