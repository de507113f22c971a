"""The recorder's sources against the headers of the oldest C library that wheels are built for (manylinux_2_28)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "libptreetime"
# System calls that glibc 2.28 has no numbers of. Not all: those that a program like this one might call.
LATER = ["pidfd_open", "pidfd_send_signal", "pidfd_getfd", "close_range", "clone3", "openat2", "process_madvise"]


@pytest.mark.skipif(sys.platform != "linux", reason="the recorder is for Linux")
def test_recorder_compiles_where_later_system_calls_have_no_number(tmp_path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    old = tmp_path / "old.h"
    old.write_text("#include <sys/syscall.h>\n" + "".join(f"#undef SYS_{name}\n#undef __NR_{name}\n" for name in LATER))
    sources = sorted((NATIVE / "recorder").glob("*.c"))
    assert sources
    done = subprocess.run(
        [compiler, "-std=gnu11", "-fsyntax-only", "-DPTREETIME_HAVE_EBPF", f"-I{NATIVE}", "-include", old, *sources],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "error:" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
