"""Whether a process is an ancestor of this one, where its number may have been another's before."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["birth_of", "is_ancestor"]


def birth_of(pid: int) -> str | None:
    """When the process ``pid`` began, as text that no other process of that number has; None where it is not told."""
    found = _parent_and_birth(pid)
    return None if found is None else found[1]


def is_ancestor(pid: int, birth: str) -> bool:
    """Whether the process ``pid`` that began at ``birth`` is this process's parent, or that one's, and so on."""
    seen: set[int] = set()
    parent = os.getppid()
    while parent > 0 and parent not in seen:
        seen.add(parent)
        found = _parent_and_birth(parent)
        if found is None:
            return False
        if parent == pid:
            return found[1] == birth
        parent = found[0]
    return False


def _parent_and_birth(pid: int) -> tuple[int, str] | None:
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()  # from the third on, the state
        return int(fields[1]), fields[19]  # ppid; starttime, in ticks since the boot
    shown = subprocess.run(["ps", "-o", "ppid=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    parent, _, birth = shown.stdout.strip().partition(" ")
    return (int(parent), birth.strip()) if parent.isdigit() else None
