"""A build is the same whether somebody looks or not: what it gets, what it does, what becomes of it.

Each test runs something untraced and traced, and compares bytes. The witness is tests/programs/world.c, which prints
what a process can see of its world; it runs as the build itself, in a recipe, in a shell and in the background.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lua_sources import SourcesMissing, build_command, lua_sources
from trap_programs import SKIPPED, Programs

from pytest_ptreetime.tracers import Capture, Command, Tracer, builtin_tracers

pytestmark = pytest.mark.promise("build-does-not-notice")

CALC = Path(__file__).parent.parent / "examples" / "calc"
WITHOUT_INTERPOSER = [name for name in builtin_tracers() if name not in ("interpose", "dtrace")]
VARIANTS = [*((name, interpose) for name in WITHOUT_INTERPOSER for interpose in (True, False)), ("interpose", True)]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda variant: f"{variant[0]}{'' if variant[1] else '-alone'}")
def run_traced(request: pytest.FixtureRequest) -> Iterator[Callable[..., Capture]]:
    """Records a command; knows the tracer as ``.tracer``."""
    name, interpose = request.param
    tracer = builtin_tracers()[name]()
    reason = tracer.available()
    if reason is not None:
        pytest.skip(f"{name}: {reason}")

    def run(args: Sequence[str], **options: Any) -> Capture:
        return tracer.record(Command(args=args, interpose=interpose, **options))

    run.tracer = tracer  # type: ignore[attr-defined] # for promises that one tracer does not make
    yield run
    tracer.close()


def tracer_of(run_traced: Callable[..., Capture]) -> Tracer:
    tracer: Tracer = run_traced.tracer  # type: ignore[attr-defined]
    return tracer


def assert_same(untraced: bytes, traced: bytes) -> None:
    before, after = (one.decode(errors="backslashreplace").splitlines() for one in (untraced, traced))
    different = "\n".join(difflib.unified_diff(before, after, "untraced", "traced", lineterm="", n=0))
    assert untraced == traced, different


def both(
    run_traced: Callable[..., Capture], args: Sequence[str], *, data: bytes = b"", **options: Any
) -> tuple[tuple[int, bytes, bytes], tuple[int, bytes, bytes]]:
    """Exit status, output and error output of the command, untraced and traced."""
    found = []
    for traced in (False, True):
        # the same descriptors, and files of the same names
        with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile() as stdin:
            stdin.write(data)
            stdin.seek(0)
            names = [Path(place, name) for name in ("out", "error")]
            with names[0].open("wb") as stdout, names[1].open("wb") as stderr:
                streams: dict[str, Any] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
                if traced:
                    status = run_traced(args, **streams, **options).returncode
                else:
                    status = subprocess.run(args, **streams, **options, check=False).returncode
            here = os.fsencode(place)
            out, error = (name.read_bytes().replace(here, b"PLACE") for name in names)
            # the name that a file without a name has
            found.append((status, re.sub(rb"/#\d+ \(deleted\)", b"/FILE", out), error))
    return found[0], found[1]


def promised(output: bytes, tracer: Tracer) -> bytes:
    """Without the line that ptrace can't hide."""
    if tracer.name == "ptrace":
        return re.sub(rb"(?m)^/proc/self/status: TracerPid:.*\n", b"", output)
    return output


@contextmanager
def unusual_world() -> Iterator[dict[str, str]]:
    """Things set as nobody has them by accident, so that one that was not inherited would be seen; an environment."""
    libc_prctl = {29: 12_345}  # PR_SET_TIMERSLACK, in nanoseconds
    mask = os.umask(0o027)
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    affinity = os.sched_getaffinity(0)
    priority = os.nice(0)
    handler = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
    set_control(*next(iter(libc_prctl.items())))
    leaked = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
        os.sched_setaffinity(0, {min(affinity)})
        yield {
            **{name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "PTREETIME_LOG")},
            "WORLD_GROUP": str(os.getpgrp()),
            "WORLD_SESSION": str(os.getsid(0)),
            "EMPTY": "",
            "ODD": "a\nb=c \udcff",
        }
    finally:
        os.close(leaked)
        set_control(29, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGUSR2, handler)
        os.sched_setaffinity(0, affinity)
        resource.setrlimit(resource.RLIMIT_CORE, limits)
        os.umask(mask)
        assert os.nice(0) == priority


def set_control(which: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(which, value, 0, 0, 0)


# What a process of the build sees


@pytest.mark.parametrize("flags", [(), ("-static",), ("-m32",)], ids=["dynamic", "static", "32-bit"])
def test_world_of_the_command_itself(
    run_traced: Callable[..., Capture], programs: Programs, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    program = programs.path("world", *flags)
    data = bytes(range(256)) * 40
    with unusual_world() as env:
        untraced, traced = both(
            run_traced, [program, "stdin", "", "two words", "\udcff"], data=data, env=env, cwd=str(tmp_path)
        )
    assert untraced[0] == traced[0] == 0
    assert untraced[1].count(b"\n") > 100
    assert_same(promised(untraced[1], tracer_of(run_traced)), promised(traced[1], tracer_of(run_traced)))
    assert untraced[2] == traced[2] == b""


MAKEFILE = """
all:
	@echo recipe; {world}
	@echo shell; sh -c '{world}; true'
	@echo background; ({world}) & wait
	@echo pipeline; echo x | {world} stdin | cat
	@echo session; setsid {world}
	@echo nice; nice -n 3 {world}
	@echo closed; {world} <&- 2>&-
	@echo limited; (ulimit -n 100; umask 77; trap '' USR1; cd /; {world})
	-@{world} >/dev/full
	@$(MAKE) -s inner
inner:
	+@echo inner; {world}
"""


def test_world_at_every_depth_of_a_build(
    run_traced: Callable[..., Capture], programs: Programs, tmp_path: Path
) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    (tmp_path / "Makefile").write_text(MAKEFILE.replace("{world}", shlex.quote(programs.path("world"))))
    with unusual_world() as env:
        untraced, traced = both(run_traced, ["make", "-j2", "-O"], env=env, cwd=str(tmp_path))
    assert untraced[0] == traced[0] == 0, untraced
    assert untraced[1].count(b"argv[0]") >= 9
    assert_same(promised(untraced[1], tracer_of(run_traced)), promised(traced[1], tracer_of(run_traced)))
    assert_same(untraced[2], traced[2])


# On a terminal


def on_a_terminal(args: Sequence[str], *, answer: bytes, after: bytes = b"") -> tuple[int, bytes]:
    """Run a command as a session of its own on a terminal of an unusual size, and type: the wait status, the output.

    :param answer: what to type when ``after`` has been written.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            termios.tcsetwinsize(0, (33, 101)) if hasattr(termios, "tcsetwinsize") else None
            os.execvp(args[0], list(args))
        finally:
            os._exit(126)
    output, deadline = b"", time.monotonic() + 60
    typed = False
    while time.monotonic() < deadline:
        if not typed and after in output:
            os.write(terminal, answer)
            typed = True
        try:
            new = os.read(terminal, 1 << 16)
        except OSError:  # EIO: nobody has the terminal any more
            break
        if not new:
            break
        output += new
    os.close(terminal)
    return os.waitpid(pid, 0)[1], output


def profile(run_traced: Callable[..., Capture], directory: Path, interpose: bool) -> list[str]:
    command = [sys.executable, "-m", "pytest_ptreetime.cli", "profile", "-o", str(directory / "recording")]
    command += ["--tracer", tracer_of(run_traced).name]
    return [*command, *([] if interpose else ["--no-interpose"]), "--"]


# Stands where `ptreetime profile` does: starts the command, waits for it, and ends as it did. Ctrl-C is the command's.
STAND_IN = "import signal, subprocess, sys; process = subprocess.Popen(sys.argv[1:])\n"
STAND_IN += (
    "signal.signal(signal.SIGINT, lambda *_: None); code = process.wait(); sys.exit(code if code >= 0 else 128 - code)"
)


@pytest.mark.parametrize(
    ("words", "answer", "after"),
    [([], b"", b""), (["stdin"], b"typed\n\x04", b"reading"), (["await"], b"\x03\x04", b"ready")],
    ids=["world", "typing", "ctrl-c"],
)
def test_world_on_a_terminal(
    run_traced: Callable[..., Capture],
    programs: Programs,
    tmp_path: Path,
    words: list[str],
    answer: bytes,
    after: bytes,
    request: pytest.FixtureRequest,
) -> None:
    interpose = "alone" not in request.node.name
    command = [programs.path("world"), *words]
    traced = on_a_terminal([*profile(run_traced, tmp_path, interpose), *command], answer=answer, after=after)
    untraced = on_a_terminal([sys.executable, "-c", STAND_IN, *command], answer=answer, after=after)
    assert untraced[0] == traced[0], (untraced, traced)
    assert b"terminal 101 x 33" in untraced[1] or words == ["await"] or not hasattr(termios, "tcsetwinsize")
    if words == ["await"]:
        assert b"signal 2 code 128 from the kernel" in untraced[1]
    tracer = tracer_of(run_traced)
    said = [re.sub(rb"/dev/pts/\d+", b"/dev/pts/N", one.replace(b"\r", b"")) for _, one in (untraced, traced)]
    said[1] = re.sub(rb"(?m)^warning: the recording is not complete: .*\n", b"", said[1])  # profile's own
    assert_same(promised(said[0], tracer), promised(said[1], tracer))


# What becomes of it


TRAPS: dict[str, list[str]] = {
    "double-fork-daemon": [],
    "empty-argv": [],
    "exec-in-thread": [],
    "failed-exec": [],
    "fork-without-exec": [],
    "ignored-sigchld": [],
    "killed-child": [],
    "many-children": ["50"],
    "orphan": [],
    "closed-descriptors": [],
    "reexec-chain": [],
    "setsid": [],
    "signals": [],
    "stop-and-continue": [],
    "threads-outlive-leader": [],
    "vfork-exec": [],
}


def without_numbers(output: bytes) -> bytes:
    """Pids and times as N."""
    return re.sub(rb"\d{3,}", b"N", output)


@pytest.mark.parametrize("name", TRAPS)
def test_trap_program_says_and_ends_the_same(run_traced: Callable[..., Capture], programs: Programs, name: str) -> None:
    untraced, traced = both(run_traced, [programs.path(name), *TRAPS[name]])
    if SKIPPED in (untraced[0], traced[0]):
        pytest.skip(f"this machine does not let {name} do what it wants to")
    for one in (untraced, traced):
        for daemon in re.findall(rb'"daemon": (\d+)', one[1]):
            os.kill(int(daemon), signal.SIGKILL)
    assert untraced[0] == traced[0]
    assert_same(without_numbers(untraced[1]), without_numbers(traced[1]))
    assert_same(untraced[2], traced[2])


SHELL_ENDS = [
    "exit 0",
    "exit 7",
    "kill -9 $$",
    "kill -TERM $$",
    "kill -SEGV $$",
    "nonexistent-program",
    "exec /nonexistent",
]


@pytest.mark.parametrize("script", SHELL_ENDS)
def test_command_ends_the_same(run_traced: Callable[..., Capture], script: str) -> None:
    untraced, traced = both(run_traced, ["/bin/sh", "-c", script])
    assert untraced == traced


# Real builds


untraced_builds: dict[str, tuple[int, bytes, bytes]] = {}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all builds of this session are made."""
    return tmp_path_factory.mktemp("builds")


def files_of(directory: Path) -> list[tuple[str, str]]:
    """The path, the mode and the content of every file."""
    return sorted(
        (str(path.relative_to(directory)), f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}")
        for path in directory.rglob("*")
        if path.is_file() and path.name not in (".ninja_log", ".ninja_deps")
    )


def build_both(
    run_traced: Callable[..., Capture], args: Sequence[str], directory: Path, clean: Callable[[], None]
) -> None:
    def build(run: Callable[..., Any]) -> tuple[int, bytes, bytes]:
        clean()
        with tempfile.TemporaryFile() as output:
            done = run(args, cwd=str(directory), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            output.seek(0)
            said = b"\n".join(sorted(output.read().splitlines()))
            return done.returncode, said, "\n".join(f"{name} {what}" for name, what in files_of(directory)).encode()

    if str(directory) not in untraced_builds:  # it is the same for all tracers
        untraced_builds[str(directory)] = build(subprocess.run)
    untraced, traced = untraced_builds[str(directory)], build(run_traced)
    assert untraced[0] == traced[0] == 0, untraced
    assert_same(untraced[1], traced[1])
    assert_same(untraced[2], traced[2])


def test_make_of_the_example_says_and_makes_the_same(run_traced: Callable[..., Capture], place: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    source = place / "calc"
    if not source.exists():
        shutil.copytree(CALC, source, ignore=shutil.ignore_patterns("build*", "*.o"))
    build_both(run_traced, ["make", "-j2"], source, lambda: shutil.rmtree(source / "build", ignore_errors=True))


NINJA = """
rule cc
  command = cc -O1 -c $in -o $out
  description = CC $out
rule link
  command = cc $in -o $out && ./$out
"""


def test_ninja_build_says_and_makes_the_same(run_traced: Callable[..., Capture], place: Path) -> None:
    ninja = shutil.which("ninja") or (importlib.util.find_spec("ninja") and str(Path(sys.executable).parent / "ninja"))
    if not ninja or shutil.which("cc") is None:
        pytest.skip("needs ninja and a C compiler")
    here = place / "ninja"
    here.mkdir(exist_ok=True)
    names = "abcdef"
    for name in names:
        (here / f"{name}.c").write_text(f'#include <stdio.h>\nint f_{name}(void) {{ return puts("{name}"); }}\n')
    (here / "main.c").write_text("int f_a(void);\nint main(void) { return f_a() < 0; }\n")
    edges = "".join(f"build {name}.o: cc {name}.c\n" for name in [*names, "main"])
    objects = " ".join(f"{name}.o" for name in [*names, "main"])
    (here / "build.ninja").write_text(f"{NINJA}{edges}build program: link {objects}\n")

    def clean() -> None:
        for path in (*here.glob("*.o"), *here.glob(".ninja_*"), here / "program"):
            path.unlink(missing_ok=True)

    # what runs at one time is a matter of chance: the numbers before each line too
    build_both(run_traced, ["env", "NINJA_STATUS=", ninja, "-j2", "-C", "."], here, clean)


@pytest.mark.slow
def test_lua_build_says_and_makes_the_same(run_traced: Callable[..., Capture], place: Path) -> None:
    try:
        sources = lua_sources()
    except SourcesMissing as error:
        pytest.skip(str(error))
    objects = place / "lua"

    def clean() -> None:
        shutil.rmtree(objects, ignore_errors=True)
        objects.mkdir()

    build_both(run_traced, build_command(sources, objects, "lua54"), objects, clean)
