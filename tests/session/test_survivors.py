"""A warm-up leaves a server behind, and the measured rounds have their work done by it."""

from __future__ import annotations

from pathlib import Path

from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.rounds import measure
from pytest_ptreetime.session.run import Round
from pytest_ptreetime.session.survivors import warning_of_survivors
from pytest_ptreetime.tracers.ptrace import PtraceTracer

# The first run starts a server that lives on and starts two processes; later runs find it there.
SERVER = """
if [ -e served ]; then exit; fi
(/bin/sh -c '/bin/true; /bin/true; : > served; exec {then}' </dev/null >/dev/null 2>&1) &
while [ ! -e served ]; do /bin/sleep 0.01; done
"""


def runs_of(script: str, directory: Path) -> list[Round]:
    warm: list[Round] = []
    build = Build(["/bin/sh", "-c", script], cwd=str(directory))
    rounds = measure(build, PtraceTracer(), rounds=1, warmup=1, on_warmup=warm.append)
    return [*warm, *rounds]


def test_server_that_a_warm_up_left_behind_is_named(tmp_path: Path) -> None:
    script = SERVER.replace("exec {then}", "/bin/sleep 0.5; :")
    trees = [done.tree for done in runs_of(script, tmp_path)]
    assert [tree.complete for tree in trees] == [True, True]
    assert len(trees[1]) == 1
    warning = warning_of_survivors(trees)
    assert warning is not None
    assert warning.startswith("processes that outlive the build do work for it: /bin/sh -c '/bin/true;")


def test_process_that_only_lives_on_is_not_said_to_work(tmp_path: Path) -> None:
    script = "[ -e left ] || { : > left; /bin/sleep 0.5 </dev/null >/dev/null 2>&1 & }"
    warning = warning_of_survivors(done.tree for done in runs_of(script, tmp_path))
    assert warning is not None
    assert warning.startswith("processes outlive the build: ")


def test_build_that_leaves_nothing_is_not_warned_of(tmp_path: Path) -> None:
    assert warning_of_survivors(done.tree for done in runs_of("/bin/true", tmp_path)) is None
