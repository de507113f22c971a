"""A process that opens files until there is no descriptor left."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["spending_descriptors"]

LIMIT = 300


@contextmanager
def spending_descriptors() -> Iterator[list[int]]:
    """Lowers the limit, and closes at the end what the block has put into the list by :func:`os.open`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, LIMIT), hard))
    taken: list[int] = []
    try:
        yield taken
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
