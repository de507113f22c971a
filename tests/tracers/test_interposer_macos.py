"""The macOS interposer, compiled and linked here for both processors, and read as dyld would read it."""

from __future__ import annotations

import importlib.util
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "libptreetime"
PROCESS = ["event.c", "exits_unix.c", "log.c", "process.c", "system_unix.c", "system_darwin.c"]
PROGRAMS = ["programs.c", "programs_bsd.c"]
OPTIONS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Os", "-fvisibility=hidden", "-fno-stack-protector"]

MH_DYLIB, N_EXT, N_TYPE, N_UNDF = 6, 0x01, 0x0E, 0x0
LC_SYMTAB, LC_LOAD_DYLIB, LC_SEGMENT_64 = 0x2, 0xC, 0x19
CPU_TYPES = {"x86_64": 0x01000007, "aarch64": 0x0100000C}

EXITS = {"_exit", "__exit", "__Exit"}
PROGRAM_CALLS = {f"_{name}" for name in ["execve", "execv", "execvp", "execvP", "execl", "execlp", "execle"]}
PROGRAM_CALLS |= {"_posix_spawn", "_posix_spawnp", "_fork"}
# Of the system's library; each is thin: no heap, no lock.
USED = {
    "___error", "_clock_gettime_nsec_np", "_close", "_fcntl", "_getpid", "_getppid", "_getrlimit", "_getrusage",
    "_mmap", "_munmap", "_open", "_posix_spawnattr_getflags", "_proc_pidpath", "_pthread_sigmask", "_sigpending",
    "_sigwait", "_write", "dyld_stub_binder", "___cxa_atexit",
}  # fmt: skip
# What a compiler may make of a loop or of an initialisation.
USED |= {"_memset", "_memcpy", "_bzero", "___bzero", "_strlen"}


@dataclass
class MachO:
    """What of a 64-bit Mach-O file is asked for here. Offsets and numbers are those of <mach-o/loader.h>."""

    cpu_type: int = 0
    file_type: int = 0
    libraries: list[str] = field(default_factory=list)
    sections: dict[tuple[str, str], int] = field(default_factory=dict)  # sizes in bytes
    defined: set[str] = field(default_factory=set)
    exported: set[str] = field(default_factory=set)
    undefined: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, data: bytes) -> MachO:
        magic, cpu_type, _, file_type, commands = struct.unpack_from("<IIIII", data)
        assert magic == 0xFEEDFACF
        read, at = cls(cpu_type, file_type), 32
        for _ in range(commands):
            command, size = struct.unpack_from("<II", data, at)
            if command == LC_SEGMENT_64:
                (count,) = struct.unpack_from("<I", data, at + 64)
                for section in range(at + 72, at + 72 + 80 * count, 80):
                    name, segment, _, length = struct.unpack_from("<16s16sQQ", data, section)
                    read.sections[segment.rstrip(b"\0").decode(), name.rstrip(b"\0").decode()] = length
            elif command == LC_LOAD_DYLIB:
                (offset,) = struct.unpack_from("<I", data, at + 8)
                read.libraries.append(data[at + offset : at + size].split(b"\0")[0].decode())
            elif command == LC_SYMTAB:
                read._symbols(data, *struct.unpack_from("<IIII", data, at + 8))
            at += size
        return read

    def _symbols(self, data: bytes, symbols: int, count: int, strings: int, _: int) -> None:
        for at in range(symbols, symbols + 16 * count, 16):
            offset, kind = struct.unpack_from("<IB", data, at)
            name = data[strings + offset :].split(b"\0", 1)[0].decode()
            if kind & 0xE0:
                continue  # of a debugger
            if kind & N_TYPE == N_UNDF:
                self.undefined.add(name)
            else:
                self.defined.add(name)
                if kind & N_EXT:
                    self.exported.add(name)


@pytest.fixture(scope="module", params=list(CPU_TYPES))
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def compiler(architecture: str) -> list[str]:
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed: it has the headers and the libraries of macOS")
    return [sys.executable, "-m", "ziglang", "cc", "-target", f"{architecture}-macos"]


def build(directory: Path, architecture: str, sources: list[str], *options: str) -> Path:
    output = directory / f"{architecture}{'-interpose' if options else ''}.dylib"
    done = subprocess.run(
        [*compiler(architecture), *OPTIONS, *options, "-I..", "-dynamiclib", "-o", output, *sources],
        cwd=NATIVE / "interposer",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="module")
def library(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> MachO:
    directory = tmp_path_factory.mktemp("macos")
    return MachO.read(build(directory, architecture, PROCESS).read_bytes())


@pytest.fixture(scope="module")
def interposing(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> MachO:
    directory = tmp_path_factory.mktemp("macos")
    path = build(directory, architecture, [*PROCESS, *PROGRAMS], "-DPTREETIME_INTERPOSE")
    return MachO.read(path.read_bytes())


def pairs(read: MachO) -> set[str]:
    return {name.removeprefix("_ptreetime_pair_of") for name in read.defined if "ptreetime_pair_of_" in name}


def test_library_is_a_dylib_for_the_processor_that_needs_the_system_only(
    architecture: str, library: MachO, interposing: MachO
) -> None:
    for read in (library, interposing):
        assert read.cpu_type == CPU_TYPES[architecture]
        assert read.file_type == MH_DYLIB
        assert read.libraries == ["/usr/lib/libSystem.B.dylib"]


def test_interpose_section_has_a_pair_for_each_function(library: MachO, interposing: MachO) -> None:
    for read, functions in ((library, EXITS), (interposing, EXITS | PROGRAM_CALLS)):
        assert pairs(read) == functions
        sizes = [size for (segment, name), size in read.sections.items() if name == "__interpose"]
        assert sizes == [16 * len(functions)]


def test_each_replaced_function_is_one_of_the_system(interposing: MachO) -> None:
    assert interposing.undefined >= EXITS | PROGRAM_CALLS


def test_nothing_else_is_taken_from_the_system(library: MachO, interposing: MachO) -> None:
    assert library.undefined - USED <= EXITS
    assert interposing.undefined - USED <= EXITS | PROGRAM_CALLS


def test_nothing_is_exported_that_a_program_could_bind_to(interposing: MachO) -> None:
    linkers_own = {"___dso_handle", "__mh_dylib_header"}
    assert not {name for name in interposing.exported - linkers_own if not name.startswith("_ptreetime_")}


def test_library_has_a_constructor(library: MachO) -> None:
    assert any(name in ("__mod_init_func", "__init_offsets") for _, name in library.sections)


def test_gate_compiles_for_macos(architecture: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*compiler(architecture), *OPTIONS, "-o", tmp_path / "gate", NATIVE / "recorder" / "gate.c"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
