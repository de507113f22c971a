"""Which tracers work on this machine, why the others don't, and the one command that would enable each.

The answer comes from trying: every tracer's recorder is started as a recording would start it.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_ptreetime.errors import NativeHelperMissing, Obstacle
from pytest_ptreetime.native import helper
from pytest_ptreetime.tracers import Tracer, Unavailable, builtin_tracers

__all__ = ["Diagnosis", "diagnose", "render", "sees_everything"]

REINSTALL = "pip install --force-reinstall --no-deps --no-cache-dir pytest-ptreetime"

# What a tracer sees, in words, and whether that is every process.
_SIGHT: Mapping[str, tuple[str, bool]] = {
    "ebpf": ("every process, from inside the kernel; nothing in the build's way", True),
    "ptrace": ("every process; stops each one at its forks, execs and exit", True),
    "dtrace": ("every process, from inside the kernel", True),
    "interpose": ("dynamically linked programs only", False),
}

# The package with libbpf.so.1 and the compiler, by the package manager that installs them.
_INSTALLERS: Mapping[str, tuple[str, str, str]] = {
    "apt-get": ("apt-get install", "libbpf1", "clang"),
    "dnf": ("dnf install", "libbpf", "clang"),
    "zypper": ("zypper install", "libbpf1", "clang"),
    "pacman": ("pacman -S", "libbpf", "clang"),
    "apk": ("apk add", "libbpf", "clang"),
}


@dataclass(frozen=True)
class Diagnosis:
    """One tracer on this machine.

    ``reason`` is None where it works. ``remedy`` is the one command that would enable it, None where it works and
    where no command would help. ``chosen`` marks the one that ``auto`` takes.
    """

    tracer: str
    sees: str
    sees_everything: bool
    reason: str | None = None
    remedy: str | None = None
    chosen: bool = False


def diagnose(*, sudo: bool = False, tracers: Mapping[str, Callable[[], Tracer]] | None = None) -> list[Diagnosis]:
    """Every tracer, in the order in which ``auto`` tries them.

    :param sudo: whether ``sudo -n`` may be tried for those that need privileges.
    :param tracers: others than those that come with the package.
    """
    known = builtin_tracers(sudo=sudo) if tracers is None else tracers
    found: list[Diagnosis] = []
    for name, make in known.items():
        tracer = make()
        try:
            reason = tracer.available()
        finally:
            tracer.close()
        sees, everything = _SIGHT.get(name, ("what its plugin says", True))
        chosen = reason is None and not any(before.chosen for before in found)
        remedy = _remedy(reason) if isinstance(reason, Unavailable) else None
        found.append(Diagnosis(name, sees, everything, _explain(reason, remedy), remedy, chosen))
    return found


def sees_everything(found: Sequence[Diagnosis]) -> bool:
    """Whether one of them works and misses no process."""
    return any(one.reason is None and one.sees_everything for one in found)


def render(found: Sequence[Diagnosis], *, width: int = 80) -> str:
    """The diagnoses as lines of at most ``width`` columns; a command stays on one line, to be copied."""
    lines: list[str] = []
    for one in found:
        if one.reason is None:
            choice = " (taken by auto)" if one.chosen else ""
            lines += _wrapped(f"{one.tracer}: works{choice}: sees {one.sees}", width)
            continue
        lines += _wrapped(f"{one.tracer}: does not work: {one.reason}", width)
        lines.append(f"    to enable it: {one.remedy}" if one.remedy else "    no command would enable it here")
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 20), subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _remedy(reason: Unavailable) -> str | None:
    """The command that takes the obstacle away."""
    return reason.remedy if reason.obstacle is None else _REMEDIES[reason.obstacle]()


def _capabilities_command() -> str | None:
    try:
        recorder = helper("ptreetime-recorder")
    except NativeHelperMissing:
        return REINSTALL
    if _has_capabilities(str(recorder)):
        return None
    release = platform.release().split(".")
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


def _explain(reason: str | None, remedy: str | None) -> str | None:
    if isinstance(reason, Unavailable) and reason.obstacle == "capabilities" and remedy is None:
        return (
            f"{reason}; it has them, and they do not take effect: its file system is mounted nosuid, "
            "or this process was started with no_new_privs"
        )
    return reason


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
