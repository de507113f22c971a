"""A recorder with privileges, in the hands of a user who wants more from it than recordings of his own processes."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorder_control import (
    CAP_BPF,
    CAP_PERFMON,
    NOBODY,
    ask_to_record,
    copied_recorder,
    give_capabilities,
    read,
    running_recorder,
    started_as_number,
    waiting_shell,
)
from trap_programs import SKIPPED, Programs, is_dead

from pytest_ptreetime.recording.events import Create, Exec
from pytest_ptreetime.tracers.ebpf import EbpfTracer

pytestmark = pytest.mark.promise("recorder-no-tool-of-others")

SUDO = {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
SUDO_N = ("sudo", "-n", "--")
TWO = 1 << CAP_BPF | 1 << CAP_PERFMON


@pytest.fixture(scope="module", autouse=True)
def _ebpf() -> None:
    tracer = EbpfTracer()
    reason = tracer.available()
    tracer.close()
    if reason is not None:
        pytest.skip(f"ebpf: {reason}")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def path() -> Iterator[Path]:
    """A recorder that everybody may run, with the capabilities that the documentation tells to give it."""
    with copied_recorder() as copy:
        give_capabilities(copy, CAP_BPF, CAP_PERFMON)
        yield copy


@pytest.fixture
def bare_path() -> Iterator[Path]:
    with copied_recorder() as copy:
        yield copy


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


# What it is


@pytest.mark.parametrize("mode", ["ebpf", "ptrace"])
def test_recorder_under_sudo_becomes_the_user_who_called_it_and_keeps_only_what_it_needs(
    bare_path: Path, mode: str
) -> None:
    with running_recorder(bare_path, mode, env=SUDO) as (control, process):
        assert control.recv(4096).startswith(b"hello")
        status = status_of(process.pid)
    assert status["Uid"].split() == status["Gid"].split() == [str(NOBODY)] * 4
    assert status["Groups"] == ""
    assert status["NoNewPrivs"] == "1"
    wanted = TWO if mode == "ebpf" else 0
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == wanted
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0


def test_recorder_that_was_given_more_capabilities_than_it_needs_gives_them_up(path: Path) -> None:
    allowed = int(status_of(os.getpid())["CapBnd"], 16)  # more than the kernel lets anybody have, and exec fails
    give_capabilities(path, *(number for number in range(64) if allowed >> number & 1))
    with running_recorder(path, user=NOBODY) as (control, process):
        assert control.recv(4096).startswith(b"hello")
        assert int(status_of(process.pid)["CapPrm"], 16) == TWO


@pytest.mark.parametrize("number", ["", "-1", "4294967295", "0x0", "1 2", "no"])
def test_recorder_under_a_sudo_that_does_not_say_who_called_it_refuses(bare_path: Path, number: str) -> None:
    with running_recorder(bare_path, env={"SUDO_UID": number, "SUDO_GID": "0"}) as (control, _):
        assert control.recv(4096).startswith(b"unavailable sudo does not say who called it")


# Processes of others


@pytest.mark.parametrize("mode", ["ebpf", "ptrace"])
def test_recorder_under_sudo_refuses_processes_of_others(bare_path: Path, mode: str) -> None:
    with running_recorder(bare_path, mode, env=SUDO) as (control, _), waiting_shell(0) as shell:
        assert control.recv(4096).startswith(b"hello")
        for pid in (shell.pid, os.getpid(), 1):
            answer, descriptor = ask_to_record(control, pid)
            os.close(descriptor)
            assert answer == f"error process {pid} belongs to somebody else"


@pytest.mark.parametrize("other", [0, NOBODY], ids=["somebody-elses", "the-callers"])
@pytest.mark.parametrize("how", ["capabilities", "sudo"])
def test_process_that_takes_the_number_of_the_one_that_was_checked_is_not_recorded(
    path: Path, bare_path: Path, how: str, other: int
) -> None:
    binary, user, env = (path, NOBODY, {}) if how == "capabilities" else (bare_path, None, SUDO)
    with running_recorder(binary, user=user, env=env) as (control, process), waiting_shell(NOBODY) as shell:
        assert control.recv(4096).startswith(b"hello")
        answer, descriptor = ask_to_record(control, shell.pid)
        assert answer.split()[0] == "ready"
        process.send_signal(signal.SIGSTOP)  # its caller can do that: it is his
        shell.kill()
        shell.wait()
        try:
            assert started_as_number(shell.pid, ["/bin/true", "private"], user=other).wait() == 0
        finally:
            process.send_signal(signal.SIGCONT)
        assert control.recv(4096) == b"done"
        events = read(descriptor)
    assert not any(isinstance(event, Exec | Create) for event in events)


def test_process_that_takes_the_number_of_a_child_that_died_untold_is_not_recorded(
    path: Path, programs: Programs
) -> None:
    program = shutil.copy(programs.path("untold-child"), path.parent / "untold-child")
    with running_recorder(path, user=NOBODY) as (control, _), waiting_shell(NOBODY, str(program)) as shell:
        assert control.recv(4096).startswith(b"hello")
        answer, descriptor = ask_to_record(control, shell.pid)
        assert answer.split()[0] == "ready"
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(b"\n")
        shell.stdin.flush()
        child = int(shell.stdout.readline())
        other = ["/bin/sh", "-c", "/bin/true; exec /bin/true private"]
        assert started_as_number(child, other, user=0).wait() == 0
        shell.communicate()
        assert control.recv(4096) == b"done"
        events = read(descriptor)
    (executed,) = [event for event in events if isinstance(event, Exec)]
    (created,) = [event for event in events if isinstance(event, Create)]
    assert (executed.args, created.pid) == ([os.fsencode(program)], child)


def test_recorder_refuses_a_process_that_has_gained_privileges(path: Path, programs: Programs, tmp_path: Path) -> None:
    program = set_user_id(programs, tmp_path)
    with running_recorder(path, user=NOBODY) as (control, _):
        assert control.recv(4096).startswith(b"hello")
        with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=NOBODY) as process:
            line = process.stdout.readline() if process.stdout is not None else b""
            if not line:
                assert process.wait() == SKIPPED
                pytest.skip("set-user-id programs gain nothing here")
            answer, descriptor = ask_to_record(control, process.pid)
            os.close(descriptor)
    assert "belongs to somebody else" in answer


def set_user_id(programs: Programs, directory: Path) -> Path:
    for above in (directory, *directory.parents):
        if above != above.parent and above.stat().st_uid == 0:
            above.chmod(above.stat().st_mode | 0o055)
    program = directory / "become-root"
    shutil.copy(programs.path("become-root"), program)
    program.chmod(0o4755)
    return program


@pytest.mark.parametrize("how", ["capabilities", "sudo"])
def test_kill_spares_a_process_of_the_tree_that_has_become_somebody_elses(
    path: Path, bare_path: Path, programs: Programs, tmp_path: Path, how: str
) -> None:
    program = set_user_id(programs, tmp_path)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    fifo.chmod(0o666)
    holder = os.open(fifo, os.O_RDWR)  # the program's input does not end before this is closed
    said = tmp_path / "said"
    said.touch()
    said.chmod(0o666)
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\n{program} <{fifo} >{said} &\nsleep 1000 &\nwait\n")
    script.chmod(0o755)
    binary, user, env = (path, NOBODY, {}) if how == "capabilities" else (bare_path, None, SUDO)
    became = 0
    try:
        with (
            running_recorder(binary, user=user, env=env) as (control, _),
            waiting_shell(NOBODY, str(script)) as shell,
        ):
            assert control.recv(4096).startswith(b"hello")
            answer, descriptor = ask_to_record(control, shell.pid)
            assert answer.split()[0] == "ready"
            assert shell.stdin is not None
            shell.stdin.write(b"\n")
            shell.stdin.flush()
            deadline = time.monotonic() + 30
            while not said.read_text().endswith("\n") and time.monotonic() < deadline:
                time.sleep(0.01)
            if not said.read_text():
                pytest.skip("set-user-id programs gain nothing here")
            became = int(said.read_text())
            control.send(b"kill")
            assert control.recv(4096) == b"done"
            assert not is_dead(became)
            assert shell.wait(30) == -signal.SIGKILL
            assert any(isinstance(event, Exec) for event in read(descriptor))
    finally:
        os.close(holder)
    deadline = time.monotonic() + 30
    while not is_dead(became) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_dead(became)


# Writing elsewhere


def test_recorder_with_privileges_writes_to_memory_files_only(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "file"
    pipe_end, written = os.pipe()
    kept = os.memfd_create("read-only")
    handed = {
        "a file": os.open(target, os.O_RDWR | os.O_CREAT),
        "a device": os.open("/dev/null", os.O_WRONLY),
        "a pipe": written,
        "a file of /proc": os.open("/proc/self/comm", os.O_WRONLY),
        "a socket": socket.socket(socket.AF_UNIX).detach(),
        "a directory": os.open(tmp_path, os.O_RDONLY),
    }
    with running_recorder(path, user=NOBODY) as (control, _), waiting_shell(NOBODY) as shell:
        assert control.recv(4096).startswith(b"hello")
        for what, descriptor in handed.items():
            socket.send_fds(control, [f"record {shell.pid}".encode()], [descriptor])
            assert control.recv(4096) == b"error events are written to memory files (memfd_create) only", what
            os.close(descriptor)
        read_only = os.open(f"/proc/self/fd/{kept}", os.O_RDONLY)
        socket.send_fds(control, [f"record {shell.pid}".encode()], [read_only])
        assert control.recv(4096).startswith(b"ready")
        shell.communicate(b"\n")
        assert control.recv(4096).startswith(b"error can't write events")
        os.close(read_only)
    assert target.read_bytes() == b""
    assert os.fstat(kept).st_size == 0
    assert os.read(pipe_end, 1) == b""
    os.close(kept)
    os.close(pipe_end)


def test_recorder_keeps_no_descriptor_that_it_did_not_ask_for(path: Path) -> None:
    with running_recorder(path, user=NOBODY) as (control, process):
        assert control.recv(4096).startswith(b"hello")
        before = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
        events = [os.memfd_create("events") for _ in range(8)]
        for request in (b"record 1", b"count", b"kill", b"nonsense", b"record 0", b"record"):
            for _ in range(20):
                socket.send_fds(control, [request], events)
        for _ in range(5 * 20):  # all but kill are answered
            control.recv(4096)
        control.send(b"count")
        assert control.recv(4096).startswith(b"count")
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) == before
        for descriptor in events:
            os.close(descriptor)


# What it is told


NONSENSE = [
    b"record",
    b"record ",
    b"record x",
    b"record -1",
    b"record 0",
    b"record 99999999999999999999999",
    b"record 4294967297",
    b"record 1",
    b"record\x001",
    b"Record 1",
    b"\xff" * 255,
    b"\0",
    b"kill",
    b"kill 1",
    b"%s%s%s%n",
    b"x" * 100_000,
    b"record " + b"1" * 100_000,
]


@pytest.mark.parametrize("mode", ["ebpf", "ptrace"])
def test_recorder_that_is_told_nonsense_records_all_the_same(path: Path, mode: str) -> None:
    with running_recorder(path, mode, user=NOBODY) as (control, _), waiting_shell(NOBODY) as shell:
        assert control.recv(4096).startswith(b"hello")
        for message in NONSENSE:
            for descriptors in ([], [os.memfd_create("events")]):
                socket.send_fds(control, [message], descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
        answer, descriptor = ask_to_record(control, shell.pid)
        while answer.split()[:1] != ["ready"]:
            assert answer.startswith("error "), answer
            answer = control.recv(4096).decode()
        shell.communicate(b"\n")
        assert control.recv(4096) == b"done"
        (executed,) = [event for event in read(descriptor) if isinstance(event, Exec)]
    assert executed.args == [b"/bin/true"]


def test_recorder_that_records_refuses_another_recording_and_ends_with_an_empty_message(path: Path) -> None:
    with running_recorder(path, user=NOBODY) as (control, process), waiting_shell(NOBODY) as shell:
        assert control.recv(4096).startswith(b"hello")
        assert ask_to_record(control, shell.pid)[0].split()[0] == "ready"
        assert ask_to_record(control, shell.pid)[0] == "error another recording is under way"
        control.send(b"")
        assert process.wait(30) == 0
        assert shell.poll() is None


# What it starts with


def hostile_environment(directory: Path) -> dict[str, str]:
    """A library that leaves a mark wherever it is loaded, under every name by which a program could come to load it."""
    source = directory / "mark.c"
    mark = directory / "mark"
    source.write_text(
        "#include <fcntl.h>\n"
        f'__attribute__((constructor)) static void mark(void) {{ creat("{mark}", 0666); }}\n'
        "unsigned la_version(unsigned version) { return version; }\n"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", directory / "libbpf.so.1", source], check=True)
    library = str(directory / "libbpf.so.1")
    for name in ("libelf.so.1", "libz.so.1", "libc.so.6", "ptreetime.bpf.o"):
        shutil.copy(library, directory / name)
    directory.chmod(0o777)
    found = {name: str(directory) for name in ("LD_LIBRARY_PATH", "PATH", "HOME", "TMPDIR", "PTREETIME_NATIVE")}
    loaded = dict.fromkeys(("LD_PRELOAD", "LD_AUDIT", "PTREETIME_LIBBPF", "PTREETIME_LOG", "BPF_OBJECT"), library)
    return {**found, **loaded, "LD_DEBUG": "all", "LD_DEBUG_OUTPUT": str(directory / "debug"), "SUDO_UID": "0"}


def test_recorder_loads_nothing_that_the_environment_or_the_directory_offers(path: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        env = hostile_environment(directory)
        offered = sorted(directory.iterdir())
        subprocess.run(["/bin/true"], env={"LD_PRELOAD": env["LD_PRELOAD"]}, check=True)
        assert (directory / "mark").exists()  # what has no privileges does load it
        (directory / "mark").unlink()
        for debug in directory.glob("debug*"):
            debug.unlink()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            process = subprocess.Popen(
                [path, "ebpf"], stdin=theirs.fileno(), env=env, user=NOBODY, group=NOBODY, cwd=directory
            )
            theirs.close()
            ours.settimeout(30)
            assert ours.recv(4096).startswith(b"hello")
            maps = Path(f"/proc/{process.pid}/maps").read_text()
            answer, descriptor = ask_to_record(ours, os.getpid())
            os.close(descriptor)
        process.wait()
        assert "belongs to somebody else" in answer  # SUDO_UID=0 means nothing to it
        assert place not in maps
        assert sorted(directory.iterdir()) == offered


def test_recorder_has_no_search_path_of_its_own() -> None:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed")
    with copied_recorder() as copy:
        dynamic = subprocess.run(["readelf", "-d", copy], capture_output=True, text=True, check=True).stdout
    assert "RUNPATH" not in dynamic
    assert "RPATH" not in dynamic


@pytest.mark.parametrize("arguments", [[], ["x"], ["ebpf", "ebpf"], [""], ["../ebpf"], ["%n%n"]], ids=repr)
def test_recorder_with_arguments_that_it_does_not_know_ends(path: Path, arguments: list[str]) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            [path, *arguments], stdin=theirs.fileno(), stderr=subprocess.DEVNULL, user=NOBODY, cwd="/"
        )
        assert process.wait(30) in (1, 2)


def test_recorder_without_its_standard_descriptors_ends_and_writes_nowhere(path: Path) -> None:
    for closed in ("0<&-", "0<&- 1>&- 2>&-", "1>&- 2>&-", "0</dev/null", "0</"):
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$0" ebpf {closed}', path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            user=NOBODY,
            cwd="/",
            check=False,
        )
        assert done.returncode >= 0
        assert done.stdout == done.stderr == b""


@pytest.mark.parametrize(
    ("what", "limit"),
    [
        (resource.RLIMIT_NOFILE, 4),
        (resource.RLIMIT_NOFILE, 12),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_AS, 1 << 23),
    ],
)
def test_recorder_with_hardly_any_resources_says_so_or_ends(path: Path, what: int, limit: int) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen(
            [path, "ebpf"], stdin=theirs.fileno(), user=NOBODY, cwd="/", stderr=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(what, (limit, limit)),
        )  # fmt: skip
        theirs.close()
        ours.settimeout(30)
        assert ours.recv(4096)[:5] in (b"", b"hello", b"unava")
        ours.close()
        process.wait(30)


# The recorder itself


LOOK_INSIDE = """
import ctypes, json, os, sys
pid = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
result = {}
for name in ("mem", "environ", "fd", "maps"):
    try:
        os.listdir(f"/proc/{pid}/fd") if name == "fd" else open(f"/proc/{pid}/{name}", "rb").close()
        result[name] = 0
    except OSError as error:
        result[name] = error.errno
for name, request in (("attach", 16), ("seize", 0x4206)):
    result[name] = 0 if libc.ptrace(request, pid, None, None) == 0 else ctypes.get_errno()
fd = libc.syscall(434, pid, 0)
result["take a descriptor"] = 0 if libc.syscall(438, fd, 4, 0) >= 0 else ctypes.get_errno()
print(json.dumps(result))
"""


def test_caller_can_not_look_into_the_recorder_or_take_its_descriptors(path: Path) -> None:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is no Python that everybody may run")
    with running_recorder(path, user=NOBODY) as (control, process):
        assert control.recv(4096).startswith(b"hello")
        command = [python, "-c", LOOK_INSIDE, str(process.pid)]
        done = subprocess.run(command, capture_output=True, text=True, user=NOBODY, group=NOBODY, cwd="/", check=True)
        assert control.send(b"count") == 5
        assert control.recv(4096).startswith(b"count")
    refused = json.loads(done.stdout)
    assert set(refused.values()) <= {errno.EACCES, errno.EPERM}, refused


# sudo itself


@pytest.fixture
def sudo_rules() -> Iterator[Path]:
    """A directory in place of /etc/sudoers.d, in a mount namespace of the test's thread: nobody else sees it."""
    if shutil.which("sudo") is None:
        pytest.skip("sudo is not installed")
    if not Path("/etc/sudoers.d").is_dir() or "sudoers.d" not in Path("/etc/sudoers").read_text():
        pytest.skip("sudo has no directory of rules here")
    libc = ctypes.CDLL(None, use_errno=True)
    outside = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    if libc.unshare(0x00020000 | 0x00000200) != 0:  # CLONE_NEWNS, and what it needs: CLONE_FS
        os.close(outside)
        pytest.skip("this machine allows no mount namespace")
    here = Path.cwd()
    try:
        assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # MS_REC | MS_PRIVATE
        assert libc.mount(b"tmpfs", b"/etc/sudoers.d", b"tmpfs", 0, b"mode=755") == 0
        yield Path("/etc/sudoers.d")
    finally:
        assert libc.setns(outside, 0x00020000) == 0
        os.close(outside)
        os.chdir(here)


@pytest.mark.parametrize("mode", ["ebpf", "ptrace"])
def test_sudo_starts_the_recorder_which_then_serves_its_caller_alone(
    bare_path: Path, sudo_rules: Path, mode: str
) -> None:
    rule = sudo_rules / "ptreetime"
    rule.write_text(f"#{NOBODY} ALL=(root) NOPASSWD: {bare_path}\nDefaults !pam_session, !syslog\n")
    rule.chmod(0o440)
    try:
        with (
            running_recorder(bare_path, mode, user=NOBODY, prefix=SUDO_N) as (control, _),
            waiting_shell(NOBODY) as shell,
        ):
            assert control.recv(4096).startswith(b"hello")
            answer, descriptor = ask_to_record(control, os.getpid())
            os.close(descriptor)
            assert answer == f"error process {os.getpid()} belongs to somebody else"
            answer, descriptor = ask_to_record(control, shell.pid)
            assert answer.split()[0] == "ready"
            shell.communicate(b"\n")
            assert control.recv(4096) == b"done"
            assert any(isinstance(event, Exec) for event in read(descriptor))
    finally:
        rule.unlink()
