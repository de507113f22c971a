"""Start and exit lag: known of every program, right, and nothing of ours in the program that could disturb it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from interposed_runs import compiled
from trap_programs import Programs, Run, record

from pytest_ptreetime.native import helper
from pytest_ptreetime.tracers import Tracer, builtin_tracers

KERNEL_TRACERS = ("ebpf", "ptrace")
TRIES = 5  # on a busy machine a process waits between what it says and what the kernel sees


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@pytest.fixture(scope="module", params=KERNEL_TRACERS)
def tracer(request: pytest.FixtureRequest) -> Iterator[Tracer]:
    made = builtin_tracers()[request.param]()
    reason = made.available()
    if reason is not None:
        pytest.skip(f"{request.param}: {reason}")
    yield made
    made.close()


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


# The library that leaves word in the program's memory (tracer ptrace)


@pytest.fixture(scope="module")
def ptrace() -> Iterator[Tracer]:
    made = builtin_tracers()["ptrace"]()
    reason = made.available()
    if reason is not None:
        pytest.skip(f"ptrace: {reason}")
    yield made
    made.close()


def libraries_of(output: bytes) -> set[str]:
    return {line.split()[0] for line in output.decode().splitlines() if line.strip()}


@pytest.mark.parametrize("flags", [(), ("-m32",)], ids=["native", "32-bit"])
def test_ptrace_knows_the_start_of_dynamic_programs(ptrace: Tracer, programs: Programs, flags: tuple[str, ...]) -> None:
    result = record(ptrace, [programs.path("wait4"), programs.path("nothing", *flags)], interpose=True)
    child = result.one(result.facts["child"])
    assert child.startlag is not None
    assert child.wall is not None
    assert 0 < child.startlag < child.wall


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


@pytest.mark.parametrize("way", ["ldd", "variable", "list"])
def test_lists_of_libraries_do_not_name_ours(ptrace: Tracer, way: str) -> None:
    linker = next(filter(Path.exists, map(Path, ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"))), None)
    if linker is None or shutil.which("ldd") is None:
        pytest.skip("no glibc here")
    args = {
        "ldd": ["ldd", "/bin/sh"],
        "variable": ["env", "LD_TRACE_LOADED_OBJECTS=1", "/bin/sh"],
        "list": [str(linker), "--list", "/bin/sh"],
    }[way]
    untraced = subprocess.run(args, check=True, capture_output=True)
    assert libraries_of(record(ptrace, args, interpose=True).output) == libraries_of(untraced.stdout)


def test_listing_by_a_static_program_does_not_name_ours(ptrace: Tracer, programs: Programs) -> None:
    output = record(ptrace, [programs.path("list-libraries", "-static"), "/bin/sh"], interpose=True).output
    assert b"ptreetime" not in output
    assert b"libc" in output


@pytest.mark.parametrize("way", ["bwrap", "chroot", "other-user"])
def test_linker_says_nothing_where_the_library_can_not_be_opened(
    ptrace: Tracer, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our files are not in there; for another user they lie below a directory that is closed to everybody else."""
    if os.geteuid() != 0:
        pytest.skip("only root can do so")
    native = tmp_path / "closed" / "native"
    shutil.copytree(helper("libptreetime_mailbox.so").parent, native)
    native.parent.chmod(0o700)
    monkeypatch.setattr("pytest_ptreetime.tracers.launch.helper", lambda name: native / name)
    links = [word for name in ("lib", "lib64", "bin") for word in ("--symlink", f"usr/{name}", f"/{name}")]
    args = {
        "bwrap": ["bwrap", "--ro-bind", "/usr", "/usr", *links, "sh", "-c", "cat --version; ls /"],
        "chroot": ["unshare", "-m", "sh", "-c", f"mount --bind /usr {tmp_path}/usr && chroot {tmp_path} cat --version"],
        "other-user": [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "sh",
            "-c",
            "cat --version; ls /",
        ],
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
