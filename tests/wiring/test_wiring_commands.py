"""Each option of each command does what it says; each test fails where its option is ignored."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from report_sessions import build
from scripted_project import CHANGED, MORE, PLAN, plan_of
from scripted_tracer import ScriptedTracer, capture_of, runs

from pytest_ptreetime.baselines.store import Session, Store
from pytest_ptreetime.cli import main
from pytest_ptreetime.commands import ab, profile, replay
from pytest_ptreetime.confirmation.confirming import Confirmed
from pytest_ptreetime.decision.finding import Confirmation
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.system.host import HostFacts, host_facts
from pytest_ptreetime.tracers import diagnosis

CLEAN, ALL = "test_build.py::test_clean", "test_build.py::test_all"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a plan, and tracers that follow it and log what they were asked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    Path("plan").write_text(plan_of(PLAN))

    def tracers(*, sudo: bool) -> dict[str, Callable[[], ScriptedTracer]]:
        log = tmp_path / "runs.jsonl"
        return {
            "ebpf": lambda: ScriptedTracer(log, f"ebpf, sudo {sudo}"),
            "other": lambda: ScriptedTracer(log, "other"),
        }

    monkeypatch.setattr(ab, "builtin_tracers", tracers)
    monkeypatch.setattr(profile, "builtin_tracers", tracers)
    return tmp_path


@pytest.fixture
def ptreetime(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*args: str, status: int | None = 0) -> str:
        ended = main(args)
        assert status is None or ended == status
        captured = capsys.readouterr()
        return captured.out + captured.err

    return run


Run = Callable[..., str]


def recorded(
    name: str, processes: Mapping[str, float] = PLAN, *, number: int = 0, host: HostFacts | None = None
) -> str:
    """A recording of the plan; its name."""
    capture = capture_of(["build"], plan_of(processes), number)
    Recording.from_capture(capture, command=["build"], tracer="scripted", host=host).save(name)
    return name


def rounds(name: str, processes: Mapping[str, float], host: HostFacts | None = None) -> list[str]:
    return [recorded(f"{name}{number}", processes, number=number, host=host) for number in range(5)]


def asked() -> list[dict[str, Any]]:
    return runs(Path("runs.jsonl"))


def test_version(ptreetime: Run) -> None:
    assert re.match(r"\d+\.\d+", ptreetime("--version"))


# profile


def test_profile_output(ptreetime: Run) -> None:
    ptreetime("profile", "-o", "a.ptreetime", "--", "build")
    assert len(Recording.load("a.ptreetime").tree()) == len(PLAN) + 1


def test_profile_verbose(ptreetime: Run) -> None:
    assert "tracer" not in ptreetime("profile", "-o", "a", "build")
    assert "tracer ebpf" in ptreetime("profile", "-v", "-o", "a", "build")


def test_profile_tracer(ptreetime: Run) -> None:
    ptreetime("profile", "-o", "a", "--tracer", "other", "build")
    assert asked()[0]["tracer"] == "other"


def test_profile_interpose(ptreetime: Run) -> None:
    for flags in ([], ["--interpose", "false"], ["--interpose", "log"], ["--no-interpose"]):
        ptreetime("profile", "-o", "a", *flags, "build")
    assert [run["interpose"] for run in asked()] == [True, False, "log", False]


def test_profile_quiet(ptreetime: Run) -> None:
    assert "processes" in ptreetime("profile", "-o", "a", "build")
    assert ptreetime("profile", "-q", "-o", "a", "build") == ""


def test_profile_sudo(ptreetime: Run) -> None:
    ptreetime("profile", "-o", "a", "--sudo", "build")
    assert asked()[0]["tracer"] == "ebpf, sudo True"


def test_profile_timeout(ptreetime: Run) -> None:
    ptreetime("profile", "-o", "a", "--timeout", "7.5", "build")
    assert asked()[0]["timeout"] == 7.5


def test_profile_redact(ptreetime: Run) -> None:
    ptreetime("profile", "-o", "a", "--redact", "corp-[a-z]+", "build", "corp-x")
    assert Recording.load("a").command == ["build", "***"]


def test_profile_live(ptreetime: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_ptreetime.commands import live_view

    shown: list[str] = []
    view_for = live_view.view_for

    def noted(title: str, *rest: Any, **more: Any) -> Any:
        shown.append(title)
        return view_for(title, *rest, **more)

    monkeypatch.setattr(live_view, "view_for", noted)
    ptreetime("profile", "-o", "a", "build")
    assert shown == []
    ptreetime("profile", "-o", "a", "--live", "build")
    assert shown == ["build"]


# analyze


def test_analyze_focus(ptreetime: Run) -> None:
    recorded("a", {"cc1 a.c": 0.1, "ld": 0.1})
    assert "ld" in ptreetime("analyze", "a")
    assert "ld" not in ptreetime("analyze", "a", "-f", "cc1")


def test_analyze_show_tree(ptreetime: Run) -> None:
    recorded("a")
    assert "a.c" not in ptreetime("analyze", "a")
    assert "a.c" in ptreetime("analyze", "a", "--show-tree")


def test_analyze_sort(ptreetime: Run) -> None:
    recorded("a", {"cc1 a.c": 0.1, "cc1 b.c": 0.3})
    order = [re.findall(r"[ab]\.c", ptreetime("analyze", "a", "--show-tree", "--sort", by)) for by in ("start", "wall")]
    assert order == [["a.c", "b.c"], ["b.c", "a.c"]]


def test_analyze_no_fold(ptreetime: Run) -> None:
    build([f"{n}.c" for n in range(80)]).save("a")  # two at a time: half of it is not critical
    assert "cc1 x " in ptreetime("analyze", "a", "--show-tree")
    text = ptreetime("analyze", "a", "--show-tree", "--no-fold")
    assert "cc1 x " not in text
    assert all(re.search(rf"cc1 (-quiet )?{n}\.c", text) for n in range(80))


def test_analyze_depth(ptreetime: Run) -> None:
    recorded("a")
    assert "a.c" not in ptreetime("analyze", "a", "--show-tree", "--depth", "0")


def test_analyze_min_time(ptreetime: Run) -> None:
    recorded("a", {"cc1 a.c": 0.1, "cc1 b.c": 0.3})
    text = ptreetime("analyze", "a", "--show-tree", "--min-time", "0.2")
    assert "b.c" in text
    assert "a.c" not in text


def test_analyze_gen_report_with_machine_run_order_and_sub_arg(ptreetime: Run) -> None:
    recorded("a", {"step build-4711": 0.1})
    flags = ["--report-machine", "builder-7", "--report-run-order", "12", "--report-sub-arg", "build-[0-9]+=NUMBER"]
    ptreetime("analyze", "a", "--gen-report", "lnt.json", *flags)
    report = json.loads(Path("lnt.json").read_text())
    assert (report["Machine"]["Name"], report["Run"]["Info"]["run_order"]) == ("builder-7", "12")
    names = " ".join(test["Name"] for test in report["Tests"])
    assert "NUMBER" in names
    assert "4711" not in names


# top


def test_top_sort(ptreetime: Run) -> None:
    recorded("a", {"cc1 a.c": 0.1, "ld": 0.3})
    first = [ptreetime("top", "a", "--sort", order).splitlines()[2].split()[0] for order in ("own", "total")]
    assert first == ["build/ld[a.out]", "build"]


def test_top_limit(ptreetime: Run) -> None:
    recorded("a", {"cc1 a.c": 0.1, "ld": 0.3})
    table, _, bounds = ptreetime("top", "a", "-n", "1").partition("\n\n")
    assert "ld" in table
    assert "cc1" not in table
    assert "cc1 a.c" in bounds


# compare


def compared(*flags: str) -> int:
    return main(["compare", *rounds("a", PLAN), "--with", *rounds("b", CHANGED), *flags])


def test_compare_with() -> None:
    assert compared() == 1


def test_compare_min_effect() -> None:
    assert compared("--min-effect", "cpu=80 wall=80 user=80 sys=80") in (0, 3)


def test_compare_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    assert compared("--metrics", "max_rss, startlag") in (0, 3)
    assert compared("--metrics", "max_rss cpu") == 1
    assert compared("--metrics", "cpuu") == 2
    assert "there is no metric 'cpuu'" in capsys.readouterr().err


def test_compare_ignore() -> None:
    assert compared("--ignore", "*b.c*") in (0, 3)


def test_compare_report(ptreetime: Run) -> None:
    names = [*rounds("a", PLAN), "--with", *rounds("b", CHANGED)]
    told = ptreetime("compare", *names, "--report", "json:out/c.json", "--report", "html", status=1)
    assert "json report written to out/c.json" in told
    written = json.loads(Path("out/c.json").read_text())["measurements"][0]
    assert written["verdict"] == "regression"
    assert "lanes before" in Path("ptreetime-report.html").read_text()
    assert "there is no report 'htlm'" in ptreetime("compare", *names, "--report", "htlm", status=2)


def test_compare_allow_other_machine(ptreetime: Run) -> None:
    other = msgspec.structs.replace(host_facts(), cpu_model="Example CPU 3000")
    names = [*rounds("a", PLAN, other), "--with", *rounds("b", CHANGED, host_facts())]
    text = " ".join(ptreetime("compare", *names, status=3).split())
    assert "times not compared, only counts" in text
    assert "cpu model Example CPU 3000 there" in text
    assert "cc1 b.c" in ptreetime("compare", *names, "--allow-other-machine", status=1)


def test_compare_sub_arg(ptreetime: Run) -> None:
    names = [*rounds("a", {"step build-1 x": 0.1}), "--with", *rounds("b", {"step build-1 x": 0.3})]
    assert "build-1" in ptreetime("compare", *names, status=1)
    text = ptreetime("compare", *names, "--sub-arg", "build-[0-9]+=NUMBER", status=1)
    compared, _, _ = text.partition("The end of the build")  # of which the nodes' own commands are told
    assert "NUMBER" in compared
    assert "build-1" not in compared


# ab


def test_ab_rounds_and_warmup(ptreetime: Run) -> None:
    ptreetime("ab", "a", "b", "--rounds", "2", "--warmup", "3", status=None)
    assert "".join(run["args"][-1] for run in asked()) == "ababab" + "abba"


def test_ab_aa(ptreetime: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ab, "run_untraced", lambda build: 1.0)
    text = ptreetime("ab", "--aa", "a", "--rounds", "3", "--warmup", "0", status=None)
    assert "tracing with ebpf" in text
    assert len(asked()) == 3 + 3 + 3


def test_ab_setup(ptreetime: Run) -> None:
    ptreetime("ab", "a", "b", "--rounds", "2", "--warmup", "0", "--setup", "echo set-up >> prepared", status=None)
    assert Path("prepared").read_text().count("set-up") == 4


def test_ab_cwd(ptreetime: Run) -> None:
    Path("below").mkdir()
    ptreetime("ab", "a", "b", "--rounds", "2", "--warmup", "0", "--cwd", "below", status=None)
    assert {Path(run["cwd"]).name for run in asked()} == {"below"}


def test_ab_tracer(ptreetime: Run) -> None:
    ptreetime("ab", "a", "b", "--rounds", "2", "--tracer", "other", status=None)
    assert {run["tracer"] for run in asked()} == {"other"}


def test_ab_confirm(ptreetime: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[float] = []
    monkeypatch.setattr(ab, "confirm_comparison", lambda *rest, budget, **more: asked_for.append(budget))
    ptreetime("ab", "a", "b", "--rounds", "2", status=None)
    assert asked_for == []
    ptreetime("ab", "a", "b", "--rounds", "2", "--confirm", status=None)
    assert asked_for == [300.0]


def test_ab_confirm_budget(ptreetime: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[float] = []
    monkeypatch.setattr(ab, "confirm_comparison", lambda *rest, budget, **more: asked_for.append(budget))
    ptreetime("ab", "a", "b", "--rounds", "2", "--confirm", "--budget", "12", status=None)
    assert asked_for == [12.0]


def test_ab_sudo(ptreetime: Run) -> None:
    ptreetime("ab", "a", "b", "--rounds", "2", "--sudo", status=None)
    assert {run["tracer"] for run in asked()} == {"ebpf, sudo True"}


@pytest.mark.parametrize(
    ("flags", "statuses"),
    [
        ([], {1}),
        (["--min-effect", "cpu=80 wall=80 user=80 sys=80"], {0, 3}),
        (["--metrics", "max_rss,startlag"], {0, 3}),
        (["--ignore", "*b.c*"], {0, 3}),
        (["--metrics", "cpuu"], {2}),
        (["--min-effect", "cpuu=8"], {2}),
    ],
)
def test_ab_min_effect_metrics_and_ignore(flags: list[str], statuses: set[int]) -> None:
    """Both commands follow the plan of their directory: the set-up changes it before every second run."""
    Path("old").write_text(plan_of(PLAN))
    Path("new").write_text(plan_of(CHANGED))
    # A B B A: of the runs 0, 3, 4, 7 ... the first command's
    turn = (
        "n=$(cat turn 2>/dev/null || echo 0); echo $((n + 1)) > turn; "
        "case $((n % 4)) in 0|3) cp old plan;; *) cp new plan;; esac"
    )
    assert main(["ab", "x", "x", "--rounds", "4", "--warmup", "0", "--setup", turn, *flags]) in statuses
    assert len(asked()) == (0 if statuses == {2} else 8)


def test_ab_report(ptreetime: Run) -> None:
    assert "there is no report 'htlm'" in ptreetime("ab", "x", "y", "--report", "htlm", status=2)
    assert asked() == []
    ptreetime("ab", "x", "x", "--rounds", "2", "--warmup", "0", "--report", "markdown:m.md", status=None)
    assert "## Build performance" in Path("m.md").read_text()


# report


def test_report_output(ptreetime: Run) -> None:
    ptreetime("report", "json", recorded("a"), "-o", "r.json")
    assert json.loads(Path("r.json").read_text())["measurements"][0]["rounds"] == 1


# baseline


@pytest.fixture
def store() -> Store:
    """Sessions of two tests in another directory, under another name than the usual ones."""
    store = Store("st", "release")
    for test, days in ((CLEAN, 4), (ALL, 2)):
        for day in range(days):
            one = [Profile.from_tree(Recording.load(recorded("x", number=n)).tree()) for n in range(3)]
            moment = datetime(2026, 11, 1 + day, tzinfo=timezone.utc)
            store.add(test, host_facts(), Session.from_profiles(one, commit=f"{day}f2", tracer="x", time=moment))
    return store


PLACE = ("--dir", "st", "--name", "release")


@pytest.mark.parametrize("action", ["show", "pin", "prune", "export", "power"])
def test_baseline_dir_and_name(ptreetime: Run, store: Store, action: str) -> None:
    assert CLEAN in ptreetime("baseline", action, *PLACE)
    assert "no baseline in st/main" in ptreetime("baseline", action, "--dir", "st", status=2)
    assert "no baseline in .ptreetime/release" in ptreetime("baseline", action, "--name", "release", status=2)


def test_history_dir_and_name(ptreetime: Run, store: Store) -> None:
    assert CLEAN in ptreetime("history", *PLACE, "--metric", "wall")
    assert "no baseline in st/main" in ptreetime("history", "--dir", "st", status=2)
    assert "no baseline in .ptreetime/release" in ptreetime("history", "--name", "release", status=2)


def test_history_metric(ptreetime: Run, store: Store) -> None:
    assert ptreetime("history", *PLACE, "--metric", "wall") != ptreetime("history", *PLACE, "--metric", "count")
    with pytest.raises(SystemExit):
        main(["history", *PLACE, "--metric", "cpuu"])


def test_history_node(ptreetime: Run, store: Store) -> None:
    assert "(the build)" not in ptreetime("history", *PLACE, "--metric", "wall", "--node", ".c")
    assert "nodes that match xyz" in ptreetime("history", *PLACE, "--metric", "wall", "--node", "xyz", status=2)


def test_history_limit(ptreetime: Run, store: Store) -> None:
    assert "more)" in ptreetime("history", *PLACE, "--metric", "wall", "--limit", "1")


def test_history_html(ptreetime: Run, store: Store) -> None:
    ptreetime("history", *PLACE, "--metric", "wall", "--html", "out/history.html")
    assert "<polyline" in Path("out/history.html").read_text()


def test_baseline_pin_session_and_remove(ptreetime: Run, store: Store) -> None:
    first = store.load(CLEAN, host_facts()).sessions[0].session
    ptreetime("baseline", "pin", "clean", *PLACE, "--session", first[:9])
    assert store.load(CLEAN, host_facts()).pinned == first
    ptreetime("baseline", "pin", "clean", *PLACE, "--remove")
    assert store.load(CLEAN, host_facts()).pinned is None


def test_baseline_prune_keep(ptreetime: Run, store: Store) -> None:
    ptreetime("baseline", "prune", *PLACE, "--keep", "1")
    assert [len(Store.read(path).sessions) for path in store.files()] == [1, 1]


def test_baseline_export_of_a_test(ptreetime: Run, store: Store) -> None:
    rows = list(csv.reader(io.StringIO(ptreetime("baseline", "export", "test_all", *PLACE))))
    assert {row[0] for row in rows[1:]} == {ALL}


def test_baseline_power_rounds(ptreetime: Run, store: Store) -> None:
    assert "7 rounds" in ptreetime("baseline", "power", *PLACE, "--rounds", "7")


def test_baseline_merge_output(ptreetime: Run, store: Store) -> None:
    path = str(store.path_of(CLEAN, host_facts()))
    ptreetime("baseline", "merge", path, path, "-o", "merged.jsonl")
    assert len(Store.read(Path("merged.jsonl")).sessions) == 4


# lnt


class Server:
    """Says no, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, bytes]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                owner.asked.append((self.path, self.headers.get("AuthToken"), body))
                self.send_response(400)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Any:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_lnt_submit_suite_merge_and_token(ptreetime: Run, server: Server) -> None:
    ptreetime("report", "lnt", recorded("a"), "-o", "lnt.json")
    ptreetime("lnt", "submit", "lnt.json", server.url, "--suite", "ptreetime", "--merge", "append", status=2)
    ptreetime("lnt", "submit", "lnt.json", server.url, "--token", "a-token", status=2)
    (form, _, body), (rest, token, _) = server.asked
    assert form == "/db_default/v4/ptreetime/submitRun"
    assert b"append" in body
    assert rest.startswith("/api/db_default/v4/compile/runs")
    assert token == "a-token"


def test_lnt_schema_suite(ptreetime: Run) -> None:
    assert "name: ptreetime" in ptreetime("lnt", "schema")
    assert "name: compile" in ptreetime("lnt", "schema", "--suite", "compile")


# doctor


def test_doctor_sudo(ptreetime: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def tracers(*, sudo: bool) -> dict[str, Callable[[], ScriptedTracer]]:
        class Patient(ScriptedTracer):
            def available(self) -> str | None:
                return f"sudo is {sudo}"

        return {"ebpf": lambda: Patient(Path("runs.jsonl"))}

    monkeypatch.setattr(diagnosis, "builtin_tracers", tracers)
    assert "sudo is False" in ptreetime("doctor", status=1)
    assert "sudo is True" in ptreetime("doctor", "--sudo", status=1)


def test_more_processes_are_a_regression_of_recordings_too(ptreetime: Run) -> None:
    assert "uname" in ptreetime("compare", recorded("a"), recorded("b", MORE), status=1)


# replay


def test_replay_setup_cwd_and_budget(ptreetime: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The builds run for real: what they are asked to do is written down by them."""
    budgets: list[float] = []

    def confirm(suspects: Any, sides: Any, *, budget: float, on_suspect: Any) -> Confirmed:
        budgets.append(budget)
        return Confirmed({one.key: Confirmation("refuted") for one in suspects})

    monkeypatch.setattr(replay, "confirm", confirm)
    Path("below").mkdir()
    flags = ("--setup", "echo set-up >> log", "--cwd", "below", "--budget", "7")
    text = ptreetime(
        "replay", "echo a >> log; expr 1 + 1", "echo b >> log; expr 1 + 1", "expr[1 + 1]", *flags, status=0
    )
    assert "not slower" in text
    assert Path("below/log").read_text().split() == ["set-up", "a", "set-up", "b"]
    assert budgets == [7.0]


def test_replay_when_no_process_or_several_match_lists_some(ptreetime: Run) -> None:
    assert "no process of the first build match 'nothing'" in ptreetime(
        "replay", "expr 1", "expr 1", "nothing", status=2
    )
    assert "processes of the first build match" in ptreetime("replay", "expr 1; expr 2", "expr 1", "expr", status=2)
