"""An emulated aarch64 machine, whose processor counts instructions exactly: qemu, Debian's kernel and one program.

qemu counts every instruction that it executes (``-icount``) and shows the number as INST_RETIRED of the machine's
performance counters, in user space apart from the kernel. Nothing of the host's is in the machine: an initramfs has the
recorder and the programs, compiled for it, and init.c, which records what it is told to and writes the events to the
console.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_ptreetime.recording.events import decode_stream
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["SUITES", "Case", "Observed", "observe", "with_bpf_program"]

#: Debian's releases whose kernels are tried.
SUITES = os.environ.get("PTREETIME_KERNELS", "trixie").split()
ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "libptreetime"
SOURCES = ROOT / "tests" / "programs" / "aarch64"
COMPILER = "aarch64-linux-gnu-gcc"
QEMU = "qemu-system-aarch64"
#: What the recorder needs there.
PACKAGE = "libbpf1"
LIBRARIES = ("ld-linux-aarch64.so.1", "libc.so.6", "libbpf.so.1", "libelf.so.1", "libz.so.1", "libzstd.so.1")
#: One nanosecond of the machine's time for each instruction; a counter that advances with them; time does not stand
#: still while all sleep.
MACHINE = "-machine virt -cpu cortex-a72 -smp 1 -m 512 -icount shift=0,sleep=off -nodefaults -no-reboot -display none"
SECONDS = 600


@dataclass(frozen=True)
class Case:
    """What to record: see init.c."""

    command: str
    mode: str = "ptrace"
    user: int = 0
    files: int = 1024
    #: Files to write before: ``{"/proc/sys/...": "3"}``.
    settings: dict[str, str] = field(default_factory=dict)

    def lines(self, name: str) -> list[str]:
        settings = [f"= {path} {text}" for path, text in self.settings.items()]
        return [*settings, f"{name} {self.mode} {self.user} {self.files} {self.command}"]


@dataclass
class Observed:
    """What came of a case."""

    events: bytes = b""
    #: Why instructions are not counted, as the recorder has it; empty where they are.
    uncounted: str = ""
    errors: list[str] = field(default_factory=list)
    nanoseconds: int | None = None

    @property
    def tree(self) -> ProcessTree:
        assert self.errors == []
        events = [event for frame in decode_stream(self.events, "the machine's events") for event in frame]
        tree = Recording(events).tree()
        assert tree.complete, tree.incomplete_reason
        return tree

    @property
    def counts(self) -> list[int | None]:
        """The instructions of each node, in preorder."""
        return [node.instructions for node in self.tree]


def _kernel(suite: str) -> Path:
    """A directory with Debian's kernel for this machine, and libraries."""
    command: list[str | Path] = [ROOT / "tests" / "kernels.sh", "--fetch", "arm64", suite, PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def observe(suite: str, cases: dict[str, Case], directory: Path) -> dict[str, Observed]:
    """Start the machine, and bring back what it said of each case."""
    for tool in (QEMU, COMPILER, "clang"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    fetched = _kernel(suite)
    initial = directory / "initial.gz"
    initial.write_bytes(gzip.compress(_initramfs({**_programs(directory), **_libraries(fetched)}, cases), 1))
    console = directory / "console"
    command: list[str | Path] = [QEMU, *MACHINE.split(), "-serial", f"file:{console}"]
    command += ["-kernel", fetched / "vmlinuz", "-initrd", initial, "-append", "console=ttyAMA0 quiet panic=-1"]
    with suppress(subprocess.TimeoutExpired):
        subprocess.run(command, stdin=subprocess.DEVNULL, timeout=SECONDS, check=True)
    output = console.read_text(errors="replace")
    assert "@ end" in output, output[-3000:]
    return _parsed(output, cases)


def _parsed(output: str, names: Iterable[str]) -> dict[str, Observed]:
    observed = {name: Observed() for name in names}
    for line in output.splitlines():
        mark, _, rest = line.strip().partition(" ")
        name, _, rest = rest.partition(" ")
        kind, _, rest = rest.partition(" ")
        if mark != "@" or name not in observed:
            continue
        of = observed[name]
        if kind == "events":
            of.events += bytes.fromhex(rest)
        elif kind == "counts":
            of.uncounted = rest.strip()
        elif kind == "done":
            of.nanoseconds = int(rest)
        else:
            of.errors.append(rest)
    return observed


def with_bpf_program(directory: Path) -> list[str]:
    """Compile the BPF program, as bpf/CMakeLists.txt does; what the recorder is compiled with to have it."""
    program = directory / "ptreetime.bpf.o"
    flags = ["-O2", "-g", "-mcpu=v3", "-target", "bpfel", "-fno-asynchronous-unwind-tables", f"-I{NATIVE}"]
    subprocess.run(["clang", *flags, "-c", NATIVE / "ptreetime.bpf.c", "-o", program], check=True)
    return ["-DPTREETIME_HAVE_EBPF", "-DPTREETIME_HAVE_BPF_OBJECT", f'-DPTREETIME_BPF_OBJECT="{program}"']


def _programs(directory: Path) -> dict[str, Path]:
    """What the machine runs, compiled for it."""
    alone = ["-nostdlib", "-static", "-fno-stack-protector", "-fno-builtin", "-fno-pie", "-no-pie"]
    recorder = [path for path in sorted((NATIVE / "recorder").glob("*.c")) if path.stem != "gate"]
    made: dict[str, tuple[list[str], Sequence[Path]]] = {
        "init": (["-static"], [SOURCES / "init.c"]),
        "counted": (alone, [SOURCES / "counted.c"]),
        "exactly": (alone, [SOURCES / "exactly.S"]),
        "recorder": ([f"-I{NATIVE}", *with_bpf_program(directory), "-ldl"], [*recorder, NATIVE / "bpf" / "object.c"]),
    }
    paths = {}
    for name, (flags, sources) in made.items():
        paths[name] = directory / name
        options = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", *flags]
        done = subprocess.run(
            [COMPILER, *options, "-o", paths[name], *sources], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    return paths


def _libraries(fetched: Path) -> dict[str, Path]:
    """Where they go, and where they are."""
    found = {path.name: path.resolve() for path in fetched.glob("root/**/*.so*") if path.name in LIBRARIES}
    return {f"lib/{name}": path for name, path in found.items()}


def _initramfs(programs: dict[str, Path], cases: dict[str, Case]) -> bytes:
    """A cpio archive (newc: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    archive = bytearray()

    def put(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        numbers = (len(archive) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        header = "070701" + "".join(f"{number:08X}" for number in numbers)
        for part in (header.encode() + name.encode() + b"\0", data):
            archive.extend(part)
            archive.extend(b"\0" * (-len(archive) % 4))

    for directory in ("proc", "sys", "dev", "lib"):
        put(directory, stat.S_IFDIR | 0o755)
    put("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for name, path in programs.items():
        put(name, stat.S_IFREG | 0o755, path.read_bytes())
    lines = [line for name, case in cases.items() for line in case.lines(name)]
    put("cases", stat.S_IFREG | 0o644, "".join(f"{line}\n" for line in lines).encode())
    put("TRAILER!!!", 0)
    return bytes(archive)
