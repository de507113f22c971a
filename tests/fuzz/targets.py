"""The readers that are fuzzed, by name."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from fuzz.bounds import bounded

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
LIBRARY = HERE.parent.parent / "libptreetime"

PYTHON_TARGETS = ("recording", "original", "baseline", "lnt_options", "patterns", "dtrace_output", "events")
# With what is linked to the target; the rest is included by it, so that it gets at what is static.
C_TARGETS = {
    "ebpf_records": ("recorder/ebpf_records.c", "recorder/sink.c"),
    "proc": (),
    "stack": (),
    "control": ("recorder/sink.c",),
    "interposer_event": ("interposer/event.c",),
}
SMALLEST_TARGET = """
#include <sanitizer/asan_interface.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return (void)data, (void)size, 0; }
"""
C_FLAGS = ("-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")


def one_input(target: str) -> Callable[[bytes], None]:
    """The function that reads an input, and raises only where that is a bug."""
    return bounded(importlib.import_module(f"fuzz.fuzz_{target}").one_input)


def corpus(target: str) -> dict[str, bytes]:
    """The kept inputs by their names."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / target).iterdir())}


def build(target: str, program: Path) -> str:
    """Compile a target in C. Empty, or why that is not possible here.

    :raises AssertionError: it does not compile.
    """
    clang = shutil.which("clang")
    if clang is None:
        return "clang is not installed"
    includes = [f"-I{LIBRARY}", f"-I{LIBRARY / 'recorder'}", f"-I{LIBRARY / 'interposer'}"]
    sources = [HERE / f"{target}.c", *(LIBRARY / source for source in C_TARGETS[target])]
    if why_not := _why_nothing_compiles(clang, program):
        return why_not
    built = _compiled([clang, *C_FLAGS, *includes, *map(str, sources), "-o", str(program)])
    assert built.returncode == 0, built.stderr
    return ""


def _why_nothing_compiles(clang: str, program: Path) -> str:
    """Clang comes without its sanitizers' libraries where a distribution has them in a package of their own."""
    built = _compiled([clang, *C_FLAGS, "-x", "c", "-", "-o", str(program)], SMALLEST_TARGET)
    return "" if built.returncode == 0 else f"this clang has no libFuzzer: {built.stderr.strip().splitlines()[0]}"


def _compiled(command: list[str], source: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=source, capture_output=True, text=True, check=False)
