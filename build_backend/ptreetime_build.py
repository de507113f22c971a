"""The build backend: scikit-build-core's, which also asks for ziglang where no clang could compile the BPF program.

Everything but the two answers to "what do you need?" is scikit-build-core's own.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scikit_build_core import build as _backend
from scikit_build_core.build import (
    build_editable,
    build_sdist,
    build_wheel,
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


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """What building a wheel needs here besides ``build-system.requires``."""
    return [*_backend.get_requires_for_build_wheel(config_settings), *bpf_requirements()]


def get_requires_for_build_editable(config_settings: dict[str, Any] | None = None) -> list[str]:
    """What an editable installation needs here besides ``build-system.requires``."""
    return [*_backend.get_requires_for_build_editable(config_settings), *bpf_requirements()]


def bpf_requirements() -> list[str]:
    """The package ziglang where the eBPF tracer could run and no clang compiles to BPF.

    On other machines than these there may be no wheel of ziglang, and the build is to go on without the tracer.
    """
    wanted = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
    return [ZIGLANG] if wanted and not clang_compiles_bpf() else []


def clang_compiles_bpf() -> bool:
    """Whether there is a clang under one of its names, and it was built with its BPF backend.

    ``libptreetime/bpf/CMakeLists.txt`` looks for the same names.
    """
    names = ["clang", *(f"clang-{version}" for version in range(21, 13, -1))]
    clang = next((found for name in names if (found := shutil.which(name)) is not None), None)
    if clang is None:
        return False
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "empty.c")
        source.write_text("int empty;\n")
        command = [clang, "-target", "bpf", "-O2", "-c", str(source), "-o", f"{directory}/empty.o"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
