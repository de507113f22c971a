"""Tracers for tests that need one which works on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from pytest_ptreetime.tracers import Tracer

T = TypeVar("T", bound=Tracer)


@contextmanager
def working(tracer: T) -> Iterator[T]:
    """``tracer``, closed at the end; where it does not work the test is skipped, with the reason."""
    try:
        if (reason := tracer.available()) is not None:
            pytest.skip(f"{tracer.name}: {reason}")
        yield tracer
    finally:
        tracer.close()
