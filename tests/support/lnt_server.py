"""A real LNT server on loopback, on SQLite or on PostgreSQL, for tests: started when asked for, and always ended."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_ptreetime.reports.lnt import lnt_schema

TOKEN = "a-token-of-the-test"
STARTING_SECONDS = 60


def lnt_command() -> str | None:
    """LNT's own program: from PTREETIME_LNT, beside this Python, or on PATH."""
    named = os.environ.get("PTREETIME_LNT")
    beside = Path(sys.executable).with_name("lnt")
    return named or (str(beside) if beside.exists() else shutil.which("lnt"))


needs_lnt = pytest.mark.skipif(
    lnt_command() is None, reason="needs LNT: install the extra `lnt`, or give an lnt program as PTREETIME_LNT"
)


def lnt_python() -> str:
    """The Python that LNT is installed for: the one named by its program's first line."""
    return Path(str(lnt_command())).resolve().read_text().splitlines()[0].removeprefix("#!").strip()


def postgresql_directory() -> Path | None:
    """Where Debian, or PATH, has PostgreSQL's programs."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    return places[0] if places else Path(found).parent if found else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server with an empty database ``lnt``; the address for LNT."""
    programs = postgresql_directory()
    if programs is None:
        pytest.skip("needs PostgreSQL (apt-get install postgresql)")
    if subprocess.run([lnt_python(), "-c", "import psycopg2"], capture_output=True).returncode != 0:
        pytest.skip("needs psycopg2 beside LNT (the extra `server` of llvm-lnt)")
    account = None
    if os.getuid() == 0:  # PostgreSQL refuses to be run by root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("needs the user postgres, because PostgreSQL does not run as root")
    # Not below pytest's directories: every session that starts takes the access of other users to them away.
    with tempfile.TemporaryDirectory(prefix="ptreetime-pg-") as name:
        directory = Path(name)
        if account is not None:
            os.chown(directory, account.pw_uid, account.pw_gid)
        with _postgresql(programs, directory, account) as url:
            yield url


@contextmanager
def _postgresql(programs: Path, directory: Path, account: pwd.struct_passwd | None) -> Iterator[str]:
    data, port, log_path = directory / "data", free_port(), directory / "log"
    who: dict[str, Any] = (
        {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    )
    initdb = [str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/", **who)
    options = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={directory}"]
    with log_path.open("wb") as log:
        server = subprocess.Popen([programs / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd="/", **who)
    try:
        createdb = [str(programs / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "lnt"]
        deadline = time.monotonic() + STARTING_SECONDS
        while subprocess.run(createdb, capture_output=True).returncode != 0:
            assert server.poll() is None, log_path.read_text()
            assert time.monotonic() < deadline, log_path.read_text()
            time.sleep(0.2)  # it says in its log only that it is ready
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)  # its fast shutdown: it does not wait for clients
        server.wait(30)


@contextmanager
def lnt_server(
    directory: Path, database: str | None = None, suites: Sequence[str] = ("compile", "ptreetime")
) -> Iterator[str]:
    """An LNT server with ``suites`` besides its own; its address.

    :param database: the address of a database server; SQLite in ``directory`` without it.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    instance = directory / "instance"
    where = [] if database is None else ["--db-dir", database, "--default-db", "lnt"]
    created = subprocess.run(
        [str(lnt_command()), "create", str(instance), "--api-auth-token", TOKEN, "--url", url, *where],
        capture_output=True,
        text=True,
    )
    assert created.returncode == 0, created.stderr
    for suite in suites:
        (instance / "schemas" / f"{suite}.yaml").write_text(lnt_schema(suite))
    log_path = directory / "lnt.log"
    with log_path.open("wb") as log:
        command = [str(lnt_command()), "runserver", str(instance), "--hostname", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{url}/api/db_default/v4/{[*suites, 'nts'][0]}/fields", timeout=30):
                    break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, log_path.read_text()
                assert time.monotonic() < deadline, log_path.read_text()
                time.sleep(0.2)  # it says nowhere that it is ready
        yield url
    finally:
        server.terminate()
        server.wait(30)
