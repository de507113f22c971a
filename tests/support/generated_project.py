"""A C project of as many tiny files as one likes, to be built by ninja, or by make where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["PROCESSES_PER_FILE", "build_of", "write_project"]

PROCESSES_PER_FILE = 4  # the shell, gcc, cc1, as
FILES_PER_DIRECTORY = 100


def write_project(directory: Path, files: int) -> None:
    """``files`` sources in directories of a hundred, build.ninja and a Makefile that do the same."""
    directory.mkdir(parents=True)
    ninja = ["rule cc", "  command = gcc -O0 -g -Wall -Iinclude -c $in -o $out", ""]
    objects = []
    (directory / "include").mkdir()
    (directory / "include" / "all.h").write_text("int twice(int);\n")
    for number in range(files):
        module = f"module{number // FILES_PER_DIRECTORY}"
        source = directory / module / f"file{number}.c"
        if number % FILES_PER_DIRECTORY == 0:
            source.parent.mkdir()
        source.write_text(f'#include "all.h"\nint f{number}(int x) {{ return twice(x) + {number}; }}\n')
        objects.append(f"objects/{module}/file{number}.o")
        ninja.append(f"build {objects[-1]}: cc {module}/file{number}.c")
    (directory / "build.ninja").write_text("\n".join(ninja) + "\n")
    rule = "objects/%.o: %.c\n\t@mkdir -p $(@D)\n\tgcc -O0 -g -Wall -Iinclude -c $< -o $@\n"
    (directory / "Makefile").write_text(f"all: {' '.join(objects)}\n{rule}")


def build_of(directory: Path, jobs: int) -> list[str]:
    """The command that builds it."""
    ninja = shutil.which("ninja")
    if ninja is not None:
        return [ninja, "-C", str(directory), f"-j{jobs}"]
    return ["make", "-C", str(directory), f"-j{jobs}"]
