"""The interposer of FreeBSD, compiled and linked here; and what it shares with the other systems, run on Linux."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_ptreetime.recording.events import Create, Event, UserExec, UserExit, UserStartup, decode_stream

TESTS = Path(__file__).parents[1]
INTERPOSER = TESTS.parent / "libptreetime" / "interposer"
SHARED = ["event.c", "exits_unix.c", "log.c", "next_unix.c", "process.c", "programs.c", "system_unix.c"]
OPTIONS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Os", "-fPIC", "-fvisibility=hidden", "-fno-stack-protector"]
OPTIONS += ["-DPTREETIME_INTERPOSE", "-I..", "-shared"]

REPLACED = {"exit", "_exit", "_Exit", "fork", "posix_spawn", "posix_spawnp"}
REPLACED |= {f"exec{form}" for form in ["ve", "v", "vp", "vP", "l", "lp", "le"]}
# Of the system's library; each is thin: no heap; a lock only in dlsym.
USED = {
    "__error", "clock_gettime", "close", "dlsym", "getpid", "getppid", "getrlimit", "getrusage", "mmap", "munmap",
    "open", "sigaddset", "sigemptyset", "sigismember", "sigpending", "sigprocmask", "sigwait", "sysctl", "write",
    "memset", "memcpy", "strlen", "__cxa_finalize",
}  # fmt: skip


# FreeBSD


@pytest.fixture(scope="module", params=["x86_64", "aarch64"])
def freebsd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What readelf says of the library for the processor."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed: it has the headers and the libraries of FreeBSD")
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed")
    library = tmp_path_factory.mktemp("freebsd") / "libptreetime_interpose.so"
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-target",
        f"{request.param}-freebsd",
        *OPTIONS,
        "-o",
        str(library),
    ]
    done = subprocess.run(
        [*command, *SHARED, "programs_bsd.c", "system_freebsd.c"],
        cwd=INTERPOSER,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return subprocess.run(
        ["readelf", "--wide", "--dynamic", "--dyn-syms", library], stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def symbols(told: str, section: str) -> set[str]:
    return set(re.findall(rf" DEFAULT +{section} ([^@\s]+)", told))


def test_freebsd_library_needs_the_c_library_only_and_of_that_little(freebsd: str) -> None:
    assert re.findall(r"Shared library: \[(.*)\]", freebsd) == ["libc.so.7"]
    assert symbols(freebsd, "UND") <= USED


def test_freebsd_library_stands_in_front_of_each_function_and_no_other(freebsd: str) -> None:
    assert symbols(freebsd, "[0-9]+") == REPLACED


def test_freebsd_library_has_a_constructor_and_a_destructor(freebsd: str) -> None:
    assert "(INIT_ARRAY)" in freebsd
    assert "(FINI_ARRAY)" in freebsd


# What macOS, FreeBSD and illumos share, with Linux's answers to what they do not


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("a C compiler on Linux is wanted")
    output = tmp_path_factory.mktemp("unix") / "libptreetime_interpose.so"
    system = TESTS / "programs" / "interposer_system.c"
    command = [
        compiler,
        *OPTIONS,
        "-D_GNU_SOURCE",
        f"-I{INTERPOSER.parent}",
        "-o",
        str(output),
        *SHARED,
        "listing_linux.c",
        str(system),
        "-ldl",
    ]
    done = subprocess.run(command, cwd=INTERPOSER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return output


def logged(library: Path, directory: Path, *command: str, returncode: int = 0) -> list[Event]:
    log = directory / "log"
    log.touch()
    environment = {**os.environ, "LD_PRELOAD": str(library), "PTREETIME_LOG": str(log)}
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (returncode, b"")
    return [event for frame in decode_stream(log.read_bytes(), "the log") for event in frame]


def test_shared_part_logs_a_program_from_its_start_to_its_exit(library: Path, tmp_path: Path) -> None:
    startup, end = logged(library, tmp_path, sys.executable, "-c", "import os; os._exit(7)", returncode=7)
    assert isinstance(startup, UserStartup)
    assert startup.args == [os.fsencode(sys.executable), b"-c", b"import os; os._exit(7)"]
    assert startup.exe == os.fsencode(os.path.realpath(sys.executable))
    assert startup.cwd == os.fsencode(tmp_path.resolve())
    assert isinstance(end, UserExit)
    assert (end.pid, end.status) == (startup.pid, 7)
    assert startup.time_ns <= end.time_ns
    assert end.user_ns + end.sys_ns >= startup.user_ns + startup.sys_ns > 0


def test_shared_part_logs_a_fork_and_the_exec_in_its_child(library: Path, tmp_path: Path) -> None:
    script = "import os, sys; os.fork() or os.execv('/bin/sh', ['sh', '-c', 'exit 3']); sys.exit(os.wait()[1] >> 8)"
    events = logged(library, tmp_path, sys.executable, "-c", script, returncode=3)
    (create,) = [event for event in events if isinstance(event, Create)]
    (called,) = [event for event in events if isinstance(event, UserExec)]
    assert (called.pid, called.path, called.args) == (create.pid, b"/bin/sh", [b"sh", b"-c", b"exit 3"])
    assert [event.args for event in events if isinstance(event, UserStartup)][1] == called.args
    assert {event.pid for event in events if isinstance(event, UserExit)} == {create.pid, create.parent_pid}


def test_shared_part_changes_nothing_where_the_log_can_not_grow(library: Path, tmp_path: Path) -> None:
    script = f"ulimit -f 0; {shutil.which('true')}; exit $?"
    assert logged(library, tmp_path, "/bin/bash", "-c", script) != []
