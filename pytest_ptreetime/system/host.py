"""What is known of the machine that a recording was made on."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

import msgspec

__all__ = ["HostFacts", "host_facts"]


class HostFacts(msgspec.Struct, frozen=True):
    """The facts that decide whether two measurements may be compared, and the name to show."""

    cpu_model: str
    cpu_count: int
    memory_bytes: int
    kernel: str
    os: str
    machine: str
    hostname: str

    @property
    def memory_gib(self) -> int:
        """Memory to a gibibyte."""
        return round(self.memory_bytes / 2**30)

    def difference(self, other: HostFacts) -> str | None:
        """In words, what sets ``other`` apart from this machine; None where nothing that matters does.

        Memory is compared to a gibibyte: firmware and kernels reserve a varying part of it. The host's name does not
        count, as identical runners are one machine, nor does the kernel, which is updated every other week.
        """
        differences = [
            f"{field.replace('_', ' ')} {theirs} there, {ours} here"
            for field, ours, theirs in (
                ("cpu_model", self.cpu_model, other.cpu_model),
                ("cpu_count", self.cpu_count, other.cpu_count),
                ("memory (GiB)", self.memory_gib, other.memory_gib),
                ("machine", self.machine, other.machine),
            )
            if ours != theirs
        ]
        return "; ".join(differences) or None


@cache
def host_facts() -> HostFacts:
    """The facts of this machine."""
    return HostFacts(
        cpu_model=_cpu_model(),
        cpu_count=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=f"{platform.system()} {platform.release()}",
        os=_operating_system(),
        machine=platform.machine(),
        hostname=platform.node(),
    )


def _cpu_model() -> str:
    """Linux's own name of the processor; elsewhere what Python knows, at worst the architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model", "cpu model"):
                return value.strip()
    return platform.processor() or platform.machine()


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return f"{platform.system()} {platform.release()}"
