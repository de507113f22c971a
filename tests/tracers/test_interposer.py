"""The interposing libraries in real programs: what they write, and that nobody notices them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from interposed_runs import INTERPOSE, SOURCES, STARTUP, Interposed, compiled, compiler, run

from pytest_ptreetime.native import helper
from pytest_ptreetime.recording.events import (
    Create,
    Event,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
    decode_stream,
)
from pytest_ptreetime.tracers.preload import LOADER_OF_32_BIT_PROGRAMS, preload_value

LIBPTREETIME = Path(__file__).parents[2] / "libptreetime"
LIBRARIES = [STARTUP, INTERPOSE]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """Where the programs are: pytest's own directories can't be entered by another user."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "interposer.events"


@pytest.fixture(scope="module")
def exits(directory: Path) -> Path:
    # all symbols resolved at the start: the linker's lazy resolving takes more stack than a handler may have
    return compiled(directory, "interposer_exit", "-Wl,-z,now")


@pytest.fixture(scope="module")
def execs(directory: Path) -> Path:
    return compiled(directory, "interposer_exec")


@pytest.fixture(scope="module")
def guest(directory: Path) -> Path:
    return compiled(directory, "interposer_guest")


@pytest.fixture(scope="module")
def static_guest(directory: Path) -> Path:
    return compiled(directory, "interposer_guest", "-static", name="static_guest")


# Startup and exit


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("way", ["return", "exit", "_exit", "_Exit", "quick_exit"])
def test_exit_is_logged_once_with_its_status_by_every_way_out(exits: Path, log: Path, way: str, library: str) -> None:
    ended = run(log, [exits, way, "7"], library=library)
    assert ended.returncode == 7
    assert ended.started
    assert ended.exits == [7]


@pytest.mark.parametrize(("way", "returncode"), [("err", 7), ("pthread_exit", 0)])
def test_exit_from_inside_the_c_library_is_logged_without_a_status(
    exits: Path, log: Path, way: str, returncode: int
) -> None:
    ended = run(log, [exits, way, "7"])
    assert ended.returncode == returncode
    assert ended.exits == [None]


@pytest.mark.parametrize(("way", "returncode"), [("abort", -6), ("kill", -9)])
def test_exit_is_not_logged_when_a_signal_ends_the_process(exits: Path, log: Path, way: str, returncode: int) -> None:
    ended = run(log, [exits, way])
    assert ended.returncode == returncode
    assert ended.started
    assert ended.exits == []


@pytest.mark.parametrize("way", ["return", "exit", "_exit", "quick_exit", "err"])
def test_handlers_and_output_are_those_of_the_program_alone(exits: Path, log: Path, way: str) -> None:
    alone = subprocess.run([exits, way, "5"], capture_output=True, text=True, check=False)
    ended = run(log, [exits, way, "5"])
    assert (ended.returncode, ended.stdout, ended.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_exit_in_a_signal_handler_on_the_smallest_stack_works(exits: Path, log: Path) -> None:
    ended = run(log, [exits, "small-stack"])
    assert ended.returncode == 9
    assert ended.exits == [9]


@pytest.mark.parametrize("library", LIBRARIES)
def test_exits_of_forked_and_vforked_children_are_their_own(exits: Path, log: Path, library: str) -> None:
    ended = run(log, [exits, "children", "3"], library=library)
    assert ended.exits == [3]
    others = [event for event in ended.events if isinstance(event, UserExit) and event.pid != ended.pid]
    assert sorted(event.status or 0 for event in others) == [4, 5]
    assert {event.parent_pid for event in others} == {ended.pid}


def test_times_are_in_order_and_cpu_only_grows(exits: Path, log: Path) -> None:
    ended = run(log, [exits, "return"])
    (startup,), (end,) = ended.of(UserStartup), ended.of(UserExit)
    assert startup.time_ns < end.time_ns
    assert startup.user_ns + startup.sys_ns <= end.user_ns + end.sys_ns
    assert startup.parent_pid == end.parent_pid == os.getpid()


def test_status_is_cut_to_the_byte_that_the_parent_gets(exits: Path, log: Path) -> None:
    ended = run(log, [exits, "exit", "-1"])
    assert (ended.returncode, ended.exits) == (255, [255])


# Other C libraries, other machines, other guests


def test_musl_program_is_logged_like_any_other(directory: Path, log: Path) -> None:
    program = compiled(directory, "interposer_guest", cc="musl-gcc", name="musl_guest")
    ended = run(log, [program], library=INTERPOSE)
    assert (ended.returncode, ended.stderr) == (0, "")
    (startup,) = ended.of(UserStartup)
    assert (startup.exe, startup.args) == (os.fsencode(program), [os.fsencode(program)])
    assert ended.exits == [0]


@pytest.mark.parametrize("way", ["errno", "close", "clearenv"])
def test_musl_program_notices_nothing(directory: Path, log: Path, way: str) -> None:
    program = compiled(directory, "interposer_guest", cc="musl-gcc", name="musl_guest")
    ended = run(log, [program, way], library=INTERPOSE)
    assert (ended.returncode, ended.stderr, ended.exits) == (0, "", [0])


def test_32_bit_program_is_logged_and_prints_nothing(directory: Path, log: Path) -> None:
    program = compiled(directory, "interposer_guest", "-m32", name="guest_32")
    ended = run(log, [program, "errno"], library=INTERPOSE)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert ended.started
    assert ended.exits == [0]
    assert len([event for event in ended.events if isinstance(event, UserSpawn)]) == 1


def test_static_program_is_not_seen_and_not_disturbed(static_guest: Path, log: Path) -> None:
    ended = run(log, [static_guest])
    assert (ended.returncode, ended.stdout, ended.stderr, ended.events) == (0, "", "", [])


@pytest.mark.parametrize(
    ("cc", "flags"),
    [
        ("gcc", ["-fsanitize=address"]),
        ("gcc", ["-fsanitize=address", "-static-libasan"]),
        ("gcc", ["-fsanitize=undefined"]),
        ("clang", ["-fsanitize=address"]),
        ("clang", ["-fsanitize=address", "-shared-libasan"]),
        ("gcc", ["-fsanitize=thread"]),
    ],
)
def test_sanitized_program_runs_as_it_does_alone(directory: Path, log: Path, cc: str, flags: list[str]) -> None:
    program = compiled(directory, "interposer_guest", *flags, cc=cc, name=f"{cc}{'_'.join(flags).replace('=', '_')}")
    where = subprocess.run(
        [compiler(cc), "-print-file-name=libclang_rt.asan-x86_64.so"], capture_output=True, text=True, check=True
    )
    environment = {"ASAN_OPTIONS": "detect_leaks=0", "LD_LIBRARY_PATH": str(Path(where.stdout).parent)}
    if subprocess.run([program], env=environment, capture_output=True, check=False).returncode != 0:
        pytest.skip(f"a program of {cc} {' '.join(flags)} does not run here even alone")
    ended = run(log, [program], library=INTERPOSE, env=environment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert ended.exits == [0]


@ROOT_ONLY
def test_set_user_id_program_ignores_the_library_silently(guest: Path, tmp_path: Path, log: Path) -> None:
    program = tmp_path / "privileged"
    shutil.copy(guest, program)
    os.chown(program, 65534, 65534)
    program.chmod(0o4755)
    ended = run(log, [program])
    assert (ended.returncode, ended.stdout, ended.stderr, ended.events) == (0, "", "", [])


# What a program may do


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("way", ["errno", "close", "clearenv", "limit-pending"])
def test_guest_stays_unnoticed_and_logs_the_exit(guest: Path, log: Path, way: str, library: str) -> None:
    ended = run(log, [guest, way], library=library)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    if way != "limit-pending":  # its file size limit is zero
        assert ended.exits == [0]


def test_file_size_limit_loses_the_event_and_not_the_program(guest: Path, log: Path) -> None:
    ended = run(log, [guest, "limit"])
    assert ended.returncode == 0
    assert ended.started
    assert ended.exits == []


def test_log_that_is_removed_meanwhile_is_not_made_again(guest: Path, log: Path) -> None:
    ended = run(log, [guest, "unlink", log])
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not log.exists()


@pytest.mark.parametrize("path", ["/nonexistent/log", "/", "", "x" * 2000])
def test_log_that_can_not_be_written_is_no_failure(guest: Path, log: Path, path: str) -> None:
    ended = run(log, [guest], env={"PTREETIME_LOG": path})
    assert (ended.returncode, ended.stdout, ended.stderr, ended.events) == (0, "", "", [])


def test_log_that_is_a_pipe_without_a_reader_does_not_stop_the_program(guest: Path, log: Path) -> None:
    os.mkfifo(log)
    assert run(log, [guest]).returncode == 0


@ROOT_ONLY
def test_log_outside_of_a_new_root_is_left_alone(guest: Path, tmp_path: Path, log: Path) -> None:
    (tmp_path / "jail").mkdir()
    ended = run(log, [guest, "chroot", tmp_path / "jail"])
    if ended.returncode == 77:
        pytest.skip("chroot is not allowed here")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.started
    assert ended.exits == []


@ROOT_ONLY
def test_log_of_another_user_is_left_alone(guest: Path, directory: Path, log: Path) -> None:
    if not all(parent.stat().st_mode & 0o001 for parent in directory.parents):
        pytest.skip("TMPDIR is closed to others")

    def become_nobody() -> None:
        os.setgid(65534)
        os.setuid(65534)

    # the library too lies where everybody can read it, wherever the package is
    library = shutil.copy(helper(STARTUP), directory)
    log.touch(mode=0o600)
    ended = run(log, [guest], preload=str(library), preexec=become_nobody)
    assert (ended.returncode, ended.stdout, ended.stderr, ended.events) == (0, "", "", [])


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8k,nr_inodes=8", "tmpfs", str(mounted)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small tmpfs is not allowed here")
    yield mounted
    subprocess.run(["umount", mounted], check=True)


@ROOT_ONLY
def test_log_on_a_full_disk_is_no_failure(guest: Path, full_disk: Path) -> None:
    log = full_disk / "log"
    log.write_bytes(b"")
    with (full_disk / "rest").open("wb", buffering=0) as rest, pytest.raises(OSError, match="No space"):
        while True:
            rest.write(bytes(4096))
    ended = run(log, [guest, "errno"], library=INTERPOSE)
    assert (ended.returncode, ended.stdout, ended.stderr, ended.events) == (0, "", "", [])


def test_environment_without_a_log_is_no_failure(guest: Path, log: Path) -> None:
    log.write_bytes(b"")
    value = preload_value(helper(STARTUP), None, log.parent)
    done = subprocess.run([guest], env={"LD_PRELOAD": value}, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


# Execs and spawns


def the(events: list[Event], kind: type[UserExec] | type[UserSpawn]) -> UserExec | UserSpawn:
    (only,) = (event for event in events if isinstance(event, kind))
    return only


@pytest.mark.parametrize(
    "way",
    ["execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve", "execveat", "execveat-empty"],
)
@pytest.mark.parametrize("cc", ["cc", "musl-gcc"])
def test_exec_is_logged_with_path_and_arguments_before_it_happens(
    directory: Path, guest: Path, log: Path, way: str, cc: str
) -> None:
    if cc == "musl-gcc" and way.startswith("execveat"):
        pytest.skip("musl 1.2.3 has no execveat")
    if cc == "musl-gcc":
        source = (SOURCES / "interposer_exec.c").read_text()
        (directory / "musl.c").write_text(re.sub(r"execveat\(", "(void)(", source))
        program = directory / "musl_exec"
        subprocess.run([compiler(cc), directory / "musl.c", "-w", "-o", program], check=True)
    else:
        program = compiled(directory, "interposer_exec")
    ended = run(log, [program, way, guest, "its name", "nothing", "\udcff"], library=INTERPOSE)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    call = the(ended.events, UserExec)
    assert (call.pid, call.path) == (ended.pid, os.fsencode(guest))
    assert call.args == [b"its name", b"nothing", b"\xff"]
    first, *second = ended.of(UserStartup)
    assert first.time_ns < call.time_ns
    if way == "execle":  # its environment loads no library
        assert not second
    else:
        assert (second[0].args, second[0].exe) == (call.args, os.fsencode(guest.resolve()))
        assert call.time_ns < second[0].time_ns


def test_execle_gives_the_program_its_own_environment(execs: Path, log: Path) -> None:
    ended = run(log, [execs, "execle", shutil.which("env") or "/usr/bin/env", "env", "-u", "nothing"])
    assert ended.stdout == "OTHER=1\n"


def test_execl_with_hundreds_of_arguments_passes_them_all(execs: Path, log: Path) -> None:
    ended = run(log, [execs, "execl-long", shutil.which("echo") or "/bin/echo", "a", "b"], library=INTERPOSE)
    assert ended.stdout.split() == ["x"] * 299 + ["last"]
    call = the(ended.events, UserExec)
    assert call.args == [b"x"] * 300 + [b"last"]


@pytest.mark.parametrize("way", ["execv", "execlp", "execl-long", "fexecve"])
def test_failing_exec_gives_the_program_its_error(execs: Path, log: Path, way: str) -> None:
    args = [str(execs), way, "/nonexistent/program", "a", "b", "c"]
    alone = subprocess.run(args, capture_output=True, text=True, check=False)
    ended = run(log, args, library=INTERPOSE)
    assert ended.stdout == alone.stdout
    assert ended.exits == [1]


@pytest.mark.parametrize("way", ["posix_spawn", "posix_spawnp"])
def test_spawn_is_logged_with_its_child_and_the_time_before(execs: Path, guest: Path, log: Path, way: str) -> None:
    ended = run(log, [execs, way, guest, "its name", "nothing"], library=INTERPOSE)
    call = the(ended.events, UserSpawn)
    assert isinstance(call, UserSpawn)
    assert ended.stdout == f"error 0 child {call.child_pid}\n"
    assert (call.path, call.args) == (os.fsencode(guest), [b"its name", b"nothing"])
    assert call.child_pid is not None
    (startup,) = ended.of(UserStartup, call.child_pid)
    assert startup.parent_pid == ended.pid
    assert call.time_ns < startup.time_ns


def test_failing_spawn_is_not_logged(execs: Path, log: Path) -> None:
    ended = run(log, [execs, "posix_spawn", "/nonexistent/program", "a"], library=INTERPOSE)
    assert ended.stdout == "error 2 child 0\n"
    assert not [event for event in ended.events if isinstance(event, UserSpawn)]


def test_vfork_child_logs_its_own_exec_calls_and_its_parent_lives_on(execs: Path, guest: Path, log: Path) -> None:
    ended = run(log, [execs, "vfork", guest, "its name", "nothing"], library=INTERPOSE)
    child = int(ended.stdout.split()[-1])
    assert [call.path for call in ended.of(UserExec, child)] == [b"/nonexistent/first", os.fsencode(guest)]
    assert len(ended.of(UserStartup, child)) == len(ended.of(UserExit, child)) == 1
    assert ended.exits == [0]


@pytest.mark.parametrize("way", ["system", "popen"])
def test_shell_of_system_and_popen_is_logged_with_its_command(execs: Path, log: Path, way: str) -> None:
    ended = run(log, [execs, way, "unused", "echo said; exit 3"], library=INTERPOSE)
    assert (ended.returncode, ended.stdout) == (3, "said\n")
    call = the(ended.events, UserSpawn)
    assert isinstance(call, UserSpawn)
    assert (call.path, call.args, call.child_pid) == (b"/bin/sh", [b"sh", b"-c", b"echo said; exit 3"], None)


def test_fork_is_logged_as_the_creation_that_it_is(exits: Path, log: Path) -> None:
    ended = run(log, [exits, "children"], library=INTERPOSE)
    (create,) = (event for event in ended.events if isinstance(event, Create))
    assert create.parent_pid == ended.pid
    (end,) = ended.of(UserExit, create.pid)
    assert create.time_ns < end.time_ns


def test_concurrent_spawns_never_swap_their_arguments(guest: Path, log: Path) -> None:
    ended = run(log, [guest, "threads", "200"], library=INTERPOSE)
    assert ended.returncode == 0
    told = {int(pid): name.encode() for pid, name in (line.split() for line in ended.stdout.splitlines())}
    assert len(told) == 1600
    spawned = {event.child_pid: event.args[0] for event in ended.events if isinstance(event, UserSpawn)}
    started = {
        event.pid: event.args[0]
        for event in ended.events
        if isinstance(event, UserStartup) and event.pid != ended.pid and event.args
    }
    assert spawned == started == told


def test_arguments_up_to_the_kernels_limit_are_kept(execs: Path, guest: Path, log: Path) -> None:
    args = ["nothing", *(letter * 130_000 for letter in "abcdefghijklmno")]  # 1.95 of 2 MiB
    ended = run(log, [execs, "execv", guest, "its name", *args], library=INTERPOSE)
    assert ended.returncode == 0
    call = the(ended.events, UserExec)
    assert call.args == [arg.encode() for arg in ["its name", *args]]
    assert ended.of(UserStartup)[1].args == call.args


# The files themselves


def every_library() -> list[Path]:
    native = helper(STARTUP).parent
    return sorted(path for path in native.rglob("libptreetime*.so") if path.is_file())


@pytest.mark.parametrize("library", every_library(), ids=str)
def test_library_needs_nothing_and_has_two_plain_segments(library: Path) -> None:
    readelf = [compiler("readelf"), "-W"]
    headers = subprocess.run([*readelf, "-ld", library], capture_output=True, text=True, check=True).stdout
    symbols = subprocess.run([*readelf, "--dyn-syms", library], capture_output=True, text=True, check=True).stdout
    assert "(NEEDED)" not in headers
    assert "RELRO" not in headers
    assert "TEXTREL" not in headers
    assert "INITFIRST" in headers
    loads = re.findall(r"LOAD +0x\w+ 0x\w+ 0x\w+ 0x(\w+) 0x(\w+) (...)", headers)
    assert [flags for _, _, flags in loads] == ["R E", "RW "]
    assert int(loads[1][1], 16) <= 4096
    assert re.search(r"GNU_STACK .* RW +0x", headers)
    undefined = re.findall(r"(\w+) +DEFAULT +UND (\w+)", symbols)
    assert {binding for binding, name in undefined if name} <= {"WEAK"}
    assert library.stat().st_size < 32_768


@pytest.mark.parametrize("target", ["aarch64-linux-gnu", "riscv64-linux-gnu", "x86_64-linux-gnu", "i386-linux-gnu"])
def test_library_compiles_and_links_for_every_machine(tmp_path: Path, target: str) -> None:
    compiler("ld.lld")
    others = ("_darwin", "_freebsd", "_illumos", "_unix", "_bsd")
    sources = sorted(path for path in (LIBPTREETIME / "interposer").glob("*.c") if not path.stem.endswith(others))
    output = tmp_path / "library.so"
    command = [
        *[compiler("clang"), f"--target={target}", "-fuse-ld=lld", "-DPTREETIME_INTERPOSE", f"-I{LIBPTREETIME}"],
        *["-Os", "-fPIC", "-ffreestanding", "-fvisibility=hidden", "-fno-stack-protector", "-nostdlib", "-shared"],
        *["-Wall", "-Wextra", "-Werror", "-Wl,-Bsymbolic", "-Wl,-z,norelro", *map(str, sources), "-o", str(output)],
        *(["-mno-outline-atomics"] if target.startswith("aarch64") else []),  # as CMakeLists.txt has it
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "No available targets" in done.stderr or "unable to create target" in done.stderr:
        pytest.skip(f"this clang does not know {target}")
    assert done.returncode == 0, done.stderr
    symbols = subprocess.run([compiler("readelf"), "-W", "--dyn-syms", output], capture_output=True, text=True).stdout
    undefined = re.findall(r"(\w+) +DEFAULT +UND (\w+)", symbols)
    assert {binding for binding, name in undefined if name} <= {"WEAK"}


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_event_building_is_clean_under_the_sanitizers(directory: Path, cc: str) -> None:
    flags = [f"-I{LIBPTREETIME}", f"-I{LIBPTREETIME}/interposer", "-fsanitize=address,undefined"]
    program = compiled(directory, "interposer_event", *flags, "-fno-sanitize-recover=all", cc=cc, name=f"event_{cc}")
    done = subprocess.run([program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    events = [event for frame in decode_stream(done.stdout, "the program") for event in frame]
    large, moment = b"l" * 300_000, (1 << 40, 4194303, 1, 5_000_000_000, 127)
    args = [b"name", b"", b"\xff\xfe", large]
    assert events == [
        Create(1 << 40, 0, 4194303),
        UserStartup(*moment),
        UserExec(*moment, b"", []),
        UserSpawn(*moment, b"", []),
        UserExit(*moment),
        Create(1 << 40, 77, 4194303),
        UserStartup(*moment, b"/bin/program", args, b"/tmp"),
        UserExec(*moment, b"/bin/program", args),
        UserSpawn(*moment, b"/bin/program", args, 77),
        UserExit(*moment, 255),
        UserStartup(*moment, None, [], None),
        UserExec(*moment, b"", [b"a"] * 20),
    ]


# LD_PRELOAD's value


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    native = tmp_path / "native"
    (native / "preload" / "libasan.so").mkdir(parents=True)
    (native / "preload" / "$PLATFORM").mkdir()
    (native / "preload" / "$PLATFORM" / STARTUP).touch()
    (native / STARTUP).touch()
    return native / STARTUP


def test_preload_keeps_the_users_libraries_in_front(installation: Path, tmp_path: Path) -> None:
    value = preload_value(installation, "liba.so:libb.so", tmp_path)
    assert value.startswith("liba.so:libb.so:/")


def test_preload_asks_for_the_platform_only_where_32_bit_programs_can_run(installation: Path, tmp_path: Path) -> None:
    native = installation.parent
    with_loader = preload_value(installation, None, tmp_path, loader_of_32_bit_programs=installation)
    without = preload_value(installation, None, tmp_path, loader_of_32_bit_programs=tmp_path / "missing")
    assert with_loader == f"{native}/preload/libasan.so/../$PLATFORM/{STARTUP}"
    assert without == f"{native}/preload/libasan.so/../../{STARTUP}"
    assert Path(without).samefile(installation)


def test_preload_goes_through_a_link_when_the_path_can_not_be_said(tmp_path: Path) -> None:
    native = tmp_path / "My Programs: $all" / "native"
    native.mkdir(parents=True)
    (native / STARTUP).touch()
    links = tmp_path / "links"
    links.mkdir()
    value = preload_value(native / STARTUP, None, links)
    assert value == f"{links}/native/{STARTUP}"
    assert Path(value).samefile(native / STARTUP)


def test_preload_of_the_users_own_is_loaded_too(guest: Path, directory: Path, log: Path) -> None:
    source = directory / "other.c"
    source.write_text(
        '#include <unistd.h>\n__attribute__((constructor)) static void c(void) { write(1, "other\\n", 6); }\n'
    )
    other = directory / "other.so"
    subprocess.run([compiler("cc"), "-w", "-shared", "-fPIC", source, "-o", other], check=True)
    ended = run(log, [guest], preload=preload_value(helper(STARTUP), str(other), log.parent))
    assert ended.stdout == "other\n"
    assert ended.exits == [0]


def test_startup_comes_before_every_other_constructor(guest: Path, directory: Path, log: Path) -> None:
    source = directory / "early.c"
    source.write_text(
        "#include <unistd.h>\n#include <stdlib.h>\n"
        '__attribute__((constructor)) static void c(void) { _exit(truncate(getenv("PTREETIME_LOG"), 0) ? 1 : 0); }\n'
    )
    early = directory / "early.so"
    subprocess.run([compiler("cc"), "-shared", "-fPIC", source, "-o", early], check=True)
    ended = run(log, [guest], preload=preload_value(helper(STARTUP), str(early), log.parent))
    assert ended.returncode == 0
    assert [type(event) for event in ended.events] == [UserExit]


def assert_quiet(ended: Interposed) -> None:
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert ended.exits == [0]


def test_value_for_this_machine_disturbs_neither_musl_nor_32_bit_programs(directory: Path, log: Path) -> None:
    if not LOADER_OF_32_BIT_PROGRAMS.exists():
        pytest.skip("32-bit programs can't run here")
    for program in (
        compiled(directory, "interposer_guest"),
        compiled(directory, "interposer_guest", cc="musl-gcc", name="musl_guest"),
        compiled(directory, "interposer_guest", "-m32", name="guest_32"),
    ):
        assert_quiet(run(log, [program]))
