"""What a command gets from the process that starts it: the fixture starts it as subprocess.run would."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from working_tracers import working

from pytest_ptreetime.errors import CommandFailed, UsageError
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.rounds import measure
from pytest_ptreetime.session.run import run_once
from pytest_ptreetime.system.inherited import ignored_signals, note_first_signals, waiting_for_children
from pytest_ptreetime.tracers import Tracer, builtin_tracers

pytestmark = pytest.mark.promise("build-does-not-notice")


@pytest.fixture(scope="module", params=["ebpf", "ptrace", "interpose"])
def tracer(request: pytest.FixtureRequest) -> Iterator[Tracer]:
    with working(builtin_tracers()[request.param]()) as found:
        yield found


def both(tracer: Tracer, script: str, **options: Any) -> tuple[bytes, bytes]:
    """What a shell says when subprocess.run starts it, and when the fixture does."""
    untraced = subprocess.run(["/bin/sh", "-c", script], stdout=subprocess.PIPE, check=True, **options).stdout
    build = Build.from_arguments(["/bin/sh", "-c", script], **options)
    return untraced, run_once(build, tracer, capture=True).stdout


DESCRIPTORS = "ls /proc/self/fd | tr '\\n' ' '"


def test_descriptors_are_closed_but_those_that_are_passed(tracer: Tracer) -> None:
    with tempfile.TemporaryFile() as passed, tempfile.TemporaryFile() as inheritable:
        os.set_inheritable(inheritable.fileno(), True)
        with_it = both(tracer, DESCRIPTORS, pass_fds=[passed.fileno()])
        without = both(tracer, DESCRIPTORS)
        numbers = [str(file.fileno()).encode() for file in (passed, inheritable)]
    assert with_it[0] == with_it[1]
    assert without[0] == without[1]
    assert numbers[0] in with_it[1].split()
    assert numbers[1] not in with_it[1].split()


@pytest.mark.parametrize(
    ("options", "script"),
    [
        ({"umask": 0o027}, "umask"),
        ({"start_new_session": True}, '[ "$(ps -o sid= -p $$)" -eq $$ ] && echo leader'),
        pytest.param(
            {"process_group": 0},
            '[ "$(ps -o pgid= -p $$)" -eq $$ ] && echo leader',
            marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="subprocess has it from Python 3.11 on"),
        ),
        ({"stdin": subprocess.DEVNULL}, "readlink /proc/self/fd/0"),
        ({}, "grep SigIgn /proc/self/status"),
        # readline, which pytest imports, puts LINES and COLUMNS where only C sees them
        ({}, "env | sort | grep -v '^LD_PRELOAD\\|^PTREETIME_LOG\\|^LINES=\\|^COLUMNS='"),
    ],
    ids=["umask", "session", "group", "stdin", "signals", "environment"],
)
def test_command_gets_what_subprocess_would_give_it(tracer: Tracer, options: dict[str, Any], script: str) -> None:
    untraced, traced = both(tracer, script, **options)
    assert untraced == traced != b""


def test_command_runs_as_the_user_and_the_groups_that_were_named(tracer: Tracer) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    nobody, daemon = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
    for options in (
        {"user": "nobody", "group": daemon.gr_name, "extra_groups": ["daemon", nobody.pw_gid]},
        {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []},
        {"group": "daemon"},
    ):
        untraced, traced = both(tracer, "id; cat /proc/self/status | grep '[UG]id\\|Groups'", cwd="/", **options)
        assert untraced == traced


def test_user_that_does_not_exist_or_may_not_be_become_is_named() -> None:
    tracer = builtin_tracers()["interpose"]()
    with pytest.raises(UsageError, match="no user 'nosuchuser'"):
        run_once(Build.from_arguments("true", user="nosuchuser"), tracer, capture=True)
    with pytest.raises(UsageError, match="no group 'nosuchgroup'"):
        run_once(Build.from_arguments("true", extra_groups=["nosuchgroup"]), tracer, capture=True)
    if os.geteuid() != 0:
        with pytest.raises(CommandFailed, match="not permitted"):
            run_once(Build.from_arguments("true", user=0), tracer, capture=True)


def test_input_file_is_read_anew_in_every_round(tracer: Tracer, tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_text("skipped\nread\n")
    with file.open("rb") as stdin:
        os.lseek(stdin.fileno(), 8, os.SEEK_SET)
        build = Build.from_arguments("cat", stdin=stdin)
        rounds = measure(build, tracer, rounds=2, warmup=1)
    assert [one.stdout for one in rounds] == [b"read\n"] * 2


def test_input_of_two_kinds_is_refused_as_by_subprocess() -> None:
    with pytest.raises(UsageError, match="stdin and input"):
        Build.from_arguments("cat", stdin=subprocess.DEVNULL, input="text")


@pytest.fixture
def end_of_children_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.mark.usefixtures("end_of_children_ignored")
@pytest.mark.parametrize(
    "thread",
    ["the main thread", pytest.param("another thread", marks=pytest.mark.seconds)],  # where a skip is no skip
)
def test_exit_status_is_right_where_the_end_of_children_is_ignored(tracer: Tracer, thread: str) -> None:
    found: list[int] = []

    def work() -> None:
        for script in ("exit 3", "sleep 0.03; exit 4"):
            build = Build.from_arguments(["/bin/sh", "-c", script], check=False)
            found.append(run_once(build, tracer, capture=True).returncode)

    if thread == "the main thread":
        work()
    else:
        other = threading.Thread(target=work)
        other.start()
        other.join()
    assert found == [3, 4]
    with pytest.raises(CommandFailed, match="exit status 5"):
        measure(Build.from_arguments("true", setup="exit 5"), tracer, rounds=1, warmup=0)


@pytest.mark.usefixtures("end_of_children_ignored")
def test_command_ignores_the_end_of_children_where_its_caller_did(tracer: Tracer) -> None:
    untraced = subprocess.Popen(["grep", "SigIgn", "/proc/self/status"], stdout=subprocess.PIPE)
    assert untraced.stdout is not None
    expected = untraced.stdout.read()
    untraced.stdout.close()
    untraced.wait()
    assert (
        run_once(Build.from_arguments(["grep", "SigIgn", "/proc/self/status"]), tracer, capture=True).stdout == expected
    )
    with waiting_for_children(), waiting_for_children():
        assert signal.SIGCHLD in ignored_signals()


def test_first_signals_are_those_that_the_native_program_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_ptreetime.system import inherited

    monkeypatch.setattr(inherited, "_noted", None)
    assert signal.SIGPIPE not in inherited.first_ignored_signals()
    note_first_signals("1,13")
    assert inherited.first_ignored_signals() == {1, 13}
    note_first_signals("")
    assert inherited.first_ignored_signals() == set()
