from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ptreetime.baselines.lines import entry_of, line_of
from pytest_ptreetime.baselines.store import Baseline, Session, Store, file_name
from pytest_ptreetime.decision.profile import Identity, Profile
from pytest_ptreetime.errors import (
    BaselineCorrupt,
    BaselineError,
    BaselineMissing,
    BaselineOtherVersion,
    StoreMissing,
    UsageError,
)
from pytest_ptreetime.system.host import HostFacts

HOST = HostFacts("EPYC", 2, 24 << 30, "Linux 6.18", "Debian 12", "x86_64", "builder-1")
TEST = "tests/test_build.py::test_clean_build"
SEVEN_DIGITS = st.integers(0, 9_999_999).map(lambda number: number / 1000)
FIRST_DAY = datetime(2026, 11, 1, tzinfo=timezone.utc)


def session(day: int = 0, wall: float = 1.0) -> Session:
    profile = Profile.from_dict({"make": {"count": 1, "wall": wall}, "make/cc1[a.c]": {"count": 1, "wall": wall / 2}})
    profile.identities = {"make": Identity("make", "", ("-j2",)), "make/cc1[a.c]": Identity("cc1", "b.c", ("-j2",))}
    return Session.from_profiles(
        [profile, profile], commit="4f2a1c9d", tracer="ptrace", time=FIRST_DAY + timedelta(days=day)
    )


def stored(store: Store, *sessions: Session) -> Baseline:
    for one in sessions:
        store.add(TEST, HOST, one)
    return store.load(TEST, HOST)


@pytest.mark.promise("written-is-read")
@given(
    st.lists(
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.dictionaries(st.sampled_from(["count", "wall", "cpu"]), SEVEN_DIGITS, min_size=1),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_profiles_when_stored_are_read_back_as_they_were(totals: list[dict[str, dict[str, float]]]) -> None:
    profiles = [Profile(totals=one, parents=dict.fromkeys(one)) for one in totals]
    written = Session.from_profiles(profiles, commit=None, tracer="ptrace")
    read = entry_of(line_of(written), Path("x.jsonl"), 2)
    assert isinstance(read, Session)
    assert [profile.totals for profile in read.profiles()] == totals
    assert [profile.parents for profile in read.profiles()] == [profile.parents for profile in profiles]
    assert read == written


def test_store_with_a_fifo_where_a_baseline_was_refuses_it_without_waiting(tmp_path: Path) -> None:
    store = Store(tmp_path, "main")
    path = store.path_of("test", HOST)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    with pytest.raises(BaselineError, match="it is a FIFO, not a file"):
        store.load("test", HOST)


def test_sessions_when_added_one_by_one_are_loaded_in_the_order_of_their_time(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    baseline = stored(store, session(3), session(1), session(2))
    assert [one.time[:10] for one in baseline.sessions] == ["2026-11-02", "2026-11-03", "2026-11-04"]
    assert "3 sessions, last 2026-11-04 (4f2a1c9)" in baseline.describe()


@pytest.mark.promise("clock-set")
def test_session_of_now_when_the_clock_was_set_back_is_the_latest_all_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first, second = session(9), session(1)
    store.add(TEST, HOST, first, of_now=True)
    store.add(TEST, HOST, second, of_now=True, history=1)
    assert [one.session for one in store.load(TEST, HOST).sessions] == [second.session]


def test_sessions_of_one_second_stay_in_the_order_in_which_they_were_added(tmp_path: Path) -> None:
    added = [session(1) for _ in range(8)]
    baseline = stored(Store(tmp_path / "store"), *added)
    assert [one.session for one in baseline.sessions] == [one.session for one in added]


def test_history_when_it_is_full_forgets_the_oldest_but_never_the_pinned_session(tmp_path: Path) -> None:
    store = Store(tmp_path)
    baseline = stored(store, session(0), session(1))
    baseline.pinned = baseline.sessions[0].session
    store.write(baseline)
    for day in range(2, 8):
        store.add(TEST, HOST, session(day), history=3)
    baseline = store.load(TEST, HOST)
    assert [one.time[8:10] for one in baseline.sessions] == ["01", "06", "07", "08"]
    assert baseline.pinned_session is baseline.sessions[0]


def test_load_when_nothing_is_stored_of_the_test_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(BaselineMissing, match=f"no baseline of {TEST} in {tmp_path}/main"):
        Store(tmp_path).load(TEST, HOST)


def test_load_when_the_store_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match=f"there is no store {tmp_path}/nowhere"):
        Store(tmp_path / "nowhere").load(TEST, HOST)


@pytest.mark.parametrize("place", ["store", "name", "file"])
@pytest.mark.parametrize("kind", ["directory", "file", "dangling"])
def test_load_when_something_else_is_in_the_place_of_a_file_or_directory_is_an_error(
    tmp_path: Path, place: str, kind: str
) -> None:
    store = Store(tmp_path / "store")
    path = store.add(TEST, HOST, session())
    assert path.is_file()
    changed = {"store": store.root, "name": store.directory, "file": path}[place]
    changed.rename(tmp_path / "away")
    if kind == "directory":
        changed.mkdir()
    elif kind == "file":
        changed.write_text("")
    else:
        changed.symlink_to("nowhere")
    with pytest.raises(BaselineError) as caught:
        store.load(TEST, HOST)
    assert isinstance(caught.value, BaselineMissing) == (kind == "directory" and place != "file")


@pytest.mark.promise("other-machine-told")
def test_load_when_only_another_machine_stored_it_gives_that_machines_latest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    others = [msgspec.structs.replace(HOST, cpu_count=count) for count in (64, 32)]
    for day, other in enumerate(others):
        store.add(TEST, other, session(day))
    baseline = store.load(TEST, HOST)
    assert baseline.host == others[1]
    assert HOST.difference(baseline.host) == "cpu count 32 there, 2 here"
    store.add(TEST, HOST, session())
    assert store.load(TEST, HOST).host == HOST


def test_load_when_only_the_kernel_differs_is_the_same_machine_and_has_the_latest_kernel(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(TEST, HOST, session())
    store.add(TEST, msgspec.structs.replace(HOST, kernel="Linux 7.1"), session(1))
    baseline = store.load(TEST, HOST)
    assert (len(baseline.sessions), baseline.host.kernel) == (2, "Linux 7.1")
    assert HOST.difference(baseline.host) is None


def test_load_when_only_the_hosts_name_differs_is_the_same_machine(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(TEST, msgspec.structs.replace(HOST, hostname="builder-2", memory_bytes=(24 << 30) + 4096), session())
    assert len(store.load(TEST, HOST).sessions) == 1


def test_load_when_the_format_is_newer_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.add(TEST, HOST, session())
    path.write_bytes(path.read_bytes().replace(b'"ptreetime_baseline":3', b'"ptreetime_baseline":4'))
    with pytest.raises(BaselineOtherVersion, match="format 4, this version reads 3"):
        store.load(TEST, HOST)


@pytest.mark.promise("files-do-not-explode")
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'"parents":[-1,0]', b'"parents":[-1,2]'),
        (b'"parents":[-1,0]', b'"parents":[-1,-2]'),
        (b'"parents":[-1,0]', b'"parents":[-1]'),
        (b'"keys":["make",', b'"keys":["make/cc1[a.c]",'),
        (b'"keys":["make",', b'"keys":["make","as",'),
        (b'"commands":[[0,0,0,0],[0,0,0,0]]', b'"commands":[[0,0,0,0]]'),
        (b'"commands":[[0,0,0,0],[0,0,0,0]]', b'"commands":[[0,0,0,1],[0,0,0,0]]'),
        (b'"commands":[[0,0,0,0],[0,0,0,0]]', b'"commands":[[0,0,0,-1],[0,0,0,0]]'),
        (b'"commands":[[0,0,0,0],[0,0,0,0]]', b'"commands":[[0,0,0,0],[1,1,1,0]]'),
        (b'"commands":[[0,0,0,0],[0,0,0,0]]', b'"commands":[[0,0,0,0],[2,1,0]]'),
        (b'"commands":[[0,0,0,0],[0,0,0,0]]', b'"commands":[[0,0,0,0],[0]]'),
        (b'"subjects":[[1,"b.c"]]', b'"subjects":[[2,"b.c"]]'),
        (b'"rounds":2', b'"rounds":3'),
        (b'"rounds":2', b'"rounds":-2'),
        (b"[1.0,0.5]", b'[1.0,"0.5"]'),
        (b"[1.0,0.5]", b"[1.0]"),
        (b"[1.0,0.5]", b"[1.0,0.5,0.5]"),
        (b"[1.0,0.5],", b""),
        (b'"values":{', b'"valued":{'),
        (b'"values":{', b'"values":{},"rounds":99999999999,"was":{'),
        (b'"time":', b'"tame":'),
    ],
)
def test_load_when_a_session_contradicts_itself_is_one_clear_error(tmp_path: Path, was: bytes, becomes: bytes) -> None:
    store = Store(tmp_path)
    path = store.add(TEST, HOST, session())
    content = path.read_bytes()
    assert was in content
    path.write_bytes(content.replace(was, becomes, 1))
    with pytest.raises(BaselineCorrupt, match=r"damaged at line 2: .*delete the line"):
        store.load(TEST, HOST)


@pytest.mark.promise("cut-files-refused")
def test_load_when_the_file_is_cut_anywhere_is_either_whole_sessions_or_corrupt(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.add(TEST, HOST, session(0))
    store.add(TEST, HOST, session(1))
    content = path.read_bytes()
    header, *ends = (index + 1 for index, byte in enumerate(content) if byte == ord("\n"))
    for length in range(len(content)):
        path.write_bytes(content[:length])
        if length in (header - 1, header):
            with pytest.raises(BaselineMissing):  # no session is left
                store.load(TEST, HOST)
        elif length in ends or length + 1 in ends:  # a last line without its end is whole
            store.load(TEST, HOST)
        else:
            with pytest.raises(BaselineCorrupt, match="delete"):
                store.load(TEST, HOST)


@pytest.mark.promise("no-half-written-files")
def test_add_when_the_stored_file_is_corrupt_leaves_it_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.path_of(TEST, HOST)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"precious but broken\n")
    with pytest.raises(BaselineCorrupt):
        store.add(TEST, HOST, session())
    assert path.read_bytes() == b"precious but broken\n"


@pytest.mark.parametrize(
    ("test", "host", "says"),
    [
        ("tests/test_other.py::test_it", HOST, "is of another test .tests/test_other.py::test_it. than"),
        (TEST, msgspec.structs.replace(HOST, cpu_count=64), "is from another machine than its name says"),
    ],
)
def test_file_whose_header_contradicts_its_name_is_refused_and_left_alone(
    tmp_path: Path, test: str, host: HostFacts, says: str
) -> None:
    store = Store(tmp_path)
    path = store.add(TEST, HOST, session())
    content = store.add(test, host, session()).read_bytes()
    path.write_bytes(content)
    for use in (store.load, lambda test, host: store.add(test, host, session())):
        with pytest.raises(BaselineCorrupt, match=says):
            use(TEST, HOST)
    assert path.read_bytes() == content


def test_add_when_the_directory_is_not_one_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(BaselineError, match="can't write the baseline"):
        Store(tmp_path / "store").add(TEST, HOST, session())


def test_write_when_it_succeeds_leaves_no_temporary_file_behind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    path = store.add(TEST, HOST, session())
    assert sorted(entry.name for entry in tmp_path.rglob("*") if entry.is_file()) == sorted(
        [".gitattributes", path.name]
    )


@pytest.mark.promise("stores-merge")
def test_branches_when_each_added_a_session_merge_in_git_without_a_conflict(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        **{f"GIT_{who}_{what}": "x@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        "GIT_CONFIG_GLOBAL": os.devnull,
    }

    def git(*args: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *args], check=True, env=environment, capture_output=True)

    git("init", "-b", "main")
    store = Store(tmp_path / ".ptreetime")
    store.add(TEST, HOST, session(0))
    git("add", "-A")
    git("commit", "-m", "first")
    git("checkout", "-b", "branch")
    store.add(TEST, HOST, session(1))
    git("commit", "-am", "a session on the branch")
    git("checkout", "main")
    store.add(TEST, HOST, session(2))
    git("commit", "-am", "a session on main")
    git("merge", "branch")
    assert [one.time[8:10] for one in store.load(TEST, HOST).sessions] == ["01", "02", "03"]


def test_merge_when_files_share_sessions_keeps_each_once(tmp_path: Path) -> None:
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    shared = session(0)
    stored(one, shared, session(1))
    stored(other, shared, session(2))
    merged = Store.merge([one.path_of(TEST, HOST), other.path_of(TEST, HOST)], tmp_path / "merged.jsonl")
    assert [found.time[8:10] for found in Store.read(merged.path).sessions] == ["01", "02", "03"]


def test_merge_when_the_tests_differ_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    paths = [store.add(test, HOST, session()) for test in ("a.py::test", "b.py::test")]
    with pytest.raises(BaselineError, match=r"is of b\.py::test"):
        Store.merge(paths, tmp_path / "merged.jsonl")


@given(st.text(min_size=1))
def test_file_name_for_any_test_is_one_plain_file_name(test: str) -> None:
    name = file_name(test)
    assert "/" not in name
    assert "\0" not in name
    assert not name.startswith(".")
    assert len(name.encode()) < 240


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b"])
def test_store_when_the_baselines_name_could_leave_the_directory_refuses_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be called"):
        Store(tmp_path, name)
