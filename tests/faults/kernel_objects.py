"""BPF programs and maps that live in the kernel though no recorder holds them, and probes of a dtrace that is dead.

Recorders of other runs may come and go on the same machine: what one of them holds is its own. A link lives no longer
than the program that it belongs to is held by it, so a link that was left would be seen as its program.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import struct
import time
from pathlib import Path

BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
PROGRAMS, MAPS = "programs", "maps"
_GET_NEXT_ID = {PROGRAMS: 11, MAPS: 12}  # BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID
_GET_FD_BY_ID = {PROGRAMS: 13, MAPS: 14}
_GET_INFO = 15
_NAME_AT = {PROGRAMS: 64, MAPS: 24}  # in struct bpf_prog_info, struct bpf_map_info (linux/bpf.h)
_IN_FDINFO = {PROGRAMS: "prog_id:", MAPS: "map_id:"}
_OUR_MAPS = ("processes", "records", "exec_buffers")  # and programs called on_*: libptreetime/ptreetime.bpf.c
FREED_WITHIN_SECONDS = 20.0  # the kernel frees them when it has the time
PROBES_REMOVED_WITHIN_SECONDS = 60.0  # another trial's may be there until its next run
BPF_FILES = Path("/sys/fs/bpf")
PROBES = Path("/sys/kernel/tracing/dynamic_events")

_libc = ctypes.CDLL(None, use_errno=True)
Found = set[tuple[str, int]]


def can_be_looked_for() -> bool:
    return BPF_SYSCALL is not None and os.geteuid() == 0 and not (_bpf(11, struct.pack("=II", 0, 0))[0] < 0)


def _bpf(command: int, attributes: bytes) -> tuple[int, bytes]:
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = int(_libc.syscall(BPF_SYSCALL, command, buffer, 128))
    return result, buffer.raw


def _name(kind: str, number: int) -> str | None:
    descriptor, _ = _bpf(_GET_FD_BY_ID[kind], struct.pack("=I", number))
    if descriptor < 0:
        return None
    try:
        info = ctypes.create_string_buffer(256)
        _bpf(_GET_INFO, struct.pack("=IIQ", descriptor, 256, ctypes.addressof(info)))
        return info.raw[_NAME_AT[kind] : _NAME_AT[kind] + 16].split(b"\0")[0].decode(errors="replace")
    finally:
        os.close(descriptor)


def existing() -> Found:
    found: Found = set()
    for kind, command in _GET_NEXT_ID.items():
        number = 0
        while True:
            result, attributes = _bpf(command, struct.pack("=II", number, 0))
            if result < 0:
                break
            number = struct.unpack_from("=I", attributes, 4)[0]
            found.add((kind, number))
    return found


def _held() -> Found:
    """By a recorder that lives."""
    found: Found = set()
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            if not (directory / "comm").read_bytes().startswith(b"ptreetime-reco"):
                continue
            texts = [info.read_text() for info in (directory / "fdinfo").iterdir()]
        except OSError:
            continue  # it has ended meanwhile
        for text in texts:
            for kind, label in _IN_FDINFO.items():
                found.update((kind, int(line.split()[1])) for line in text.splitlines() if line.startswith(label))
    return found


def _is_ours(name: str | None) -> bool:
    return name is not None and (name.startswith("on_") or name in _OUR_MAPS)


def left(before: Found) -> list[str]:
    """What has been added since ``before``, is held by no recorder, and does not go away."""
    deadline = time.monotonic() + FREED_WITHIN_SECONDS
    while True:
        # In this order: a recorder that starts in between holds what is not looked at.
        new = existing() - before
        suspects = new - _held()
        ours = [f"{kind} {number} ({name})" for kind, number in suspects if _is_ours(name := _name(kind, number))]
        if not ours or time.monotonic() > deadline:
            return ours
        time.sleep(0.02)


def left_probes() -> set[str]:
    """Probes of a dtrace that is dead, which nobody removes."""
    deadline = time.monotonic() + PROBES_REMOVED_WITHIN_SECONDS
    left = _probes_of_the_dead()
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left &= _probes_of_the_dead()
    return left


def _probes_of_the_dead() -> set[str]:
    try:
        found = re.findall(r"^\w+:(dt_(\d+)_\S+)", PROBES.read_text(), re.MULTILINE)
    except OSError:
        return set()
    return {name for name, pid in found if not Path(f"/proc/{pid}").exists()}


def pinned() -> set[str]:
    try:
        return {str(path) for path in BPF_FILES.rglob("*")}
    except OSError:
        return set()
