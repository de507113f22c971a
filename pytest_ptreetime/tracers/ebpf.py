"""The eBPF tracer: the kernel reports the whole tree while the build runs untouched.

A native recorder (``libptreetime/recorder/ebpf.c``) loads a BPF program (``libptreetime/ptreetime.bpf.c``) once and
keeps it for all recordings of the session. Set-uid programs gain their privileges, debuggers and sanitizers work, no
process is ever stopped.

It needs Linux 5.10 or later with BTF, libbpf.so.1, and one of: root; CAP_BPF and CAP_PERFMON as file capabilities of
the recorder; ``sudo -n``, where the user said so. The command never has these privileges: it is started by this process
and waits at its gate until the recorder watches it.

What the kernel can't tell is None: before Linux 6.10 the peak resident size of an image that was not larger than those
before it in the same process; failed execs of 32-bit programs, and all of them where neither fexit programs are allowed
nor tracefs can be read (file capabilities are not enough for it), unless ``count_failed_execs`` asks for the dearer way
that remains.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence

from pytest_ptreetime.tracers import Unavailable
from pytest_ptreetime.tracers.native_tracer import NativeTracer

__all__ = ["EbpfTracer"]

# Why the recorder did not start, by how it was started: asking it again in this process would give the same answer.
_reasons: dict[tuple[str, ...], Unavailable | None] = {}


class EbpfTracer(NativeTracer):
    """Watches the tree from inside the kernel.

    :param sudo: start the recorder (never the command) with ``sudo -n``.
    :param count_failed_execs: count failed execs (searches along PATH) also where no program can be had at the end of
        execve alone: there every system call of the machine takes some 80 ns more while a recording is under way.
    """

    name = "ebpf"

    def __init__(self, *, sudo: bool = False, count_failed_execs: bool = False) -> None:
        super().__init__()
        self.count_failed_execs = count_failed_execs
        self.reads_mailbox = platform.machine() != "x86_64"  # where the kernel itself shows when a program begins
        self.recorder_prefix: Sequence[str] = ("sudo", "-n", "--") if sudo else ()

    def available(self) -> Unavailable | None:
        key = tuple(self.recorder_prefix)
        if _reasons.get(key) is None:
            if key and shutil.which("sudo") is None:
                _reasons[key] = Unavailable("there is no sudo here")
            else:
                _reasons[key] = super().available()
        return _reasons[key]
