"""The eBPF tracer where it differs from the others: its privileges, its losses, its traces in the kernel.

What it has in common with them is in test_tracer_contract.py.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
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
    recorder,
    waiting_shell,
)
from trap_programs import FAILED_EXECS, Programs, assert_lawful, failed_execs, record
from working_tracers import working

from pytest_ptreetime.recording.events import Create, Exec, Exit, Lost
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.ebpf import EbpfTracer
from pytest_ptreetime.tracers.launch import launched
from pytest_ptreetime.tracers.ptrace import PtraceTracer
from pytest_ptreetime.tracers.recorder_process import RecorderProcess
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

NATIVE = Path(__file__).parents[2] / "libptreetime"
LONG = os.environ.get("PTREETIME_LONG_TESTS") == "1"

BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID, BPF_OBJ_GET_INFO_BY_FD = 13, 14, 15
BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def tracer() -> Iterator[EbpfTracer]:
    with working(EbpfTracer()) as made:
        yield made


def recorder_pid(tracer: EbpfTracer) -> int:
    assert tracer._recorder is not None
    return tracer._recorder.pid


# Losses


def test_recording_when_the_consumer_sleeps_says_how_much_was_lost(tracer: EbpfTracer, programs: Programs) -> None:
    recorder = recorder_pid(tracer)
    script = 'kill -STOP $0; i=0; while [ $i -lt 200 ]; do "$1" "$BIG"; i=$((i+1)); done; kill -CONT $0'
    result = record(
        tracer,
        ["/bin/sh", "-c", script, str(recorder), programs.path("nothing")],
        env={**os.environ, "BIG": "x" * 120_000},
    )
    lost = [event for event in result.events if isinstance(event, Lost)]
    assert sum(event.count for event in lost) > 0
    assert "ring buffer" in lost[0].what
    assert not result.tree.complete
    assert "lost" in str(result.tree.incomplete_reason)


def test_recording_after_one_with_losses_is_complete(tracer: EbpfTracer, programs: Programs) -> None:
    recorder = recorder_pid(tracer)
    script = 'kill -STOP $0; i=0; while [ $i -lt 200 ]; do "$1" "$BIG"; i=$((i+1)); done; kill -CONT $0'
    command = ["/bin/sh", "-c", script, str(recorder), programs.path("nothing")]
    record(tracer, command, env={**os.environ, "BIG": "x" * 120_000})
    assert_lawful(record(tracer, [programs.path("vfork-exec")]))


def test_processes_that_come_as_fast_as_the_machine_can_are_all_there(tracer: EbpfTracer, programs: Programs) -> None:
    count = 100_000 if LONG else 20_000
    result = record(tracer, [programs.path("fork-storm"), str(count)])
    assert not [event for event in result.events if isinstance(event, Lost)]
    assert sum(isinstance(event, Create) for event in result.events) == count
    assert sum(isinstance(event, Exit) for event in result.events) == count + 1


# What is seen


def test_directory_when_deep_is_whole_and_when_too_long_is_unknown(
    tracer: EbpfTracer, programs: Programs, tmp_path: Path
) -> None:
    deep = Path(tmp_path, *["d"] * 200)
    deep.mkdir(parents=True)
    result = record(tracer, [programs.path("nothing")], cwd=str(deep))
    assert result.tree.root.cwd == str(deep)
    script = """if True:
        import os, sys
        os.chdir(sys.argv[1])
        for _ in range(20):
            os.mkdir("n" * 250)
            os.chdir("n" * 250)
        os.execv(sys.argv[2], ["nothing"])
    """
    result = record(tracer, [sys.executable, "-c", script, str(tmp_path), programs.path("nothing")])
    before, after = result.of(result.tree.root.pid)
    assert before.cwd is not None
    assert after.cwd is None
    assert after.exe == os.path.realpath(programs.path("nothing"))


def test_root_directory_is_a_path_too(tracer: EbpfTracer, programs: Programs) -> None:
    assert record(tracer, [programs.path("nothing")], cwd="/").tree.root.cwd == "/"


def test_peak_memory_of_an_image_that_ended_by_exec_is_its_own(tracer: EbpfTracer, programs: Programs) -> None:
    script = f"x=$(head -c 30000000 /dev/zero | tr '\\0' x); exec {programs.path('nothing')}"
    result = record(tracer, ["/bin/sh", "-c", script])
    large, small = result.of(result.tree.root.pid)
    assert large.max_rss_bytes is not None
    assert large.max_rss_bytes > 30_000_000
    assert small.max_rss_bytes is None or small.max_rss_bytes < 10_000_000


def test_failed_execs_are_counted_for_the_image_that_made_them(tracer: EbpfTracer, programs: Programs) -> None:
    if not os.access("/sys/kernel/tracing/events/syscalls/sys_exit_execve/id", os.R_OK):
        pytest.skip("tracefs with the tracepoints of system calls can't be read here")
    if b"class_srcu_fast_notrace_t\0" in Path("/sys/kernel/btf/vmlinux").read_bytes():
        pytest.skip("this kernel may interrupt what counts them, so that they are not counted")
    result = record(tracer, [programs.path("failed-exec")])
    assert failed_execs(result.tree, result.facts) == FAILED_EXECS


def test_failed_execs_are_counted_at_the_functions_of_the_system_calls_where_the_kernel_allows_it(
    tracer: EbpfTracer, programs: Programs
) -> None:
    loaded = names_of_programs(recorder_pid(tracer))
    if "on_execve" not in loaded:
        pytest.skip("this kernel takes no programs at the ends of functions, or may interrupt them")
    assert "on_execveat" in loaded
    assert not loaded & {"on_execve_event", "on_execveat_eve", "on_system_call"}
    result = record(tracer, [programs.path("failed-exec")])
    assert failed_execs(result.tree, result.facts) == FAILED_EXECS


def test_daemon_of_the_recording_before_is_not_in_the_next_one(tracer: EbpfTracer, programs: Programs) -> None:
    script = "(while :; do /bin/true; done) & echo $!"
    before = record(tracer, ["/bin/sh", "-c", script])
    daemon = int(before.output)
    try:
        assert before.alive() in (1, 2)
        assert len(record(tracer, ["/bin/sleep", "0.2"]).tree) == 1
    finally:
        os.kill(daemon, signal.SIGKILL)


def test_recorder_in_a_pid_namespace_has_the_pids_of_its_caller(tracer: EbpfTracer) -> None:
    script = """if True:
        from pytest_ptreetime.tracers import Command
        from pytest_ptreetime.tracers.ebpf import EbpfTracer
        import subprocess, tempfile
        from pytest_ptreetime.recording.events import Exec
        tracer = EbpfTracer()
        assert tracer.available() is None, tracer.available()
        with tempfile.TemporaryFile() as output:
            command = Command(["/bin/sh", "-c", "echo $$; /bin/true"], stdout=output, interpose=False)
            events = tracer.record(command).events
            output.seek(0)
            print(output.read().decode().strip(), *(event.pid for event in events if isinstance(event, Exec)))
        tracer.close()
    """
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode != 0:
        pytest.skip("unshare can't make a PID namespace here")
    root = str(NATIVE.parent)
    done = subprocess.run(
        [*unshare, sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr
    said, shell, true = (int(word) for word in done.stdout.split())
    assert said == shell
    assert shell < true < 100


# What is left behind


def kernel_objects(pid: int) -> dict[int, set[int]]:
    """The ids of the BPF programs and maps that a process holds, by the command of bpf(2) that looks one up."""
    found: dict[int, set[int]] = {BPF_PROG_GET_FD_BY_ID: set(), BPF_MAP_GET_FD_BY_ID: set()}
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        for line in info.read_text().splitlines():
            if line.startswith("prog_id:"):
                found[BPF_PROG_GET_FD_BY_ID].add(int(line.split()[1]))
            elif line.startswith("map_id:"):
                found[BPF_MAP_GET_FD_BY_ID].add(int(line.split()[1]))
    return found


def bpf(command: int, attributes: bytes) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(BPF_SYSCALL, command, attributes, len(attributes)))


def names_of_programs(pid: int) -> set[str]:
    """The names of the BPF programs that a process holds, cut at 15 bytes as the kernel does."""
    if BPF_SYSCALL is None or os.geteuid() != 0:
        pytest.skip("only root may look for BPF programs, and only with a known number of bpf(2)")
    names = set()
    for number in kernel_objects(pid)[BPF_PROG_GET_FD_BY_ID]:
        descriptor = bpf(BPF_PROG_GET_FD_BY_ID, struct.pack("=I124x", number))
        info = ctypes.create_string_buffer(80)  # struct bpf_prog_info, up to the name
        assert bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", descriptor, 80, ctypes.addressof(info))) == 0
        os.close(descriptor)
        names.add(info.raw[64:80].rstrip(b"\0").decode())
    return names


def exists(command: int, number: int) -> bool:
    descriptor = bpf(command, struct.pack("=I124x", number))
    if descriptor >= 0:
        os.close(descriptor)
    return descriptor >= 0


def test_nothing_is_left_in_the_kernel_when_the_tracer_is_closed(tracer: EbpfTracer, programs: Programs) -> None:
    if BPF_SYSCALL is None or os.geteuid() != 0:
        pytest.skip("only root may look for BPF programs, and only with a known number of bpf(2)")
    record(tracer, [programs.path("nothing")])
    held = kernel_objects(recorder_pid(tracer))
    assert all(held.values())
    tracer.close()
    deadline = time.monotonic() + 20
    left = [(command, number) for command, numbers in held.items() for number in numbers]
    while left and time.monotonic() < deadline:  # the kernel frees them when it has the time
        left = [one for one in left if exists(*one)]
    assert not left


# Privileges


def kernel_may_interrupt_programs() -> bool:
    btf = Path("/sys/kernel/btf/vmlinux")
    return btf.exists() and b"class_srcu_fast_notrace_t\0" in btf.read_bytes()


without_tracefs = pytest.mark.skipif(
    kernel_may_interrupt_programs(), reason="only trace events show every process here, and need tracefs"
)


@pytest.fixture
def everybodys_recorder() -> Iterator[Path]:
    """A copy of the recorder that every user may run, without capabilities."""
    with copied_recorder() as copy:
        yield copy


@pytest.mark.parametrize("capabilities", [(), (CAP_BPF,), (CAP_PERFMON,)])
def test_recorder_without_its_two_capabilities_says_what_it_needs(
    everybodys_recorder: Path, capabilities: tuple[int, ...]
) -> None:
    if capabilities:
        give_capabilities(everybodys_recorder, *capabilities)
    with recorder(everybodys_recorder, user=NOBODY) as control:
        assert control.recv(4096) == b"unavailable needs root, or CAP_BPF and CAP_PERFMON on the recorder\tcapabilities"


def test_recorder_without_tracefs_where_only_trace_events_show_everything_says_what_it_needs(
    everybodys_recorder: Path,
) -> None:
    if not kernel_may_interrupt_programs():
        pytest.skip("this kernel does not interrupt BPF programs")
    give_capabilities(everybodys_recorder, CAP_BPF, CAP_PERFMON)
    with recorder(everybodys_recorder, user=NOBODY) as control:
        said = control.recv(4096).decode()
        assert said.startswith("unavailable ")
        assert said.endswith("(Permission denied): needs root, and tracefs mounted at /sys/kernel/tracing")


@without_tracefs
def test_recorder_with_file_capabilities_records_processes_of_its_user(
    tracer: EbpfTracer, everybodys_recorder: Path
) -> None:
    give_capabilities(everybodys_recorder, CAP_BPF, CAP_PERFMON)
    with recorder(everybodys_recorder, user=NOBODY) as control, waiting_shell(NOBODY) as shell:
        assert control.recv(4096).startswith(b"hello")
        answer, descriptor = ask_to_record(control, shell.pid)
        assert answer.split()[0] == "ready"
        shell.communicate(b"\n")
        assert control.recv(4096) == b"done"
        events = read(descriptor)
    (executed,) = [event for event in events if isinstance(event, Exec)]
    (ended,) = [event for event in events if isinstance(event, Exit)]
    assert executed.args == [b"/bin/true"]
    assert (ended.pid, ended.status) == (shell.pid, 0)


def looks_at_system_calls(recorder: Path) -> bool:
    """Whether a running recorder of this file has a program at the end of every system call."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "exe").readlink() == recorder:
                return any("sys_exit" in info.read_text() for info in (process / "fdinfo").iterdir())
        except OSError:  # noqa: PERF203 # it may end while we look
            continue
    raise AssertionError(f"{recorder} does not run")


@without_tracefs
@pytest.mark.parametrize("flags", [(), ("-m32",)], ids=["native", "32-bit"])
def test_recorder_without_tracefs_counts_failed_execs_when_told_and_only_while_it_records(
    tracer: EbpfTracer, everybodys_recorder: Path, programs: Programs, flags: tuple[str, ...]
) -> None:
    if b"btf_trace_sys_exit\0" not in Path("/sys/kernel/btf/vmlinux").read_bytes():
        pytest.skip("this kernel has no tracepoint sys_exit")
    if "on_execve" in names_of_programs(recorder_pid(tracer)):
        pytest.skip("this kernel takes programs at the ends of functions, which need no tracefs")
    program = Path(shutil.copy(programs.path("failed-exec", *flags), everybodys_recorder.parent / "failed-exec"))
    give_capabilities(everybodys_recorder, CAP_BPF, CAP_PERFMON)
    for how, expected in (("", [None] * len(FAILED_EXECS)), (" failed-execs", FAILED_EXECS)):
        with recorder(everybodys_recorder, user=NOBODY) as control, waiting_shell(NOBODY, str(program)) as shell:
            assert control.recv(4096).startswith(b"hello")
            answer, descriptor = ask_to_record(control, shell.pid, how=how)
            assert answer.split()[0] == "ready"
            assert looks_at_system_calls(everybodys_recorder) == bool(how)
            output, _ = shell.communicate(b"\n")
            assert control.recv(4096) == b"done"
            assert not looks_at_system_calls(everybodys_recorder)
            tree = Recording(events=read(descriptor)).tree()
        assert failed_execs(tree, json.loads(output)) == expected


@without_tracefs
def test_recorder_with_file_capabilities_refuses_processes_of_others(
    tracer: EbpfTracer, everybodys_recorder: Path
) -> None:
    give_capabilities(everybodys_recorder, CAP_BPF, CAP_PERFMON)
    with recorder(everybodys_recorder, user=NOBODY) as control:
        assert control.recv(4096).startswith(b"hello")
        for _ in range(2):
            answer, descriptor = ask_to_record(control, os.getpid())
            os.close(descriptor)
            assert answer == f"error process {os.getpid()} belongs to somebody else"


def test_recorder_under_sudo_records_processes_of_the_user_who_called_sudo(
    tracer: EbpfTracer, everybodys_recorder: Path
) -> None:
    with (
        recorder(everybodys_recorder, env={"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}) as control,
        waiting_shell(NOBODY) as shell,
    ):
        assert control.recv(4096).startswith(b"hello")
        answer, descriptor = ask_to_record(control, os.getpid())
        os.close(descriptor)
        assert "belongs to somebody else" in answer
        answer, descriptor = ask_to_record(control, shell.pid)
        os.close(descriptor)
        assert answer.split()[0] == "ready"


def test_recorder_ends_when_its_caller_is_gone_and_the_command_lives(
    tracer: EbpfTracer, everybodys_recorder: Path
) -> None:
    with waiting_shell(0) as shell, recorder(everybodys_recorder) as control:
        assert control.recv(4096).startswith(b"hello")
        answer, descriptor = ask_to_record(control, shell.pid)
        os.close(descriptor)
        assert answer.split()[0] == "ready"
        control.close()
        # leaving the block waits for the recorder


# Two tracers of one run


def seen_by_both(args: list[str]) -> tuple[ProcessTree, ProcessTree]:
    """What ebpf and ptrace saw of one and the same run."""
    recorders = [RecorderProcess(mode) for mode in ("ptrace", "ebpf")]
    trees = []
    try:
        with launched(Command(args, interpose=False)) as child:
            child.allow_tracer(recorders[0].pid)
            descriptors = [one.record(child.pid) for one in recorders]
            child.open_gate()
            assert [one.receive(60) for one in recorders] == ["done", "done"]
            assert child.process.wait() == 0
    finally:
        for one in recorders:
            one.close()
    for descriptor in descriptors:
        tree = Recording(events=read(descriptor)).tree()
        assert tree.complete, tree.incomplete_reason
        trees.append(tree)
    return trees[1], trees[0]


def what_it_is(node: ProcessNode) -> tuple[object, ...]:
    above = None if node.parent is None else node.parent.pid
    return (node.pid, above, node.name, node.exe, tuple(node.args or ()), node.cwd, node.exit_code, node.signal)


def test_ebpf_and_ptrace_agree_on_every_process_of_one_compilation(tracer: EbpfTracer, tmp_path: Path) -> None:
    """The cpu of each within 1 ms or 1 %: both look at the same run, so no difference is the machine's."""
    reason = PtraceTracer().available()
    if reason is not None:
        pytest.skip(f"ptrace: {reason}")
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("needs gcc and make")
    for name in "abcdef":
        (tmp_path / f"{name}.c").write_text(f'#include <stdio.h>\nint {name}(void) {{ return puts("{name}"); }}\n')
    makefile = "library.a: a.o b.o c.o d.o e.o f.o\n\tar rcs $@ $^\n\t-false\n%.o: %.c\n\tgcc -O1 -c $< -o $@\n"
    (tmp_path / "Makefile").write_text(makefile)
    by_ebpf, by_ptrace = seen_by_both(["make", "-s", "-j2", "-C", str(tmp_path)])
    assert len(by_ebpf.find(name="cc1")) == 6
    assert sorted(map(what_it_is, by_ebpf), key=repr) == sorted(map(what_it_is, by_ptrace), key=repr)
    for one, other in zip(
        sorted(by_ebpf, key=lambda node: (node.pid, node.start_ns)),
        sorted(by_ptrace, key=lambda node: (node.pid, node.start_ns)),
        strict=True,
    ):
        assert one.cpu is not None
        assert other.cpu is not None
        assert abs(one.cpu - other.cpu) <= max(0.001, 0.01 * other.cpu), (one, other)


# The BPF program


def libbpf_load(path: Path) -> int:
    """What libbpf answers when it loads the object: 0, or a negative errno.

    Without the two programs for which the recorder has to find a place first, and without the three at functions of the
    kernel: the recorder loads them only where the kernel takes such programs.
    """
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError:
        pytest.skip("libbpf.so.1 is missing")
    library.bpf_object__open_file.restype = ctypes.c_void_p
    library.bpf_object__find_program_by_name.restype = ctypes.c_void_p
    opened = library.bpf_object__open_file(os.fsencode(path), None)
    assert opened
    try:
        for name in (b"on_execve", b"on_execveat", b"on_memory_replaced", b"on_memory_left", b"on_connect"):
            program = library.bpf_object__find_program_by_name(ctypes.c_void_p(opened), name)
            library.bpf_program__set_autoload(ctypes.c_void_p(program), ctypes.c_bool(False))
        return int(library.bpf_object__load(ctypes.c_void_p(opened)))
    finally:
        library.bpf_object__close(ctypes.c_void_p(opened))


COMPILERS = {
    "clang": ["clang", "-target", "bpfel"],
    "ziglang": [sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding-none"],
}


@pytest.mark.parametrize("variant", [(), ("-DHAS_CURRENT_TASK_BTF=0",)], ids=["running-kernel", "older-kernels"])
@pytest.mark.parametrize("name", COMPILERS)
def test_program_of_either_compiler_is_accepted_by_the_kernel(
    tracer: EbpfTracer, name: str, variant: tuple[str, ...], tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("this process has to load it, not the recorder: only root may")
    if (shutil.which("clang") if name == "clang" else importlib.util.find_spec("ziglang")) is None:
        pytest.skip(f"{name} is not installed")
    compiled = tmp_path / "ptreetime.bpf.o"
    flags = ["-O2", "-g", "-mcpu=v3", "-Wall", "-Wextra", "-Werror", "-Wno-unused-const-variable", f"-I{NATIVE}"]
    flags += variant
    subprocess.run(
        [*COMPILERS[name], *flags, "-c", NATIVE / "ptreetime.bpf.c", "-o", compiled], check=True, capture_output=True
    )
    assert libbpf_load(compiled) == 0
