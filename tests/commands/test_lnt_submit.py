from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from lnt_server import TOKEN, lnt_server, needs_lnt, postgresql
from report_sessions import HOST, HOSTILE_SOURCE, STARTED, rounds

from pytest_ptreetime.errors import NativeHelperMissing, PtreetimeError, ReportFailed, TracerUnavailable, UsageError
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports import write_report
from pytest_ptreetime.reports.lnt import LntReport
from pytest_ptreetime.reports.lnt_names import lnt_name
from pytest_ptreetime.reports.lnt_submit import submission_url, submit
from pytest_ptreetime.reports.results import Measurement, SessionResult
from pytest_ptreetime.session.run import record


@pytest.mark.parametrize(
    ("url", "rest", "expected"),
    [
        ("http://lnt:8000", False, "http://lnt:8000/db_default/v4/compile/submitRun"),
        ("http://lnt:8000/", True, "http://lnt:8000/api/db_default/v4/compile/runs"),
        ("https://lnt/perf/db_other", False, "https://lnt/perf/db_other/v4/compile/submitRun"),
        ("https://lnt/perf/db_other", True, "https://lnt/perf/api/db_other/v4/compile/runs"),
        ("http://lnt/db_x/v4/nts/submitRun", False, "http://lnt/db_x/v4/nts/submitRun"),
    ],
)
def test_address_is_completed(url: str, rest: bool, expected: str) -> None:
    assert submission_url(url, "compile", rest=rest) == expected


@pytest.mark.parametrize("url", ["lnt:8000", "ftp://lnt", "file:///etc/passwd", "http://", "http://lnt/db_x/v4/nts/"])
def test_address_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="give"):
        submission_url(url, "compile")


@dataclass
class Answers:
    """What the server answers, request by request (the last one again and again), and what it was sent."""

    answers: list[tuple[int, dict[str, str], bytes]]
    url: str = ""
    seen: list[tuple[str, Message, bytes]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Answers]:
    answers = Answers([])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answers.seen.append((self.path, self.headers, body))
            status, headers, answer = answers.answers.pop(0) if len(answers.answers) > 1 else answers.answers[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        answers.url = f"http://127.0.0.1:{http.server_port}"
        yield answers
        http.shutdown()
        thread.join()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_text('{"Tests": []}')
    return path


GOOD: tuple[int, dict[str, str], bytes] = (
    200,
    {},
    b'{"success": true, "run_id": 7, "result_url": "http://lnt/db_default/v4/compile/7", "error": null}',
)


def test_report_is_sent_and_the_run_is_told(server: Answers, report: Path) -> None:
    server.answers = [GOOD]
    assert submit(report, server.url) == "LNT run http://lnt/db_default/v4/compile/7"
    path, headers, body = server.seen[0]
    assert path == "/db_default/v4/compile/submitRun"
    assert headers.get_content_type() == "multipart/form-data"
    assert b'{"Tests":[]}' in body
    assert b'name="merge"\r\n\r\nreject' in body


def test_report_goes_to_the_rest_interface_with_a_token(server: Answers, report: Path) -> None:
    server.answers = [(301, {"Location": f"{server.url}/api/db_default/v4/compile/runs/9"}, b"{}")]
    assert submit(report, server.url, token="secret", merge="append").endswith("/runs/9")
    path, headers, body = server.seen[0]
    assert path == "/api/db_default/v4/compile/runs?merge=append"
    assert headers["AuthToken"] == "secret"
    assert json.loads(body) == json.loads(report.read_bytes())


def test_busy_server_is_asked_again_with_growing_pauses(server: Answers, report: Path) -> None:
    busy: tuple[int, dict[str, str], bytes] = (
        503,
        {},
        b"<html><head><title>x</title></head><body>Try later</body></html>",
    )
    server.answers = [busy, busy, GOOD]
    pauses: list[float] = []
    assert submit(report, server.url, pause=pauses.append).startswith("LNT run")
    assert pauses == [1.0, 2.0]


def test_server_that_stays_away_is_given_up_and_the_report_is_kept(report: Path) -> None:
    pauses: list[float] = []
    told: list[str] = []
    with pytest.raises(ReportFailed, match=r"asked 3 times: .*refused.*the report is kept in .*report.json"):
        submit(report, "http://127.0.0.1:9", attempts=3, pause=pauses.append, tell=told.append)
    assert pauses == [1.0, 2.0]
    assert [line.rpartition(": ")[2] for line in told] == ["attempt 2 of 3 in 1 s", "attempt 3 of 3 in 2 s"]
    assert "refused" in told[0]
    assert report.exists()


def test_refusal_is_told_in_the_server_s_words_and_not_repeated(server: Answers, report: Path) -> None:
    server.answers = [(400, {}, json.dumps({"error": "import failure", "message": "no \x1b[31morder\nfield"}).encode())]
    with pytest.raises(ReportFailed, match=r"400 Bad Request: import failure: no \\x1b\[31morder\\nfield; the report"):
        submit(report, server.url)
    assert len(server.seen) == 1


def test_lnt_s_own_verdict_is_final_even_as_a_server_error(server: Answers, report: Path) -> None:
    server.answers = [(500, {}, b'{"error": "Duplicate submission"}')]
    with pytest.raises(ReportFailed, match="Duplicate submission"):
        submit(report, server.url)
    assert len(server.seen) == 1


def test_answer_that_is_no_lnt_s_is_a_refusal(server: Answers, report: Path) -> None:
    server.answers = [(200, {}, b"<h1>Welcome</h1>")]
    with pytest.raises(ReportFailed, match="not JSON: Welcome"):
        submit(report, server.url)


def test_redirect_is_not_followed_with_the_token(server: Answers, report: Path) -> None:
    server.answers = [(302, {"Location": "http://elsewhere/login"}, b"")]
    with pytest.raises(ReportFailed, match="302"):
        submit(report, server.url, token="secret")
    assert len(server.seen) == 1


def test_report_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(ReportFailed, match="can't read the LNT report"):
        submit(tmp_path / "nothing.json", "http://127.0.0.1:9")


def test_unknown_merge_policy_is_refused(report: Path) -> None:
    with pytest.raises(UsageError, match="merge policy"):
        submit(report, "http://127.0.0.1:9", merge="overwrite")


# A real LNT server


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as response:
        return json.loads(response.read())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lnt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp(f"lnt-{request.param}")
    if request.param == "sqlite":
        with lnt_server(directory) as url:
            yield url
    else:
        with postgresql() as address, lnt_server(directory, address) as url:
            yield url


def compile_of(functions: int, directory: Path) -> list[Recording]:
    """Three recordings of a real compile; skipped where nothing can be traced."""
    source = directory / "heavy.c"
    body = "\n".join(
        f"int f{n}(int x) {{ for (int i = 0; i < x; i++) x ^= i * {n}; return x; }}" for n in range(functions)
    )
    source.write_text(body)
    try:
        return [record(["cc", "-O2", "-c", "heavy.c", "-o", "heavy.o"], cwd=directory, check=True) for _ in range(3)]
    except (TracerUnavailable, NativeHelperMissing) as error:
        pytest.skip(f"needs a tracer: {error}")


@pytest.fixture(scope="module")
def ten_sessions(tmp_path_factory: pytest.TempPathFactory) -> list[list[Recording]]:
    """The last one compiles ten times as much."""
    directory = tmp_path_factory.mktemp("compile")
    return [compile_of(40 if number < 9 else 400, directory) for number in range(10)]


def submitted(measured: Measurement, order: int, url: str, suite: str, directory: Path, **options: Any) -> str:
    result = SessionResult(
        started=STARTED + order, ended=STARTED + order + 1, host=HOST, machine="builder-1", run_order=f"{order}"
    )
    result.measurements.append(measured)
    path = write_report(LntReport(suite), result, directory / f"{suite}-{order}.json")
    return submit(path, url, suite=suite, **options)


@needs_lnt
@pytest.mark.parametrize(("suite", "metric", "factor"), [("compile", "user_time", 1.0), ("ptreetime", "user_ms", 1e3)])
def test_ten_sessions_of_a_real_build_and_their_regression_come_back_from_the_server(
    suite: str, metric: str, factor: float, lnt: str, ten_sessions: list[list[Recording]], tmp_path: Path
) -> None:
    name = "test_real.test_compile"
    walls = []
    for number, recordings in enumerate(ten_sessions):
        measured = Measurement(test="t", name=name, command=["cc"], rounds=recordings)
        walls.append([(tree.user or 0) * factor for tree in measured.trees])
        token = TOKEN if number % 2 else None
        assert submitted(measured, 1000 + number, lnt, suite, tmp_path, token=token).startswith("LNT run http")
    api = f"{lnt}/api/db_default/v4/{suite}"
    machines = {machine["name"]: machine for machine in get(f"{api}/machines")["machines"]}
    machine = get(f"{api}/machines/{machines['builder-1']['id']}")
    assert machine["machine"]["os_version" if suite == "compile" else "os"] == HOST.os
    assert machine["machine"]["cpu_model"] == HOST.cpu_model
    runs = machine["runs"]
    by_order = {run["llvm_project_revision"]: run["id"] for run in runs}
    for number, expected in enumerate(walls):
        samples = get(f"{api}/runs/{by_order[f'{1000 + number}']}")["tests"]
        assert sorted(one[metric] for one in samples if one["name"] == name) == pytest.approx(sorted(expected))
        assert any("/cc1[" in one["name"] for one in samples)
    fields = [one["column_name"] for one in get(f"{api}/fields")["fields"]]
    tests_of = {test["name"]: test["id"] for test in get(f"{api}/tests")["tests"]}
    found = get(f"{api}/regression/{machines['builder-1']['id']}/{tests_of[name]}/{fields.index(metric)}")
    assert any("1009" in json.dumps(one) for one in found), found


@needs_lnt
def test_server_without_the_suite_is_told_what_it_needs(tmp_path: Path) -> None:
    measured = Measurement(test="t", name="test_x.test_y", command=["make"], rounds=rounds(count=1))
    with lnt_server(tmp_path, suites=()) as url, pytest.raises(ReportFailed) as refused:
        submitted(measured, 1, url, "compile", tmp_path)
    assert "ptreetime lnt schema --suite compile > compile.yaml" in str(refused.value)
    assert "start the server again; the report is kept in" in str(refused.value)


@needs_lnt
def test_hostile_names_are_stored_and_shown(lnt: str, tmp_path: Path) -> None:
    names = [
        "quotes ' \" `",
        "slash//(paren)/x",
        "é中文🚀",
        "nul \0 inside",
        "\udcff bytes",
        "long " + "x" * 5000,
        HOSTILE_SOURCE,
    ]
    for number, name in enumerate(names):
        measured = Measurement(test="t", name=name, command=["make"], rounds=rounds(sources=["a.c", HOSTILE_SOURCE]))
        submitted(measured, 2000 + number, lnt, "ptreetime", tmp_path)
    tests = {test["name"] for test in get(f"{lnt}/api/db_default/v4/ptreetime/tests")["tests"]}
    assert {lnt_name(name) for name in names} <= tests


@needs_lnt
def test_second_report_of_one_order_is_rejected_in_words_unless_told_otherwise(lnt: str, tmp_path: Path) -> None:
    measured = Measurement(test="t", name="test_x.test_y", command=["make"], rounds=rounds(count=1))
    submitted(measured, 3000, lnt, "compile", tmp_path)
    with pytest.raises(ReportFailed, match=r"refused the report: .*[Dd]uplicate.*the report is kept"):
        submitted(measured, 3000, lnt, "compile", tmp_path)
    assert submitted(measured, 3000, lnt, "compile", tmp_path, merge="append").startswith("LNT run")


@needs_lnt
def test_wrong_token_is_a_refusal(lnt: str, tmp_path: Path) -> None:
    measured = Measurement(test="t", name="test_x.test_y", command=["make"], rounds=rounds(count=1))
    with pytest.raises(PtreetimeError, match=r"refused the report: 40[13]"):
        submitted(measured, 4000, lnt, "compile", tmp_path, token="wrong")


@needs_lnt
def test_report_of_a_thousand_nodes_is_taken(lnt: str, tmp_path: Path) -> None:
    sources = [f"src/a/long/path/file_{number}.c" for number in range(300)]
    measured = Measurement(
        test="t", name="test_x.test_large", command=["make"], rounds=rounds(count=1, sources=sources)
    )
    assert submitted(measured, 5000, lnt, "ptreetime", tmp_path).startswith("LNT run")
