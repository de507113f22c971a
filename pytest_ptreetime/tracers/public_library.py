"""The library where everybody can read it: for the steps of a build that run as another user.

Root's package may lie below a directory that is closed to others (a virtual environment in /root). The loader of a step
that runs as another user would complain on its standard error that it can't open the library. So it is copied, with the
directories by which the loader chooses it (preload.py), to one that belongs to us and that others can't write to.

Its name is that of the content, and the content is compared before each use. It is not removed at the end of a build:
daemons that the build has left behind keep the name in their environment, and so does all that they start.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from pytest_ptreetime.system.atomic_write import replace_file

__all__ = ["public_library"]

_NAME = "ptreetime-library-"
_STAYS = Path("/var/tmp")  # noqa: S108 -- whose the name is there is looked at


def public_library(library: Path) -> Path:
    """``library``, or a copy of it where other users could not read it and a step may run as one of them.

    Where no copy can be made it is ``library`` too.
    """
    if os.geteuid() != 0:
        return library  # only root's steps become other users and keep their environment
    files = [library, *sorted((library.parent / "preload").rglob(library.name))]
    if all(_is_public(file) for file in files):
        return library
    contents = {str(file.relative_to(library.parent)): file.read_bytes() for file in files}
    for place in (_STAYS, Path(tempfile.gettempdir())):
        with suppress(OSError):
            copy = _directory(place, _digest(contents)) / library.name
            _fill(copy.parent, contents)
            if _is_public(copy) and _is_executable_there(copy):
                return copy
    return library


def _is_public(path: Path) -> bool:
    resolved = path.resolve()
    directories = [*resolved.parents, *path.absolute().parents]
    return bool(resolved.stat().st_mode & stat.S_IROTH) and all(
        directory.stat().st_mode & stat.S_IXOTH for directory in directories
    )


def _is_executable_there(path: Path) -> bool:
    """Whether the file system allows code, which a loader would complain of, too."""
    with path.open("rb") as file:
        try:
            mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC).close()
        except OSError:
            return False
    return True


def _digest(contents: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _directory(place: Path, digest: str) -> Path:
    directory = place / f"{_NAME}{os.geteuid()}-{digest}"
    with suppress(FileExistsError):
        directory.mkdir(mode=0o755)
    if not _is_ours(directory):  # somebody else has taken the name
        directory = _another(place, digest)
    directory.chmod(0o755)
    return directory


@cache
def _another(place: Path, digest: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"{_NAME}{os.geteuid()}-{digest}-", dir=place))


def _is_ours(directory: Path) -> bool:
    status = directory.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _fill(directory: Path, contents: dict[str, bytes]) -> None:
    (directory / "preload" / "libasan.so").mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != content:
            replace_file(path, content, mode=0o644)
    for path in directory.rglob("*"):  # whatever the umask is
        path.chmod(0o755 if path.is_dir() else 0o644)
