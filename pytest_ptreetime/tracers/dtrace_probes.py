"""What a dtrace that is killed leaves in a Linux kernel: the probes that it wrote down in tracefs.

They are named by the pid of their dtrace, and stay until the machine starts anew. A dtrace that ends by itself removes
its own.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

__all__ = ["remove_probes_of_the_dead"]

_FILES = (Path("/sys/kernel/tracing/dynamic_events"), Path("/sys/kernel/debug/tracing/dynamic_events"))
_PROBE = re.compile(r"^[pr]\d*:(dt_(\d+)_\S*)", re.MULTILINE)


def remove_probes_of_the_dead() -> None:
    """Remove every probe whose dtrace has ended. The kernel refuses to remove one that is in use."""
    for file in _FILES:
        with suppress(OSError):
            probes = _PROBE.findall(file.read_text())
            descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)  # truncated, it would lose other people's
            try:
                for name, pid in probes:
                    if not Path(f"/proc/{pid}").exists():
                        with suppress(OSError):
                            os.write(descriptor, f"-:{name}\n".encode())
            finally:
                os.close(descriptor)
            return
