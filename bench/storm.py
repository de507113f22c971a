"""The programs that the benches run: compiled C, and the storm of posix_spawns of an empty dynamic program."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def compiled(directory: Path, source: Path, *flags: str) -> Path:
    """The program of a C source file, with optimisation."""
    program = directory / source.stem
    subprocess.run(["cc", "-std=gnu11", "-O2", *flags, source, "-o", program], check=True)
    return program


def compiled_text(directory: Path, name: str, text: str, *flags: str) -> Path:
    """The same of a C text."""
    source = directory / f"{name}.c"
    source.write_text(text)
    return compiled(directory, source, *flags)


def storm_command(directory: Path, count: int) -> list[str]:
    """What spawns an empty program ``count`` times, and prints the nanoseconds that it took (storm.c)."""
    empty = compiled_text(directory, "empty", "int main(void) { return 0; }\n")
    return [str(compiled(directory, HERE / "storm.c")), str(count), str(empty)]
