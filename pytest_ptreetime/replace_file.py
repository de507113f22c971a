"""Writing a file so that a reader, a crash or a full disk meets the old content or the new, and nothing between."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, content: bytes | Iterable[bytes], *, mode: int = 0o666) -> None:
    """Replace ``path`` by a file with ``content``: written beside it, synchronised, renamed.

    :param mode: permissions before the umask; 0o600 for what may hold secrets.
    :raises OSError: the directory is missing or can't be written, the disk is full; ``path`` is as it was and the
        temporary file is gone.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
    chunks = (content,) if isinstance(content, bytes) else content
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
