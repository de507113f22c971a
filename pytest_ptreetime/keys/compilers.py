"""What identifies one run of a compiler's inner program: its main file, not its two hundred options.

A driver (gcc, clang, rustc under cargo, swiftc) runs programs whose arguments it makes up, with names of temporary
files and paths of its own installation. Each rule here gives what tells one such run from another, or None for a
program that it does not know, which then keeps all of its arguments.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

__all__ = ["Identity", "Rule", "identity", "rule_of"]


class Identity(NamedTuple):
    """``words`` are kept as they are (after substitutions), ``files`` are made relative."""

    words: list[str]
    files: list[str]


# A program's rule takes its arguments as one text, a NUL before and behind each: looked through faster than a list.
Rule: TypeAlias = Callable[[str], "Identity | None"]


def identity(name: str, args: Sequence[str]) -> Identity | None:
    """What identifies the run of ``name`` with ``args`` (element 0 included); None for an ordinary program."""
    rule = rule_of(name, args[1] if len(args) > 1 else "")
    return None if rule is None else rule("\0".join(("", *args, "")))


def rule_of(name: str, first_argument: str) -> Rule | None:
    """What makes an identity of the arguments of ``name``; the first tells clang's and swift's own programs."""
    return _BY_FIRST_ARGUMENT.get(first_argument) or _rule(name)


@functools.lru_cache(1_000)
def _rule(name: str) -> Rule | None:
    if _LINKER.fullmatch(name):
        return _linker
    if _GCC_COMPILER.fullmatch(name):
        return _gcc_compiler
    if _C_DRIVER.fullmatch(name):
        return _linker_of_rustc
    return _RULES.get(name)


def _clang(text: str) -> Identity | None:
    """``clang -cc1``: the triple and the main file, which is the last argument where its name is given."""
    words = [_arguments(text)[1]]
    triple = _value(text, "-triple")
    if triple:
        words.append(triple)
    if "\0-E\0" in text:
        words.append("-E")
    main = _value(text, "-main-file-name")
    if main is None:
        return None
    return Identity(words, [_path_of(main, text)])


def _gcc_compiler(text: str) -> Identity | None:
    """cc1, cc1plus and their sisters: ``-dumpbase`` has the main file's name, another argument its path."""
    words = ["-E"] if "\0-E\0" in text else []
    base = _value(text, "-dumpbase")
    if base is not None and base not in ("", "-"):
        return Identity(words, [_path_of(base, text)])
    source = next((word for word in _arguments(text)[1:] if _SOURCE.search(word) and not word.startswith("-")), None)
    return None if source is None else Identity(words, [source])


def _assembler(text: str) -> Identity | None:
    """as: the output; where it is none, the input."""
    output = _output(text)
    if output is not None:
        return Identity([], [output])
    source = next((word for word in _arguments(text)[1:] if not word.startswith("-")), None)
    return None if source is None else Identity([], [source])


def _linker(text: str) -> Identity | None:
    """collect2 and the linkers: the output, ``a.out`` by default."""
    output = _output(text)
    if output is None:
        if any(f"\0{word}\0" in text for word in ("--version", "-v", "-V", "--help")):
            return None
        output = "a.out"
    return Identity([], [output])


def _linker_of_rustc(text: str) -> Identity | None:
    """A C compiler's driver that links for rustc, whose objects have other names each time: the output."""
    return _linker(text) if ".rcgu.o\0" in text else None


def _swift_frontend(text: str) -> Identity | None:
    """swift-frontend: the module, and the primary files that it compiles."""
    args = _arguments(text)
    module = _value(text, "-module-name")
    primaries = [args[i + 1] for i, word in enumerate(args[:-1]) if word == "-primary-file"]
    if module is None and not primaries:
        return None
    mode = [word for word in args[1:4] if word in ("-emit-module", "-merge-modules", "-emit-pcm", "-interpret")]
    return Identity([*mode, *([module] if module else [])], primaries)


def _rustc(text: str) -> Identity | None:
    """rustc: crate, type and main file (every build script has the same crate name)."""
    crate = _value(text, "--crate-name")
    if crate is None:
        return None
    words = [crate, *(word for word in [_value(text, "--crate-type")] if word)]
    if "\0--test\0" in text:
        words.append("--test")
    return Identity(words, [word for word in _arguments(text)[1:] if word.endswith(".rs")][:1])


_BY_FIRST_ARGUMENT: dict[str, Rule] = {"-cc1": _clang, "-cc1as": _clang, "-frontend": _swift_frontend}
_RULES: dict[str, Rule] = {
    "as": _assembler,
    "rustc": _rustc,
    "swift-frontend": _swift_frontend,
}
_LINKER = re.compile(r"(?:[\w.]+-)*(?:collect2|ld(?:\.\w+|64)?|lld|mold|wild)(?:-[\d.]+)?")
_C_DRIVER = re.compile(r"(?:[\w.]+-)*(?:cc|gcc|clang|c\+\+|g\+\+|clang\+\+)(?:-[\d.]+)?")
_GCC_COMPILER = re.compile(r"cc1|cc1plus|cc1obj|cc1objplus|f951|gnat1|d21|gm2|gccgo|go1|lto1|cobol1|crab1")
_SOURCE = re.compile(
    r"\.(?:c|cc|cp|cxx|cpp|c\+\+|C|CPP|i|ii|m|mm|M|mi|mii|h|hh|hpp|f|for|f90|f95|f03|f08|F|F90|adb|ads|d|go|mod|s|S)$"
)


def _arguments(text: str) -> list[str]:
    """Element 0 included."""
    return text.split("\0")[1:-1]


def _value(text: str, option: str) -> str | None:
    """The argument after ``option``, or after ``option=``."""
    found = _option(option).search(text)
    return None if found is None else found[1]


@functools.cache
def _option(option: str) -> re.Pattern[str]:
    return re.compile(f"\0{re.escape(option)}[\0=]([^\0]*)\0")


def _output(text: str) -> str | None:
    output = _value(text, "-o")
    if output is None and "\0-o" in text:
        output = next((word[2:] for word in _arguments(text) if word.startswith("-o") and len(word) > 2), None)
    return output


def _path_of(base: str, text: str) -> str:
    """The argument that is a path to the file ``base``, else ``base``; the last one counts."""
    ending = f"/{base}\0"
    last = text.rfind(ending)
    while last >= 0:
        before = text.rfind("\0", 0, last)
        if before <= 0:  # the program itself
            break
        path = text[before + 1 : last + len(ending) - 1]
        option = text[text.rfind("\0", 0, before) + 1 : before]
        if not path.startswith("-") and not option.startswith("-dump"):
            return path
        last = text.rfind(ending, 0, last)
    return base
