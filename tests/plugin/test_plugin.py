"""The plugin as its users meet it: whole pytest runs, over real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_ptreetime.baselines.store import Store
from pytest_ptreetime.recording.recording import Recording

# What the builds of these tests run: a child that computes for about $1 rounds, and so takes time that grows with it.
BURN = "i=0; while [ $i -lt {rounds} ]; do i=$((i+1)); done"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTEST_ADDOPTS", "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def build(pytester: pytest.Pytester) -> Path:
    """A project with a build script of three steps and a performance test of it."""
    script = pytester.path / "build.sh"
    write_build(script)
    pytester.makepyfile(
        test_build="""
        def test_build(ptreetime):
            tree = ptreetime(["sh", "build.sh"])
            assert tree.exit_code == 0
        """
    )
    return script


def write_build(script: Path, *, steps: int = 3, rounds: int = 20_000) -> None:
    lines = [
        f"sh -c '{BURN.format(rounds=rounds if step == 2 else 20_000)}' step{step}" for step in range(1, steps + 1)
    ]
    script.write_text("\n".join(lines) + "\n")


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("--ptreetime-tracer=ptrace", *args)


def test_fixture_when_a_build_runs_returns_its_tree_and_output(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_build(ptreetime):
            tree = ptreetime("echo out; echo err >&2; /bin/sh -c 'exit 0'; cat", shell=True, input="typed")
            assert tree.exit_code == 0
            assert tree.stdout == "out\\ntyped"
            assert tree.stderr == "err\\n"
            assert tree.complete, tree.incomplete_reason
            assert [node.name for node in tree] == ["sh", "sh", "cat"]
            assert tree.find(name="cat")[0].parent is tree.root
            assert tree.find(args=["exit 0"]) == tree.find(where=lambda node: node.depth == 1 and node.name == "sh")
            assert tree.root.wall > 0
            assert tree.rounds == [tree]
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_fixture_when_rounds_are_asked_for_gives_the_round_with_the_median_wall_time(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_build(ptreetime):
            prepared = []
            tree = ptreetime(["sleep", "0.01"], rounds=4, warmup=2, setup=lambda: prepared.append(1))
            assert len(tree.rounds) == 4
            assert len(prepared) == 6
            assert sorted(other.wall for other in tree.rounds)[1] == tree.wall
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_fixture_when_the_build_fails_shows_the_command_its_end_and_its_last_lines(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_build(ptreetime):
            ptreetime(["sh", "-c", "seq 100; echo the linker is unhappy >&2; exit 7"])
        """
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["sh -c 'seq 100;*' ended with exit status 7", "  the linker is unhappy"])
    result.stdout.no_fnmatch_line("*session/rounds.py*")  # no traceback of ours


def test_fixture_when_check_is_false_leaves_a_failing_build_to_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_build(ptreetime):
            assert ptreetime(["sh", "-c", "exit 7"], check=False).exit_code == 7
            assert ptreetime(["sh", "-c", "kill -9 $$"], check=False).root.signal == 9
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_fixture_when_there_is_no_such_program_says_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_build(ptreetime): ptreetime(['no-such-compiler'])")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*can't run no-such-compiler: No such file or directory*"])


def test_fixture_when_the_build_hangs_ends_the_whole_tree_at_its_timeout(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os, pytest
        from pathlib import Path
        from pytest_ptreetime.errors import CommandTimedOut

        def test_build(ptreetime):
            with pytest.raises(CommandTimedOut, match="time-out of 1 s"):
                ptreetime("sleep 1000 & echo $! > child; sleep 1000", shell=True, timeout=1)
            child = int(Path("child").read_text())
            assert not Path(f"/proc/{child}/exe").exists()
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_fixture_when_the_setup_fails_says_that_it_was_the_setup(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_build(ptreetime): ptreetime(['true'], setup=['sh', '-c', 'echo no disk; exit 3'])")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the set-up sh -c 'echo no disk; exit 3' ended with exit status 3", "  no disk"])


def test_baseline_when_the_store_has_none_of_this_test_passes_and_says_how_to_save_one(
    pytester: pytest.Pytester, build: Path
) -> None:
    (pytester.path / ".ptreetime").mkdir()
    result = run(pytester, "-q", "--ptreetime-baseline", "--ptreetime-rounds=1")
    result.assert_outcomes(passed=1)
    text = " ".join(result.stdout.str().split())
    assert (
        "not compared: no baseline of test_build::test_build in .ptreetime/main (save one: pytest "
        "--ptreetime-save-baseline) 1 not compared"
    ) in text
    assert "nothing found" not in text


def test_baseline_when_the_store_is_not_there_fails_before_the_build_and_says_how_to_make_it(
    pytester: pytest.Pytester, build: Path
) -> None:
    build.write_text("touch built\n")
    result = run(pytester, "-q", "--ptreetime-baseline=st", "--ptreetime-baseline-name=release", "--ptreetime-rounds=1")
    result.assert_outcomes(failed=1)
    text = " ".join(result.stdout.str().split())
    assert "there is no store st, so test_build::test_build can't be compared" in text
    assert "pytest --ptreetime-save-baseline=st --ptreetime-baseline-name=release" in text
    assert not (pytester.path / "built").exists()
    both = run(pytester, "--ptreetime-baseline=st", "--ptreetime-save-baseline=st", "--ptreetime-rounds=1")
    both.assert_outcomes(passed=1)
    assert Store(pytester.path / "st").files()


def test_baseline_when_the_build_is_unchanged_passes(pytester: pytest.Pytester, build: Path) -> None:
    result = run(pytester, "--ptreetime-save-baseline", "--ptreetime-rounds=5")
    result.assert_outcomes(passed=1)
    (path,) = Store(pytester.path / ".ptreetime").files()
    result.stdout.fnmatch_lines([f"*baseline saved in *{path.name}"])
    assert [session.rounds for session in Store.read(path).sessions] == [5]
    run(pytester, "--ptreetime-baseline", "--ptreetime-rounds=5").assert_outcomes(passed=1)


def test_baseline_when_a_process_was_added_fails_in_the_call_phase_and_names_it(
    pytester: pytest.Pytester, build: Path
) -> None:
    run(pytester, "--ptreetime-save-baseline", "--ptreetime-rounds=2").assert_outcomes(passed=1)
    write_build(build, steps=4)
    result = run(pytester, "--ptreetime-baseline", "--ptreetime-rounds=2", "--ptreetime-report=html:page.html")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*FAILURES*", "*step4*"])
    failure, summary = result.stdout.str().split("== ptreetime ==")
    assert "step4" in failure
    assert "step4" not in summary
    assert "1 compared: 1 regression" in summary
    assert "Timeline of before, and of now" in (pytester.path / "page.html").read_text()


def test_baseline_when_one_process_takes_much_longer_fails_and_names_that_process(
    pytester: pytest.Pytester, build: Path
) -> None:
    build.write_text(build.read_text().replace("20000", "60000"))
    run(pytester, "--ptreetime-save-baseline", "--ptreetime-rounds=6").assert_outcomes(passed=1)
    write_build(build, rounds=400_000)
    build.write_text(build.read_text().replace("20000;", "60000;"))
    # The slow step keeps its key: its argument, the loop's length, is substituted.
    result = run(pytester, "--ptreetime-baseline", "--ptreetime-rounds=6")
    result.assert_outcomes(failed=1)
    assert "step2" in result.stdout.str()


def test_baseline_when_it_is_corrupt_fails_with_the_file_and_line_and_leaves_it(
    pytester: pytest.Pytester, build: Path
) -> None:
    run(pytester, "--ptreetime-save-baseline", "--ptreetime-rounds=1").assert_outcomes(passed=1)
    (path,) = Store(pytester.path / ".ptreetime").files()
    path.write_bytes(path.read_bytes()[:-40])
    broken = path.read_bytes()
    result = run(pytester, "--ptreetime-baseline", "--ptreetime-save-baseline", "--ptreetime-rounds=1")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*{path.name} is damaged at line 2*"])
    assert path.read_bytes() == broken


def test_flag_with_an_optional_directory_when_a_test_path_follows_leaves_it_to_pytest(
    pytester: pytest.Pytester, build: Path
) -> None:
    result = run(pytester, "--ptreetime-rounds=1", "--ptreetime-save-baseline", "test_build.py")
    result.assert_outcomes(passed=1)
    assert Store(pytester.path / ".ptreetime").files()


def test_test_that_fails_by_itself_does_not_become_a_baseline(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_build(ptreetime):
            assert len(ptreetime(["true"])) == 2
        """
    )
    run(pytester, "--ptreetime-save-baseline").assert_outcomes(failed=1)
    assert Store(pytester.path / ".ptreetime").files() == []


def test_lnt_report_when_asked_for_has_a_sample_a_round(pytester: pytest.Pytester, build: Path) -> None:
    run(
        pytester,
        "--ptreetime-lnt-report=report.json",
        "--ptreetime-machine=builder-1",
        "--ptreetime-run-order=101",
        "--ptreetime-rounds=3",
    ).assert_outcomes(passed=1)
    report = json.loads((pytester.path / "report.json").read_text())
    assert report["Machine"]["Name"] == "builder-1"
    assert report["Run"]["Info"]["run_order"] == "101"
    samples = {test["Name"]: test["Data"] for test in report["Tests"]}
    assert len(samples["compile.test_build::test_build.wall"]) == 3
    assert all(len(data) == 3 for data in samples.values())


def test_report_when_it_cannot_be_written_fails_the_run_and_the_others_are_written(
    pytester: pytest.Pytester, build: Path
) -> None:
    (pytester.path / "file").write_text("")
    result = run(pytester, "--ptreetime-report=json:file/x.json", "--ptreetime-report=json:good.json")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*json report*file/x.json*"])
    json.loads((pytester.path / "good.json").read_text())


def test_record_dir_when_given_keeps_a_loadable_recording_of_every_round(
    pytester: pytest.Pytester, build: Path
) -> None:
    run(pytester, "--ptreetime-record-dir=kept", "--ptreetime-rounds=2").assert_outcomes(passed=1)
    recordings = sorted((pytester.path / "kept").iterdir())
    assert len(recordings) == 2
    for path in recordings:
        assert [node.name for node in Recording.load(path).tree()] == ["sh", "sh", "sh", "sh"]


def test_ini_file_and_marker_when_they_set_rounds_are_followed(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nptreetime_rounds = 3\nptreetime_tracer = ptrace\n")
    pytester.makepyfile(
        """
        import pytest

        def test_ini(ptreetime):
            assert len(ptreetime(["true"]).rounds) == 3

        @pytest.mark.ptreetime(rounds=2)
        def test_marker(ptreetime):
            assert len(ptreetime(["true"]).rounds) == 2
            assert len(ptreetime(["true"], rounds=4).rounds) == 4
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_marker_when_it_has_an_unknown_argument_fails_the_test_in_words(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.ptreetime(round=2)
        def test_marker(ptreetime):
            ptreetime(["true"])
        """
    )
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*has no argument round*"])


def test_flag_when_its_value_is_wrong_is_a_usage_error(pytester: pytest.Pytester, build: Path) -> None:
    result = run(pytester, "--ptreetime-rounds=none")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --ptreetime-rounds: 'none'*whole number*"])


def test_disable_when_given_skips_the_tests_that_measure(pytester: pytest.Pytester, build: Path) -> None:
    result = run(pytester, "--ptreetime-disable", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*--ptreetime-disable*"])


def test_header_when_a_test_measures_names_the_tracer_and_otherwise_nothing(
    pytester: pytest.Pytester, build: Path
) -> None:
    run(pytester).stdout.fnmatch_lines(["ptreetime: tracer ptrace"])
    pytester.makepyfile(test_build="def test_plain(): pass")
    assert "ptreetime: tracer" not in run(pytester).stdout.str()


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--ptreetime-tracer=truss", "there is no tracer 'truss': choose from auto, ebpf, ptrace"),
        ("--ptreetime-report=htlm", "there is no report 'htlm': choose from *html"),
        ("--ptreetime-report=html:", "give a file after the colon"),
        ("--ptreetime-against=HEAD", "no git repository here"),
        ("--ptreetime-lnt-suite=nts", "there is no LNT suite 'nts': choose from compile, ptreetime"),
        ("--ptreetime-run-order=abc", "run order 'abc' is not a number"),
        ("--ptreetime-lnt-submit=lnt.example", "is not the address of an LNT server"),
        ("--ptreetime-baseline-name=relase", "no baseline in .ptreetime called 'relase': choose from main, release"),
    ],
)
def test_name_when_it_does_not_exist_is_a_usage_error_before_any_build(
    pytester: pytest.Pytester, build: Path, argument: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(pytester.path.parent))
    build.write_text("touch built\n")
    for name in ("main", "release"):
        (pytester.path / ".ptreetime" / name).mkdir(parents=True)
    compared = ["--ptreetime-baseline"] if "against" not in argument else []
    result = pytester.runpytest_inprocess(argument, *compared)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{words}*"])
    assert not (pytester.path / "built").exists()


def test_xdist_when_workers_measure_lets_the_controller_store_and_report(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_build(ptreetime, number):
            ptreetime(["sleep", "0.05"])
        """
    )
    run(
        pytester,
        "-n2",
        "--ptreetime-save-baseline",
        "--ptreetime-rounds=2",
        "--ptreetime-record-dir=kept",
        "--ptreetime-report=json:report.json",
    ).assert_outcomes(passed=4)
    assert len(Store(pytester.path / ".ptreetime").files()) == 4
    assert len(json.loads((pytester.path / "report.json").read_text())["measurements"]) == 4
    trees = [Recording.load(path).tree() for path in (pytester.path / "kept").iterdir()]
    times = sorted((tree.root.start_ns or 0, tree.root.exit_ns or 0) for tree in trees)
    assert len(times) == 8
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(times)), "two ran at once"
    both = ("--ptreetime-baseline", "--ptreetime-save-baseline", "--ptreetime-rounds=2")
    run(pytester, "-n2", *both, "--ptreetime-report=html:page.html").assert_outcomes(passed=4)
    assert (pytester.path / "page.html").read_text().count("Timeline of before, and of now") == 4
    stored = [Store.read(path).sessions for path in Store(pytester.path / ".ptreetime").files()]
    assert [[session.rounds for session in sessions] for sessions in stored] == [[2, 2]] * 4


def test_xdist_when_a_name_does_not_exist_is_a_usage_error_of_the_whole_run(
    pytester: pytest.Pytester, build: Path
) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    build.write_text("touch built\n")
    result = run(pytester, "-n1", "--ptreetime-report=htlm")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --ptreetime-report: there is no report 'htlm'*"])
    assert not (pytester.path / "built").exists()


def test_xdist_when_a_worker_can_not_send_what_it_measured_says_so_and_fails(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    pytester.makeconftest(
        """
        import msgspec

        def pytest_sessionfinish(session):
            if hasattr(session.config, "workeroutput"):
                def no_memory(*_, **__):
                    raise MemoryError
                msgspec.msgpack.encode = no_memory
        """
    )
    pytester.makepyfile("def test_build(ptreetime): ptreetime(['true'])")
    result = run(pytester, "-n1", "--ptreetime-save-baseline")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["error: what gw0 measured is neither stored nor reported: there is no memory left*"])
    assert Store(pytester.path / ".ptreetime").files() == []


def test_hooks_when_a_conftest_implements_them_decide(pytester: pytest.Pytester, build: Path) -> None:
    pytester.makeconftest(
        """
        from pytest_ptreetime.recording.events import Exec, Exit

        def pytest_ptreetime_key(node):
            return "everything below" if node.parent else None

        def pytest_ptreetime_lnt_report(report):
            report["Machine"]["Info"]["room"] = "7"

        def pytest_ptreetime_machine_info(info):
            info["rack"] = "12"

        def pytest_ptreetime_compare(measurement, baseline, current, settings):
            print("compared", len(baseline), len(current))

        class Bell:
            name = "bell"
            suffix = ".bell"

            def render(self, session, out):
                out.write(f"{len(session.measurements)} {session.machine_info}".encode())

        def pytest_ptreetime_reports():
            return [Bell()]

        def pytest_ptreetime_tracers():
            from pytest_ptreetime.tracers.ptrace import PtraceTracer

            class Renamed(PtraceTracer):
                pass

            return {"renamed": Renamed}
        """
    )
    run(pytester, "--ptreetime-save-baseline", "--ptreetime-rounds=2").assert_outcomes(passed=1)
    result = pytester.runpytest_subprocess(
        "--ptreetime-tracer=renamed",
        "--ptreetime-baseline",
        "--ptreetime-rounds=2",
        "--ptreetime-lnt-report=lnt.json",
        "--ptreetime-report=bell:bell.txt",
        "-rP",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["compared 1 2"])
    (baseline,) = Store(pytester.path / ".ptreetime").files()
    assert set(Store.read(baseline).sessions[0].columns.keys) > {"everything below"}
    report = json.loads((pytester.path / "lnt.json").read_text())
    assert report["Machine"]["Info"]["room"] == "7"
    assert any("everything below" in test["Name"] for test in report["Tests"])
    assert (pytester.path / "bell.txt").read_text() == "1 {'rack': '12'}"


def test_against_when_a_revision_is_named_runs_both_in_turns_and_leaves_no_worktree(pytester: pytest.Pytester) -> None:
    write_build(pytester.path / "build.sh")
    pytester.makepyfile(
        test_build="""
        import os

        def test_build(ptreetime):
            ptreetime(["sh", "build.sh"], cwd=os.path.dirname(__file__))
        """
    )

    def git(*args: str) -> str:
        names = {f"GIT_{who}_{what}": "x@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(["git", *args], cwd=pytester.path, check=True, env=environment, capture_output=True)
        return done.stdout.decode()

    git("init", "-b", "main")
    git("add", "build.sh", "test_build.py")
    git("commit", "-m", "first")
    write_build(pytester.path / "build.sh", steps=4)
    result = run(pytester, "--ptreetime-against=HEAD", "--ptreetime-rounds=3")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*step4*"])
    assert len(git("worktree", "list").splitlines()) == 1
    refused = run(pytester, "--ptreetime-against=no-such-branch", "--ptreetime-rounds=1")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*no revision no-such-branch*"])


def test_compare_with_when_two_builds_differ_returns_the_comparison(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_builds(ptreetime):
            comparison = ptreetime.compare_with(
                ["sh", "-c", ":; uname; uname"], ["sh", "-c", ":; uname; uname; uname"], rounds=3
            )
            assert comparison.verdict == "regression"
            assert any(finding.kind in ("count", "added") for finding in comparison.findings)
        """
    )
    run(pytester, "--ptreetime-sub-arg=:.*=").assert_outcomes(passed=1)


def test_interrupt_when_pressed_during_a_build_ends_pytest_and_leaves_no_process(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_build(ptreetime): ptreetime(['sh', '-c', 'echo $$ > pid; exec sleep 1000'])")
    program = textwrap.dedent(
        """
        import os, pathlib, signal, subprocess, sys, time
        run = subprocess.Popen([sys.executable, "-m", "pytest", "--ptreetime-tracer=ptrace"], start_new_session=True)
        while not pathlib.Path("pid").exists() or not pathlib.Path("pid").read_text():
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGINT)
        print("status", run.wait(), "alive", pathlib.Path(f"/proc/{pathlib.Path('pid').read_text().strip()}").exists())
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=pytester.path, capture_output=True, text=True, timeout=60
    )
    assert "status 2 alive False" in done.stdout
    assert "KeyboardInterrupt" in done.stdout


def test_plugin_when_no_test_uses_it_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_plain():
            heavy = {"numpy", "scipy", "msgspec", "jinja2", "tabulate", "filelock"}
            heavy.add("pytest_ptreetime.session.measuring_session")
            assert not heavy & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess("-p", "no:hypothesispytest").assert_outcomes(passed=1)


def test_github_job_when_a_test_fails_gets_a_summary_and_an_annotation(
    pytester: pytest.Pytester, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pytester, "--ptreetime-save-baseline", "--ptreetime-rounds=2").assert_outcomes(passed=1)
    write_build(build, steps=4)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    result = run(pytester, "--ptreetime-baseline", "--ptreetime-rounds=2")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["::error file=test_build.py,*step4*"])
    assert "step4" in (pytester.path / "summary.md").read_text()
