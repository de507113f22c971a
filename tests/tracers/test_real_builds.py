"""Real third-party builds: what a tracer saw, against what strace saw of the same build."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from lua_sources import LUA_VERSIONS, SourcesMissing, build_command, lua_sources
from strace_witness import witness
from working_tracers import working

from pytest_ptreetime.session.run import record
from pytest_ptreetime.tracers import Tracer, builtin_tracers
from pytest_ptreetime.tree.process_tree import ProcessTree

# parent's arguments, arguments, exit status (minus a signal's number; None where an exec ended the image)
Seen = tuple[tuple[str, ...] | None, tuple[str, ...], int | None]

TEMPORARY = re.escape(tempfile.gettempdir())
FULL_TRACERS = {name: make for name, make in builtin_tracers().items() if name != "interpose"}


@pytest.fixture(scope="module")
def lua() -> Path:
    if shutil.which("make") is None or shutil.which("gcc") is None:
        pytest.skip("needs make and gcc")
    try:
        return lua_sources()
    except SourcesMissing as missing:
        pytest.skip(str(missing))


def command_of(lua: Path, objects: Path) -> list[str]:
    """A build of all five interpreters; not optimised, which changes no process and saves a minute."""
    return [*build_command(lua, objects, *LUA_VERSIONS), "CFLAGS=-O0 -std=gnu99 -DLUA_USE_POSIX -w"]


@pytest.fixture(scope="module")
def seen_by_strace(lua: Path, tmp_path_factory: pytest.TempPathFactory) -> Counter[Seen]:
    if shutil.which("strace") is None:
        pytest.skip("needs strace as the witness")
    directory = tmp_path_factory.mktemp("witness")
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("strace can't trace here")
    pairs = witness(command_of(lua, directory / "objects"), directory, cwd=lua)
    return counted((parent.args if parent else None, image.args, image.ended) for parent, image in pairs)


@pytest.fixture(params=FULL_TRACERS.items(), ids=lambda item: item[0])
def tracer(request: pytest.FixtureRequest) -> Iterator[Tracer]:
    make: Callable[[], Tracer] = request.param[1]
    with working(make()) as tracer:
        yield tracer


def counted(images: Iterable[Seen]) -> Counter[Seen]:
    return Counter((stable(parent), stable(args) or (), ended) for parent, args, ended in images)


def stable(args: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Arguments without the names that differ between two runs: gcc's temporary files and the objects' directory."""
    if args is None:
        return None
    return tuple(
        re.sub(rf"{TEMPORARY}/[^= ]*objects", "OBJECTS", re.sub(rf"{TEMPORARY}/cc\w{{6}}\b", "TEMPORARY", argument))
        for argument in args
    )


def seen_by(tree: ProcessTree) -> Counter[Seen]:
    def ended(code: int | None, signal: int | None) -> int | None:
        return -signal if signal is not None else code

    return counted(
        (
            None if node.parent is None else tuple(node.parent.args or ()),
            tuple(node.args or ()),
            ended(node.exit_code, node.signal),
        )
        for node in tree
    )


def test_lua_build_traced_has_the_processes_arguments_and_exit_statuses_that_strace_saw(
    lua: Path, tracer: Tracer, seen_by_strace: Counter[Seen], tmp_path: Path
) -> None:
    recording = record(command_of(lua, tmp_path / "objects"), cwd=lua, tracer=tracer, check=True)
    tree = recording.tree()
    assert tree.complete, tree.incomplete_reason
    assert len(tree.find(name="cc1")) > 150
    seen = seen_by(tree)
    assert seen - seen_by_strace == Counter(), "seen by the tracer alone"
    assert seen_by_strace - seen == Counter(), "seen by strace alone"


def test_lua_build_traced_has_times_that_fit_into_their_parents(lua: Path, tracer: Tracer, tmp_path: Path) -> None:
    tree = record([*command_of(lua, tmp_path / "objects"), "VERSIONS=lua51"], cwd=lua, tracer=tracer).tree()
    assert tree.complete, tree.incomplete_reason
    assert tree.wall is not None
    for node in tree:
        assert node.exit_ns is not None
        assert node.start_ns <= node.exit_ns
        if node.parent is not None:
            assert node.parent.start_ns <= node.start_ns
        assert node.cpu is not None
        assert node.wall is not None
        assert node.cpu <= node.wall + 0.01, "one thread uses no more processor time than passes"
