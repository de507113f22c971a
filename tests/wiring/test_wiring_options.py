"""Each option of pytest does what it says, wherever it is given; each test fails where its option is ignored."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from scripted_project import CHANGED, FEWER, MORE, PLAN, TEST, Project, places, words_of
from scripted_tracer import ScriptedTracer

from pytest_ptreetime.baselines.store import Store
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.session import measuring_session
from pytest_ptreetime.system.host import host_facts

pytest_plugins = ["scripted_project"]

COMPARED = ("--ptreetime-baseline", "--ptreetime-rounds=3", "--ptreetime-warmup=0")
OTHER_MACHINE = msgspec.structs.replace(host_facts(), cpu_model="Example CPU 3000")


def report_of(project: Project, name: str = "r.json") -> dict[str, Any]:
    report: dict[str, Any] = json.loads((project.path / name).read_text())
    return report


@places("baseline")
def test_baseline(project: Project, place: str) -> None:
    project.store()
    project.plan(MORE)
    project.run("--ptreetime-rounds=3").assert_outcomes(passed=1)
    result = project.run("--ptreetime-rounds=3", given=(place, "baseline", ".ptreetime"))
    result.assert_outcomes(failed=1)
    assert "uname" in words_of(result)


@places("save-baseline")
def test_save_baseline(project: Project, place: str) -> None:
    (project.path / "perf").mkdir()
    result = project.run("-q", "..", given=(place, "save-baseline", "st"), directory="perf")
    result.assert_outcomes(passed=1)
    assert "1 measured baseline saved in" in words_of(result)
    assert "nothing found" not in words_of(result)
    (path,) = Store(project.path / "st").files()
    assert [session.rounds for session in Store.read(path).sessions] == [5]


@places("baseline")
def test_store_when_pytest_was_started_below_the_rootdir_is_the_same(project: Project, place: str) -> None:
    project.store()
    project.plan(MORE)
    (project.path / "perf").mkdir()
    result = project.run("--ptreetime-rounds=3", "..", given=(place, "baseline", ".ptreetime"), directory="perf")
    result.assert_outcomes(failed=1)
    assert "uname" in words_of(result)


@places("baseline-name")
def test_baseline_name(project: Project, place: str) -> None:
    project.store()
    project.store(MORE, name="release")
    project.plan(MORE)
    project.run(*COMPARED).assert_outcomes(failed=1)
    project.run(*COMPARED, given=(place, "baseline-name", "release")).assert_outcomes(passed=1)
    saved = project.run("--ptreetime-save-baseline", given=(place, "baseline-name", "next"))
    saved.assert_outcomes(passed=1)
    assert len(project.stored("next")) == 1


@places("allow-other-machine")
def test_allow_other_machine(project: Project, place: str) -> None:
    project.store(host=OTHER_MACHINE)
    project.plan(CHANGED)
    counted = project.run("-q", *COMPARED)
    counted.assert_outcomes(passed=1)
    assert "times not compared, only counts" in words_of(counted)
    assert "cpu model Example CPU 3000 there" in words_of(counted)
    assert "--ptreetime-against" in words_of(counted)
    project.run(*COMPARED, "--ptreetime-fail-on=inconclusive").assert_outcomes(failed=1)
    insisted = project.run(*COMPARED, given=(place, "allow-other-machine", "true"))
    insisted.assert_outcomes(failed=1)
    assert "cc1 b.c" in words_of(insisted)


def test_other_machine_when_more_was_read_fails_where_that_is_compared(project: Project) -> None:
    project.store(host=OTHER_MACHINE)
    project.plan(CHANGED)
    result = project.run(*COMPARED, "--ptreetime-metrics=cpu,read_bytes")
    result.assert_outcomes(failed=1)
    assert "cc1 b.c: read_bytes +50.0 %" in words_of(result)
    assert "cpu +" not in words_of(result)


def test_other_machine_when_a_process_was_added_fails_all_the_same(project: Project) -> None:
    project.store(host=OTHER_MACHINE)
    project.plan(MORE)
    result = project.run(*COMPARED)
    result.assert_outcomes(failed=1)
    assert "uname" in words_of(result)
    assert "times not compared" in words_of(result)


def test_kernel_when_it_is_another_one_is_a_note(project: Project) -> None:
    project.store(host=msgspec.structs.replace(host_facts(), kernel="Linux 5.10.0"))
    project.plan(CHANGED)
    result = project.run(*COMPARED)
    result.assert_outcomes(failed=1)
    assert "the kernel was Linux 5.10.0, and is" in words_of(result)
    assert "another machine" not in words_of(result)


IN_ITS_DIRECTORY = 'ptreetime(["build"], cwd=str(pytest.__file__ and __import__("pathlib").Path(__file__).parent))'


def committed(project: Project) -> None:
    """The project's plan and test, on the branch main of a new repository."""
    project.run(body=IN_ITS_DIRECTORY)
    names = [f"{who}.{what}=x@example.com" for who in ("user",) for what in ("name", "email")]
    git = ["git", "-C", str(project.path), *(word for name in names for word in ("-c", name))]
    for command in (["init", "-q", "-b", "main"], ["add", "plan", "test_build.py"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)


@places("against")
def test_against(project: Project, place: str) -> None:
    committed(project)
    project.plan(MORE)
    result = project.run("--ptreetime-rounds=3", body=IN_ITS_DIRECTORY, given=(place, "against", "main"))
    result.assert_outcomes(failed=1)
    assert "uname" in words_of(result)


@places("rounds")
def test_rounds(project: Project, place: str) -> None:
    project.run(given=(place, "rounds", "3")).assert_outcomes(passed=1)
    assert len(project.runs) == 3


@places("rounds")
def test_rounds_auto(project: Project, place: str) -> None:
    project.store()
    result = project.run("--ptreetime-baseline", "--ptreetime-warmup=0", given=(place, "rounds", "auto"))
    result.assert_outcomes(passed=1)
    assert len(project.runs) == 3  # as few as can decide: the five of the default would be more than are needed


@places("budget")
def test_budget(project: Project, place: str) -> None:
    project.store()
    flags = ("--ptreetime-baseline", "--ptreetime-rounds=auto", "--ptreetime-warmup=0")
    project.run(*flags, given=(place, "budget", "0.000001"))
    assert len(project.runs) == 1


def notes_of(project: Project) -> str:
    return " ".join(report_of(project)["measurements"][0]["comparison"]["notes"])


@places("confirm")
def test_confirm(project: Project, place: str) -> None:
    """The scripted build's command does not exist: that is why its suspects can't be captured."""
    committed(project)
    project.plan(CHANGED)
    flags = ("--ptreetime-against=main", "--ptreetime-rounds=3", "--ptreetime-report=json:r.json")
    project.run(*flags, body=IN_ITS_DIRECTORY).assert_outcomes(failed=1)
    assert "confirmed" not in notes_of(project)
    project.run(*flags, body=IN_ITS_DIRECTORY, given=(place, "confirm", "true")).assert_outcomes(failed=1)
    assert "nothing could be confirmed: can't run build" in notes_of(project)


@places("confirm")
def test_confirm_when_the_baseline_is_a_stored_one(project: Project, place: str) -> None:
    project.store()
    project.plan(CHANGED)
    project.run(*COMPARED, "--ptreetime-report=json:r.json", given=(place, "confirm", "true"))
    assert "nothing could be confirmed: the baseline was saved outside of a repository" in notes_of(project)


@places("warmup")
def test_warmup(project: Project, place: str) -> None:
    project.run("--ptreetime-rounds=1", given=(place, "warmup", "3")).assert_outcomes(passed=1)
    assert len(project.runs) == 4


@places("timeout")
def test_timeout(project: Project, place: str) -> None:
    project.run(given=(place, "timeout", "12.5")).assert_outcomes(passed=1)
    assert [run["timeout"] for run in project.runs] == [12.5]


@places("tracer")
def test_tracer(project: Project, place: str) -> None:
    project.run(given=(place, "tracer", "other"), tracer=None).assert_outcomes(passed=1)
    assert [run["tracer"] for run in project.runs] == ["other"]


@places("interpose")
def test_interpose(project: Project, place: str) -> None:
    project.run().assert_outcomes(passed=1)
    project.run(given=(place, "interpose", "false")).assert_outcomes(passed=1)
    project.run(given=(place, "interpose", "log")).assert_outcomes(passed=1)
    assert [run["interpose"] for run in project.runs] == [True, False, "log"]


@places("no-aslr")
def test_no_aslr(project: Project, place: str) -> None:
    project.run().assert_outcomes(passed=1)
    project.run(given=(place, "no-aslr", "true")).assert_outcomes(passed=1)
    assert [run["no_aslr"] for run in project.runs] == [False, True]


@places("sudo")
def test_sudo(project: Project, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def tracers(*, sudo: bool) -> dict[str, Callable[[], ScriptedTracer]]:
        return {"ebpf": lambda: ScriptedTracer(project.path / "runs.jsonl", f"ebpf, sudo {sudo}")}

    monkeypatch.setattr(measuring_session, "builtin_tracers", tracers)
    project.run(tracer="ebpf").assert_outcomes(passed=1)
    project.run(given=(place, "sudo", "true"), tracer="ebpf").assert_outcomes(passed=1)
    assert [run["tracer"] for run in project.runs] == ["ebpf, sudo False", "ebpf, sudo True"]


@places("min-effect")
@pytest.mark.parametrize("pattern", ["", "*b.c*@"])
def test_min_effect(project: Project, place: str, pattern: str) -> None:
    project.store()
    project.plan(CHANGED)
    project.run(*COMPARED).assert_outcomes(failed=1)
    effects = " ".join(f"{metric}=80" for metric in ("cpu", "wall", "user", "sys"))
    ini: dict[str, str] = {}
    if not pattern:
        result = project.run(*COMPARED, ini=ini, given=(place, "min-effect", effects))
    else:
        one_a_line = "\n  ".join(pattern + effect for effect in effects.split())
        if place == "flag":
            result = project.run(*COMPARED, *(f"--ptreetime-min-effect={pattern}{one}" for one in effects.split()))
        elif place == "ini":
            result = project.run(*COMPARED, ini={"ptreetime_min_effect": one_a_line})
        else:
            asked = {pattern + one.partition("=")[0]: 80 for one in effects.split()}
            result = project.run(*COMPARED, marker={"min_effect": asked})
    result.assert_outcomes(passed=1)


@places("metrics")
def test_metrics(project: Project, place: str) -> None:
    project.store()
    project.plan(CHANGED)
    project.run(*COMPARED).assert_outcomes(failed=1)
    project.run(*COMPARED, given=(place, "metrics", "max_rss, startlag")).assert_outcomes(passed=1)
    project.run(*COMPARED, given=(place, "metrics", "max_rss cpu")).assert_outcomes(failed=1)


@places("ignore")
def test_ignore(project: Project, place: str) -> None:
    project.store()
    project.plan(CHANGED)
    project.run(*COMPARED).assert_outcomes(failed=1)
    project.run(*COMPARED, given=(place, "ignore", "*b.c*")).assert_outcomes(passed=1)


FAILING = {
    "never": set[str](),
    "regression": {"regression"},
    "no-baseline": {"regression", "no-baseline"},
    "inconclusive": {"regression", "no-baseline", "inconclusive"},
    "structure": {"regression", "structure"},
}


def failing(project: Project, given: tuple[str, str, str]) -> set[str]:
    """Which outcomes fail a test."""

    def status(*plan: Any) -> int:
        project.plan(*plan)
        result = project.run(*COMPARED, given=given)
        assert result.ret in (0, 1)
        return int(result.ret)

    (project.path / ".ptreetime").mkdir()
    found = {"no-baseline": status(PLAN)}
    project.store()
    found["regression"] = status(CHANGED)
    found["inconclusive"] = status(PLAN, "(lost)")
    found["structure"] = status(FEWER)
    return {name for name, ended in found.items() if ended}


@pytest.mark.parametrize("level", FAILING)
def test_fail_on(project: Project, level: str) -> None:
    assert failing(project, ("flag", "fail-on", level)) == FAILING[level]


@pytest.mark.parametrize("place", ["ini", "marker"])
def test_fail_on_elsewhere(project: Project, place: str) -> None:
    assert failing(project, (place, "fail-on", "structure,no-baseline")) == {"regression", "structure", "no-baseline"}


@places("sub-arg")
def test_sub_arg(project: Project, place: str) -> None:
    project.plan({"step build-4711": 0.1})
    kept = "--ptreetime-report=json:r.json"
    project.run("--ptreetime-save-baseline", kept, given=(place, "sub-arg", "build-[0-9]+=NUMBER"))
    (session,) = project.stored()
    for keys in (session.columns.keys, [node["key"] for node in report_of(project)["measurements"][0]["nodes"]]):
        assert any("NUMBER" in key for key in keys)
        assert not any("4711" in key for key in keys)


@places("redact")
def test_redact(project: Project, place: str) -> None:
    project.plan({"step corp-internal": 0.1})
    kept = ("--ptreetime-save-baseline", "--ptreetime-report=json:r.json", "--ptreetime-record-dir=kept")
    project.run(*kept, given=(place, "redact", "corp-[a-z]+"), body='ptreetime(["build", "corp-secret"])')
    written = [(project.path / "r.json").read_text(), *(path.read_text() for path in Store(".ptreetime").files())]
    for path in (project.path / "kept").iterdir():
        recording = Recording.load(path)
        written += [repr(recording.events), repr(recording.command)]
    assert len(written) == 12  # two of each round
    assert all("***" in text and "corp" not in text for text in written)


@places("report")
def test_report(project: Project, place: str) -> None:
    result = project.run(given=(place, "report", "json:out/r.json"))
    assert report_of(project, "out/r.json")["measurements"][0]["test"] == TEST
    assert "json report written to out/r.json" in words_of(result)
    both = project.run(given=(place, "report", "json, folded terminal"))
    assert (project.path / "ptreetime-report.json").exists()
    assert (project.path / "ptreetime-report.folded").exists()
    assert "compared with" not in words_of(both)


@places("lnt-report")
def test_lnt_report(project: Project, place: str) -> None:
    project.run(given=(place, "lnt-report", "lnt.json"))
    (build,) = [test for test in report_of(project, "lnt.json")["Tests"] if test["Name"].endswith("test_build.wall")]
    assert len(build["Data"]) == 5


@places("lnt-suite")
def test_lnt_suite(project: Project, place: str) -> None:
    project.run("--ptreetime-lnt-report=lnt.json", given=(place, "lnt-suite", "ptreetime"))
    report = report_of(project, "lnt.json")
    assert "tests" in report
    assert "Tests" not in report


class Answering(BaseHTTPRequestHandler):
    """Answers with the statuses of the server one after the other, the last one again and again."""

    statuses: list[int]
    asked: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"busy" if status == 503 else b'{"error": "read, and thrown away"}')

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server_answering(*statuses: int) -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths that it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (Answering,), {"statuses": list(statuses), "asked": asked})
    with HTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()


@places("lnt-submit")
def test_lnt_submit(project: Project, place: str) -> None:
    with server_answering(400) as (url, asked):
        project.run("--ptreetime-lnt-suite=ptreetime", given=(place, "lnt-submit", url))
    assert asked == ["/db_default/v4/ptreetime/submitRun"]


def test_each_attempt_to_send_the_lnt_report_is_told(project: Project) -> None:
    with server_answering(503, 400) as (url, asked):
        result = project.run(f"--ptreetime-lnt-submit={url}")
    assert len(asked) == 2
    told = [line for line in result.outlines if "attempt 2 of 5 in 1 s" in line]
    assert len(told) == 1
    assert told[0].startswith(f"ptreetime: {url}{asked[0]}: 503 Service Unavailable")


@places("machine")
def test_machine(project: Project, place: str) -> None:
    project.run("--ptreetime-lnt-report=lnt.json", given=(place, "machine", "builder-7"))
    assert report_of(project, "lnt.json")["Machine"]["Name"] == "builder-7"


@places("run-order")
def test_run_order(project: Project, place: str) -> None:
    project.run("--ptreetime-lnt-report=lnt.json", given=(place, "run-order", "4711"))
    assert report_of(project, "lnt.json")["Run"]["Info"]["run_order"] == "4711"


@places("record-dir")
def test_record_dir(project: Project, place: str) -> None:
    project.run("--ptreetime-rounds=2", given=(place, "record-dir", "kept"))
    kept = sorted(Path(project.path / "kept").iterdir())
    assert [len(Recording.load(path).tree()) for path in kept] == [len(PLAN) + 1] * 2


@places("bisect")
def test_bisect(project: Project, place: str) -> None:
    project.store()
    given = (place, "bisect", "true")
    assert project.run(*COMPARED, given=given).ret == 0
    assert project.run(given=given).ret == 125  # nothing was compared
    assert project.run(*COMPARED, given=given, body='ptreetime(["build"], setup="exit 3")').ret == 125
    assert project.run(*COMPARED, given=given, source="import nothing_of_that_name").ret == 125
    assert project.run(*COMPARED, given=given, source="").ret == 125
    assert project.run(*COMPARED, given=given, body='ptreetime(["build"])\n    assert False').ret == 1
    assert project.run("--ptreetime-against=nothing", given=given).ret == 128
    assert project.run("--ptreetime-rounds=nothing", given=given).ret == 128
    project.plan(PLAN, "(lost)")
    assert project.run(*COMPARED, given=given).ret == 125
    assert project.run(*COMPARED, "--ptreetime-fail-on=inconclusive", given=given).ret == 125
    project.plan(MORE)
    assert project.run(*COMPARED, given=given).ret == 1
    assert project.run(*COMPARED, "-n1", given=given).ret == 128


@places("disable")
def test_disable(project: Project, place: str) -> None:
    project.run(given=(place, "disable", "true")).assert_outcomes(skipped=1)
    assert project.runs == []
