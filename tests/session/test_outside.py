"""A server that was there before the build works for it, outside the tree: it is named, with what it used."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_ptreetime.decision.finding import Comparison
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports.results import from_recordings
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.evaluation import evaluate
from pytest_ptreetime.session.run import Round, run_once
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.ebpf import EbpfTracer
from pytest_ptreetime.tracers.ptrace import PtraceTracer
from pytest_ptreetime.wording.changes import changes_in_words
from pytest_ptreetime.wording.outside import outside_in_words

SERVER = str(Path(__file__).parents[1] / "support" / "compile_server.py")
WORK = 0.2  # seconds of processor time a request

Serve = Callable[[str], str]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a server, which gives its address."""
    monkeypatch.chdir(tmp_path)
    servers: list[subprocess.Popen[str]] = []

    def start(address: str) -> str:
        server = subprocess.Popen([sys.executable, SERVER, "serve", address], stdout=subprocess.PIPE, text=True)
        servers.append(server)
        assert server.stdout is not None
        return server.stdout.readline().strip()

    yield start
    for server in servers:
        server.kill()
        server.communicate()


@pytest.fixture
def ebpf() -> Iterator[EbpfTracer]:
    tracer = EbpfTracer()
    reason = tracer.available()
    if reason is not None:
        pytest.skip(f"ebpf: {reason}")
    yield tracer
    tracer.close()


@pytest.fixture
def seeing(ebpf: EbpfTracer) -> EbpfTracer:
    """The tracer where the kernel shows it who connects to whom."""
    if not ebpf.record(Command(args=["/bin/true"])).sees_connections:
        pytest.skip("the kernel takes no programs at its functions, and tracefs can't be read")
    return ebpf


def ask(address: str, seconds: float = WORK) -> Build:
    return Build([sys.executable, SERVER, "ask", address, str(seconds)])


@pytest.mark.parametrize("wanted", ["sock", "@ptreetime-test", "0"])
def test_server_that_the_build_connects_to_is_named_with_all_its_work(
    wanted: str, serve: Serve, seeing: EbpfTracer
) -> None:
    wanted = f"{wanted}-{os.getpid()}" if wanted.startswith("@") else wanted
    address = serve(wanted)
    tree = run_once(ask(address), seeing, capture=True).tree
    assert tree.complete
    (server,) = tree.outside
    assert server.name.endswith(" compile_server.py")
    assert server.socket == (f"port {address}" if wanted == "0" else address)
    assert server.cpu >= 0.95 * WORK
    assert not tree.find(where=lambda node: node.pid == server.pid)


def test_server_that_the_build_does_not_connect_to_is_not_named(serve: Serve, seeing: EbpfTracer) -> None:
    serve("other")
    address = serve("sock")
    client = subprocess.Popen([sys.executable, SERVER, "ask", "other", "5"])  # works for somebody else meanwhile
    try:
        tree = run_once(ask(address), seeing, capture=True).tree
    finally:
        client.kill()
        client.wait()
    assert [process.socket for process in tree.outside] == ["sock"]


def test_build_that_connects_to_nobody_has_nothing_outside(serve: Serve, ebpf: EbpfTracer) -> None:
    serve("sock")
    assert run_once(Build(["/bin/sh", "-c", "/bin/true; :"]), ebpf, capture=True).tree.outside == []


def test_server_that_the_build_starts_is_in_the_tree_and_later_outside_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ebpf: EbpfTracer
) -> None:
    monkeypatch.chdir(tmp_path)
    script = (
        'if [ ! -e sock ]; then "$0" "$1" serve sock </dev/null >/dev/null 2>&1 & fi\n'
        'while [ ! -S sock ]; do sleep 0.01; done; sleep 0.1; "$0" "$1" ask sock 0.1'
    )
    build = Build(["/bin/sh", "-c", script, sys.executable, SERVER])
    first = run_once(build, ebpf, capture=True).tree
    try:
        (living,) = [node for node in first if node.still_running]
        second = run_once(build, ebpf, capture=True).tree
        # a hint, where the kernel shows no connections, names others of this machine too
        assert living.pid not in [process.pid for process in first.outside]
        assert living.pid in [process.pid for process in second.outside]
    finally:
        for node in first:
            if node.still_running:
                os.kill(node.pid, 9)


def test_without_ebpf_there_is_a_hint_of_who_may_have_worked(serve: Serve) -> None:
    address = serve("sock")
    tracer = PtraceTracer()
    try:
        tree = run_once(ask(address, 2 * WORK), tracer, capture=True).tree
    finally:
        tracer.close()
    server = next(process for process in tree.outside if process.name.endswith(" compile_server.py"))
    assert server.socket is None
    assert server.cpu >= 0.95 * 2 * WORK
    (said,) = [line for line in outside_in_words([tree]) if "compile_server.py" in line]
    assert "may have worked for the build" in said
    assert "the tracer ebpf sees" in said
    tree.tracer = "ebpf"  # to which the kernel shows nothing
    assert any("tracefs" in line and "compile_server.py" in line for line in outside_in_words([tree]))


def test_sccache_is_named_with_its_compilers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeing: EbpfTracer
) -> None:
    if shutil.which("sccache") is None or shutil.which("gcc") is None:
        pytest.skip("sccache or gcc is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCCACHE_SERVER_PORT", port)
    monkeypatch.setenv("SCCACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "a.c").write_text(
        '#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return puts(getenv("A")); }\n'
    )
    subprocess.run(["sccache", "--start-server"], check=True, capture_output=True)
    try:
        tree = run_once(Build(["sccache", "gcc", "-O2", "-c", "a.c", "-o", "a.o"]), seeing, capture=True).tree
    finally:
        subprocess.run(["sccache", "--stop-server"], check=True, capture_output=True)
    assert [node.name for node in tree] == ["sccache"]
    (server,) = tree.outside
    assert (server.name, server.socket) == ("sccache", f"port {port}")


def rounds_of(address: str, seconds: float, tracer: EbpfTracer) -> list[Round]:
    return [run_once(ask(address, seconds), tracer, capture=True) for _ in range(2)]


def test_recording_and_summary_have_it_and_a_comparison_says_where_it_changed(serve: Serve, ebpf: EbpfTracer) -> None:
    address = serve("sock")
    before, now = rounds_of(address, 0.1, ebpf), rounds_of(address, 0.5, ebpf)
    session = from_recordings([Recording.from_bytes(done.recording.to_bytes()) for done in now], name="build")
    # a hint, where the kernel shows no connections, names others of this machine too
    assert any("compile_server.py, outside the tree, used " in said for said in session.measurements[0].warnings)
    sides = [[Profile.from_tree(done.tree) for done in side] for side in (before, now)]
    comparison: Comparison = evaluate(session.measurements[0], [sides[0]], sides[1], paired=True)
    (said,) = [line for line in changes_in_words(comparison) if "compile_server.py used " in line]
    assert "outside the tree" in said
    assert " of cpu, " in said
    same = evaluate(session.measurements[0], [sides[0]], sides[0], paired=True)
    assert not any("compile_server.py" in line for line in changes_in_words(same))
