"""Writing a file so that a reader, a crash or a full disk meets the old content or the new, and nothing between."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pytest_ptreetime.system.temporary_files import locked_file

__all__ = ["replace_file"]


def replace_file(path: Path, content: bytes | Iterable[bytes], *, mode: int = 0o666) -> None:
    """Replace ``path`` by a file with ``content``: written beside it, synchronised, renamed.

    A process that is killed meanwhile leaves the temporary file; the next one that writes in this directory removes it.

    :param mode: permissions before the umask; 0o600 for what may hold secrets.
    :raises OSError: the directory is missing or can't be written, the disk is full; ``path`` is as it was and the
        temporary file is gone.
    """
    chunks = (content,) if isinstance(content, bytes) else content
    with locked_file(path, mode) as (temporary, descriptor), os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
        temporary.replace(path)  # while it is locked
    _synchronise(path.parent)


def _synchronise(directory: Path) -> None:
    """Make the new name last: without it, a power cut may bring the old file back."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # a directory that may be written but not read
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems refuse; the rename itself has happened
        pass
    finally:
        os.close(descriptor)
