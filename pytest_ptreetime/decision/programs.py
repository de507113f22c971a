"""Which programs stand for one another, and which are what their file is."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["is_driver", "is_told_by_its_file", "program_class"]


_DRIVERS = frozenset(
    {"cc", "gcc", "g++", "c++", "cpp", "clang", "clang++", "gfortran", "c89", "c99", "tcc", "icx", "icpx"}
)
_COMPILERS = frozenset(
    {"cc1", "cc1plus", "cc1obj", "cc1objplus", "f951", "gnat1", "d21", "go1", "gccgo", "lto1", "lto-wrapper", "as"}
    | {"rustc", "compile", "asm", "cgo", "javac", "kotlinc", "scalac", "swift-frontend", "swiftc"}
)
_LINKERS = frozenset(
    {"collect2", "ld", "ld.bfd", "ld.gold", "ld.lld", "ld64.lld", "lld", "mold", "wild", "link", "ld64"}
)
_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"})
_MAKES = frozenset({"make", "gmake"})

# The linker is the linker whichever it is, but collect2 runs it.
_CLASSES = (
    (_DRIVERS, "cc"),
    (_SHELLS, "sh"),
    (_MAKES, "make"),
    (_LINKERS - {"collect2", "link"}, "ld"),
)

# x86_64-linux-gnu-gcc-12 and python3.11 by their plain names
_TARGET = re.compile(r"^(?:[A-Za-z0-9_]+-){2,4}(?=[a-z])")
_VERSION = re.compile(r"-?\d+(?:\.\d+)*$")
_VERSIONED = _DRIVERS | {
    "python",
    "perl",
    "ruby",
    "java",
    "javac",
    "node",
    "go",
    "ld.lld",
    "gcc-ar",
    "gcc-nm",
    "llvm-ar",
}


@lru_cache(4096)
def _plain(name: str) -> str:
    if name in _COMPILERS:  # cc1 is no version of cc
        return name
    without_target = _TARGET.sub("", name)
    if without_target in _VERSIONED or without_target in _LINKERS:
        return without_target
    for candidate in (name, without_target):
        if (plain := _VERSION.sub("", candidate)) in _VERSIONED:
            return plain
    return name


@lru_cache(4096)
def program_class(name: str) -> str:
    """``cc`` for each compiler driver, ``sh`` for each shell: those that can take each other's place."""
    plain = _plain(name)
    return next((of_all for members, of_all in _CLASSES if plain in members), plain)


@lru_cache(4096)
def is_told_by_its_file(name: str) -> bool:
    """Whether it is a compiler or linker: its subject is what it is, and another file is another step."""
    plain = _plain(name)
    return plain in _DRIVERS or plain in _COMPILERS or plain in _LINKERS


def is_driver(name: str) -> bool:
    """Whether it runs others for its one subject: its only assembler is its assembler."""
    plain = _plain(name)
    return plain in _DRIVERS or plain in {"collect2", "lto-wrapper", "rustc", "swiftc", "ld"}
