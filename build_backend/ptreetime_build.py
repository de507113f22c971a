"""The build backend: scikit-build-core's, and what a machine with nothing but a C compiler and Python needs besides.

* ziglang is asked for where no clang could compile the BPF program; ``PTREETIME_WITHOUT_BPF=1`` in the environment
  leaves it out, and the tracer ebpf then says that it was built without it.
* The C compiler is one that is there: scikit-build-core takes the one that Python was built with, there or not.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from scikit_build_core import build as _backend
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

ZIGLANG = "ziglang>=0.13"
CLANGS = ("clang", *(f"clang-{version}" for version in range(21, 13, -1)))  # as libptreetime/bpf/CMakeLists.txt


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """What building a wheel needs here besides ``build-system.requires``."""
    return [*_backend.get_requires_for_build_wheel(config_settings), *bpf_requirements()]


def get_requires_for_build_editable(config_settings: dict[str, Any] | None = None) -> list[str]:
    """What an editable installation needs here besides ``build-system.requires``."""
    return [*_backend.get_requires_for_build_editable(config_settings), *bpf_requirements()]


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel; its file name."""
    choose_compiler()
    return _backend.build_wheel(wheel_directory, config_settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    """Build the wheel of an editable installation; its file name."""
    choose_compiler()
    return _backend.build_editable(wheel_directory, config_settings, metadata_directory)


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


def bpf_requirements() -> list[str]:
    """The package ziglang where the eBPF tracer could run and no clang compiles to BPF.

    On other machines than these there may be no wheel of ziglang, and the build is to go on without the tracer.
    """
    wanted = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
    wanted = wanted and not os.environ.get("PTREETIME_WITHOUT_BPF")
    return [ZIGLANG] if wanted and not clang_compiles_bpf() else []


def clang_compiles_bpf() -> bool:
    """Whether there is a clang under one of its names, and it was built with its BPF backend."""
    clang = next((found for name in CLANGS if (found := shutil.which(name)) is not None), None)
    if clang is None:
        return False
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "empty.c")
        source.write_text("int empty;\n")
        command = [clang, "-target", "bpf", "-O2", "-c", str(source), "-o", f"{directory}/empty.o"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
