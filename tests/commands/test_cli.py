"""The command ``ptreetime``, run as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.tracers import builtin_tracers

SECOND = 1_000_000


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def ptreetime(*args: str, status: int | None = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_ptreetime.cli", *args],
        capture_output=True,
        text=True,
        input=stdin,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "120"},  # xdist says 80
    )
    assert "Traceback" not in done.stderr, done.stderr
    if status is not None:
        assert done.returncode == status, done.stderr
    return done


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    if (reason := builtin_tracers()["ptrace"]().available()) is not None:
        pytest.skip(f"ptrace does not work here: {reason}")
    ptreetime(
        "profile", "--tracer=ptrace", "-o", "build.ptreetime", "--", "sh", "-c", "uname >/dev/null; ls >/dev/null; :"
    )
    return "build.ptreetime"


@pytest.fixture
def original() -> str:
    """A file of swift-llbuild's ptreetime: a shell that runs a compiler for 2 seconds."""

    def user(name: str, at: int, utime: list[int], stime: list[int], **more: object) -> dict[str, object]:
        return {"ts": at, "evt": f"user {name:<9}", "pid": 11, "parent": 10, "utime": utime, "stime": stime, **more}

    events = [
        {"ts": 0, "evt": "START         ", "target": 10},
        {"ts": SECOND, "evt": "proc:::create ", "pid": 11, "parent": 10},
        user("exec", SECOND + 1, [0, 0], [0, 0], args=["/bin/cc", "-c", "a.c"]),
        user("startup", SECOND + 500_000, [0, 1], [0, 2]),
        user("exit", 3 * SECOND - 250_000, [1, 500_000], [0, 250_000]),
        {"ts": 3 * SECOND, "evt": "proc:::exit   ", "pid": 11, "parent": 10, "name": "cc"},
        {"ts": 4 * SECOND, "evt": "proc:::exit   ", "pid": 10, "parent": 1, "name": "sh"},
        {"ts": 4 * SECOND, "evt": "END           "},
    ]
    Path("original.json").write_text(json.dumps({"command": ["make"], "events": events}))
    return "original.json"


def test_profile_when_the_command_ends_passes_its_streams_and_exit_status_on() -> None:
    done = ptreetime(
        "profile",
        "-o",
        "x.ptreetime",
        "--tracer=ptrace",
        "sh",
        "-c",
        "cat; echo err >&2; exit 7",
        status=7,
        stdin="typed",
    )
    assert done.stdout == "typed"
    said = done.stderr.splitlines()
    assert said[0] == "err"
    assert "exit status 7: 2 processes recorded in x.ptreetime; next: analyze, top or report it" in said[1]
    assert len(said) == 2
    tree = Recording.load("x.ptreetime").tree()
    assert [node.name for node in tree] == ["sh", "cat"]
    assert tree.exit_code == 7


def test_profile_when_a_signal_ends_the_command_adds_128_to_its_number() -> None:
    ptreetime(
        "profile", "-o", "x.ptreetime", "--tracer=ptrace", "sh", "-c", "kill -TERM $$", status=128 + signal.SIGTERM
    )


def test_profile_says_where_the_recording_is_and_what_to_do_next_unless_told_to_be_quiet() -> None:
    done = ptreetime("profile", "-o", "a b", "--tracer=ptrace", "true")
    assert done.stdout == ""
    assert done.stderr == "1 process recorded in a b; next: analyze, top or report it\n"
    assert ptreetime("profile", "--quiet", "-o", "a b", "--tracer=ptrace", "true").stderr == ""


def test_profile_when_time_runs_out_ends_with_124_and_keeps_what_was_recorded() -> None:
    done = ptreetime("profile", "-o", "x", "--tracer=ptrace", "--timeout=0.3", "sleep", "1000", status=124)
    assert "time-out of 0.3 s" in done.stderr
    assert "wrote nothing" not in done.stderr
    assert "1 process recorded in x" in done.stderr
    assert Recording.load("x").tree().root.name == "sleep"


def test_profile_names_the_processes_that_outlive_the_build() -> None:
    done = ptreetime(
        "profile", "-o", "x", "--tracer=ptrace", "sh", "-c", "sleep 1 >/dev/null 2>&1 & exec true", status=0
    )
    assert "1 process outlives the build" in done.stderr
    assert "sleep 1" in done.stderr


@pytest.mark.parametrize("words", [["-t", "ebpf", "-o", "r", "true"], ["-o", "r", "-x", "true"], ["--trace=x", "true"]])
def test_profile_when_an_option_is_unknown_names_it(words: list[str]) -> None:
    unknown = next(word for word in words if word.startswith(("-t", "-x", "--trace")))
    said = ptreetime("profile", *words, status=2).stderr
    assert f"unrecognized arguments: {unknown}" in said or f"unknown option {unknown} " in said


@pytest.mark.parametrize(("words", "said"), [(["true"], "-o FILE is missing"), (["-o", "r"], "no command to run")])
def test_profile_when_something_is_missing_says_what(words: list[str], said: str) -> None:
    assert said in ptreetime("profile", *words, status=2).stderr


def test_profile_when_the_directory_is_gone_ends_as_the_command_and_keeps_the_recording(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    inside = (
        f'cd gone && rmdir "$OLDPWD/gone" && exec "{sys.executable}" -m pytest_ptreetime.cli profile --tracer=ptrace'
    )
    script = f'{inside} -o "$0" sh -c "exit 3"'
    for place, kept in ((f"{tmp_path}/r", tmp_path), ("r", tmp_path / "tmp")):
        (tmp_path / "gone").mkdir(exist_ok=True)
        kept.mkdir(exist_ok=True)
        done = subprocess.run(
            ["/bin/sh", "-c", script, place], capture_output=True, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(tmp_path / "tmp")},
        )  # fmt: skip
        assert done.returncode == 3, done.stderr
        assert "Traceback" not in done.stderr
        (recording,) = kept.glob("r*")
        assert Recording.load(recording).tree().exit_code == 3


@pytest.mark.parametrize(
    "words",
    [
        ["baseline", "prune", "--keep", "-1"],
        ["baseline", "power", "--rounds", "x"],
        ["top", "r", "--limit", "0"],
        ["analyze", "r", "--depth", "-2"],
        ["analyze", "r", "--min-time", "nan"],
        ["ab", "--rounds", "0", "a", "b"],
        ["ab", "--warmup", "-1", "a", "b"],
        ["profile", "-o", "r", "--timeout", "inf", "true"],
    ],
)
def test_number_that_an_option_does_not_take_is_named_with_what_it_takes(words: list[str]) -> None:
    option = next(word for word in words if word.startswith("--"))
    said = ptreetime(*words, status=2).stderr
    assert f"argument {option}" in said or f"/{option}" in said
    assert "give a" in said
    assert "parse_" not in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_output_that_the_terminal_can_not_encode_is_replaced(encoding: str) -> None:
    ptreetime("profile", "-o", "r", "--tracer=ptrace", "sh", "-c", "/bin/true ü ✓; :")
    for words in (["analyze", "--show-tree", "r"], ["top", "r"], ["compare", "r", "r"], ["report", "folded", "r"]):
        done = subprocess.run(
            [sys.executable, "-m", "pytest_ptreetime.cli", *words],
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONIOENCODING": encoding},
        )
        assert b"Traceback" not in done.stderr
        assert done.returncode in (0, 3)


def test_profile_when_there_is_no_such_command_writes_nothing() -> None:
    done = ptreetime("profile", "-o", "x.ptreetime", "--tracer=ptrace", "no-such-command", status=127)
    assert "no-such-command" in done.stderr
    assert not Path("x.ptreetime").exists()


def test_profile_when_the_output_cannot_be_written_says_so_in_one_line() -> None:
    done = ptreetime("profile", "-o", "missing/x.ptreetime", "--tracer=ptrace", "true", status=2)
    assert "missing/x.ptreetime" in done.stderr


def test_profile_when_ctrl_c_is_pressed_writes_what_was_recorded() -> None:
    command = [sys.executable, "-m", "pytest_ptreetime.cli", "profile", "--tracer=ptrace", "-o", "x.ptreetime"]
    with subprocess.Popen(
        [*command, "sh", "-c", "echo started; exec sleep 1000"],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    tree = Recording.load("x.ptreetime").tree()
    assert [node.signal for node in tree][-1] == signal.SIGINT


def test_analyze_when_given_a_recording_prints_the_aggregate_table_and_the_tree(recorded: str) -> None:
    shown = ptreetime("analyze", recorded, "--show-tree").stdout
    for words in ("Aggregate Times", "sh @ 0", "uname @ 1", "ls @ 1", "startlag", "└─"):
        assert words in shown


def test_analyze_when_given_a_file_of_the_original_prints_its_numbers(original: str) -> None:
    table = ptreetime("analyze", original).stdout.splitlines()
    header = next(line.split() for line in table if line.split()[:1] == ["name"])
    rows = {" ".join(line.split()[:3]): line.split()[3:] for line in table if " @ " in line}
    assert header == ["name", "wall", "user", "sys", "startlag", "exitlag", "count"]
    assert [float(value) for value in rows["cc @ 1"]] == [2.0, 1.5, 0.25, 0.5, 0.25, 1]
    assert [float(value) for value in (rows["sh @ 0"][0], rows["sh @ 0"][-1])] == [4.0, 1]


def test_analyze_when_a_process_has_no_known_end_leaves_it_out_and_says_so(original: str) -> None:
    data = json.loads(Path(original).read_text())
    data["events"].insert(3, {"ts": 2 * SECOND, "evt": "proc:::create ", "pid": 99, "parent": 10})
    Path(original).write_text(json.dumps(data))
    table = ptreetime("analyze", original).stdout
    assert "? @ 1" not in table
    assert "(1 without a known start or end left out, with what they started)" in table
    assert "cc @ 1" in table


def test_analyze_when_focused_shows_only_what_has_the_name(original: str) -> None:
    table = ptreetime("analyze", "-f", "cc", original).stdout
    assert "cc @ 0" in table
    assert "sh @" not in table
    assert "no process is called ld" in ptreetime("analyze", "-f", "ld", original, status=2).stderr


def test_analyze_when_a_report_is_wanted_writes_one_that_lnt_reads(original: str) -> None:
    ptreetime(
        "analyze", original, "--gen-report", "r.json", "--report-machine", "m", "--report-run-order", "7",
        "--report-sub-arg", r"a\.c=b.c",
    )  # fmt: skip
    report = json.loads(Path("r.json").read_text())
    assert report["Machine"]["Name"] == "m"
    (compiler,) = [test for test in report["Tests"] if "cc" in test["Name"] and test["Name"].endswith(".wall")]
    assert compiler["Data"] == [2.0]
    assert re.fullmatch(r"compile\.cc\(depth=1,args=\[.*'b\.c'.*\]\)\.wall", compiler["Name"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--gen-report", "r"], "--report-machine is required"),
        (["--gen-report", "r", "--report-machine", "m"], "--report-run-order is required"),
        (["--report-machine", "m"], "--report-machine is unused"),
        (["--report-run-order", "1"], "--report-run-order is unused"),
        (["--report-sub-arg", "a=b"], "--report-sub-arg is unused"),
        (["--gen-report", "r", "--report-machine", "m", "--report-run-order", "x"], "'x' is not a number"),
        (
            ["--gen-report", "r", "--report-machine", "m", "--report-run-order", "1", "--report-sub-arg", "(=b"],
            "not a regular expression",
        ),
    ],
)
def test_analyze_when_report_options_do_not_fit_says_which(original: str, options: list[str], words: str) -> None:
    assert words in ptreetime("analyze", original, *options, status=2).stderr
    assert not Path("r").exists()


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"{}", b'{"events": 3}', b"PTREETIME", b"\x89PTREC\r\n\x01"])
def test_analyze_when_the_file_is_no_recording_names_it(content: bytes) -> None:
    Path("odd").write_bytes(content)
    assert "odd" in ptreetime("analyze", "odd", status=2).stderr


@pytest.mark.parametrize("words", [["analyze"], ["top"], ["compare", "r"], ["report", "json"]], ids=lambda one: one[0])
@pytest.mark.parametrize("kind", ["a FIFO", "a directory", "a device"])
def test_what_is_no_file_is_refused_and_nobody_waits(words: list[str], kind: str, recorded: str) -> None:
    Path(recorded).rename("r")
    make: dict[str, Callable[[Path], None]] = {
        "a FIFO": os.mkfifo,
        "a directory": Path.mkdir,
        "a device": lambda path: path.symlink_to("/dev/zero"),
    }
    make[kind](Path("odd"))
    assert f"odd: it is {kind}, not a file" in ptreetime(*words, "odd", status=2).stderr


def test_recording_can_be_read_from_a_pipe_that_was_given(recorded: str) -> None:
    with subprocess.Popen(["cat", recorded], stdout=subprocess.PIPE) as cat:
        done = subprocess.run(
            [sys.executable, "-m", "pytest_ptreetime.cli", "analyze", "/dev/stdin"],
            stdin=cat.stdout,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    assert b"sh @ 0" in done.stdout, done.stderr


def test_top_when_given_a_recording_lists_its_keys(recorded: str) -> None:
    assert "sh/uname" in ptreetime("top", recorded, "--sort", "wall").stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [("json", "uname"), ("chrome-trace", "uname"), ("folded", "uname"), ("markdown", "build"), ("html", "uname")],
)
def test_report_when_made_from_a_recording_is_written_where_told(recorded: str, name: str, words: str) -> None:
    ptreetime("report", name, recorded, "-o", "out")
    assert words in Path("out").read_text()


def test_compare_when_a_process_was_added_exits_with_1_and_names_it(recorded: str) -> None:
    ptreetime(
        "profile", "--tracer=ptrace", "-o", "after.ptreetime", "--",
        "sh", "-c", "uname >/dev/null; ls >/dev/null; id >/dev/null; :",
    )  # fmt: skip
    done = ptreetime("compare", recorded, "after.ptreetime", "--ignore", "sh[[]*", status=1)
    assert "id" in done.stdout


def test_ab_when_one_command_starts_another_process_exits_with_1() -> None:
    done = ptreetime("ab", "--tracer=ptrace", "--rounds=3", "uname; :", "uname; uname; :", status=1)
    assert "uname" in done.stdout


def test_ab_when_a_command_is_compared_with_itself_shows_what_tracing_costs() -> None:
    done = ptreetime("ab", "--aa", "--tracer=ptrace", "--rounds=4", "uname; sleep 0.05", status=None)
    assert done.returncode in (0, 3)
    assert "traced / untraced wall" in done.stdout


def test_baseline_when_nothing_is_stored_says_how_to_store_something() -> None:
    assert "--ptreetime-save-baseline" in ptreetime("baseline", "show", status=2).stderr


def test_lnt_schema_when_printed_describes_our_suite() -> None:
    assert "name: ptreetime" in ptreetime("lnt", "schema").stdout


def test_doctor_when_a_tracer_sees_everything_exits_with_0(recorded: str) -> None:
    shown = ptreetime("doctor").stdout
    for name in builtin_tracers():
        assert name in shown


def test_command_when_called_without_anything_shows_its_help() -> None:
    assert "COMMAND" in ptreetime(status=2).stderr


def test_version_when_asked_for_is_printed() -> None:
    assert ptreetime("--version").stdout.strip()


@pytest.mark.promise("limits")
@pytest.mark.parametrize("megabytes", [40, 60, 100, 150, 200, 260, 300, 340, 400])
def test_compare_when_memory_is_short_says_so_and_never_that_there_is_a_regression(
    recorded: str, megabytes: int
) -> None:
    """OpenBLAS, which numpy and scipy bring, would end the process with status 1, or hang."""
    done = subprocess.run(
        [
            "prlimit",
            f"--as={megabytes << 20}",
            sys.executable,
            "-m",
            "pytest_ptreetime.cli",
            "compare",
            recorded,
            recorded,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=60,
    )
    assert done.returncode == 3 or (done.returncode == 2 and "ulimit -v" in done.stderr), done
    assert "Traceback" not in done.stderr
