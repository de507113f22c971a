"""What a stored session keeps of its representative round, and what a reader makes of it."""

from __future__ import annotations

import base64
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_sessions import build

from pytest_ptreetime.keys.outline import Outline
from pytest_ptreetime.tree.process_tree import ProcessTree

#: The unit of an outline's times, and half of that of its memory: what rounding may take away.
TIME, MEMORY = 0.0001, 1 << 15


def tree_with_keys() -> tuple[ProcessTree, list[str]]:
    tree = build().tree()
    return tree, list(dict.fromkeys(node.key for node in tree))


def packed(columns: object, number: int = 0) -> Outline:
    return Outline(number, base64.b64encode(zlib.compress(msgspec.msgpack.encode(columns))).decode())


def test_outline_has_the_times_the_memory_and_the_place_of_every_process() -> None:
    tree, keys = tree_with_keys()
    read = Outline.of(tree, 0, keys).tree(keys)
    assert read is not None
    for one, other in zip(tree, read, strict=True):
        assert (other.key, other.name, other.depth) == (one.key, one.name, one.depth)
        assert len(other.children) == len(one.children)
        assert other.start_ns - read.root.start_ns == pytest.approx(one.start_ns - tree.root.start_ns, abs=1e5)
        for metric in ("wall", "cpu", "run_delay"):
            assert getattr(other, metric) == pytest.approx(getattr(one, metric), abs=TIME)
        assert other.max_rss_bytes == pytest.approx(one.max_rss_bytes, abs=MEMORY)
        above = other.parent
        assert above is None or above.start_ns <= other.start_ns <= (other.exit_ns or 0) <= (above.exit_ns or 0)
    assert [node.key for node in read.critical_path()] == [node.key for node in tree.critical_path()]


def test_what_is_not_known_stays_unknown() -> None:
    tree, keys = tree_with_keys()
    tree.root.children[0].exit_ns = tree.root.children[0]._usage_after = None
    read = Outline.of(tree, 0, keys).tree(keys)
    assert read is not None
    child = read.root.children[0]
    assert (child.wall, child.cpu, child.run_delay, child.max_rss_bytes, child.still_running) == (*[None] * 4, True)


def test_names_are_those_of_the_outline_s_own_round() -> None:
    tree, keys = tree_with_keys()
    read = Outline.of(tree, 1, keys).tree(keys, [{}, {"make": "ninja"}])
    assert read is not None
    assert (read.root.key, read.root.name) == ("ninja", "ninja")


@given(
    st.one_of(
        st.lists(st.lists(st.integers(-3, 3), max_size=4), max_size=8),
        st.lists(st.lists(st.integers(-(2**63), 2**64 - 1), min_size=2, max_size=2), min_size=7, max_size=7),
        st.recursive(st.none() | st.text(), st.lists, max_leaves=8),
    )
)
def test_columns_that_are_no_tree_give_none(columns: object) -> None:
    read = packed(columns).tree(["make", "make/cc1[a.c]"])
    assert read is None or len(read) == len(columns[0])  # type: ignore[index]


@pytest.mark.parametrize("columns", ["", "?", "AAAA", base64.b64encode(zlib.compress(b"\xc1")).decode()])
def test_text_that_is_no_columns_gives_none(columns: str) -> None:
    assert Outline(0, columns).tree(["make"]) is None


def test_columns_that_inflate_without_end_are_not_inflated() -> None:
    bomb = base64.b64encode(zlib.compress(bytes(1 << 27), 1)).decode()
    assert Outline(0, bomb).tree(["make"]) is None
