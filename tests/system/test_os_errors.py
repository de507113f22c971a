from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from spent_descriptors import spending_descriptors

from pytest_ptreetime.errors import RecordingFailed, ReportFailed
from pytest_ptreetime.system.os_errors import message_of, os_errors_as


def test_descriptors_when_there_are_none_left_are_told_with_what_helps(tmp_path: Path) -> None:
    words = r"^it is not written: Too many open files .*ulimit -n"
    told = pytest.raises(ReportFailed, match=words)
    with spending_descriptors() as taken, told, os_errors_as(ReportFailed, "it is not written"):
        while True:
            taken.append(os.open(tmp_path, os.O_RDONLY))


def test_place_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingFailed, match="no/such"), os_errors_as(RecordingFailed, "not kept"):
        (tmp_path / "no/such").read_bytes()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "ulimit -v"),
        (OSError(errno.ENOSPC, "No space left on device", "/a/b"), "(/a/b): make room"),
        (OSError("said by a library"), "said by a library"),
        (ImportError("libx.so: failed to map segment"), "failed to map segment"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
    ],
)
def test_words_say_the_reason_and_what_helps(error: Exception, words: str) -> None:
    assert words in message_of(error)


def test_error_of_another_kind_is_left_alone() -> None:
    with pytest.raises(ValueError, match="mine"), os_errors_as(RecordingFailed, "not kept"):
        raise ValueError("mine")
