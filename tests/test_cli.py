"""The command ``ptreetime``, run as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
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
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "120"},  # xdist says 80
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
    assert (done.stdout, done.stderr) == ("typed", "err\n")
    tree = Recording.load("x.ptreetime").tree()
    assert [node.name for node in tree] == ["sh", "cat"]
    assert tree.exit_code == 7


def test_profile_when_a_signal_ends_the_command_adds_128_to_its_number() -> None:
    ptreetime(
        "profile", "-o", "x.ptreetime", "--tracer=ptrace", "sh", "-c", "kill -TERM $$", status=128 + signal.SIGTERM
    )


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
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
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
    assert "b.c" in compiler["Name"]


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
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        timeout=60,
    )
    assert done.returncode == 3 or (done.returncode == 2 and "ulimit -v" in done.stderr), done
    assert "Traceback" not in done.stderr
