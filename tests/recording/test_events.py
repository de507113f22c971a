"""The wire format: what C writes, Python reads, and damage is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.events import (
    FRAME_HEADER,
    Create,
    End,
    Event,
    Exec,
    Exit,
    Lost,
    Start,
    Usage,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
    decode_stream,
    encode_frame,
)

SOURCES = Path(__file__).parents[1] / "programs"
SINK = Path(__file__).parents[2] / "libptreetime" / "recorder" / "sink.c"
UINT64_MAX = 2**64 - 1


@pytest.fixture(scope="module")
def sink_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C program that writes events, under the sanitizers where the compiler has them."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    target = tmp_path_factory.mktemp("events") / "sink-events"
    command = [compiler, "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", f"-I{SINK.parent.parent}"]
    sanitize: list[str] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    for flags in (sanitize, []):
        done = subprocess.run(
            [*command, *flags, "-o", target, SOURCES / "sink-events.c", SINK], capture_output=True, check=False
        )
        if done.returncode == 0:
            return target
    raise AssertionError(done.stderr.decode())


def written(program: Path, directory: Path, *args: str) -> bytes:
    """What the program writes; its standard output is a file, as the recorder's is."""
    output = directory / "output"
    with output.open("wb") as file:
        subprocess.run([program, *args], stdout=file, check=True)
    return output.read_bytes()


def test_sink_writes_what_python_reads(sink_events: Path, tmp_path: Path) -> None:
    frames = list(decode_stream(written(sink_events, tmp_path), "the sink"))
    assert len(frames) > 3
    events = [event for frame in frames for event in frame]
    usage = Usage(*(UINT64_MAX - 1 - field if field % 3 == 0 else field * 100 for field in range(15)))
    large = [b"x" * 99] * ((3 << 20) // 100) + [b"x" * ((3 << 20) % 100)]
    assert events[:8] == [
        Start(1, 127, UINT64_MAX),
        Create(2, 2**31 - 1, 128),
        Exec(3, 128, b"na\xffme", b"/bin/\xfe", [b"a", b"", b"b c", b"last"], b"/", usage, 0),
        Exec(4, 128, None, None, None, None, None),
        Exec(5, 128, b"", None, large, b"/tmp", Usage(), 70000),
        Exit(6, 128, 256, b"name", usage, 1, UINT64_MAX - 1),
        Exit(7, 129, None, None, None),
        Lost(8, 70000, "records of CPU 1"),
    ]
    assert events[8:-2] == [Create(2**32 + number, number, 1) for number in range(20000)]
    assert events[-2:] == [End(9, None), End(UINT64_MAX, 3)]


def test_interposer_events_written_in_c_are_read(sink_events: Path, tmp_path: Path) -> None:
    (events,) = decode_stream(written(sink_events, tmp_path, "wire"), "the wire")
    assert events == [UserExit(1, 2, 3, 4, 5)] * 13 + [
        UserStartup(1, 2, 3, 4, 5, b"/exe", [b"arg"], None),
        UserExec(1, 2, 3, 4, 5, b"path", []),
        UserSpawn(1, 2, 3, 4, 5, b"path", [], 2**32 - 1),
        UserExit(1, 2, 3, 4, 5, 255),
    ]


def test_sink_that_cannot_write_counts_every_event(sink_events: Path, tmp_path: Path) -> None:
    facts = json.loads(written(sink_events, tmp_path, "full"))
    assert facts["error"] == 28  # ENOSPC
    assert facts["lost"] >= 9  # the last one may still have been in the buffer


numbers = st.integers(0, UINT64_MAX)
pids = st.integers(0, 2**31 - 1)
strings = st.none() | st.binary(max_size=300)
arguments = st.none() | st.lists(st.binary(max_size=40), max_size=20)
usages = st.none() | st.builds(Usage, *[st.none() | numbers] * 14)
user = [numbers, pids, pids, numbers, numbers]
events_of_all_kinds: st.SearchStrategy[Event] = st.one_of(
    st.builds(Start, numbers, pids, numbers),
    st.builds(Create, numbers, pids, pids),
    st.builds(Exec, numbers, pids, strings, strings, arguments, strings, usages),
    st.builds(Exit, numbers, pids, st.none() | st.integers(0, 65535), strings, usages),
    st.builds(UserStartup, *user, strings, arguments, strings),
    st.builds(UserExec, *user, st.binary(max_size=40), st.lists(st.binary(max_size=40))),
    st.builds(UserSpawn, *user, st.binary(max_size=40), st.lists(st.binary(max_size=40)), st.none() | pids),
    st.builds(UserExit, *user, st.none() | st.integers(0, 255)),
    st.builds(Lost, numbers, numbers, st.text(max_size=40)),
    st.builds(End, numbers, st.none() | pids),
)
streams = st.lists(st.lists(events_of_all_kinds, max_size=8), max_size=5)


@pytest.mark.promise("written-is-read")
@given(streams)
def test_stream_read_back_is_what_was_written(frames: list[list[Event]]) -> None:
    stream = b"".join(map(encode_frame, frames))
    assert list(decode_stream(memoryview(stream), "test")) == frames


@given(streams, st.data())
def test_truncated_stream_gives_its_complete_frames_and_the_position(
    frames: list[list[Event]], data: st.DataObject
) -> None:
    encoded = [encode_frame(frame) for frame in frames]
    stream = b"".join(encoded)
    cut = data.draw(st.integers(0, len(stream)))
    ends = [sum(map(len, encoded[:count])) for count in range(len(encoded) + 1)]
    complete = max(count for count, end in enumerate(ends) if end <= cut)
    reader = decode_stream(stream[:cut], "test")
    got = [next(reader) for _ in range(complete)]
    assert got == frames[:complete]
    if cut in ends:
        assert list(reader) == []
    else:
        with pytest.raises(FileUnreadable, match=rf"test: truncated .* at byte {ends[complete]}\b"):
            next(reader)


@given(st.binary(max_size=200), st.booleans())
def test_bytes_that_are_no_stream_are_refused_or_read_but_never_crash(noise: bytes, framed: bool) -> None:
    stream = FRAME_HEADER.pack(b"PT", 1, len(noise), zlib.adler32(noise)) + noise if framed else noise
    try:
        list(decode_stream(stream, "test"))
    except FileUnreadable as error:
        assert " at byte " in str(error)


@given(streams.filter(lambda frames: any(frames)), st.data())
def test_changed_byte_is_an_error_or_other_events_but_never_a_crash(
    frames: list[list[Event]], data: st.DataObject
) -> None:
    stream = bytearray(b"".join(map(encode_frame, frames)))
    stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        list(decode_stream(bytes(stream), "test"))
    except FileUnreadable as error:
        assert " at byte " in str(error)


def test_byte_between_the_version_and_the_length_is_zero_or_no_frame_begins_there() -> None:
    stream = bytearray(encode_frame([]))
    stream[3] = 2
    with pytest.raises(FileUnreadable, match="no frame begins at byte 0"):
        next(decode_stream(bytes(stream), "test"))


def test_newer_wire_format_is_refused_with_what_to_do() -> None:
    stream = FRAME_HEADER.pack(b"PT", 2, 0, 1)
    with pytest.raises(FileUnreadable, match=r"wire format 2 at byte 0.*reinstall"):
        list(decode_stream(stream, "test"))
