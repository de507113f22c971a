"""Streams that are damaged: what is left of them is read, once, and in bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ptreetime.recording.events import FRAME_MARK, Create, Event, Exec, Lost, UserExit, UserStartup, encode_frame
from pytest_ptreetime.tracers import Command
from pytest_ptreetime.tracers.growing_stream import GrowingStream
from pytest_ptreetime.tracers.interpose import InterposeTracer
from pytest_ptreetime.tracers.interposer_log import BEGIN_BYTES, MOST_EVENTS, InterposerLog

pytestmark = pytest.mark.promise("log-damaged")

EVENTS: list[Event] = [Create(number, number, 1) for number in range(20)]
FRAMES = [encode_frame([event]) for event in EVENTS]


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "stream", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[InterposerLog]:
    with InterposerLog.at(tmp_path / "log") as opened:
        yield opened


def append(log: InterposerLog, content: bytes) -> None:
    with log.path.open("ab") as file:
        file.write(content)


def losses(events: list[Event]) -> list[str]:
    return [event.what for event in events if isinstance(event, Lost)]


# The stream


def test_frame_that_was_written_in_part_costs_itself_alone(file: int) -> None:
    for cut in range(1, len(FRAMES[1])):
        os.ftruncate(file, 0)
        os.write(file, FRAMES[0] + FRAMES[1][:cut] + b"".join(FRAMES[2:]))
        stream = GrowingStream(file)
        assert stream.read_new(final=True) == [EVENTS[0], *EVENTS[2:]]
        assert stream.damage == 1


@given(noise=st.binary(max_size=40) | st.just(FRAME_MARK), pieces=st.lists(st.integers(1, 200), max_size=8))
def test_anything_between_frames_is_skipped_whatever_pieces_it_comes_in(noise: bytes, pieces: list[int]) -> None:
    content = b"".join(FRAMES[:9]) + noise + b"".join(FRAMES[9:])
    descriptor = os.memfd_create("stream")
    try:
        stream, events, at = GrowingStream(descriptor), list[Event](), 0
        for size in [*pieces, len(content)]:
            at += os.pwrite(descriptor, content[at : at + size], at)
            events += stream.read_new()
        events += stream.read_new(final=True)
    finally:
        os.close(descriptor)
    assert events == EVENTS
    assert stream.damage == (noise != b"")


def test_frame_that_is_not_there_as_a_whole_yet_is_no_damage(file: int) -> None:
    stream = GrowingStream(file)
    for frame, event in zip(FRAMES, EVENTS, strict=True):
        for byte in range(len(frame) - 1):
            os.write(file, frame[byte : byte + 1])
            assert stream.read_new() == []
        os.write(file, frame[-1:])
        assert stream.read_new() == [event]
    assert stream.read_new(final=True) == []
    assert stream.damage == 0


def test_last_frame_that_never_became_whole_is_damage(file: int) -> None:
    os.write(file, FRAMES[0] + FRAMES[1][:-1])
    stream = GrowingStream(file)
    assert stream.read_new(final=True) == EVENTS[:1]
    assert stream.damage == 1


def test_stream_of_marks_takes_no_quadratic_time(file: int) -> None:
    """Each promises a frame of megabytes: what is summed up in vain has a limit."""
    header = FRAME_MARK + (8 << 20).to_bytes(4, "little") + bytes(4)
    os.write(file, header * ((12 << 20) // len(header)))
    stream = GrowingStream(file)
    assert stream.read_new(final=True) == []
    assert stream.cut_short


# The log


def test_log_that_is_whole_tells_of_no_loss(log: InterposerLog) -> None:
    told: list[Event] = [UserStartup(1, 2, 3, 0, 0), UserExit(2, 2, 3, 0, 0, 0)]
    append(log, b"".join(encode_frame([event]) for event in told))
    assert log.events(alone=True) == told


@pytest.mark.parametrize("alone", [False, True])
def test_what_is_wrong_with_a_log_makes_a_tree_incomplete_only_where_nobody_else_tells_of_it(
    log: InterposerLog, alone: bool
) -> None:
    append(log, b"x" + FRAMES[0])
    *events, lost = log.events(alone=alone)
    assert isinstance(lost, Lost)
    assert lost.count == int(alone)
    assert "damaged in 1 place" in lost.what
    assert events == (EVENTS[:1] if alone else [])  # creations are the kernel's to tell


@pytest.mark.parametrize("size", [0, 3, BEGIN_BYTES])
def test_log_that_was_cut_is_told(log: InterposerLog, size: int) -> None:
    append(log, FRAMES[0])
    os.truncate(log.path, min(size, BEGIN_BYTES - 1))
    append(log, FRAMES[1] * 3)
    assert any("cut or written over" in what for what in losses(log.events(alone=True)))


def test_log_with_a_hole_of_gigabytes_is_read_at_once(log: InterposerLog) -> None:
    append(log, FRAMES[0])
    os.truncate(log.path, 64 << 30)
    append(log, FRAMES[1])
    events = log.events(alone=True)
    assert events[:2] == EVENTS[:2]
    assert "damaged" in losses(events)[0]


@pytest.mark.seconds
def test_more_events_than_a_build_has_are_not_kept(log: InterposerLog) -> None:
    with log.path.open("ab") as file:
        for _ in range(10):
            file.write(FRAMES[0] * (MOST_EVENTS // 9))
    events = log.events(alone=True)
    assert len(events) == MOST_EVENTS + 1
    assert f"more than {MOST_EVENTS:,} events" in losses(events)[-1]


# Builds


STEPS = """
(ulimit -f 1; /bin/true one; /bin/true two)
printf x >>"$PTREETIME_LOG"
/bin/true three
/bin/true four
"""


def test_step_that_can_not_write_or_writes_something_else_costs_its_own_events_alone() -> None:
    tracer = InterposeTracer()
    if (reason := tracer.available()) is not None:
        pytest.skip(str(reason))
    capture = tracer.record(Command(["/bin/sh", "-c", STEPS]))
    programs = [event.args for event in capture.events if isinstance(event, Exec)]
    assert [b"/bin/true", b"three"] in programs
    assert [b"/bin/true", b"four"] in programs
    assert losses(capture.events)


def test_path_of_the_log_that_is_too_long_is_told(tmp_path: Path) -> None:
    place = tmp_path
    while len(str(place)) < 1100:
        place /= "x" * 100
        place.mkdir()
    code = (
        "from pytest_ptreetime import record; print(record(['/bin/true'], tracer='interpose').tree().incomplete_reason)"
    )
    environment = {**os.environ, "TMPDIR": str(place)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "use a shorter TMPDIR" in done.stdout
