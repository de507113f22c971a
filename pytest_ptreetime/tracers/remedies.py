"""What would enable a tracer that does not work here, by what is in its way."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping

from pytest_ptreetime.errors import NativeHelperMissing, Obstacle, TracerUnavailable
from pytest_ptreetime.native import helper
from pytest_ptreetime.tracers import Unavailable

__all__ = ["REINSTALL", "unavailable"]

REINSTALL = "pip install --force-reinstall --no-deps --no-cache-dir pytest-ptreetime"

# The package with libbpf.so.1 and the compiler, by the package manager that installs them.
_INSTALLERS: Mapping[str, tuple[str, str, str]] = {
    "apt-get": ("apt-get install", "libbpf1", "clang"),
    "dnf": ("dnf install", "libbpf", "clang"),
    "zypper": ("zypper install", "libbpf1", "clang"),
    "pacman": ("pacman -S", "libbpf", "clang"),
    "apk": ("apk add", "libbpf", "clang"),
}


def unavailable(error: TracerUnavailable | NativeHelperMissing) -> Unavailable:
    """The reason that ``error`` gives, and the remedy."""
    obstacle = error.obstacle if isinstance(error, TracerUnavailable) else "native-helper"
    remedy = None if obstacle is None else _REMEDIES[obstacle]()
    if obstacle == "capabilities" and remedy is None:
        return Unavailable(
            f"{error}; it has them, and they do not take effect: its file system is mounted nosuid, "
            "or this process was started with no_new_privs"
        )
    return Unavailable(str(error), remedy)


def _capabilities_command() -> str | None:
    try:
        recorder = helper("ptreetime-recorder")
    except NativeHelperMissing:
        return REINSTALL
    if _has_capabilities(str(recorder)):
        return None
    release = os.uname().release.split(".")
    # Before 5.11 the memory of BPF maps counted as locked memory, of which a user may have little.
    locked = ",cap_sys_resource" if release[0] == "5" and release[1] == "10" else ""
    return f"sudo setcap cap_bpf,cap_perfmon{locked}+ep {shlex.quote(str(recorder))}"


def _has_capabilities(path: str) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def _install(library: bool) -> str | None:
    prefix = "" if os.geteuid() == 0 else "sudo "
    for program, (command, libbpf, clang) in _INSTALLERS.items():
        if shutil.which(program) is not None:
            return f"{prefix}{command} {libbpf if library else clang}"
    return None


def _rebuild() -> str:
    install = _install(library=False)
    return REINSTALL if install is None else f"{install} && {REINSTALL}"


_REMEDIES: Mapping[Obstacle, Callable[[], str | None]] = {
    "native-helper": lambda: REINSTALL,
    "capabilities": _capabilities_command,
    "capabilities-of-root": lambda: "docker run --cap-add=BPF --cap-add=PERFMON ...",
    "libbpf": lambda: _install(library=True),
    "bpf-program": _rebuild,
    "yama": lambda: "sudo sysctl kernel.yama.ptrace_scope=1",
    "seccomp": lambda: "docker run --cap-add=SYS_PTRACE ...",
}
