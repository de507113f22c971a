"""Start and exit lag: known of every program, right, and nothing of ours in the program that could disturb it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from interposed_runs import INTERPOSE, compiled, compiler, run
from trap_programs import SKIPPED, Programs, Run, record
from working_tracers import working

from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import UserStartup
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tracers import Command, Tracer, builtin_tracers
from pytest_ptreetime.tracers.public_library import public_library

KERNEL_TRACERS = ("ebpf", "ptrace")
TRIES = 5  # on a busy machine a process waits between what it says and what the kernel sees


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module", params=KERNEL_TRACERS)
def tracer(request: pytest.FixtureRequest) -> Iterator[Tracer]:
    with working(builtin_tracers()[request.param]()) as made:
        yield made


# Exit lag

WAYS_OUT = {"exit": 3, "handler": 3, "thread": 3, "last-thread": 0, "signal": -11, "signal-threads": -9}


@pytest.mark.parametrize("flags", [(), ("-static",), ("-m32",)], ids=["dynamic", "static", "32-bit"])
@pytest.mark.parametrize("way", WAYS_OUT)
def test_exit_lag_is_from_the_last_call_to_the_death(
    tracer: Tracer, programs: Programs, way: str, flags: tuple[str, ...]
) -> None:
    program = programs.path("ways-out", *flags)
    for _ in range(TRIES):
        result = record(tracer, [program, way], interpose=False, returncode=WAYS_OUT[way])
        node = result.one(result.facts["pid"])
        assert node.exitlag is not None
        assert node.exit_ns is not None
        last_call_ns = node.exit_ns - round(node.exitlag * 1e9)
        assert result.facts["told_ns"] <= last_call_ns
        # What follows is the teardown of 128 MiB: nearly all of the time since the program has told.
        if node.exitlag >= (node.exit_ns - result.facts["told_ns"]) / 2e9:
            return
    pytest.fail(f"the teardown is not in the exit lag of {node.exitlag} s, the last of {TRIES}")


def test_exit_lag_of_an_image_that_ended_by_exec_is_none(tracer: Tracer, programs: Programs) -> None:
    result = record(tracer, [programs.path("reexec-chain")], interpose=False)
    root, *earlier, last = result.of(result.facts["pid"])
    assert root.exitlag == last.exitlag  # the root stands for its whole process
    assert {node.exitlag for node in earlier} == {None}
    assert last.exitlag is not None


# Start lag


@pytest.mark.parametrize("flags", [(), ("-static",), ("-m32",)], ids=["dynamic", "static", "32-bit"])
def test_ebpf_knows_the_start_of_programs_without_a_library(
    tracer: Tracer, programs: Programs, flags: tuple[str, ...]
) -> None:
    if tracer.name != "ebpf":
        pytest.skip("is what the kernel tells the tracer ebpf")
    result = record(tracer, [programs.path("wait4"), programs.path("nothing", *flags)], interpose=False)
    child = result.one(result.facts["child"])
    assert child.startlag is not None
    assert child.wall is not None
    assert 0 < child.startlag < child.wall


def test_start_of_each_image_of_a_process_is_its_own(tracer: Tracer, programs: Programs) -> None:
    if tracer.name != "ebpf":
        pytest.skip("is what the kernel tells the tracer ebpf")
    result = record(tracer, [programs.path("reexec-chain")], interpose=False)
    for node in result.of(result.facts["pid"]):
        assert node.startlag is not None
        assert node.wall is not None
        assert 0 < node.startlag < node.wall


def test_lags_of_a_process_that_never_execs_are_its_own(tracer: Tracer, programs: Programs) -> None:
    result: Run = record(tracer, [programs.path("fork-without-exec")], interpose=False)
    forked = [node for node in result.tree if node.forked_only]
    assert forked
    for node in forked:
        assert node.startlag is None
        assert node.exitlag is not None


# Programs that allow themselves few system calls

FILTERS = ("prctl", "syscall", "inline", "strict", "inherited")
# The log is written by system calls: what it knows of a filter, it knows from the C library's calls (filters_linux.c).
SEEN_BY_THE_LOG = ("prctl", "syscall", "strict")


def filtered(programs: Programs, way: str) -> tuple[list[str], int]:
    """The program, and how it ends untraced."""
    args = [programs.path("system-call-filter"), way, programs.path("nothing")]
    status = subprocess.run(args, check=False).returncode
    if status == SKIPPED or (way == "inherited" and status != 0):
        pytest.skip("this machine does not allow such filters, or its linker needs other calls")
    return args, status


@pytest.mark.promise("system-call-filters")
@pytest.mark.parametrize("way", FILTERS)
def test_program_with_a_system_call_filter_ends_as_untraced(tracer: Tracer, programs: Programs, way: str) -> None:
    args, status = filtered(programs, way)
    record(tracer, args, interpose=True, returncode=status)


@pytest.mark.promise("system-call-filters")
@pytest.mark.parametrize("way", SEEN_BY_THE_LOG)
@pytest.mark.parametrize("name", [*KERNEL_TRACERS, "interpose"])
def test_log_is_silent_once_the_program_has_a_filter(programs: Programs, name: str, way: str) -> None:
    args, status = filtered(programs, way)
    made = builtin_tracers()[name]()
    if (reason := made.available()) is not None:
        pytest.skip(f"{name}: {reason}")
    try:
        capture = made.record(Command(args=args, interpose="log"))
    finally:
        made.close()
    assert capture.returncode == status
    assert any(isinstance(event, UserStartup) for event in capture.events)


def test_log_goes_on_when_a_filter_was_only_asked_for(programs: Programs, tmp_path: Path) -> None:
    """As libseccomp asks the kernel what it can do."""
    source = tmp_path / "asks.c"
    source.write_text(
        "#define _GNU_SOURCE\n#include <sys/syscall.h>\n#include <unistd.h>\n"
        "int main(void) { return syscall(SYS_seccomp, 1, 0, 0) == -1 && syscall(SYS_getpid) == getpid() ? 0 : 1; }"
    )
    program = tmp_path / "asks"
    subprocess.run([compiler("cc"), "-o", program, source], check=True)
    ended = run(tmp_path / "log", [program])
    assert ended.returncode == 0
    assert ended.exits == [0]


def test_vfork_through_the_function_syscall_works(tmp_path: Path) -> None:
    """Its child returns from that function first, on the stack of its parent."""
    source = tmp_path / "vforks.c"
    source.write_text(
        "#define _GNU_SOURCE\n#include <sys/syscall.h>\n#include <sys/wait.h>\n#include <unistd.h>\n"
        "int main(void) { long child = syscall(SYS_clone, 17, 0, 0, 0, 0); if (child == 0) _exit(5); int status;\n"
        "return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 5 ? 0 : 1; }"
    )
    program = tmp_path / "vforks"
    subprocess.run([compiler("cc"), "-o", program, source], check=True)
    ended = run(tmp_path / "log", [program])
    assert ended.returncode == 0
    assert ended.exits == [0]


# The library that leaves word in the program's memory (tracer ptrace)


@pytest.fixture(scope="module")
def ptrace() -> Iterator[Tracer]:
    with working(builtin_tracers()["ptrace"]()) as made:
        yield made


TEMPORARY = Path(tempfile.gettempdir())
AS_ANOTHER_USER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
LINKERS = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")


def libraries_of(output: bytes) -> set[str]:
    return {line.split()[0] for line in output.decode().splitlines() if line.strip()}


@pytest.mark.parametrize("flags", [(), ("-m32",)], ids=["native", "32-bit"])
def test_ptrace_knows_the_start_of_dynamic_programs(ptrace: Tracer, programs: Programs, flags: tuple[str, ...]) -> None:
    result = record(ptrace, [programs.path("wait4"), programs.path("nothing", *flags)], interpose=True)
    child = result.one(result.facts["child"])
    assert child.startlag is not None
    assert child.wall is not None
    assert 0 < child.startlag < child.wall


def test_ebpf_reads_the_word_of_a_program_that_began_without_a_page_fault(tracer: Tracer, programs: Programs) -> None:
    """As on other machines than x86-64, where no page fault is shown."""
    if tracer.name != "ebpf":
        pytest.skip("is of the tracer ebpf")
    args = [programs.path("nothing", "-Wl,-z,noseparate-code")]
    startlags = []
    for preload in ({}, {"LD_PRELOAD": str(helper("libptreetime_mailbox.so"))}):
        tree = record(tracer, args, interpose=False, env={**os.environ, **preload}).tree
        startlags.append(tree.root.startlag)
    without, startlag = startlags
    if without is not None:
        pytest.skip("this program begins with a page fault all the same")
    assert startlag is not None
    assert tree.root.wall is not None
    assert 0 < startlag < tree.root.wall


def test_start_of_a_musl_program_is_known_too(ptrace: Tracer, tmp_path: Path) -> None:
    program = compiled(tmp_path, "nothing", cc="musl-gcc")
    result = record(ptrace, [str(program)], interpose=True)
    assert result.tree.root.startlag is not None


def test_word_of_another_clock_is_not_taken(ptrace: Tracer, programs: Programs) -> None:
    unshare = shutil.which("unshare")
    shifted = [unshare or "", "-r", "-T", "--monotonic", "100000", programs.path("nothing")]
    if unshare is None or subprocess.run(shifted, check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no time namespaces here")
    result = record(ptrace, shifted, interpose=True)
    (node,) = [node for node in result.tree if node.name == "nothing"]
    assert node.startlag is None
    assert node.exitlag is not None


def test_forked_child_does_not_take_its_parents_word_for_its_own(ptrace: Tracer, programs: Programs) -> None:
    result = record(ptrace, [programs.path("fork-without-exec")], interpose=True)
    assert {node.startlag for node in result.tree if node.forked_only} == {None}


@pytest.mark.promise("not-listed")
@pytest.mark.parametrize("way", ["ldd", "variable", "list"])
def test_lists_of_libraries_do_not_name_ours(ptrace: Tracer, way: str) -> None:
    linker = next(filter(Path.exists, map(Path, LINKERS)), None)
    if linker is None or shutil.which("ldd") is None:
        pytest.skip("no glibc here")
    args = {
        "ldd": ["ldd", "/bin/sh"],
        "variable": ["env", "LD_TRACE_LOADED_OBJECTS=1", "/bin/sh"],
        "list": [str(linker), "--list", "/bin/sh"],
    }[way]
    untraced = subprocess.run(args, check=True, capture_output=True)
    assert libraries_of(record(ptrace, args, interpose=True).output) == libraries_of(untraced.stdout)


@pytest.mark.promise("not-listed")
@pytest.mark.parametrize("way", ["ldd", "variable", "list", "execve", "execvp", "posix_spawn"])
def test_lists_of_libraries_do_not_name_the_logging_library(tmp_path: Path, way: str) -> None:
    linker = next(filter(Path.exists, map(Path, LINKERS)), None)
    if linker is None or shutil.which("ldd") is None:
        pytest.skip("no glibc here")
    listing = "import os; os.environ['LD_TRACE_LOADED_OBJECTS'] = '1'; "
    args = {
        "ldd": ["ldd", "/bin/sh"],
        "variable": ["env", "LD_TRACE_LOADED_OBJECTS=1", "/bin/sh"],
        "list": ["sh", "-c", f"{linker} --list /bin/sh; exit"],
        "execve": [sys.executable, "-c", listing + "os.execve('/bin/sh', ['sh'], os.environ)"],
        "execvp": [sys.executable, "-c", listing + "os.execvp('sh', ['sh'])"],
        "posix_spawn": [sys.executable, "-c", listing + "os.waitpid(os.posix_spawn('/bin/sh', ['sh'], os.environ), 0)"],
    }[way]
    ended = run(tmp_path / "log", args, library=INTERPOSE)
    assert "libc" in ended.stdout
    assert "ptreetime" not in ended.stdout + ended.stderr


@pytest.mark.promise("not-listed")
def test_listing_by_a_static_program_does_not_name_ours(ptrace: Tracer, programs: Programs) -> None:
    output = record(ptrace, [programs.path("list-libraries", "-static"), "/bin/sh"], interpose=True).output
    assert b"ptreetime" not in output
    assert b"libc" in output


# Another user, another root directory


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Root's own installation, as in a virtual environment below /root; and no directory of the machine to copy to."""
    if os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    native = tmp_path / "closed" / "native"
    shutil.copytree(helper("libptreetime_mailbox.so").parent, native)
    native.parent.chmod(0o700)
    monkeypatch.setattr("pytest_ptreetime.tracers.launch.helper", lambda name: native / name)
    monkeypatch.setattr("pytest_ptreetime.tracers.public_library._STAYS", tmp_path / "nowhere")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return native


@pytest.fixture
def open_to_all(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    parent = TEMPORARY
    if not all(directory.stat().st_mode & 0o001 for directory in (parent, *parent.parents)):
        pytest.skip("TMPDIR is closed to others")
    with tempfile.TemporaryDirectory(dir=parent) as name:
        place = Path(name)
        place.chmod(0o1777)
        monkeypatch.setattr("pytest_ptreetime.tracers.public_library._STAYS", place)
        yield place


@pytest.mark.promise("linker-is-quiet")
@pytest.mark.parametrize("mask", [0o022, 0o077])
@pytest.mark.parametrize("name", ["ptrace", "interpose"])
def test_step_of_another_user_has_a_library_that_it_can_read(
    closed: Path, open_to_all: Path, name: str, mask: int
) -> None:
    made = builtin_tracers()[name]()
    if (reason := made.available()) is not None:
        pytest.skip(f"{name}: {reason}")
    before = os.umask(mask)
    try:
        for _ in range(2):
            with tempfile.TemporaryFile() as output:
                args = [*AS_ANOTHER_USER, "sh", "-c", "cat --version >/dev/null; exec 2>&1; /bin/true"]
                capture = made.record(Command(args=args, stdout=output, stderr=output))
                output.seek(0)
                assert output.read() == b""
            assert capture.returncode == 0
    finally:
        os.umask(before)
        made.close()
    (copy,) = open_to_all.iterdir()
    assert copy.stat().st_mode & 0o777 == 0o755
    if name == "ptrace":
        tree = Recording(events=capture.events).tree()
        assert {node.startlag is None for node in tree if node.name in ("cat", "true")} == {False}


def test_copy_whose_content_was_changed_is_written_anew(closed: Path, open_to_all: Path) -> None:
    library = closed / "libptreetime_mailbox.so"
    copy = public_library(library)
    assert copy != library
    copy.write_bytes(b"something else")
    assert public_library(library) == copy
    assert copy.read_bytes() == library.read_bytes()


@pytest.mark.parametrize("taken", ["symlink", "other-user", "writable"])
def test_name_of_the_copy_that_somebody_else_has_taken_is_left_alone(
    closed: Path, open_to_all: Path, taken: str
) -> None:
    library = closed / "libptreetime_mailbox.so"
    name = public_library(library).parent
    shutil.rmtree(name)
    if taken == "symlink":
        name.symlink_to("/etc")
    else:
        name.mkdir()
        name.chmod(0o777)
        if taken == "other-user":
            os.chown(name, 65534, 65534)
    copy = public_library(library)
    assert copy.parent != name
    assert copy.parent.parent == open_to_all
    assert copy.read_bytes() == library.read_bytes()
    assert public_library(library) == copy


def test_library_that_everybody_can_read_is_not_copied(open_to_all: Path) -> None:
    library = open_to_all / "libptreetime.so"
    library.write_bytes(b"x")
    library.chmod(0o644)
    assert public_library(library) == library


@pytest.mark.promise("linker-is-quiet")
@pytest.mark.parametrize("way", ["bwrap", "chroot", "other-user"])
def test_linker_says_nothing_where_the_library_can_not_be_opened(
    ptrace: Tracer, way: str, tmp_path: Path, closed: Path
) -> None:
    """Our files are not in there; for another user they lie below a directory that is closed to everybody else."""
    links = [word for name in ("lib", "lib64", "bin") for word in ("--symlink", f"usr/{name}", f"/{name}")]
    args = {
        "bwrap": ["bwrap", "--ro-bind", "/usr", "/usr", *links, "sh", "-c", "cat --version; ls /"],
        "chroot": ["unshare", "-m", "sh", "-c", f"mount --bind /usr {tmp_path}/usr && chroot {tmp_path} cat --version"],
        "other-user": [*AS_ANOTHER_USER, "sh", "-c", "cat --version; ls /"],
    }[way]
    if way == "chroot":
        (tmp_path / "usr").mkdir()
        for name in ("lib", "lib64", "bin"):
            (tmp_path / name).symlink_to(f"usr/{name}")
    if shutil.which(args[0]) is None:
        pytest.skip(f"{args[0]} is not installed")
    untraced = subprocess.run(args, check=False, capture_output=True)
    if untraced.returncode != 0:
        pytest.skip(f"this machine does not let {args[0]} do what it wants to")
    with tempfile.TemporaryFile() as error:
        record(ptrace, args, interpose=True, stderr=error)
        error.seek(0)
        assert error.read() == untraced.stderr
