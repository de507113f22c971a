"""A build that waits for what is not in its tree is slower, however little it works."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from changed_fixtures import save_baseline
from changed_project import ChangedBuild, commit_all, in_shell

#: A client that has its work done elsewhere: by a server, which the test plays.
CLIENT = """
import socket
with socket.socket(socket.AF_UNIX) as client:
    client.connect("server")
    client.recv(1)
"""
#: It answers each client after so many seconds.
SERVER = """
import socket, sys, time
with socket.socket(socket.AF_UNIX) as server:
    server.bind("server")
    server.listen()
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        time.sleep(float(open("seconds").read()))
        client.close()
"""
TEST = """
import subprocess, sys

#: Somebody else has the lock when the build starts.
HELD = "flock held sleep $(cat held-for) >/dev/null 2>&1 & while flock -n held true; do sleep 0.01; done"

def test_build(ptreetime):
    server = subprocess.Popen([sys.executable, "server.py"], stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        ptreetime(["./build.sh"], setup=HELD)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        subprocess.run(["rm", "server"])
"""
LONGER = r"^waits [12]\.\d* s longer: {} was waiting while nothing of the build ran; build.sh: wall (x|\+)"
WAITS = {
    "server": ("echo 1.8 > seconds", r"python\S* client.py"),
    "lock": ("echo 1.8 > held-for", "flock held true"),
    "sleep": ("sed -i 's/^sleep .*/sleep 1.8/' build.sh", r"sleep 0\.1"),
}


@pytest.fixture(scope="module")
def waiting_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("waiting") / "project"
    directory.mkdir()
    if shutil.which("flock") is None:
        pytest.skip("needs flock")
    files = {"client.py": CLIENT, "server.py": SERVER, "seconds": "0.1", "held-for": "0.2", "test_build.py": TEST}
    for name, text in files.items():
        (directory / name).write_text(text)
    (directory / "build.sh").write_text(f"#!/bin/sh\nflock held true\n{sys.executable} client.py\nsleep 0.1\n")
    (directory / "build.sh").chmod(0o755)
    (directory / ".gitignore").write_text(".ptreetime/\n__pycache__/\nreport.json\n")
    in_shell("git init -q", directory)
    commit_all(directory)
    save_baseline(directory)
    return directory


@pytest.mark.parametrize("cause", ["server", "lock", "sleep"])
@pytest.mark.parametrize("against", ["--ptreetime-baseline", "--ptreetime-against=HEAD"])
def test_longer_wait_is_a_regression_of_the_wall_time_that_names_who_waited(
    pytester: pytest.Pytester, waiting_project: Path, cause: str, against: str
) -> None:
    if cause == "server" and "HEAD" in against:
        pytest.skip("both revisions have the one server")
    build = ChangedBuild(pytester, waiting_project)
    change, waiter = WAITS[cause]
    build.change(change)
    build.run(against, rounds=3).expect("regression", LONGER.format(waiter))
