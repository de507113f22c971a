from __future__ import annotations

import contextlib
import os
import random
import stat
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from replicated_builds import lua_build, replicated
from report_sessions import build
from simulated_processes import Simulation, simulations
from tree_signature import signature

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.event_columns import ColumnsEncoder
from pytest_ptreetime.recording.events import (
    Create,
    Event,
    Exec,
    Exit,
    Lost,
    Usage,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
)  # fmt: skip
from pytest_ptreetime.recording.file import _BLOCK, _BLOCK_BEFORE_CHECKSUM
from pytest_ptreetime.recording.number_columns import Column, ColumnsDamaged, column_of
from pytest_ptreetime.recording.recording import FILE_VERSION, MAGIC, Recording
from pytest_ptreetime.recording.stored_events import ColumnsDecoder
from pytest_ptreetime.recording.stored_numbers import numbers_in
from pytest_ptreetime.system.host import HostFacts
from pytest_ptreetime.tracers import Capture

GOLDEN = Path(__file__).parents[1] / "golden" / "recording-version-1.ptreetime"
COLUMN_KINDS: list[type[Any]] = [Create, Exec, Exit, UserStartup, UserExec, UserSpawn, UserExit]
USED = [[0, 0], [[0, None]] * 14]  # no row has a usage

HOST = HostFacts(
    cpu_model="a processor", cpu_count=2, memory_bytes=1 << 34, kernel="Linux 6.18", os="Debian", machine="x86_64",
    hostname="builder",
)  # fmt: skip


def recording() -> Recording:
    return Recording(
        Simulation().start().run(1, b"gcc", b"\xff.c").end(),
        host=HOST,
        tracer="ptrace",
        command=["make", "\udcff"],
        incomplete_reason="the recorder was killed in \udce9",
        versions={"wire": "1"},
    )


def any_event(kind: type[Any]) -> st.SearchStrategy[Any]:
    numbers = st.integers(0, 3) | st.integers(0, 2**64 - 1) | st.integers(-(2**63), 0)
    texts = st.sampled_from([b"", b"gcc", b"-o"]) | st.binary(max_size=6)
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "int": numbers,
        "bytes": texts,
        "list[bytes]": st.lists(texts, max_size=4),
        "Usage": st.builds(Usage, *[st.none() | numbers] * 14),
    }
    fields = []
    for type_ in kind.__annotations__.values():
        name, _, optional = type_.partition(" | ")
        fields.append(st.none() | by_type[name] if optional else by_type[name])
    return st.builds(kind, *fields)


def everything(one: Recording) -> list[object]:
    return [one.events, one.host, one.tracer, one.command, one.incomplete_reason, one.versions]


def test_recording_that_was_saved_loads_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.ptree"
    recording().save(path)
    assert everything(Recording.load(path)) == everything(recording())
    assert everything(Recording.load(str(path))) == everything(recording())


@pytest.mark.promise("written-is-read")
@given(simulations())
def test_events_survive_the_file_whatever_they_are(events: list[Event]) -> None:
    loaded = Recording.from_bytes(Recording(events).to_bytes())
    assert loaded.events == events
    assert len(loaded.tree()) == len(Recording(events).tree())


@pytest.mark.promise("order-of-events")
@given(simulations(), st.sampled_from([1, 7, 100]), st.randoms(use_true_random=False))
def test_tree_of_a_file_is_that_of_its_events_in_any_order(
    events: list[Event], events_per_block: int, chance: random.Random
) -> None:
    chance.shuffle(events)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_ptreetime.recording.event_columns.RARE", 0)
        patch.setattr("pytest_ptreetime.recording.file.EVENTS_PER_BLOCK", events_per_block)
        data = Recording(events).to_bytes()
    loaded = Recording.from_bytes(data)
    assert signature(loaded.tree()) == signature(Recording(events).tree())
    assert loaded.events == events
    assert signature(loaded.tree()) == signature(Recording(events).tree())
    assert loaded.to_bytes() == Recording.from_bytes(data).to_bytes()


@pytest.mark.parametrize(("what", "kept"), [("log \udcff.c", "log \\xff.c"), ("log \ud800", "log \\ud800")])
def test_loss_that_quotes_what_is_no_unicode_can_be_saved(what: str, kept: str) -> None:
    lost = Lost(7, 1, what)
    assert Recording.from_bytes(Recording([lost]).to_bytes()).events == [lost]
    assert lost.what == kept


@pytest.mark.promise("recording-lossless")
@given(st.lists(st.one_of(*map(any_event, COLUMN_KINDS)), max_size=30), st.sampled_from([1, 5, 100]))
@example([Create(0, 0, 1 - 2**63), UserStartup(0, 0, 1, 0, 0)], 1)  # 64 bits hold the sum, and not what is added
def test_events_of_any_content_survive_columns(events: list[Event], events_per_block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_ptreetime.recording.event_columns.RARE", 0)
        patch.setattr("pytest_ptreetime.recording.file.EVENTS_PER_BLOCK", events_per_block)
        assert Recording.from_bytes(Recording(events).to_bytes()).events == events


@pytest.mark.promise("recording-lossless")
@given(st.lists(st.none() | st.integers(-(2**63), 2**64 - 1) | st.integers(-300, 300), max_size=40))
@example([None, -(2**63), None])  # differences of which the scale is 2**64
def test_column_gives_back_its_numbers(values: list[int | None]) -> None:
    column = msgspec.msgpack.decode(msgspec.msgpack.encode(column_of(values)), type=Column)
    assert numbers_in(column, len(values), optional=True).tolist() == values
    with pytest.raises(ColumnsDamaged):
        numbers_in(column_of([*values, 1, 2]), len(values), optional=True)


@pytest.mark.promise("recording-lossless")
def test_file_of_the_first_version_is_read() -> None:
    expected = everything(build())
    expected[0] = [
        msgspec.structs.replace(event, usage=msgspec.structs.replace(event.usage, reads=None, writes=None))
        if isinstance(event, (Exec, Exit)) and event.usage is not None
        else event
        for event in build().events
    ]
    assert everything(Recording.load(GOLDEN)) == expected
    assert GOLDEN.read_bytes()[8:10] == b"\x01\x00"


@pytest.mark.promise("recording-small")
def test_real_build_takes_at_most_60_bytes_a_process() -> None:
    build = lua_build()
    processes = len(build.tree())
    assert processes > 500
    assert build.tree().complete
    assert len(build.to_bytes()) / processes <= 60


@pytest.mark.promise("recording-small")
def test_build_many_times_as_large_takes_no_more_for_each_process() -> None:
    large = replicated(5_000)
    tree = large.tree()
    assert tree.complete, tree.incomplete_reason
    data = large.to_bytes()
    assert len(data) / len(tree) <= 60
    assert Recording.from_bytes(data).events == large.events


@pytest.mark.promise("recording-bomb")
def test_recording_that_compresses_absurdly_well_is_stored_without_expanding_much() -> None:
    events: list[Event] = [*[Lost(7, 1, "")] * 100_000, *[Create(7, 1, 1)] * 100_000]
    events += [Exec(7, 1, b"a", b"a", [b"a"] * 300, b"a")] * 2_000 + [Exec(7, 1, b"a", b"a", [b"a" * 2**20], b"a")]
    data = Recording(events).to_bytes()
    assert Recording.from_bytes(data).events == events
    assert len(data) > 2**20 / 64


@pytest.mark.promise("recording-bomb")
def test_header_that_states_too_much_for_the_file_or_less_than_is_there_is_refused() -> None:
    rows = block(b"E", b"\x92" + b"\x94\x08\x00\x00\xa0" * 2)

    def file(events: int, raw_bytes: int) -> bytes:
        header = msgspec.msgpack.encode({"events": events, "raw_bytes": raw_bytes})
        return MAGIC + b"\x02\x00" + block(b"H", header) + rows + block(b"Z", b"\x02")

    assert len(Recording.from_bytes(file(2, 11)).events) == 2
    for events, raw_bytes, said in (
        (2, 1 << 40, "too much"),
        (1 << 40, 11, "too much"),
        (-1, 11, "too much"),
        (1, 11, "more events"),
        (3, 11, "2 events instead of 3"),
        (2, 10, "more than the header"),
        (2, 12, "1 bytes are missing"),
    ):
        with pytest.raises(FileUnreadable, match=said):
            Recording.from_bytes(file(events, raw_bytes))


@pytest.mark.promise("recording-bomb")
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([b"\x01" * 2_000, b"", {1: [[[0, 7], [0, 7], [0, 7]], [], []]}, []], "are too many"),
        ([b"\x02" * 90, b"", {2: [[[0, 7]] * 2 + [[0, 0]] * 3, [[[0, 1], [[[0, 1]] * 900]]], [USED]]}, []], "too many"),
        ([b"\x01" * 9, b"", {1: [[[0, 7], [0, 7]], [], []]}, []], "a column is missing"),
        ([b"\x01" * 9, b"", {1: [[[0, 7], [0, 7], [0, None]], [], []]}, []], "a number is missing"),
        ([b"\x01" * 9, b"", {1: [[[0, 7], [0, 7], [2, [7] * 8]], [], []]}, []], "8 numbers instead of 9"),
        ([b"\x01" * 9, b"", {1: [[[0, 7], [0, 7], [1, 1, 0, 1, b"a" * 8]], [], []]}, []], "8 bytes can't be 9"),
        ([b"\x01" * 9, b"", {1: [[[0, 7], [0, 7], [1, 9, 0, 1, b"a" * 81]], [], []]}, []], "81 bytes can't be 9"),
        ([b"\x01" * 9, b"", {1: [[[0, 7], [0, 7], [1, 1, 0, 1, b"a" * 9, None, b""]], [], []]}, []], "0 marks of 9"),
        ([b"\x01" * 9, b"", {1: [[[0, 7], [0, 7], [1, 8, 2**63, 9, b"\xff" * 72]], [], []]}, []], "out of range"),
        ([b"", b"", {1: [[[0, 7], [0, 7], [1, 0, 0, 1, b"", 3]], [], []]}, []], "can't be -1 numbers"),
        ([b"\x02", b"", {2: [[[0, 7]] * 2 + [[0, 2]] * 3, [[[0, 0], []]], [USED]]}, []], "a string is missing"),
        ([b"\x02", b"", {2: [[[0, 7]] * 2 + [[0, -1]] * 3, [[[0, 0], []]], [USED]]}, []], "a string is missing"),
        ([b"\x02", b"", {2: [[[0, 7]] * 2 + [[0, 0]] * 3, [[[0, 4], []]], [USED]]}, []], "group of arguments"),
        ([b"\x02", b"", {2: [[[0, 7]] * 2 + [[0, 0]] * 3, [[[0, 0], []]], [[[0, 2], []]]]}, []], "usages are not"),
        ([b"\x05", b"", {5: [[[0, 7]] * 5 + [[0, 0]], [[[0, 0], []]], []]}, []], "is missing"),
        ([b"\x01", b"", {}, []], "other kinds"),
        ([b"\x01", b"", {}, [[9, 7, None]]], "other kinds"),
        ([b"", b"", {77: [[], [], []]}, []], "other kinds"),
    ],
)  # fmt: skip
def test_columns_that_make_no_sense_are_refused(columns: list[object], said: str) -> None:
    raw = msgspec.msgpack.encode(columns)
    kinds = columns[0]
    assert isinstance(kinds, bytes)
    header = msgspec.msgpack.encode({"events": len(kinds), "raw_bytes": len(raw)})
    data = MAGIC + b"\x02\x00" + block(b"H", header) + block(b"C", raw) + block(b"Z", b"\x02")
    with pytest.raises(FileUnreadable, match=said):
        Recording.from_bytes(data)


def test_columns_in_a_file_of_the_first_version_are_refused() -> None:
    with pytest.raises(FileUnreadable, match="can't be b'C'"):
        Recording.from_bytes(MAGIC + b"\x01\x00" + block(b"H", b"\x80") + block(b"C", b"\x90"))


@given(st.binary(max_size=60), st.integers(0, 10_000))
def test_columns_with_bytes_changed_are_refused_or_read_as_something(noise: bytes, position: int) -> None:
    encoded = ColumnsEncoder().encode(build().events)
    assert encoded is not None
    raw = bytearray(encoded[0])
    position %= len(raw)
    raw[position : position + len(noise)] = noise
    with contextlib.suppress(ColumnsDamaged, msgspec.MsgspecError, UnicodeError):
        ColumnsDecoder().decode(bytes(raw), len(raw)).events()


def test_file_can_be_read_by_its_owner_only_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.ptree"
    path.write_text("old")
    recording().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ptree"]


@pytest.mark.promise("no-half-written-files")
def test_save_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ptree"
    recording().save(path)
    before = path.read_bytes()
    unencodable = Recording([Lost(2**64, 1, "a time that no file can hold")])
    with pytest.raises(OverflowError):
        unencodable.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ptree"]


@pytest.mark.promise("cut-files-refused")
def test_file_truncated_at_any_length_is_refused_with_the_position() -> None:
    data = recording().to_bytes()
    for length in range(len(data)):
        with pytest.raises(FileUnreadable, match=r"x\.ptree: .*byte"):
            Recording.from_bytes(data[:length], "x.ptree")


@pytest.mark.promise("cut-files-refused")
def test_file_with_any_byte_changed_is_refused() -> None:
    data = recording().to_bytes()
    for position in range(len(data)):
        for flipped in (0x01, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= flipped
            with pytest.raises(FileUnreadable):
                Recording.from_bytes(bytes(damaged))


def test_file_with_something_behind_its_end_is_refused() -> None:
    data = recording().to_bytes()
    with pytest.raises(FileUnreadable, match=f"byte {len(data)}: something follows"):
        Recording.from_bytes(data + b"\n")


@given(st.binary(max_size=200) | st.binary(max_size=50).map(lambda tail: recording().to_bytes()[:10] + tail))
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(FileUnreadable):
        Recording.from_bytes(data)


def test_newer_file_says_which_version_it_has() -> None:
    data = bytearray(recording().to_bytes())
    data[len(MAGIC)] = FILE_VERSION + 1
    with pytest.raises(FileUnreadable, match=f"format {FILE_VERSION + 1}.*reads 1 to {FILE_VERSION}: upgrade"):
        Recording.from_bytes(bytes(data))


def block(kind: bytes, raw: bytes, length: int | None = None) -> bytes:
    stored = zlib.compress(raw)
    fields = _BLOCK_BEFORE_CHECKSUM.pack(kind, len(stored), len(raw) if length is None else length)
    return _BLOCK.pack(*_BLOCK_BEFORE_CHECKSUM.unpack(fields), zlib.crc32(stored, zlib.crc32(fields))) + stored


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([block(b"E", b"\x90"), block(b"Z", b"\x01")], "can't be b'E'"),
        ([block(b"H", b"\x80"), block(b"H", b"\x80")], "can't be b'H'"),
        ([block(b"H", b"\x80"), block(b"Q", b"\x80")], "can't be b'Q'"),
        ([block(b"H", b"\x80"), block(b"Z", b"\x05")], "can't be b'Z'"),
        ([block(b"Z", b"\x00")], "can't be b'Z'"),
        ([block(b"H", b"\x80"), block(b"E", b"\x91\x91\x63")], "damaged block at byte"),
        ([block(b"H", b"\x80"), block(b"E", b"\x90" * 9, 5)], "is not 5 bytes"),
        ([block(b"H", b"\x80"), block(b"E", b"\x90", 1 << 31)], "too much"),
        ([block(b"H", b"\x80"), block(b"E", b"\x90"), block(b"O", b"\x90"), block(b"Z", b"\x03")], "two vocabularies"),
    ],
)
def test_well_formed_blocks_that_make_no_sense_are_refused(blocks: list[bytes], said: str) -> None:
    with pytest.raises(FileUnreadable, match=said):
        Recording.from_bytes(MAGIC + b"\x01\x00" + b"".join(blocks))


@pytest.mark.promise("bounded-memory")
def test_bomb_is_not_unpacked() -> None:
    bomb = block(b"E", b"\x00" * (1 << 24), 10)
    with pytest.raises(FileUnreadable, match="is not 10 bytes"):
        Recording.from_bytes(MAGIC + b"\x01\x00" + block(b"H", b"\x80") + bomb)


def test_missing_file_and_directory_are_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="No such file"):
        Recording.load(tmp_path / "none")
    with pytest.raises(FileUnreadable, match="it is a directory, not a file"):
        Recording.load(tmp_path)


def test_huge_events_are_spread_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_ptreetime.recording.file.BLOCK_LIMIT_BYTES", 4096)
    events: list[Event] = [Exec(number, 1, b"cc", b"/bin/cc", [os.urandom(1500)], None) for number in range(10)]
    assert Recording.from_bytes(Recording(events).to_bytes()).events == events


def test_recording_of_a_capture_has_what_the_tracer_knows() -> None:
    events = Simulation().start().end()
    made = Recording.from_capture(
        Capture(events=events, returncode=0, incomplete_reason="stopped"), command=("make",), tracer="ptrace", host=HOST
    )
    assert (made.events, made.command, made.tracer, made.host) == (events, ["make"], "ptrace", HOST)
    tree = made.tree()
    assert (tree.incomplete_reason, tree.host, tree.tracer, tree.command) == ("stopped", HOST, "ptrace", ["make"])
    assert made.started is not None
