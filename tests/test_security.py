"""What docs/explanation/security.md says of the package's own code and files."""

from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.session.run import record
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.launch import launched
from pytest_ptreetime.tracers.preload import LOGGING

PACKAGE = Path(__file__).parent.parent / "pytest_ptreetime"

FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "dill", "yaml", "code", "codeop"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "tempfile.mktemp", "subprocess.getoutput"}
# The set-up that is a text, because its author wrote a shell command: session/build.py.
SHELLS = {("build.py", "isinstance(command, str)")}
# Build.from_arguments: the commands of `ptreetime ab` and `ptreetime replay` are shell commands
FROM_A_TEXT = {("ab.py", "True"), ("replay.py", "True")}


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                yield path, node


@pytest.mark.promise("no-shell-no-pickle")
def test_package_imports_nothing_that_runs_what_it_reads() -> None:
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & FORBIDDEN_MODULES, path


@pytest.mark.promise("no-shell-no-pickle")
def test_package_calls_no_shell_but_those_that_the_user_wrote() -> None:
    found = set()
    for path, call in calls():
        assert ast.unparse(call.func) not in FORBIDDEN_CALLS, (path, ast.unparse(call))
        for keyword in call.keywords:
            text = ast.unparse(keyword.value)
            if keyword.arg == "shell" and text != "shell":  # handed on from where it was asked for
                found.add((path.name, text))
    assert found == SHELLS | FROM_A_TEXT


@pytest.mark.promise("no-shell-no-pickle")
def test_sources_of_the_native_part_call_no_shell() -> None:
    for path in (PACKAGE.parent / "libptreetime" / "recorder").glob("*.[ch]"):
        for word in ("system(", "popen(", "execl", "tmpnam", "mktemp("):
            assert word not in path.read_text(), path


@pytest.mark.promise("nothing-but-arguments-recorded")
def test_recording_has_nothing_of_the_environment_the_input_or_the_output(tmp_path: Path) -> None:
    secret = "NotToBeKept42"
    script = 'read line; echo "$line$SECRET"; cat "$0" >/dev/null'
    content = tmp_path / "content"
    content.write_text(secret)
    recording = record(
        ["/bin/sh", "-c", script, str(content)],
        tracer="ptrace",
        env={**os.environ, "SECRET": secret},
        input=f"{secret}\n",
    )
    assert len(recording.tree()) == 2
    path = tmp_path / "r.ptreetime"
    recording.save(path)
    loaded = Recording.load(path)
    assert secret not in repr((loaded.events, loaded.command, loaded.host, loaded.versions))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.promise("private-temporary-files")
def test_what_a_run_needs_is_private_and_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mask = os.umask(0)
    try:
        with launched(Command(["true"]), interposer=LOGGING) as child:
            (directory,) = tmp_path.iterdir()
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
            assert all(stat.S_IMODE(path.lstat().st_mode) in (0o600, 0o777) for path in directory.iterdir())
            assert not [path for path in directory.iterdir() if not path.is_symlink() and path.stat().st_mode & 0o077]
            child.open_gate()
            child.process.wait()
    finally:
        os.umask(mask)
    assert not list(tmp_path.iterdir())


FOREVER = 60.0


@pytest.mark.promise("hostile-build")
@pytest.mark.parametrize(
    "instead", ["rm -f {log}; mkfifo {log}", "ln -sf /dev/zero {log}", "rm -rf {log}; mkdir {log}"]
)
def test_build_that_replaces_the_interposers_log_holds_nobody_up(instead: str) -> None:
    """The log is the file that was made for it, whatever its name leads to by then."""
    script = instead.replace("{log}", '"$PTREETIME_LOG"')
    code = "from pytest_ptreetime.session.run import record; import sys\n"
    code += "assert len(record(['/bin/sh', '-c', sys.argv[1]], tracer='ptrace', interpose='log').tree()) >= 2"
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", code, script], check=True, timeout=FOREVER, cwd=PACKAGE.parent)
    assert time.monotonic() - begin < FOREVER
