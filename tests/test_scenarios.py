"""What is done before a run and undone after it, around real builds by make, ninja and cargo."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_ptreetime.errors import CommandFailed, ScenarioError, UsageError
from pytest_ptreetime.scenarios import Step, clean, edit, touch, warm_cache
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.preparation import Setup
from pytest_ptreetime.session.rounds import measure
from pytest_ptreetime.session.run import Round
from pytest_ptreetime.tracers.ptrace import PtraceTracer

HEADER = "#define VALUE 1\n"
MAKEFILE = """CC = cc
OBJECTS = build/value.o build/machine.o build/other.o
build/calc.a: $(OBJECTS)
\trm -f $@ && ar rcs $@ $^
build/value.o build/machine.o: src/value.h
build/%.o: src/%.c
\t@mkdir -p build && cat src/value.h >> seen
\t$(CC) -c -o $@ $<
"""
NINJA = """rule cc
  command = cc -c -o $out $in
rule ar
  command = rm -f $out && ar rcs $out $in
build value.o: cc ../src/value.c | ../src/value.h
build machine.o: cc ../src/machine.c | ../src/value.h
build other.o: cc ../src/other.c
build calc.a: ar value.o machine.o other.o
"""
TESTS = """
import pytest
from pytest_ptreetime.scenarios import edit

BUILD = {command}

def test_one_file(ptreetime):
    tree = ptreetime(BUILD, setup=edit({edited!r}, append="// {{round}}"))
    assert tree.compiled() == {compiled}

def test_nothing_to_do(ptreetime):
    assert ptreetime(BUILD).ran() == [BUILD[0]]

def test_something_to_do(ptreetime):
    tree = ptreetime(BUILD, setup=edit({edited!r}, append="// {{round}}"))
    assert tree.ran() == [BUILD[0], "a program that is not there"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_sources(tmp_path)
    subprocess.run(["make", "-s"], cwd=tmp_path, check=True)
    return tmp_path


def write_sources(directory: Path) -> None:
    (directory / "src").mkdir()
    (directory / "src/value.h").write_text(HEADER)
    for unit in ("value", "machine", "other"):
        include = "" if unit == "other" else '#include "value.h"\n'
        (directory / f"src/{unit}.c").write_text(f"{include}int {unit}(void) {{ return 1; }}\n")
    (directory / "Makefile").write_text(MAKEFILE)


def rounds_of(directory: Path, setup: Setup, *, rounds: int = 1, args: tuple[str, ...] = ("make", "-s")) -> list[Round]:
    build = Build.from_arguments(args, cwd=directory, setup=setup)
    return measure(build, PtraceTracer(), rounds=rounds, warmup=0)


def once(command: str) -> tuple[str, ...]:
    """A build that does something in its first run alone."""
    return ("sh", "-c", f"[ -e done ] || {{ {command}; }}; : > done")


def is_up_to_date(directory: Path) -> bool:
    return subprocess.run(["make", "-q"], cwd=directory).returncode == 0


def as_it_was(directory: Path) -> bool:
    """Whether the header has its content, and nothing is left beside it."""
    names = sorted(path.name for path in (directory / "src").iterdir())
    return (directory / "src/value.h").read_text() == HEADER and names == ["machine.c", "other.c", "value.c", "value.h"]


def test_edit_gives_each_round_another_content_and_restores_the_file(project: Path) -> None:
    (project / "seen").unlink()
    (project / "src/value.h").chmod(0o640)
    done = rounds_of(project, edit("src/value.h", append="/* {round} */"), rounds=3)
    assert all(one.tree.compiled() == {"src/value.c", "src/machine.c"} for one in done)
    numbers = re.findall(r"^/\* (\d{9}) \*/$", (project / "seen").read_text(), re.MULTILINE)
    assert len(numbers) == 6
    assert len(set(numbers)) == 3
    assert as_it_was(project)
    assert (project / "src/value.h").stat().st_mode & 0o777 == 0o640
    assert is_up_to_date(project)  # it was built once more
    assert not (project / "seen").read_text().endswith("*/\n")


def test_edit_when_told_to_replace_changes_every_place(project: Path) -> None:
    (project / "seen").unlink()
    rounds_of(project, edit("src/value.h", replace=("VALUE 1", "VALUE {round}")))
    assert re.match(r"#define VALUE \d{9}\n", (project / "seen").read_text())
    assert as_it_was(project)


def test_edit_when_the_build_fails_restores_the_file_so_that_make_sees_it(project: Path) -> None:
    with pytest.raises(CommandFailed, match="error: #error number"):
        rounds_of(project, edit("src/value.h", append="#error number {round}"))
    assert as_it_was(project)
    assert not is_up_to_date(project)


def test_edit_when_the_build_is_killed_restores_the_file(project: Path) -> None:
    with pytest.raises(CommandFailed, match="killed by signal 9"):
        rounds_of(project, edit("src/value.h", append="// {round}"), args=("sh", "-c", "make -s; kill -9 $$"))
    assert as_it_was(project)
    assert not is_up_to_date(project)  # what was built came from the changed file


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_edit_when_pytest_is_ended_restores_the_file_now_or_before_the_next_run(
    project: Path, how: signal.Signals
) -> None:
    (project / "test_build.py").write_text(
        "from pytest_ptreetime.scenarios import edit\n"
        "def test_build(ptreetime):\n"
        "    setup = edit('src/value.h', append='// {round}')\n"
        "    ptreetime(['sh', '-c', 'echo > running; exec sleep 1000'], setup=setup)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "--ptreetime-tracer=ptrace", "-p", "no:cacheprovider"]
    run = subprocess.Popen(command, cwd=project, start_new_session=True, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (project / "running").exists() and run.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    assert (project / "src/value.h").read_text() != HEADER
    if how == signal.SIGTERM:
        run.terminate()  # as CI cancels a job, and timeout(1): the build is not told
    else:
        os.killpg(run.pid, how)
    run.wait(60)
    if how == signal.SIGKILL:
        assert (project / "src/value.h").read_text() != HEADER
        rounds_of(project, edit("src/value.h", append="// {round}"))
    assert as_it_was(project)


def test_edit_when_a_killed_run_left_a_file_that_was_written_to_since_says_so(project: Path) -> None:
    (project / "src/value.h.ptreetime-original-0123456789abcdef").write_text(HEADER)
    with pytest.raises(ScenarioError, match=r"left by a run that was killed, .* move the original back, or remove it"):
        rounds_of(project, edit("src/value.h", append="// {round}"))


def test_edit_when_the_build_writes_to_the_file_restores_it_and_keeps_what_was_written(project: Path) -> None:
    rounds_of(project, edit("src/value.h", append="// {round}"), args=once("echo mine > src/value.h"))
    assert (project / "src/value.h").read_text() == HEADER
    assert (project / "src/value.h.ptreetime-changed").read_text() == "mine\n"


def test_edit_when_the_build_removes_what_it_does_not_know_restores_the_file(project: Path) -> None:
    rounds_of(project, edit("src/value.h", append="// {round}"), args=once("rm -r src/value.h*"))
    assert (project / "src/value.h").read_text() == HEADER


def test_edit_of_a_file_with_another_name_changes_no_other_file(project: Path, tmp_path: Path) -> None:
    os.link(project / "src/value.h", tmp_path / "linked")
    (project / "link.h").symlink_to("src/value.h")
    rounds_of(
        project, edit("link.h", append="// {round}"), args=("sh", "-c", "cat linked > seen; cat src/value.h >> now")
    )
    assert (project / "seen").read_text() == HEADER
    assert re.search(r"// \d+", (project / "now").read_text())
    assert (project / "link.h").is_symlink()
    assert (project / "src/value.h").samefile(tmp_path / "linked")


def test_two_edits_of_one_file_are_undone_in_the_opposite_order(project: Path) -> None:
    steps = [edit("src/value.h", append="// first {round}"), edit("src/value.h", append="// second {round}")]
    rounds_of(project, steps, args=once("cp src/value.h now"))
    assert re.search(r"// first \d+\n// second \d+\n$", (project / "now").read_text())
    assert as_it_was(project)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (edit("src/nothing.h", append="{round}"), "there is no file src/nothing.h in "),
        (edit("src/value.h", replace=("other", "{round}")), "has no 'other' to replace"),
        (touch("src/nothing.h"), "there is no file src/nothing.h in "),
        (clean("../*"), "in which the build runs"),
        (clean("."), "in which the build runs"),
        (clean("src/.."), "in which the build runs"),
        (clean("/"), "in which the build runs"),
    ],
)
def test_step_that_can_not_be_done_says_why_and_changes_nothing(project: Path, step: Step, says: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(says)):
        rounds_of(project, step)
    assert as_it_was(project)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: edit("a"),
        lambda: edit("a", append="{round}", replace=("a", "{round}")),
        lambda: edit("a", append="always the same"),
        lambda: edit("a", replace=("", "{round}")),
        lambda: edit("a", replace="ab"),  # type: ignore[arg-type]
        touch,
        clean,
        lambda: Build.from_arguments(["make"], setup=3),
        lambda: Build.from_arguments(["make"], setup=[touch("a"), 3]),
    ],
)
def test_step_that_can_not_be_meant_is_refused_at_once(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(UsageError):
        wrong()


def test_touch_makes_a_file_new_and_gives_it_its_time_back(project: Path) -> None:
    before = (project / "src/other.c").stat().st_mtime_ns
    (one,) = rounds_of(project, touch("src/other.c"))
    assert one.tree.compiled() == {"src/other.c"}
    assert (project / "src/other.c").stat().st_mtime_ns == before
    assert is_up_to_date(project)


def test_clean_removes_what_matches_before_each_run(project: Path) -> None:
    shutil.copytree(project / "src", project / "more/src")
    (project / "link").symlink_to("src")
    done = rounds_of(project, clean("build", "more/*", "link", "not there"), rounds=2)
    assert all(one.tree.compiled() == {"src/value.c", "src/machine.c", "src/other.c"} for one in done)
    assert not (project / "more/src").exists()
    assert not (project / "link").exists()
    assert as_it_was(project)


def test_warm_cache_runs_the_build_once_before_all_rounds(project: Path) -> None:
    shutil.rmtree(project / "build")
    done = rounds_of(project, warm_cache(), rounds=2)
    assert [one.tree.ran() for one in done] == [["make"], ["make"]]


def test_steps_of_a_list_are_done_in_their_order_and_may_be_commands_and_functions(project: Path) -> None:
    called: list[str] = []
    steps: Setup = [
        "echo shell > said",
        ["sh", "-c", "echo words >> said"],
        lambda: called.append((project / "said").read_text()),
        edit("src/value.h", append="// {round}"),
        "cat src/value.h >> said",
    ]
    rounds_of(project, steps)
    assert called == ["shell\nwords\n"]
    assert re.fullmatch(r"shell\nwords\n#define VALUE 1\n// \d{9}\n", (project / "said").read_text())


@pytest.mark.parametrize("tool", ["make", "ninja", "cargo"])
def test_scenarios_with_a_real_build_tool(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir  # pytester has another, where rustup finds nothing
    for name in ("CARGO_HOME", "RUSTUP_HOME"):
        monkeypatch.setenv(name, os.environ.get(name, f"{home}/.{name.split('_')[0].lower()}"))
    if shutil.which(tool) is None or subprocess.run([tool, "--version"], capture_output=True).returncode != 0:
        pytest.skip(f"no {tool}")
    command, edited, compiled = ["make"], "src/value.h", {"src/value.c", "src/machine.c"}
    if tool == "cargo":
        command, edited, compiled = ["cargo", "build", "--offline", "-q"], "app/src/main.rs", {"app/src/main.rs"}
        for crate, text in (
            ("app", 'fn main() { println!("{}", lib::value()); }'),
            ("lib", "pub fn value() -> u8 { 1 }"),
        ):
            source = pytester.path / crate / "src" / ("main.rs" if crate == "app" else "lib.rs")
            source.parent.mkdir(parents=True)
            source.write_text(text)
            needs = '[dependencies]\nlib = { path = "../lib" }\n' if crate == "app" else ""
            manifest = f'[package]\nname = "{crate}"\nversion = "0.1.0"\nedition = "2021"\n{needs}'
            (source.parent.parent / "Cargo.toml").write_text(manifest)
        (pytester.path / "Cargo.toml").write_text('[workspace]\nresolver = "2"\nmembers = ["app", "lib"]\n')
    else:
        write_sources(pytester.path)
    if tool == "ninja":
        command = ["ninja", "-C", "build"]
        (pytester.path / "build").mkdir()
        (pytester.path / "build/build.ninja").write_text(NINJA)
    pytester.makepyfile(TESTS.format(command=command, edited=edited, compiled=compiled))
    subprocess.run(command, cwd=pytester.path, check=True)
    result = pytester.runpytest_subprocess("--ptreetime-tracer=ptrace", "-rA")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*what ran == what must run*",
            f"*ran, and must not:*{'rustc app bin' if tool == 'cargo' else 'cc1'} {edited.replace('.h', '.c')}*",
            "*must run, and did not: a program that is not there*",
        ]
    )
