"""Talking to a native recorder over its control socket, as a caller who need not be friendly."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_ptreetime.errors import NativeHelperMissing
from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import Event, decode_stream

NOBODY = 65534
CAP_PERFMON, CAP_BPF = 38, 39


@contextmanager
def running_recorder(
    path: Path,
    mode: str = "ebpf",
    *,
    user: int | None = None,
    env: dict[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """A recorder that the test talks to itself: its control socket, and the process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            process = subprocess.Popen(
                [*prefix, path, mode], stdin=theirs.fileno(), env=env or {}, user=user, group=user, cwd="/"
            )
        ours.settimeout(30)
        yield ours, process
    process.wait()


@contextmanager
def recorder(path: Path, *, user: int | None = None, env: dict[str, str] | None = None) -> Iterator[socket.socket]:
    """The control socket of a running eBPF recorder."""
    with running_recorder(path, user=user, env=env) as (control, _):
        yield control


def ask_to_record(control: socket.socket, pid: int, *, how: str = "") -> tuple[str, int]:
    """The answer, and the descriptor of the memory file that was handed over."""
    events = os.memfd_create("events")
    socket.send_fds(control, [f"record {pid}{how}".encode()], [events])
    return control.recv(4096).decode(), events


def read(descriptor: int) -> list[Event]:
    """The events in a memory file."""
    with open(descriptor, "rb") as file:
        file.seek(0)
        return [event for frame in decode_stream(file.read(), "the events") for event in frame]


@contextmanager
def waiting_shell(user: int, program: str = "/bin/true") -> Iterator[subprocess.Popen[bytes]]:
    """A process of this user that runs the program once it has been sent a line."""
    script = ["/bin/sh", "-c", 'read line; exec "$0"', program]
    process = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=user, group=user)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def started_as_number(pid: int, args: Sequence[str | Path], *, user: int) -> subprocess.Popen[bytes]:
    """A process of this user under the number of one that is dead; a skip where numbers can't be chosen."""
    last = Path("/proc/sys/kernel/ns_last_pid")
    for _ in range(200):
        try:
            last.write_text(str(pid - 1))
        except OSError as error:
            pytest.skip(f"process numbers can't be chosen here: {error}")
        process = subprocess.Popen(args, user=user, group=user, cwd="/")
        if process.pid == pid:
            return process
        process.wait()
    pytest.skip("the number was always somebody else's")


@contextmanager
def copied_recorder() -> Iterator[Path]:
    """A copy of the recorder that every user may run, without capabilities."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a program as another user")
    try:
        original = helper("ptreetime-recorder")
    except NativeHelperMissing as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        copy = Path(directory, "ptreetime-recorder")
        shutil.copyfile(original, copy)
        copy.chmod(0o755)
        yield copy


def give_capabilities(path: Path, *capabilities: int) -> None:
    """What setcap does: a vfs_cap_data of revision 2, effective (linux/capability.h)."""
    low, high = (sum(1 << number % 32 for number in capabilities if number // 32 == word) for word in (0, 1))
    try:
        os.setxattr(path, "security.capability", struct.pack("<IIIII", 0x02000001, low, 0, high, 0))
    except OSError as error:
        pytest.skip(f"file capabilities can't be set here: {error}")
