"""A build is the same whether somebody looks or not: what it gets, what it does, what becomes of it.

Each test lets a real shell run something, by itself and by `ptreetime profile`, and compares bytes: what Python changes
at its start would be seen too. The witness is tests/programs/world.c, which prints what a process can see of its world;
it runs as the build itself, in a recipe, in a shell and in the background.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lua_sources import SourcesMissing, build_command, lua_sources
from trap_programs import SKIPPED, Programs

from pytest_ptreetime.tracers import builtin_tracers

pytestmark = pytest.mark.promise("build-does-not-notice")

PTREETIME = str(Path(sys.executable).parent / "ptreetime")
INCOMPLETE = re.compile(rb"(?m)^warning: the recording is not complete: .*\n")  # the tracer interpose always says so
CALC = Path(__file__).parents[2] / "examples" / "calc"
WITHOUT_INTERPOSER = [name for name in builtin_tracers() if name not in ("interpose", "dtrace")]
VARIANTS = [*((name, interpose) for name in WITHOUT_INTERPOSER for interpose in (True, False)), ("interpose", True)]


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@dataclass(frozen=True)
class Variant:
    """A tracer, with or without the interposer."""

    tracer: str
    interpose: bool

    def profiling(self, directory: Path | str) -> list[str]:
        """What stands before a command to have it recorded, in a file in ``directory``."""
        command = [PTREETIME, "profile", "--quiet", "-o", f"{directory}/recording", "--tracer", self.tracer]
        return [*command, *([] if self.interpose else ["--no-interpose"]), "--"]


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda variant: f"{variant[0]}{'' if variant[1] else '-alone'}")
def variant(request: pytest.FixtureRequest) -> Variant:
    found = Variant(*request.param)
    tracer = builtin_tracers()[found.tracer]()
    reason = tracer.available()
    tracer.close()
    if reason is not None:
        pytest.skip(f"{found.tracer}: {reason}")
    return found


def assert_same(untraced: bytes, traced: bytes) -> None:
    before, after = (one.decode(errors="backslashreplace").splitlines() for one in (untraced, traced))
    different = "\n".join(difflib.unified_diff(before, after, "untraced", "traced", lineterm="", n=0))
    assert untraced == traced, different


def in_a_shell(args: Sequence[str], prelude: str = "") -> list[str]:
    """A shell that does ``prelude``, runs ``args`` and ends as they did."""
    return ["/bin/sh", "-c", f'{prelude}\n"$@"\nexit $?', "sh", *args]


def both(
    variant: Variant, args: Sequence[str], *, data: bytes = b"", prelude: str = "", **options: Any
) -> tuple[tuple[int, bytes, bytes], tuple[int, bytes, bytes]]:
    """Exit status, output and error output of the command, untraced and traced.

    :param prelude: shell commands before it.
    """
    found = []
    for traced in (False, True):
        # the same descriptors, and files of the same names
        with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile() as stdin:
            stdin.write(data)
            stdin.seek(0)
            names = [Path(place, name) for name in ("out", "error")]
            with names[0].open("wb") as stdout, names[1].open("wb") as stderr:
                streams: dict[str, Any] = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
                words = [*variant.profiling(place), *args] if traced else args
                status = subprocess.run(in_a_shell(words, prelude), **streams, **options, check=False).returncode
            here = os.fsencode(place)
            out, error = (name.read_bytes().replace(here, b"PLACE") for name in names)
            # the name that a file without a name has
            found.append((status, re.sub(rb"/#\d+ \(deleted\)", b"/FILE", out), INCOMPLETE.sub(b"", error)))
    return found[0], found[1]


def promised(output: bytes, variant: Variant) -> bytes:
    """Without the line that ptrace can't hide."""
    if variant.tracer == "ptrace":
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
    variant: Variant, programs: Programs, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    program = programs.path("world", *flags)
    data = bytes(range(256)) * 40
    with unusual_world() as env:
        untraced, traced = both(
            variant, [program, "stdin", "", "two words", "\udcff"], data=data, env=env, cwd=str(tmp_path)
        )
    assert untraced[0] == traced[0] == 0
    assert untraced[1].count(b"\n") > 100
    assert_same(promised(untraced[1], variant), promised(traced[1], variant))
    assert untraced[2] == traced[2] == b""


# What a shell can have done before, and Python would change or lose. The lines are shell commands.
PRELUDES = {
    "ignored": "trap '' PIPE XFSZ CHLD HUP USR1 USR2 WINCH ALRM",
    "pipe-not-ignored": "trap - PIPE",
    "descriptors": "exec 5</dev/null 9>>/dev/null 8<>/dev/zero",
    "no-input": "exec 0<&-",
    "no-error-output": "exec 2>&-",
    "no-input-nor-error-output": "exec 0<&- 2>&-",
    "no-locale": "unset LANG LC_ALL LC_CTYPE LANGUAGE",
    "posix-locale": "LC_ALL=POSIX; LANG=C; export LC_ALL LANG",
    "unknown-locale": "LANG=xx_YY.UTF-8; export LANG; unset LC_ALL LC_CTYPE",
    "python": "PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 PYTHONFAULTHANDLER=1 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1;"
    "export PYTHONUTF8 PYTHONCOERCECLOCALE PYTHONFAULTHANDLER PYTHONUNBUFFERED PYTHONSAFEPATH",
    "limits": "ulimit -S -n 77; ulimit -c 0; ulimit -S -s 4096; umask 0",
    "no-directory": 'mkdir "$HERE/gone"; cd "$HERE/gone"; rmdir "$HERE/gone"',
}


@pytest.mark.parametrize("prelude", PRELUDES)
def test_world_of_a_command_is_what_the_shell_makes_it(
    variant: Variant, programs: Programs, tmp_path: Path, prelude: str
) -> None:
    env = {"PATH": os.environ["PATH"], "TMPDIR": tempfile.gettempdir(), "LANG": "C.UTF-8", "HERE": str(tmp_path)}
    command = [programs.path("world", "-static"), "stdin"] if prelude == "python" else [programs.path("world")]
    untraced, traced = both(variant, command, env=env, cwd=str(tmp_path), prelude=PRELUDES[prelude])
    assert untraced[0] == traced[0] == 0, (untraced[2], traced[2])
    assert untraced[1].count(b"\n") > 100
    assert_same(promised(untraced[1], variant), promised(traced[1], variant))
    assert untraced[2] == traced[2]


CLOSED = ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"]


@pytest.mark.parametrize("closed", CLOSED)
def test_standard_streams_that_are_closed_stay_closed(variant: Variant, closed: str) -> None:
    open_ones = "s=0; for n in 0 1 2; do [ -e /proc/$$/fd/$n ] && s=$((s + (1 << n) )); done; exit $((s + 40))"
    untraced, traced = both(variant, ["/bin/sh", "-c", open_ones], prelude=f"exec {closed}")
    assert untraced[0] == traced[0] == 47 - sum(1 << int(digit) for digit in re.findall(r"\d", closed))
    assert traced[1:] == (b"", b"")


def test_exit_status_is_right_where_the_end_of_children_is_ignored(variant: Variant) -> None:
    _, traced = both(variant, ["/bin/sh", "-c", "sleep 0.03; exit 3"], prelude="trap '' CHLD")
    assert traced == (3, b"", b"")


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


def test_world_at_every_depth_of_a_build(variant: Variant, programs: Programs, tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    (tmp_path / "Makefile").write_text(MAKEFILE.replace("{world}", shlex.quote(programs.path("world"))))
    with unusual_world() as env:
        untraced, traced = both(variant, ["make", "-j2", "-O"], env=env, cwd=str(tmp_path))
    assert untraced[0] == traced[0] == 0, untraced
    assert untraced[1].count(b"argv[0]") >= 9
    assert_same(promised(untraced[1], variant), promised(traced[1], variant))
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


@pytest.mark.parametrize(
    ("words", "answer", "after"),
    [([], b"", b""), (["stdin"], b"typed\n\x04", b"reading"), (["await"], b"\x03\x04", b"ready")],
    ids=["world", "typing", "ctrl-c"],
)
def test_world_on_a_terminal(
    variant: Variant,
    programs: Programs,
    tmp_path: Path,
    words: list[str],
    answer: bytes,
    after: bytes,
) -> None:
    command = [programs.path("world"), *words]
    prelude = "trap : INT"  # Ctrl-C is the command's
    traced = on_a_terminal(in_a_shell([*variant.profiling(tmp_path), *command], prelude), answer=answer, after=after)
    untraced = on_a_terminal(in_a_shell(in_a_shell(command, prelude), prelude), answer=answer, after=after)
    assert untraced[0] == traced[0], (untraced, traced)
    assert b"terminal 101 x 33" in untraced[1] or words == ["await"] or not hasattr(termios, "tcsetwinsize")
    if words == ["await"]:
        assert b"signal 2 code 128 from the kernel" in untraced[1]
    said = [re.sub(rb"/dev/pts/\d+", b"/dev/pts/N", one.replace(b"\r", b"")) for _, one in (untraced, traced)]
    assert_same(promised(said[0], variant), promised(INCOMPLETE.sub(b"", said[1]), variant))


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
def test_trap_program_says_and_ends_the_same(variant: Variant, programs: Programs, name: str) -> None:
    untraced, traced = both(variant, [programs.path(name), *TRAPS[name]])
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
def test_command_ends_the_same(variant: Variant, script: str) -> None:
    untraced, traced = both(variant, ["/bin/sh", "-c", script])
    assert untraced[:2] == traced[:2]
    if "kill" not in script:  # where a signal ended it, the shell around it says so
        assert untraced[2] == traced[2]


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


def build_both(variant: Variant, args: Sequence[str], directory: Path, clean: Callable[[], None]) -> None:
    def build(words: Sequence[str]) -> tuple[int, bytes, bytes]:
        clean()
        with tempfile.TemporaryFile() as output:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
            done = subprocess.run(in_a_shell(words), cwd=str(directory), **streams, check=False)
            output.seek(0)
            said = b"\n".join(sorted(INCOMPLETE.sub(b"", output.read()).splitlines()))
            return done.returncode, said, "\n".join(f"{name} {what}" for name, what in files_of(directory)).encode()

    if str(directory) not in untraced_builds:  # it is the same for all tracers
        untraced_builds[str(directory)] = build(args)
    with tempfile.TemporaryDirectory() as place:
        traced = build([*variant.profiling(place), *args])
    untraced = untraced_builds[str(directory)]
    assert untraced[0] == traced[0] == 0, untraced
    assert_same(untraced[1], traced[1])
    assert_same(untraced[2], traced[2])


def test_make_of_the_example_says_and_makes_the_same(variant: Variant, place: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    source = place / "calc"
    if not source.exists():
        shutil.copytree(CALC, source, ignore=shutil.ignore_patterns("build*", "*.o"))
    build_both(variant, ["make", "-j2"], source, lambda: shutil.rmtree(source / "build", ignore_errors=True))


NINJA = """
rule cc
  command = cc -O1 -c $in -o $out
  description = CC $out
rule link
  command = cc $in -o $out && ./$out
"""


def test_ninja_build_says_and_makes_the_same(variant: Variant, place: Path) -> None:
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
    build_both(variant, ["env", "NINJA_STATUS=", ninja, "-j2", "-C", "."], here, clean)


@pytest.mark.slow
def test_lua_build_says_and_makes_the_same(variant: Variant, place: Path) -> None:
    try:
        sources = lua_sources()
    except SourcesMissing as error:
        pytest.skip(str(error))
    objects = place / "lua"

    def clean() -> None:
        shutil.rmtree(objects, ignore_errors=True)
        objects.mkdir()

    build_both(variant, build_command(sources, objects, "lua54"), objects, clean)
