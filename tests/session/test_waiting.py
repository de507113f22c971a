"""A measurement that has to wait for another one says so, wherever it runs, and how long it was."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_ptreetime.tracers import builtin_tracers

HOLD = """
import sys
from pytest_ptreetime.system.user_lock import user_lock
with user_lock("measuring"):
    print("held", flush=True)
    sys.stdin.read()
"""
BUILD = "def test_build(ptreetime):\n    ptreetime(['sleep', '0.1'], timeout=2)\n"


@pytest.fixture(autouse=True)
def needs_ptrace() -> None:
    if (reason := builtin_tracers()["ptrace"]().available()) is not None:
        pytest.skip(str(reason))


@pytest.mark.parametrize(
    "options", [["-q"], ["--ptreetime-save-baseline=store", "--ptreetime-rounds=1"], ["-n1"]], ids=lambda one: one[0]
)
def test_wait_is_told_while_it_lasts_and_in_the_summary_and_no_time_out_counts_it(
    tmp_path: Path, options: list[str]
) -> None:
    (tmp_path / "test_it.py").write_text(BUILD)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    hold = [sys.executable, "-c", HOLD]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--ptreetime-tracer=ptrace", *options]
    with (
        subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as holder,
        (tmp_path / "said").open("w+") as said,
    ):
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        with subprocess.Popen(command, stdout=said, stderr=said, env=environment, cwd=tmp_path) as process:
            words, deadline = f"waiting for the measurement of process {holder.pid}", time.monotonic() + 60
            while words not in (tmp_path / "said").read_text() and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(2.5)  # longer than the build's time-out
            holder.stdin.close()
            assert process.wait(60) == 0, (tmp_path / "said").read_text()
    told = (tmp_path / "said").read_text()
    assert words in told
    waited = re.search(r"(\d+(?:\.\d+)?) s of this session were spent waiting for other measurements", told)
    assert waited is not None
    assert float(waited[1]) >= 2.5


@pytest.mark.parametrize("namespace", [[], ["unshare", "-pf", "--mount-proc"]], ids=" ".join)
def test_measured_test_suite_may_measure(tmp_path: Path, namespace: list[str]) -> None:
    if namespace and subprocess.run([*namespace, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no pid namespace can be made here")
    (tmp_path / "inner.py").write_text(BUILD)
    inner = [
        *namespace,
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--ptreetime-tracer=interpose",
        "inner.py",
    ]
    (tmp_path / "test_outer.py").write_text(f"def test_suite(ptreetime):\n    ptreetime({inner!r}, timeout=300)\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ptreetime-tracer=ptrace"]
    done = subprocess.run(
        [*command, "test_outer.py"], cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode()
