from __future__ import annotations

import os
import stat
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated_processes import Simulation, simulations

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.events import Event, Exec, Lost
from pytest_ptreetime.host import HostFacts
from pytest_ptreetime.recording import _BLOCK, _BLOCK_BEFORE_CHECKSUM, FILE_VERSION, MAGIC, Recording
from pytest_ptreetime.tracers import Capture

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


@pytest.mark.parametrize(("what", "kept"), [("log \udcff.c", "log \\xff.c"), ("log \ud800", "log \\ud800")])
def test_loss_that_quotes_what_is_no_unicode_can_be_saved(what: str, kept: str) -> None:
    lost = Lost(7, 1, what)
    assert Recording.from_bytes(Recording([lost]).to_bytes()).events == [lost]
    assert lost.what == kept


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
    with pytest.raises(FileUnreadable, match=f"format {FILE_VERSION + 1}.*reads {FILE_VERSION}: upgrade"):
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
    with pytest.raises(FileUnreadable, match="Is a directory"):
        Recording.load(tmp_path)


def test_huge_events_are_spread_over_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_ptreetime.recording.BLOCK_LIMIT_BYTES", 4096)
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
