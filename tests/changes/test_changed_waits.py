"""A build that waits for what is not in its tree is slower, however little it works."""

from __future__ import annotations

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

def test_build(ptreetime):
    server = subprocess.Popen([sys.executable, "server.py"], stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        ptreetime(["./build.sh"])
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        subprocess.run(["rm", "server"])
"""
LONGER = r"^waits [12]\.\d* s longer: {} was waiting while nothing of the build ran; build.sh: wall x"
WAITS = {
    "server": ("echo 1.8 > seconds", r"python\S* client.py"),
    "sleep": ("sed -i 's/^sleep .*/sleep 1.8/' build.sh", r"sleep 0\.1"),
}


@pytest.fixture(scope="module")
def waiting_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("waiting") / "project"
    directory.mkdir()
    for name, text in (("client.py", CLIENT), ("server.py", SERVER), ("seconds", "0.1"), ("test_build.py", TEST)):
        (directory / name).write_text(text)
    (directory / "build.sh").write_text(f"#!/bin/sh\n{sys.executable} client.py\nsleep 0.1\n")
    (directory / "build.sh").chmod(0o755)
    (directory / ".gitignore").write_text(".ptreetime/\n__pycache__/\nreport.json\n")
    in_shell("git init -q", directory)
    commit_all(directory)
    save_baseline(directory)
    return directory


@pytest.mark.parametrize("cause", ["server", "sleep"])
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
