"""The ptrace tracer: needs no privilege, and works in plain containers.

A native recorder (``libptreetime/recorder/ptrace.c``) attaches with PTRACE_SEIZE and stops a process at its fork, exec
and exit only; system calls run untouched. What differs from an untraced run:

* exec of a set-uid or set-gid program does not raise privileges, unless root records;
* a program that uses ptrace itself (strace, gdb, a sanitizer's leak checker) can't attach to its children;
* children made with CLONE_UNTRACED are not seen.

What can't be known is None: the peak resident size of an image that ended by another exec, the run-queue delay of a
process that exec'ed from a thread, the context switches and I/O of a process that reaped somebody else's children. The
peak of a program that forked nothing and stayed smaller than its parent is None too: it would take one more stop of
every short process, a third of what tracing it costs.
"""

from __future__ import annotations

from pytest_ptreetime.tracers.native_tracer import NativeTracer

__all__ = ["PtraceTracer"]


class PtraceTracer(NativeTracer):
    """Follows the tree with ptrace."""

    name = "ptrace"
    reads_mailbox = True
