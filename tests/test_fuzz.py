"""What others wrote, in any state: only our errors come out, within a second and bounded memory.

The readers and their inputs are in tests/fuzz/; here the kept inputs are tried, and some thousand made from them by a
seed. `make fuzz` goes on from there, guided by coverage.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuzz.analysis_of import HOST
from fuzz.bounds import SECONDS, Violation, bounded
from fuzz.mutations import mutated
from fuzz.targets import C_TARGETS, CORPUS, PYTHON_TARGETS, build, corpus, one_input

from pytest_ptreetime.baselines.store import Store
from pytest_ptreetime.errors import BaselineCorrupt, BaselineMissing, FileUnreadable, UsageError
from pytest_ptreetime.recording.events import Create, Event, Exec, Lost, Start
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports.lnt_submit import submission_url
from pytest_ptreetime.tracers.dtrace_output import DtraceOutput

LONG = bool(os.environ.get("PTREETIME_LONG_TESTS"))
MUTATIONS = 10_000 if LONG else 250
C_RUNS = 1_000_000 if LONG else 8_000
CORPUS_LIMIT_BYTES = 300_000


@pytest.mark.promise("hostile-input")
@pytest.mark.parametrize(("target", "name"), [(target, name) for target in PYTHON_TARGETS for name in corpus(target)])
def test_kept_input_is_read_or_refused_within_its_bounds(target: str, name: str) -> None:
    one_input(target)(corpus(target)[name])


@pytest.mark.promise("hostile-input")
@pytest.mark.parametrize("target", PYTHON_TARGETS)
def test_input_made_from_kept_ones_is_read_or_refused_within_its_bounds(target: str) -> None:
    read = one_input(target)
    data = b""
    try:
        for data in mutated(list(corpus(target).values()), seed=7, count=MUTATIONS):
            read(data)
    except Exception as error:
        raise AssertionError(f"{error!r} at the input {data!r}") from error


@pytest.mark.promise("hostile-input-native")
@pytest.mark.parametrize("target", C_TARGETS)
def test_native_reader_stays_within_its_memory_for_any_input(target: str, tmp_path: Path) -> None:
    program = tmp_path / "fuzz"
    why_not = build(target, program)
    if why_not:
        pytest.skip(why_not)
    (tmp_path / "new").mkdir()
    limits = [f"-runs={C_RUNS}", "-seed=7", "-timeout=20", "-rss_limit_mb=1024", "-max_len=70000"]
    done = subprocess.run(
        [program, *limits, tmp_path / "new", CORPUS / target],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_corpora_are_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < CORPUS_LIMIT_BYTES
    assert {path.name for path in CORPUS.iterdir()} == {*PYTHON_TARGETS, *C_TARGETS}


def test_bounds_notice_what_takes_too_long() -> None:
    def slow(data: bytes) -> None:
        begin = time.process_time()
        while time.process_time() - begin < 1.1 * SECONDS:
            pass

    with pytest.raises(Violation, match=r"1 bytes took \d+\.\d s"):
        bounded(slow)(b"x")


def test_bounds_notice_what_takes_too_much() -> None:
    program = "from fuzz import bounds; bounds.SECONDS = 60; bounds.bounded(lambda data: len(data * (600 << 20)))(b'x')"
    through_shell = ["sh", "-c", '"$0" -c "$1"; exit', sys.executable, program]  # or our own peak would be the child's
    done = subprocess.run(through_shell, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    said = re.search(r"Violation: 1 bytes took (\d+) MiB", done.stderr)
    assert said, done.stderr
    assert 550 < int(said[1]) < 700  # the peak before is the kernel's estimate, some MiB off on a busy machine


@pytest.mark.promise("files-do-not-explode")
@pytest.mark.parametrize("name", ["bomb-of-one-block", "bomb-of-many-blocks", "bomb-of-a-header"])
def test_small_recording_that_expands_to_much_is_refused(name: str) -> None:
    with pytest.raises(FileUnreadable, match="expand to too much"):
        Recording.load(CORPUS / "recording" / name).tree()


@pytest.mark.promise("files-do-not-explode")
@pytest.mark.parametrize("name", ["rounds-beyond-memory", "rounds-negative", "nested-session", "calibration-in-parts"])
def test_baseline_that_can_not_be_what_it_says_is_called_damaged(name: str) -> None:
    with pytest.raises(BaselineCorrupt, match="damaged at line"):
        Store.read(CORPUS / "baseline" / f"{name}.jsonl")


def test_baseline_without_a_session_is_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    header = (CORPUS / "baseline" / "header-alone.jsonl").read_bytes()
    path = store.path_of("tests/test_build.py::test_clean", HOST)
    path.parent.mkdir()
    path.write_bytes(header)
    with pytest.raises(BaselineMissing, match="no baseline of"):
        store.load("tests/test_build.py::test_clean", HOST)


@pytest.mark.parametrize(
    "address",
    ["http://[::1/", "http://h:port/", "http://h:99999999/", "http://h/\u00e9", "http://h/ x", "http://h/\r\nX: y"],
)
def test_address_that_no_request_can_have_is_a_usage_error(address: str) -> None:
    with pytest.raises(UsageError, match="not the address of an LNT server"):
        submission_url(address, "compile")


def test_record_of_dtrace_with_impossible_sizes_or_numbers_is_counted_as_lost() -> None:
    output = b"\n".join(
        [
            *(b"PTREETIME begin 1 100 5", b"PTREETIME exec 2 100 -30 5 make x", b"PTREETIME exec 2 100 4 -60 make x"),
            *(b"PTREETIME create 3 " + b"9" * 5000 + b" 1", b"PTREETIME create 9223372036854775807 4 1", b""),
        ]
    )
    parsed = DtraceOutput.parse(output)
    assert [record.word for record in parsed.records] == ["begin"]
    assert parsed.damaged == 4


@pytest.mark.promise("hostile-input")
def test_analysis_of_hostile_texts_takes_no_quadratic_time() -> None:
    begin = time.process_time()
    events: list[Event] = [Start(1, 1, 1), Exec(2, 1, b"make", None, [b"make"], b"/b"), Create(3, 2, 1)]
    events.append(Exec(4, 2, b"cc", None, [b"cc", b"-I/b" * 40_000, b"x/b" * 40_000, b"/tmp/a" * 40_000], b"/b"))
    events += [Lost(5 + number, 1, f"records of cpu {number}") for number in range(40_000)]
    tree = Recording(events).tree()
    assert [len(node.key) < 500 for node in tree] == [True, True]
    assert len(tree.incomplete_reason or "") < 1000
    assert time.process_time() - begin < 5  # a guard: it was 60 s and more


def test_recording_of_no_year_has_no_date() -> None:
    recording = Recording.from_bytes((CORPUS / "original" / "huge-numbers.json").read_bytes())
    assert recording.started is None
    assert recording.tree().started is None
