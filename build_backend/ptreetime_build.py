"""The build backend: scikit-build-core, and what a machine with nothing but a C compiler and Python needs besides.

* ziglang is asked for where the BPF program has no clang to compile it; ``PTREETIME_WITHOUT_BPF=1`` in the environment
  leaves it out, and the tracer ebpf then says that it was built without it.
* The C compiler is the one that is there: scikit-build-core takes the one that Python was built with, there or not.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import sysconfig
from typing import Any

from scikit_build_core import build as scikit_build
from scikit_build_core.build import (
    build_sdist,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

CLANGS = ("clang", *(f"clang-{version}" for version in range(21, 13, -1)))  # as libptreetime/bpf/CMakeLists.txt looks
ZIG_MACHINES = ("x86_64", "aarch64")  # the eBPF tracer's machines; ziglang has a wheel for both, glibc and musl


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """What scikit-build-core needs (cmake and ninja, where they are missing), and a compiler for BPF."""
    return [*scikit_build.get_requires_for_build_wheel(config_settings), *bpf_compiler()]


def get_requires_for_build_editable(config_settings: dict[str, Any] | None = None) -> list[str]:
    """As for a wheel."""
    return [*scikit_build.get_requires_for_build_editable(config_settings), *bpf_compiler()]


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel; its file name."""
    choose_compiler()
    return scikit_build.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel of an editable installation; its file name."""
    choose_compiler()
    return scikit_build.build_editable(wheel_directory, config_settings, metadata_directory)


def bpf_compiler() -> list[str]:
    """The requirement that brings a compiler for BPF, if one is wanted and none is here."""
    if sys.platform != "linux" or platform.machine() not in ZIG_MACHINES or os.environ.get("PTREETIME_WITHOUT_BPF"):
        return []
    return [] if any(map(shutil.which, CLANGS)) else ["ziglang>=0.13"]


def choose_compiler() -> None:
    """Let CMake use a C compiler that exists, unless the environment names one."""
    if os.environ.get("CC"):
        return
    words = (sysconfig.get_config_var("CC") or "").split()
    for compiler in (*words[:1], "cc", "gcc", *CLANGS):
        if shutil.which(compiler):
            os.environ["CC"] = compiler
            return
    raise SystemExit(
        "pytest-ptreetime has native parts and needs a C compiler, and there is none in PATH (cc, gcc, clang): install "
        "one (`apt install gcc libc6-dev`, `dnf install gcc`, `apk add gcc musl-dev`, `xcode-select --install`), "
        "or name it in the environment variable CC"
    )
