"""What one run of a known program works on: its *subject*, all that its key has of its arguments.

A compiler's subject is its main file, a linker's and an archiver's the output, make's its directory and goals. Options
are no part of it: a build with other flags has the same keys. One table at the end says which rule a program has. A
rule takes the arguments and gives a :class:`Subject`, or None where it finds none: then the key has all of them.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from pytest_ptreetime.keys.program_arguments import ProgramArguments, is_temporary, words_of

__all__ = ["COMPILERS", "File", "Rule", "Subject", "is_driver", "may_name_output", "rule_of", "subject"]


class File(str):
    """A part of a subject that is a file: it is made relative to the build directory."""

    __slots__ = ()


class Subject(NamedTuple):
    """``parts`` in order. ``of_parent``: then what the parent works on.

    ``of_driver``: where the parent is a compiler's driver, what that works on and nothing else.
    ``made``: the output, which tells runs apart where a build compiles one file to several (two targets, PIC and not).
    ``sources``: what a driver compiles that goes on to link, so that the subject is their output.
    """

    parts: Sequence[str] = ()
    of_parent: bool = False
    of_driver: bool = False
    made: File | None = None
    sources: Sequence[File] = ()


Rule: TypeAlias = Callable[[ProgramArguments], "Subject | None"]


def subject(name: str, args: Sequence[str], cwd: str | None = None) -> Subject | None:
    """The subject of the run of ``name`` with ``args`` (element 0 included); None for an ordinary program."""
    rule = rule_of(name, args[1] if len(args) > 1 else "")
    return None if rule is None else rule(ProgramArguments("\0".join(("", *args, "")), cwd))


def rule_of(name: str, first_argument: str) -> Rule | None:
    """The rule of the program ``name``; the first argument tells clang's and swift's own programs."""
    return _BY_FIRST_ARGUMENT.get(first_argument) or _rule_of_name(name)


def is_driver(name: str) -> bool:
    """Whether ``name`` is a C compiler's driver, which runs a compiler, an assembler and a linker."""
    return _rule_of_name(name) is _driver


def may_name_output(name: str) -> bool:
    """Whether its subject can have an output (Subject.made): drivers, and launchers in front of them."""
    return _rule_of_name(name) in (_driver, _launcher)


@functools.lru_cache(1_000)
def _rule_of_name(name: str) -> Rule | None:
    """By the usual name: ``gcc`` of ``gcc-12`` and of ``x86_64-linux-gnu-gcc-12``."""
    if name.startswith("build-script-"):
        return _build_script
    rule = _RULES.get(name)
    if rule is None:
        usual = _VERSION.sub("", name)
        rule = _RULES.get(usual)
        while rule is None and "-" in usual:
            usual = usual.partition("-")[2]
            rule = _RULES[usual] if usual in _CROSS else None
    return rule


def _files(files: Iterable[str | None]) -> list[str]:
    return [File(file) for file in files if file]


def _first_lasting(files: Sequence[str]) -> Subject:
    lasting = [file for file in files if not is_temporary(file)][:1]
    return Subject(_files(lasting), of_parent=not lasting)


# Compilers of the C family, and what they run


def _driver(arguments: ProgramArguments) -> Subject | None:
    """gcc, clang and their like: the first source where they compile, else the output, which says more than a.out."""
    words = arguments.words
    positional = arguments.positional()
    output = arguments.output()
    if output == "/dev/null" or not _NO_FILES.isdisjoint(positional):
        return None  # a probe: which one is said by its options alone
    mode = [word for word in words if word in _STAGES]
    if mode or "-c" in words:
        sources = [word for word in positional if _SOURCE.search(word)] or positional
        return _compiled(mode, sources[0], output) if sources else None
    if output is None:
        return _first_lasting([*filter(_SOURCE.search, positional), "a.out"]) if positional else None
    if ".rcgu.o\0" in arguments.text or "/symbols.o\0" in arguments.text:
        return Subject(of_parent=True)  # rustc's linker
    lasting = _first_lasting([output, *positional])
    return lasting._replace(sources=[File(word) for word in positional if _SOURCE.search(word)])


def _compiled(mode: Sequence[str], source: str, output: str | None) -> Subject:
    lasting = output is not None and not is_temporary(output)
    if is_temporary(source):
        preprocessed = "cpp_stdout" in source or not lasting
        return Subject(mode, of_parent=True) if preprocessed else Subject([*mode, *_files([output])])
    if output is None and not mode:  # beside the process, not beside the source
        output, lasting = f"{posixpath.basename(source).rpartition('.')[0]}.o", True
    if output is None or not lasting or mode or _is_usual_object(source, output):
        return Subject([*mode, File(source)], made=File(output) if output is not None and lasting else None)
    return Subject([File(source), "->", File(output)])


def _is_usual_object(source: str, output: str) -> bool:
    """Whether the output's name says no more than the source's: ``a.o`` and ``a.c.o`` of ``a.c``, not ``a.pic.o``."""
    made = posixpath.basename(output).rpartition(".")[0]
    name = posixpath.basename(source)
    return made in (name, name.rpartition(".")[0]) and "/.libs/" not in f"/{output}"


def _gcc_compiler(arguments: ProgramArguments) -> Subject | None:
    """cc1, cc1plus and their sisters: the source; where that is a temporary file, what ``-dumpbase`` says."""
    mode = ["-E"] if arguments.has("-E") else []
    source = arguments.before("-quiet", "-dump")
    if source is None or not _SOURCE.search(source):
        files = arguments.positional()
        source = next((word for word in files if _SOURCE.search(word)), files[0] if files else None)
    base = _dumpbase(arguments)
    if source is None and base is None:
        return None
    if source is not None and source not in _NO_FILES and not is_temporary(source):
        saved = base is not None and source.endswith((".i", ".ii"))  # -save-temps
        return Subject([*mode, File(base if base is not None and saved else source)])
    if base is None or source in _NO_FILES or is_temporary(base):
        return Subject(mode, of_parent=True)
    return Subject([*mode, File(base)])


def _dumpbase(arguments: ProgramArguments) -> str | None:
    """The main file's name. For CMake's ``util.c.o`` gcc 11 passes ``util.c.c``, and says that it added ``.c``."""
    base, extension = arguments.value("-dumpbase"), arguments.value("-dumpbase-ext")
    if base is None or base in ("", "-"):
        return None
    if extension and base.endswith(extension) and _SOURCE.search(base[: -len(extension)]):
        return base[: -len(extension)]
    return base


def _lto(arguments: ProgramArguments) -> Subject | None:
    """lto1: the partition, named after the program that is linked."""
    base = arguments.value("-dumpbase")
    mode = [word for word in ("-fwpa", "-fltrans") if arguments.has(word)]
    return Subject(mode, of_parent=True) if not base or is_temporary(base) else Subject([*mode, File(base)])


def _clang(arguments: ProgramArguments) -> Subject | None:
    """``clang -cc1``: the triple, of which one driver can have several, and the main file."""
    main = arguments.value("-main-file-name")
    if main is None:
        return None
    triple = arguments.value("-triple")
    mode = ["-E"] if arguments.has("-E") else []
    return Subject([arguments.words[0], *([triple] if triple else []), *mode, File(arguments.path_of(main))])


def _assembler(arguments: ProgramArguments) -> Subject | None:
    """as: the output; where that is a temporary file, the input."""
    output = arguments.output()
    files = [*([output] if output else []), *arguments.positional()[-1:]]
    return _first_lasting(files) if files else None


def _linker(arguments: ProgramArguments) -> Subject | None:
    """collect2 and the linkers: the output, ``a.out`` by default."""
    output = arguments.output()
    if output is None:
        if any(map(arguments.has, ("--version", "-v", "-V", "--help"))):
            return None
        output = "a.out"
    return _first_lasting([output])._replace(of_driver=True)


def _lto_wrapper(arguments: ProgramArguments) -> Subject | None:
    """Its arguments are other programs' temporary files."""
    return Subject(of_parent=True)


def _launcher(arguments: ProgramArguments) -> Subject | None:
    """A launcher (ccache): the subject of the compiler's command that they are given."""
    words = arguments.words
    for place, word in enumerate(words):
        if not word.startswith("-") and "=" not in word:
            return subject(posixpath.basename(word), words[place:], arguments.cwd)
    return None


# Archives and objects


def _archiver(arguments: ProgramArguments) -> Subject | None:
    """ar: the archive, and what is done with it unless it is made."""
    words = [word for word in arguments.words if not word.startswith("--")]
    files = [word for word in words[1:] if not word.startswith("-")]
    if not files:
        return None
    return Subject([*(letter for letter in words[0] if letter in "dmptx"), File(files[0])])


def _last_file(arguments: ProgramArguments) -> Subject | None:
    """ranlib, strip, objcopy: the last file."""
    return Subject(_files(arguments.positional()[-1:])) if arguments.positional() else None


# Rust


def _rustc(arguments: ProgramArguments) -> Subject | None:
    """rustc: crate, type and main file (every build script has the same crate name)."""
    crate = arguments.value("--crate-name")
    main = next((word for word in arguments.words if word.endswith(".rs")), None)
    if crate is None or main is None:  # cargo asks for the compiler's settings
        return None
    file = _in_package(arguments.absolute(main))
    if crate.startswith("build_script_"):
        return Subject(["build script", file])
    kind = arguments.value("--crate-type")
    test = ["--test"] if arguments.has("--test") else []
    return Subject([crate, *([kind] if kind else []), *test, file])


def _build_script(arguments: ProgramArguments) -> Subject | None:
    """A build script that cargo runs: its package, in whose directory it runs."""
    return Subject([_in_package(arguments.cwd)]) if arguments.cwd else None


def _in_package(path: str) -> str:
    """``libc-0.2.5/build.rs``, of a file that cargo keeps for all projects, below a directory with a hash."""
    shared = _CARGO_PACKAGES.match(path)
    return File(path) if shared is None else path[shared.end() :]


# Go


def _go_tool(arguments: ProgramArguments) -> Subject | None:
    """compile, asm and cgo: the package."""
    package = arguments.first_value("-p", "-importpath")
    if package is None or arguments.has("-V=full"):
        return None
    mode = ["-gensymabis"] if arguments.has("-gensymabis") else []
    assembled = [posixpath.basename(word) for word in arguments.words if word.endswith(".s")][-1:]
    return Subject([*mode, package, *assembled])


def _go_link(arguments: ProgramArguments) -> Subject | None:
    """link: the output, without the directory that go draws."""
    output = arguments.output()
    if output is None or not arguments.has("-importcfg"):
        return None  # another program of that name
    drawn = _GO_WORK.match(output)
    return Subject([File(output) if drawn is None else output[drawn.end() :]])


# Other languages


def _java(arguments: ProgramArguments) -> Subject | None:
    """javac, kotlinc, scalac: where the classes go, else the first source."""
    sources = [word for word in arguments.words if word.endswith((".java", ".kt", ".scala"))]
    file = arguments.value("-d") or next(iter(sources), None)
    return Subject([File(file)]) if file else None


def _swift(arguments: ProgramArguments) -> Subject | None:
    """Swift: the module, and the primary files that are compiled."""
    words = arguments.words
    module = arguments.value("-module-name")
    primaries = [words[i + 1] for i, word in enumerate(words[:-1]) if word == "-primary-file"]
    if module is None and not primaries:
        return None
    mode = [word for word in words[:3] if word in ("-emit-module", "-merge-modules", "-emit-pcm", "-interpret")]
    return Subject([*mode, *([module] if module else []), *_files(primaries)])


def _ocaml(arguments: ProgramArguments) -> Subject | None:
    """OCaml's compilers and ocamldep: the source where one is compiled, else the output."""
    sources = [word for word in arguments.words if word.endswith((".ml", ".mli"))]
    output = arguments.output()
    mode = ["-modules"] if arguments.has("-modules") else []
    file = output if output is not None and not (sources and arguments.has("-c")) else next(iter(sources), None)
    return Subject([*mode, File(file)]) if file else None


def _typescript(arguments: ProgramArguments) -> Subject | None:
    """tsc: the project, else the first source."""
    sources = [word for word in arguments.words if word.endswith((".ts", ".tsx"))]
    file = arguments.first_value("-p", "--project", "-b", "--build") or next(iter(sources), None)
    return Subject([File(file)]) if file else None


# What runs them


def _make(arguments: ProgramArguments) -> Subject | None:
    """make: directory, makefile and goals. (lto-wrapper has a temporary makefile.)"""
    makefile = arguments.first_value("-f", "--file", "--makefile")
    if makefile is not None and is_temporary(makefile):
        return Subject(of_parent=True)
    words = arguments.positional(_MAKE_VALUED)
    goals = [word for word in words if "=" not in word and not word.isdigit()]  # -j 2
    return Subject([*_files([arguments.first_value("-C", "--directory"), makefile]), *goals])


def _ninja(arguments: ProgramArguments) -> Subject | None:
    """ninja: directory, tool and targets."""
    tool = arguments.value("-t")
    mode = ["-t", tool] if tool else []
    return Subject([*mode, *_files([arguments.value("-C")]), *arguments.positional(_NINJA_VALUED)])


def _cmake(arguments: ProgramArguments) -> Subject | None:
    """cmake: what is built, configured or run; no settings, and no numbers of progress."""
    words = arguments.words
    if words[:1] == ["-E"]:
        command = [word for word in words[1:] if not word.startswith("--")]
        return Subject(["-E", *(command[:2] if command[:1] == ["cmake_progress_start"] else command)])
    if arguments.has("--check-build-system"):
        return Subject(["--check-build-system"])
    built, script = arguments.value("--build"), arguments.value("-P")
    if built is not None:
        target = arguments.first_value("--target", "-t")
        return Subject(["--build", File(built), *([target] if target else [])])
    if script is not None:
        return Subject(["-P", File(script)])
    tree = arguments.value("-B") or next((word[2:] for word in words if word.startswith("-B")), None)
    if tree is not None:
        return Subject(["-B", File(tree)])
    sources = arguments.positional(_CMAKE_VALUED)[-1:]
    return Subject(_files(sources)) if sources else None


def _table(*rows: tuple[Rule, str]) -> dict[str, Rule]:
    return {name: rule for rule, names in rows for name in names.split()}


_STAGES = frozenset(("-E", "-S", "-M", "-MM", "-fsyntax-only"))
_NO_FILES = frozenset(("-", "/dev/null"))
_SOURCE = re.compile(
    r"\.(?:c|cc|cp|cxx|cpp|c\+\+|C|CPP|i|ii|m|mm|M|mi|mii|h|hh|hpp|cu|ixx|cppm|f|for|f90|f95|f03|f08|F|F90|adb|ads|d|go"
    r"|mod|s|S)$"
)
_CARGO_PACKAGES = re.compile(r"^.*/(?:registry/src/[^/]+|git/checkouts/[^/]+/[^/]+)/")
_GO_WORK = re.compile(r".*/go-build\d+/")
_MAKE_VALUED = words_of("-C --directory -f --file --makefile -I --include-dir -o -W")
_NINJA_VALUED = words_of("-C -f -j -l -k -d -t -w")
_CMAKE_VALUED = words_of("-G -D -U -C -S -B -T -A --preset --toolchain --install-prefix")
_VERSION = re.compile(r"(?:(?<=[a-z+]{3})|-)\d+(?:\.\d+)*$")

_BY_FIRST_ARGUMENT: dict[str, Rule] = {"-cc1": _clang, "-cc1as": _clang, "-frontend": _swift}
#: Tools of the C family, which can have a target's triple in front.
_CROSS = _table(
    (_driver, "cc gcc g++ c++ clang clang++ gfortran cpp"),
    (_linker, "ld ld.bfd ld.gold ld.lld"),
    (_archiver, "ar gcc-ar llvm-ar"),
    (_last_file, "ranlib gcc-ranlib llvm-ranlib strip llvm-strip objcopy llvm-objcopy"),
    (_assembler, "as"),
)
_RULES = _CROSS | _table(
    (_driver, "c89 c99 gnatgcc flang gdc icc icpc icx icpx tcc nvcc emcc em++"),
    (_gcc_compiler, "cc1 cc1plus cc1obj cc1objplus f951 gnat1 d21 gm2 cc1gm2 gccgo go1 cobol1 crab1"),
    (_linker, "collect2 ld64 ld64.lld lld mold wild"),
    (_lto, "lto1"),
    (_lto_wrapper, "lto-wrapper"),
    (_launcher, "ccache sccache distcc icecc buildcache goma gomacc cachepot"),
    (_last_file, "install_name_tool dwz patchelf"),
    (_rustc, "rustc"),
    (_go_tool, "compile asm cgo"),
    (_go_link, "link"),
    (_java, "javac kotlinc scalac"),
    (_swift, "swiftc swift-frontend"),
    (_ocaml, "ocamlc ocamlc.opt ocamlopt ocamlopt.opt ocamldep ocamldep.opt"),
    (_typescript, "tsc"),
    (_make, "make gmake"),
    (_ninja, "ninja samu"),
    (_cmake, "cmake"),
)
#: The rules of what compiles its subject.
COMPILERS = frozenset((_driver, _gcc_compiler, _clang, _rustc, _go_tool, _java, _swift, _ocaml, _typescript))
