"""The eBPF tracer."""
from __future__ import annotations

from pytest_ptreetime.tracers.native_tracer import NativeTracer

__all__ = ["EbpfTracer"]


class EbpfTracer(NativeTracer):
    """Watches the tree from inside the kernel."""

    name = "ebpf"
