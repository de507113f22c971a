"""What is done before each run of a build, and undone after it: for tests of incremental builds.

::

    from pytest_ptreetime.scenarios import edit

    def test_one_header(ptreetime):
        tree = ptreetime(["ninja", "-C", "build"], setup=edit("src/value.h", append="/* {round} */"))
        assert tree.compiled() <= {"src/value.c", "src/machine.c"}

:func:`touch`, :func:`edit`, :func:`clean` and :func:`warm_cache` give a :class:`Step`; ``setup=`` takes one or a list
of them, among which commands and functions may be. They are done in their order before each run and undone in the
opposite one after it, whatever comes of the run. Paths are relative to the build's directory; with
``--ptreetime-against`` each revision has its own.
"""

from __future__ import annotations

import glob
import hashlib
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_ptreetime.errors import ScenarioError, UsageError
from pytest_ptreetime.system.os_errors import os_errors_as
from pytest_ptreetime.system.termination import sigterm_raises

__all__ = ["Occasion", "Step", "clean", "edit", "touch", "warm_cache"]

ROUND = "{round}"
ORIGINAL = ".ptreetime-original-"  # and a hash of what stands in its place
CHANGED = ".ptreetime-changed"
_HASH_LENGTH = 16
_held: set[Path] = set()  # originals that this process has put aside

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Occasion:
    """A run that is to come: the build's ``directory``, and ``run``, which runs the build without tracing it."""

    directory: Path
    run: Callable[[], object]


class Step:
    """One step of a set-up.

    ``incremental``: it leaves the build directory as the last run left it. A measurement with such steps alone is
    compared exactly: a program that ran and did not run in the baseline fails it, however little it costs.
    ``settles``: what the last run made is out of date once the step is undone, so the build is run once more, untraced,
    when all rounds are done.
    """

    incremental = True
    settles = False

    def start(self, occasion: Occasion) -> None:
        """Done once, before the first run of a measurement."""

    def around(self, occasion: Occasion) -> AbstractContextManager[None]:
        """Entered before each run, left after it."""
        return nullcontext()

    def moved(self, move: Callable[[str], str]) -> Step:
        """The step in another checkout; ``move`` gives a path's name there."""
        return self


def touch(*paths: StrPath) -> Step:
    """Give files a new modification time; they have the old one again after the run.

    :raises ScenarioError: at the run: a file is not there.
    """
    if not paths:
        raise UsageError("touch(): name at least one file")
    return _Touch(tuple(os.fspath(path) for path in paths))


def edit(path: StrPath, *, append: str | None = None, replace: tuple[str, str] | None = None) -> Step:
    """Change a file before each run, each time to another content, and restore it after the run.

    ``{round}`` in the new text becomes a number of nine digits that no other run has, so that no cache knows the
    content. The file that is restored is the original one, with a new modification time: what the run built came from
    the changed one, and make must see that. The build runs once more, untraced, after the last round; so the next test
    finds it up to date.

    A file that somebody else wrote to during the run is restored all the same; what was written is kept beside it. If
    pytest itself was killed, the next ``edit`` of the file restores it first.

    :param append: added at the end of the file, on a line of its own.
    :param replace: ``(old, new)``: every ``old`` becomes ``new``.
    :raises UsageError: neither or both are given, or the new text has no ``{round}``.
    :raises ScenarioError: at the run: there is no such file, or no ``old`` in it.
    """
    name = os.fspath(path)
    if (append is None) == (replace is None):
        raise UsageError(f"edit({name!r}): give either append= or replace=(old, new)")
    if append is not None:
        old, new = None, append
    else:
        assert replace is not None
        if isinstance(replace, str) or len(replace) != 2 or not replace[0]:
            raise UsageError(f"edit({name!r}): replace= is a pair (old, new), and old is not empty")
        old, new = replace
    if ROUND not in new:
        raise UsageError(f"edit({name!r}): put {ROUND} into the new text, so that each run has another content")
    return _Edit(name, old, new)


def clean(*paths: StrPath) -> Step:
    """Remove files and directories before each run; glob patterns are allowed, missing paths are not errors.

    :raises ScenarioError: at the run: a path is the build's own directory or one above it.
    """
    if not paths:
        raise UsageError("clean(): name at least one file or directory")
    return _Clean(tuple(os.fspath(path) for path in paths))


def warm_cache() -> Step:
    """Run the build once before the first run of a measurement, untraced: caches are full, everything is up to date.

    Steps before it in a list are not done for that run.
    """
    return _WarmCache()


@dataclass(frozen=True)
class _Touch(Step):
    paths: tuple[str, ...]

    @contextmanager
    def around(self, occasion: Occasion) -> Iterator[None]:
        files = [_file(occasion.directory, path, "touch") for path in self.paths]
        before = [file.stat() for file in files]
        touched: list[int] = []
        try:
            with os_errors_as(ScenarioError, "touch() can't set a modification time"):
                touched.extend(map(_date_now, files))
            yield
        finally:
            for file, status, now_ns in zip(files, before, touched, strict=False):
                with suppress(FileNotFoundError):
                    if file.stat().st_mtime_ns == now_ns:  # else it was written to
                        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    def moved(self, move: Callable[[str], str]) -> Step:
        return replace(self, paths=tuple(map(move, self.paths)))


@dataclass(frozen=True)
class _Edit(Step):
    path: str
    old: str | None
    new: str

    settles = True

    @contextmanager
    def around(self, occasion: Occasion) -> Iterator[None]:
        with sigterm_raises():
            yield from self._changed(occasion)

    def _changed(self, occasion: Occasion) -> Iterator[None]:
        file = _file(occasion.directory, self.path, "edit", allow_missing=True)
        with os_errors_as(ScenarioError, f"edit() can't change {file}"):
            _restore_after_a_kill(file)
            if not file.is_file():
                raise ScenarioError(f"edit(): there is no file {self.path} in {occasion.directory}")
            original = file.read_bytes()
            edited = self._edited(original, file)
            backup = _put_in_place(file, edited)
        try:
            yield
        finally:
            with os_errors_as(ScenarioError, f"edit() can't restore {file}, whose original is {backup}"):
                _restore(file, backup, original, edited)

    def _edited(self, original: bytes, file: Path) -> bytes:
        new = self.new.replace(ROUND, str(random.randrange(100_000_000, 1_000_000_000))).encode()  # noqa: S311
        if self.old is None:
            return original + (b"\n" if original and not original.endswith(b"\n") else b"") + new.rstrip(b"\n") + b"\n"
        if self.old.encode() not in original:
            raise ScenarioError(f"edit(): {file} has no {self.old!r} to replace")
        return original.replace(self.old.encode(), new)

    def moved(self, move: Callable[[str], str]) -> Step:
        return replace(self, path=move(self.path))


@dataclass(frozen=True)
class _Clean(Step):
    paths: tuple[str, ...]

    incremental = False

    def around(self, occasion: Occasion) -> AbstractContextManager[None]:
        directory = occasion.directory.resolve()
        for pattern in self.paths:
            for name in glob.glob(pattern, root_dir=directory, recursive=True):  # noqa: PTH207 - Path.glob takes no absolute pattern
                path = directory / name
                whole = path.parent.resolve() / path.name if path.name != ".." else path.resolve()
                if whole == directory or whole in directory.parents:
                    raise ScenarioError(f"clean({pattern!r}) would remove {directory}, in which the build runs")
                with os_errors_as(ScenarioError, f"clean() can't remove {path}"):
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                    else:
                        path.unlink(missing_ok=True)
        return nullcontext()

    def moved(self, move: Callable[[str], str]) -> Step:
        return replace(self, paths=tuple(map(move, self.paths)))


@dataclass(frozen=True)
class _WarmCache(Step):
    def start(self, occasion: Occasion) -> None:
        occasion.run()


def _file(directory: Path, path: str, step: str, *, allow_missing: bool = False) -> Path:
    """The file itself, behind symbolic links."""
    file = (directory / path).resolve()
    if not allow_missing and not file.exists():
        raise ScenarioError(f"{step}(): there is no file {path} in {directory}")
    return file


def _date_now(file: Path) -> int:
    """Give ``file`` the time of now, which is later than that of any file written before.

    The kernel's own time for a file that is written is that of its last tick, some milliseconds ago.
    """
    now_ns = time.time_ns()
    os.utime(file, ns=(now_ns, now_ns))
    return file.stat().st_mtime_ns  # as precise as the file system has it


# While a file is edited, its original stands beside it under a name that holds a hash of the edited content: a later
# run can tell that nobody but us has written the file, and restore it. The original is renamed, not copied: owner,
# mode, links and attributes stay its own.


def _put_in_place(file: Path, content: bytes) -> Path:
    """Put ``content`` where ``file`` is, at once; gives the original's new name."""
    backup = file.with_name(file.name + ORIGINAL + _hash(content))
    changed = file.with_name(file.name + CHANGED)
    try:
        changed.write_bytes(content)
        shutil.copystat(file, changed)
        _date_now(changed)
        try:
            os.link(file, backup)
        except OSError:  # a file system without hard links
            shutil.copy2(file, backup)
        _held.add(backup)
        changed.replace(file)
    except BaseException:
        changed.unlink(missing_ok=True)
        backup.unlink(missing_ok=True)
        raise
    return backup


def _restore(file: Path, backup: Path, original: bytes, edited: bytes) -> None:
    with suppress(FileNotFoundError):
        if file.read_bytes() not in (edited, original):
            file.replace(file.with_name(file.name + CHANGED))
    try:
        backup.replace(file)
    except FileNotFoundError:  # the build has removed what it does not know
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(original)
    _held.discard(backup)
    _date_now(file)


def _restore_after_a_kill(file: Path) -> None:
    """Restore what an earlier run, which was killed, has left edited."""
    left = sorted({path for path in file.parent.iterdir() if path.name.startswith(file.name + ORIGINAL)} - _held)
    if not left:
        return
    if len(left) > 1 or not file.exists() or left[0].name != file.name + ORIGINAL + _hash(file.read_bytes()):
        raise ScenarioError(
            f"{left[0]} is the original of {file}, left by a run that was killed, and the file was written to since: "
            "move the original back, or remove it"
        )
    left[0].replace(file)
    _date_now(file)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]
