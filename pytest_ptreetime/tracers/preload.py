r"""How a build gets the interposer into its processes: the value of LD_PRELOAD.

The loader of a dynamic program reads it, and complains on the program's standard error of a library that it can't load.
A build must not be disturbed so, whatever it runs, and the value has three things to get right:

- *32-bit programs.* glibc replaces ``$PLATFORM`` in the value by ``x86_64`` (some versions: ``haswell``, ``xeon_phi``)
  or by ``i386`` to ``i686``; directories of these names hold the library for each. musl replaces nothing, so one
  directory is really called ``$PLATFORM``. To replace anything, glibc reads the link /proc/self/exe, 25 us a process:
  where no 32-bit glibc program could run at all (no loader), or where the library was not built for it, the library is
  named without.
- *AddressSanitizer.* A program that is linked with the shared libasan (gcc's default) refuses to start when another
  library was loaded first, unless that one's name contains ``libasan.so``. Its reason is that it must be the first to
  define malloc and the like, none of which we define. So the path goes through a directory of that name, and out of
  it again: the kernel's name of the loaded file, where the static sanitizer forbids the same words, is without them.
- *Names.* Colons and white space separate libraries and can't be quoted, ``$`` is special: an installation in such a
  directory is reached through a symbolic link.

The libraries that the user loads already keep their places, ours comes after them: it sees the calls that they make in
the end, it starts before them, and a libasan that has to be first stays first.

- *Other users*, who may not be able to read an installation of root's: public_library.py.

What still makes glibc's loader complain: a program that runs after chroot or pivot_root, where our file is not (the
tracer ptrace takes its name out of the value there); a program of another machine's under an emulator. Set-user-id
programs ignore the value silently.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pytest_ptreetime.errors import TracerUnavailable

__all__ = ["LOADER_OF_32_BIT_PROGRAMS", "LOGGING", "MAILBOX", "clock_needs_no_call", "preload_value"]

MAILBOX = "libptreetime_mailbox.so"
LOGGING = "libptreetime.so"
_CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_CLOCKS_IN_THE_KERNEL = {"hpet", "acpi_pm", "xen", "jiffies", "refined-jiffies", "pit"}

LOADER_OF_32_BIT_PROGRAMS = Path("/lib/ld-linux.so.2")
_PAST_THE_SANITIZER = Path("preload", "libasan.so", "..")
_NOT_IN_A_PRELOAD_PATH = re.compile(r"[\s:$]")


def clock_needs_no_call() -> bool:
    """Whether a process can read the clock by itself. Where it can't, :data:`MAILBOX` would make a system call."""
    try:
        return _CLOCK.read_text().strip() not in _CLOCKS_IN_THE_KERNEL
    except OSError:
        return True  # not told in this container; nearly every machine can


def preload_value(
    library: Path, before: str | None, directory: Path, *, loader_of_32_bit_programs: Path = LOADER_OF_32_BIT_PROGRAMS
) -> str:
    """What the variable has to be for ``library`` to be loaded after what it names already.

    :param library: an interposer as :func:`pytest_ptreetime.native.helper` gives it.
    :param before: the variable's value so far.
    :param directory: where a symbolic link may be made; it has to live as long as the build.
    :raises TracerUnavailable: the directory's own name can't be in the value either.
    """
    if sys.platform == "darwin":
        return f"{before}:{library}" if before else str(library)
    native = _nameable(library.parent, directory)
    by_platform = library.parent / "preload" / "$PLATFORM" / library.name
    if loader_of_32_bit_programs.exists() and by_platform.is_file():
        ours = native / _PAST_THE_SANITIZER / "$PLATFORM" / library.name
    elif (library.parent / _PAST_THE_SANITIZER).is_dir():
        ours = native / _PAST_THE_SANITIZER / ".." / library.name
    else:
        ours = native / library.name
    return f"{before}:{ours}" if before else str(ours)


def _nameable(native: Path, directory: Path) -> Path:
    if not _NOT_IN_A_PRELOAD_PATH.search(str(native)):
        return native
    if _NOT_IN_A_PRELOAD_PATH.search(str(directory)):
        raise TracerUnavailable(
            f"the interposer can't be loaded: neither its path {native} nor the temporary directory's {directory} may "
            "contain white space, a colon or a dollar sign: set TMPDIR to a directory without"
        )
    link = directory / "native"
    if not link.is_symlink():
        link.symlink_to(native)
    return link
