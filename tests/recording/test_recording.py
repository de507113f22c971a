from __future__ import annotations

import random
import stat
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fuzz.recording_file import file_of
from hypothesis import given
from hypothesis import strategies as st
from replicated_builds import lua_build, replicated
from simulated_processes import Simulation, simulations
from tree_signature import signature

from pytest_ptreetime.errors import FileUnreadable
from pytest_ptreetime.recording.event_order import in_order
from pytest_ptreetime.recording.events import (
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
    decode_frame,
)
from pytest_ptreetime.recording.file import BLOCK_BYTES, RAW_PER_BYTE
from pytest_ptreetime.recording.recording import FILE_VERSION, MAGIC, Recording
from pytest_ptreetime.system.host import HostFacts
from pytest_ptreetime.tracers import Capture

KINDS: list[type[Any]] = [Create, Exec, Exit, UserStartup, UserExec, UserSpawn, UserExit]
EMPTY_HEADER = (b"H", b"\x80")
LAST = (b"Z", b"")

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
    assert loaded.events == in_order(events)
    assert len(loaded.tree()) == len(Recording(events).tree())


@pytest.mark.promise("order-of-events")
@given(simulations(), st.sampled_from([1, 100, 1000]), st.randoms(use_true_random=False))
def test_tree_of_a_file_is_that_of_its_events_in_any_order(
    events: list[Event], bytes_per_block: int, chance: random.Random
) -> None:
    chance.shuffle(events)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_ptreetime.recording.file.BLOCK_BYTES", bytes_per_block)
        data = Recording(events).to_bytes()
        loaded = Recording.from_bytes(data)
        assert loaded.to_bytes() == data
    assert signature(loaded.tree()) == signature(Recording(events).tree())
    assert loaded.events == in_order(events)
    assert signature(loaded.tree()) == signature(Recording(events).tree())


@pytest.mark.parametrize(("what", "kept"), [("log \udcff.c", "log \\xff.c"), ("log \ud800", "log \\ud800")])
def test_loss_that_quotes_what_is_no_unicode_can_be_saved(what: str, kept: str) -> None:
    lost = Lost(7, 1, what)
    assert Recording.from_bytes(Recording([lost]).to_bytes()).events == [lost]
    assert lost.what == kept


@pytest.mark.promise("recording-lossless")
@given(st.lists(st.one_of(*map(any_event, KINDS)), max_size=30), st.sampled_from([1, 100, BLOCK_BYTES]))
def test_events_of_any_content_survive_the_file(events: list[Event], bytes_per_block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pytest_ptreetime.recording.file.BLOCK_BYTES", bytes_per_block)
        assert Recording.from_bytes(Recording(events).to_bytes()).events == in_order(events)


@pytest.mark.promise("recording-grows-by-adding")
def test_fields_that_an_older_file_lacks_are_none() -> None:
    rows = [[2, 7, 1, b"cc", None, [b"cc"], None, [5, 3]], [3, 8, 1, 0]]
    header = msgspec.msgpack.encode({"tracer": "ptrace", "told_by_nobody": 1})
    old = Recording.from_bytes(file_of([(b"H", header), (b"E", msgspec.msgpack.encode(rows)), LAST]))
    assert old.tracer == "ptrace"
    assert old.events == [Exec(7, 1, b"cc", None, [b"cc"], None, Usage(5, 3)), Exit(8, 1, 0)]
    exec_ = old.events[0]
    assert isinstance(exec_, Exec)
    assert exec_.usage is not None
    assert exec_.usage.writes is exec_.loading_ns is None


OF_USER = "time_ns pid parent_pid user_ns sys_ns"
FIELDS_OF_VERSION_3 = {
    Start: "time_ns root_pid realtime_ns",
    Create: "time_ns pid parent_pid",
    Exec: "time_ns pid name exe args cwd usage loading_ns",
    Exit: "time_ns pid status name usage loading_ns leaving_ns",
    UserStartup: f"{OF_USER} exe args cwd",
    UserExec: f"{OF_USER} path args",
    UserSpawn: f"{OF_USER} path args child_pid",
    UserExit: f"{OF_USER} status",
    Lost: "time_ns count what",
    End: "time_ns alive",
    Usage: "cpu_ns utime_ns stime_ns max_rss_bytes run_delay_ns voluntary_switches involuntary_switches minor_faults "
    "major_faults read_bytes written_bytes failed_execs reads writes instructions",
}


@pytest.mark.promise("recording-grows-by-adding")
@pytest.mark.parametrize(("kind", "fields"), FIELDS_OF_VERSION_3.items())
def test_fields_of_a_stored_event_keep_their_places(kind: type[Any], fields: str) -> None:
    """What is added comes after them, with a default for the files that lack it, and makes another version."""
    known = fields.split()
    assert list(kind.__struct_fields__[: len(known)]) == known
    added = len(kind.__struct_fields__) - len(known)
    assert len(kind.__struct_defaults__) >= added
    assert FILE_VERSION > 3 or added == 0


@pytest.mark.promise("recording-small")
def test_real_build_takes_at_most_100_bytes_a_process() -> None:
    build = lua_build()
    processes = len(build.tree())
    assert processes > 500
    assert build.tree().complete
    assert len(build.to_bytes()) / processes <= 100


@pytest.mark.promise("recording-small")
def test_build_many_times_as_large_takes_no_more_for_each_process() -> None:
    large = replicated(5_000)
    tree = large.tree()
    assert tree.complete, tree.incomplete_reason
    data = large.to_bytes()
    assert len(data) / len(tree) <= 100
    assert Recording.from_bytes(data).events == in_order(large.events)


@pytest.mark.promise("recording-bomb")
def test_recording_that_compresses_absurdly_well_is_padded() -> None:
    events: list[Event] = [*[Create(7, 1, 1)] * 100_000, Exec(7, 1, b"a", b"a", [b"a" * 2**20], b"a")]
    events += [Lost(7, 1, "")] * 100_000
    data = Recording(events).to_bytes()
    assert Recording.from_bytes(data).events == events
    raw_bytes = 2**20 + 200_000 * 5
    assert raw_bytes / RAW_PER_BYTE < len(data) < 1.1 * raw_bytes / RAW_PER_BYTE


@pytest.mark.promise("recording-bomb")
def test_recording_is_unpacked_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_ptreetime.recording.file.BLOCK_BYTES", 1000)
    build = lua_build()
    loaded, processes = Recording.from_bytes(Recording(build.events).to_bytes()), len(build.tree())
    unpacked: list[int] = []

    def decode(payload: bytes) -> list[Event]:
        unpacked.append(len(payload))
        return decode_frame(payload)

    monkeypatch.setattr("pytest_ptreetime.recording.file.decode_frame", decode)
    assert loaded.started is not None
    assert len(unpacked) == 1
    assert len(loaded.tree()) == processes
    assert len(unpacked) > 100
    assert max(unpacked) < 4000


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


@pytest.mark.promise("recording-grows-by-adding")
def test_newer_file_is_called_newer_and_one_from_before_the_release_old() -> None:
    data = bytearray(recording().to_bytes())
    data[len(MAGIC)] = FILE_VERSION + 1
    with pytest.raises(FileUnreadable, match=rf"format {FILE_VERSION + 1} .*newer than {FILE_VERSION},.*: update py"):
        Recording.from_bytes(bytes(data))
    data[len(MAGIC)] = 2
    with pytest.raises(FileUnreadable, match=r"format 2 .*before the first release: record the build again"):
        Recording.from_bytes(bytes(data))


ROWS = b"\x91\x93\x09\x07\xc0"


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([(b"E", ROWS), LAST], "byte 10: it can't be b'E'"),
        ([LAST], "byte 10: it can't be b'Z'"),
        ([EMPTY_HEADER, EMPTY_HEADER, LAST], "byte 31: it can't be b'H'"),
        ([EMPTY_HEADER, (b"Q", ROWS), LAST], "byte 31: it can't be b'Q'"),
        ([EMPTY_HEADER, (b"E", b"\x91\x91\x63"), LAST], "damaged block at byte 31: .*"),
        ([EMPTY_HEADER, (b"E", ROWS), (b"E", b"\x91\x93\x09\x06\xc0"), LAST], "byte 56: its events are not in order"),
        ([EMPTY_HEADER, (b"E", b"\x92\x93\x09\x07\xc0\x93\x09\x06\xc0"), LAST], "byte 31: its events are not in order"),
        ([(b"H", b"\x91" * 2000), LAST], "damaged block at byte 10: "),
        ([(b"H", b"\x81\xa7command\x91\xa1\xff"), LAST], "damaged block at byte 10: "),
        ([EMPTY_HEADER, (b"E", ROWS)], "truncated at byte 56: a block was to begin"),
    ],
)  # fmt: skip
def test_well_formed_blocks_that_make_no_sense_are_refused(blocks: list[tuple[bytes, bytes]], said: str) -> None:
    with pytest.raises(FileUnreadable, match=said):
        _ = Recording.from_bytes(file_of(blocks)).events


@pytest.mark.promise("bounded-memory")
@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (zlib.compress(b"\x00" * (1 << 24)), r"\d+ bytes expand to too much"),
        (zlib.compress(ROWS)[:-1], "its end is missing"),
        (b"no zlib", "Error -3"),
    ],
)
def test_block_that_expands_to_too_much_or_to_nothing_is_refused(payload: bytes, said: str) -> None:
    blocks = [(b"H", zlib.compress(b"\x80")), (b"E", payload), (b"Z", b"")]
    with pytest.raises(FileUnreadable, match=f"x.ptree: damaged block at byte 28: {said}"):
        Recording.from_bytes(file_of(blocks, compressed=True), "x.ptree").tree()


def test_missing_file_and_directory_are_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="No such file"):
        Recording.load(tmp_path / "none")
    with pytest.raises(FileUnreadable, match="it is a directory, not a file"):
        Recording.load(tmp_path)


def test_recording_of_a_capture_has_what_the_tracer_knows() -> None:
    events = Simulation().start().end()
    made = Recording.from_capture(
        Capture(events=events, returncode=0, incomplete_reason="stopped"), command=("make",), tracer="ptrace", host=HOST
    )
    assert (made.events, made.command, made.tracer, made.host) == (events, ["make"], "ptrace", HOST)
    tree = made.tree()
    assert (tree.incomplete_reason, tree.host, tree.tracer, tree.command) == ("stopped", HOST, "ptrace", ["make"])
    assert made.started is not None
