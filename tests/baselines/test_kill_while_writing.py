"""A process that is killed at any moment of its writing leaves the old file or the new, and no session is lost."""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import pytest_ptreetime
from pytest_ptreetime.baselines.store import Store
from pytest_ptreetime.errors import ReportFailed
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports.lnt import lnt_report, render_lnt
from pytest_ptreetime.reports.lnt_submit import submit
from pytest_ptreetime.system.atomic_write import replace_file

ROOT = Path(pytest_ptreetime.__file__).parents[1]
KILLS = 12

# Each writes for ever, a line for each write that is done; the sizes differ, so that half a file would be noticed.
WRITERS = {
    "recording": """
from pytest_ptreetime.recording.events import Create, Start
from pytest_ptreetime.recording.recording import Recording
for number in count(1):
    events = [Start(1, 1, 1), *(Create(i, i + 2, 1) for i in range(number * 5000 % 60000))]
    Recording(events, command=[str(number)]).save("file.ptreetime")
    done(number)
""",
    "baseline": """
from pytest_ptreetime.baselines.store import Session, Store
from pytest_ptreetime.system.host import host_facts
from pytest_ptreetime.decision.profile import Profile
profile = Profile.from_dict({f"key {i}": {"wall": 1.5, "count": 1} for i in range(3000)})
for number in count(1):
    session = Session.from_profiles([profile], commit=str(number), tracer="ptrace")
    Store("store").add("test", host_facts(), session, history=1000, of_now=True)
    done(number)
""",
    "lnt": """
import io
from pathlib import Path
from pytest_ptreetime.reports import write_file
from pytest_ptreetime.reports.lnt import lnt_report, render_lnt
for number in count(1):
    samples = {f"test {i}": {"wall": [1.0, 2.0]} for i in range(number * 700 % 5000 + 1)}
    report = lnt_report(samples, machine="m", run_order=str(number), started=1, ended=2)
    write_file(Path("lnt.json"), render_lnt(report).encode(), "the report")
    done(number)
""",
}


def newest_recording(directory: Path) -> int:
    recording = Recording.load(directory / "file.ptreetime")
    (number,) = recording.command
    assert len(recording.events) == int(number) * 5000 % 60000 + 1
    return int(number)


def newest_session(directory: Path) -> int:
    (path,) = Store(directory / "store").files()
    sessions = Store.read(path).sessions
    assert all(len(session.columns.keys) == 3000 for session in sessions)
    return len(sessions)  # of all that were ever added


def newest_report(directory: Path) -> int:
    report = json.loads((directory / "lnt.json").read_text())
    number = int(report["Run"]["Info"]["run_order"])
    assert len(report["Tests"]) == number * 700 % 5000 + 1
    return number


NEWEST: dict[str, Callable[[Path], int]] = {
    "recording": newest_recording,
    "baseline": newest_session,
    "lnt": newest_report,
}


@pytest.mark.promise("killed-while-writing")
@pytest.mark.parametrize("kind", WRITERS)
def test_file_when_its_writer_is_killed_at_any_moment_is_the_old_or_the_new_one(kind: str, tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    chance = random.Random(seed)
    script = "import os\nfrom itertools import count\ndef done(number): os.write(1, b'.')\n" + WRITERS[kind]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    written = 0
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.read(1) == b"."
            time.sleep(chance.uniform(0, 0.05))  # the moment is what is tried
            writer.kill()
            done = 1 + len(writer.stdout.read())
        newest = NEWEST[kind](tmp_path)
        before = written if kind == "baseline" else 0
        assert before + done <= newest <= before + done + 1, f"seed {seed}"
        written = newest
    assert len(list(tmp_path.rglob(".*.ptreetime-new"))) <= 1, "the next writer removes what was left"


@pytest.mark.promise("killed-while-writing")
def test_temporary_of_any_length_beside_a_file_changes_nothing(tmp_path: Path) -> None:
    """As a kill at each byte of the writing would leave it."""
    content = Recording([], command=["x"]).to_bytes()
    target = tmp_path / "a.ptreetime"
    target.write_bytes(content)
    for length in range(len(content)):
        (tmp_path / f".a.ptreetime.{length:016x}.ptreetime-new").write_bytes(content[:length])
    assert Recording.load(target).command == ["x"]
    script = "import sys; from pathlib import Path; from pytest_ptreetime.system.atomic_write import replace_file;"
    script += "replace_file(Path(sys.argv[1]), b'new')"
    subprocess.run([sys.executable, "-c", script, target], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert [path.name for path in tmp_path.iterdir()] == ["a.ptreetime"]
    assert target.read_bytes() == b"new"


@pytest.mark.promise("killed-while-writing")
def test_writing_is_synchronised_before_its_name_changes_and_the_name_after(tmp_path: Path) -> None:
    """A power cut can't bring a file of the right name and half its content."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    script = "from pathlib import Path; from pytest_ptreetime.system.atomic_write import replace_file;"
    script += "replace_file(Path('file').resolve(), b'content')"
    calls = tmp_path / "calls"
    done = subprocess.run(
        ["strace", "-e", "trace=fsync,rename,renameat,renameat2", "-o", calls, sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"strace is not allowed here: {done.stderr}")
    made = re.findall(r"^(fsync|rename)", calls.read_text(), re.MULTILINE)
    assert made == ["fsync", "rename", "fsync"]


@pytest.mark.promise("cut-files-refused")
def test_lnt_report_cut_at_any_length_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    report = render_lnt(lnt_report({"a": {"wall": [1.0]}}, machine="m", run_order="1", started=1, ended=2))
    path = tmp_path / "lnt.json"
    for length in range(len(report)):
        path.write_text(report[:length])
        with pytest.raises(ReportFailed, match=r"can't read the LNT report .*lnt\.json"):
            submit(path, "http://127.0.0.1:9", suite="compile")


def test_replaced_file_keeps_its_content_when_the_writing_is_interrupted(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def interrupted() -> list[bytes]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(target, (part for _ in range(1) for part in interrupted()))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert target.read_bytes() == b"old"
