"""The holder of a lock tells each process that waits for it whether it was started by the holder.

The kernel tells both sides of a socket who the other one is, each in its own numbers. So it does not matter that a
process has another number in a pid namespace of its own, nor whose number its ancestor's was before; and nothing is
handed to the build, which could notice it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["Answer", "answering", "ask"]

LONGEST_ADDRESS = 100  # of the 104 to 108 bytes that systems allow
_CREDENTIALS = struct.Struct("=iII")  # struct ucred
_MACOS_PEER_PID = (0, 2)  # SOL_LOCAL, LOCAL_PEERPID
_DESCENDANT, _STRANGER = b"d", b"s"


class Answer(NamedTuple):
    """What who has the lock says.

    :param holder: its pid, where it has one here.
    :param descends: whether who asks was started by it, or by what it started; None: it has not answered.
    """

    holder: int | None
    descends: bool | None


@contextmanager
def answering(path: Path) -> Iterator[None]:
    """Answer at the socket ``path`` until the block ends. Without descriptors or threads left, nobody is answered."""
    with ExitStack() as opened:
        with suppress(OSError, RuntimeError, MemoryError):
            server = opened.enter_context(socket.socket(socket.AF_UNIX))
            stop, stopped = map(opened.enter_context, socket.socketpair())
            _remove(path)  # of one that was killed
            with _address(path) as address:
                server.bind(address)
            path.chmod(0o600)
            opened.callback(_remove, path)
            server.listen()
            thread = threading.Thread(target=_answer, args=(server, stopped), daemon=True)
            opened.callback(_end, thread, stop)
            thread.start()
        yield


def ask(path: Path, seconds: float | None) -> Answer:
    """Ask at the socket ``path``.

    :param seconds: for how long to wait for the answer.
    """
    with socket.socket(socket.AF_UNIX) as asking, suppress(OSError):
        asking.settimeout(seconds)
        with _address(path) as address:
            asking.connect(address)
        holder = _peer(asking)
        try:
            said = asking.recv(1)
        except OSError:
            said = b""
        return Answer(holder, None if not said else said == _DESCENDANT)
    return Answer(None, None)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _end(thread: threading.Thread, stop: socket.socket) -> None:
    stop.close()
    if thread.ident is not None:
        thread.join()


def _answer(server: socket.socket, stop: socket.socket) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are for who waits for the build
    poll = select.poll()
    poll.register(server, select.POLLIN)
    poll.register(stop, select.POLLIN)
    while stop.fileno() not in [descriptor for descriptor, _ in poll.poll()]:
        with suppress(OSError), server.accept()[0] as asked:
            peer = _peer(asked)
            asked.sendall(_DESCENDANT if peer is not None and _descends_from_us(peer) else _STRANGER)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """How to name the socket to the kernel, which takes no long names."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _peer(connection: socket.socket) -> int | None:
    """The other side's pid; None where it has none in our namespace, or is not told."""
    if sys.platform == "darwin":
        return connection.getsockopt(*_MACOS_PEER_PID)
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(told)[0]) or None


def _descends_from_us(pid: int) -> bool:
    """Whether this process is the parent of process ``pid``, or its parent's parent, and so on."""
    seen: set[int] = set()
    parent = _parent(pid)
    while parent is not None and parent not in seen:
        if parent == os.getpid():
            return True
        seen.add(parent)
        parent = _parent(parent)
    return False


def _parent(pid: int) -> int | None:
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            return None
        return int(stat[stat.rindex(b")") + 2 :].split()[1])
    shown = subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, check=False).stdout.strip()
    return int(shown) if shown.isdigit() else None
