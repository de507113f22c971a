"""What identifies one run of a compiler's inner program: its main file, not its two hundred options.

A driver (gcc, clang, rustc under cargo, swiftc) runs programs whose arguments it makes up, with names of temporary
files and paths of its own installation. Each rule here gives what tells one such run from another, or None for a
program that it does not know, which then keeps all of its arguments.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

__all__ = ["Identity", "identity"]


class Identity(NamedTuple):
    """``words`` are kept as they are (after substitutions), ``files`` are made relative."""

    words: list[str]
    files: list[str]


def identity(name: str, args: Sequence[str]) -> Identity | None:
    """What identifies the run of ``name`` with ``args`` (element 0 included); None for an ordinary program."""
    if len(args) > 1:
        if args[1] in ("-cc1", "-cc1as"):
            return _clang(args)
        if args[1] == "-frontend":
            return _swift_frontend(args)
    rule = _rule(name)
    return None if rule is None else rule(args)


@functools.lru_cache(1_000)
def _rule(name: str) -> Callable[[Sequence[str]], Identity | None] | None:
    if _LINKER.fullmatch(name):
        return _linker
    if _GCC_COMPILER.fullmatch(name):
        return _gcc_compiler
    return _RULES.get(name)


def _clang(args: Sequence[str]) -> Identity | None:
    """``clang -cc1``: the triple and the main file, which is the last argument where its name is given."""
    words = [args[1]]
    triple = _value(args, "-triple")
    if triple:
        words.append(triple)
    if "-E" in args:
        words.append("-E")
    main = _value(args, "-main-file-name")
    if main is None:
        return None
    return Identity(words, [_path_of(main, args)])


def _gcc_compiler(args: Sequence[str]) -> Identity | None:
    """cc1, cc1plus and their sisters: ``-dumpbase`` has the main file's name, another argument its path."""
    words = ["-E"] if "-E" in args else []
    base = _value(args, "-dumpbase")
    if base is not None and base not in ("", "-"):
        return Identity(words, [_path_of(base, args)])
    source = next((word for word in args[1:] if _SOURCE.search(word) and not word.startswith("-")), None)
    return None if source is None else Identity(words, [source])


def _assembler(args: Sequence[str]) -> Identity | None:
    """as: the output; where it is none, the input."""
    output = _output(args)
    if output is not None:
        return Identity([], [output])
    source = next((word for word in args[1:] if not word.startswith("-")), None)
    return None if source is None else Identity([], [source])


def _linker(args: Sequence[str]) -> Identity | None:
    """collect2 and the linkers: the output, ``a.out`` by default."""
    output = _output(args)
    if output is None:
        if any(word in args for word in ("--version", "-v", "-V", "--help")):
            return None
        output = "a.out"
    return Identity([], [output])


def _swift_frontend(args: Sequence[str]) -> Identity | None:
    """swift-frontend: the module, and the primary files that it compiles."""
    module = _value(args, "-module-name")
    primaries = [args[i + 1] for i, word in enumerate(args[:-1]) if word == "-primary-file"]
    if module is None and not primaries:
        return None
    mode = [word for word in args[1:4] if word in ("-emit-module", "-merge-modules", "-emit-pcm", "-interpret")]
    return Identity([*mode, *([module] if module else [])], primaries)


def _rustc(args: Sequence[str]) -> Identity | None:
    """rustc: crate, type and main file (every build script has the same crate name)."""
    crate = _value(args, "--crate-name")
    if crate is None:
        return None
    words = [crate, *(word for word in [_value(args, "--crate-type")] if word)]
    if "--test" in args:
        words.append("--test")
    return Identity(words, [word for word in args[1:] if word.endswith(".rs")][:1])


_RULES: dict[str, Callable[[Sequence[str]], Identity | None]] = {
    "as": _assembler,
    "rustc": _rustc,
    "swift-frontend": _swift_frontend,
}
_LINKER = re.compile(r"(?:[\w.]+-)*(?:collect2|ld(?:\.\w+|64)?|lld|mold|wild)(?:-[\d.]+)?")
_GCC_COMPILER = re.compile(r"cc1|cc1plus|cc1obj|cc1objplus|f951|gnat1|d21|gm2|gccgo|go1|lto1|cobol1|crab1")
_SOURCE = re.compile(
    r"\.(?:c|cc|cp|cxx|cpp|c\+\+|C|CPP|i|ii|m|mm|M|mi|mii|h|hh|hpp|f|for|f90|f95|f03|f08|F|F90|adb|ads|d|go|mod|s|S)$"
)


def _value(args: Sequence[str], option: str) -> str | None:
    """The argument after ``option``, or after ``option=``."""
    with_value = option + "="
    text = "\0".join(args)  # looked through faster than the arguments one by one
    if with_value in text:
        for word, following in itertools.zip_longest(args, args[1:]):
            if word == option:
                return following
            if word.startswith(with_value):
                return word[len(with_value) :]
    if option not in text or option not in args:
        return None
    place = args.index(option) + 1
    return args[place] if place < len(args) else None


def _output(args: Sequence[str]) -> str | None:
    output = _value(args, "-o")
    if output is None:
        output = next((word[2:] for word in args if word.startswith("-o") and len(word) > 2), None)
    return output


def _path_of(base: str, args: Sequence[str]) -> str:
    """The argument that is a path to the file ``base``, else ``base``; the last one counts."""
    ending = "/" + base
    text = "\0".join(args) + "\0"
    last = text.rfind(ending + "\0")
    for i in range(text.count("\0", 0, last) if last >= 0 else 0, 0, -1):
        if args[i].endswith(ending) and not args[i].startswith("-") and not args[i - 1].startswith("-dump"):
            return args[i]
    return base
