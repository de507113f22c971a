"""Perfetto's own format, read by its own package."""

from __future__ import annotations

import io
from collections import defaultdict
from typing import Any

import pytest
from report_sessions import HOSTILE_SOURCE, compared_sides, measurement, rounds, session

from pytest_ptreetime.reports import find_report
from pytest_ptreetime.reports.results import SessionResult

BEGIN, END, COUNTER = 1, 2, 4


def packets(result: SessionResult) -> list[Any]:
    proto = pytest.importorskip(
        "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="needs perfetto (pip install perfetto)"
    )
    out = io.BytesIO()
    find_report("perfetto").render(result, out)
    trace = proto.Trace()
    trace.ParseFromString(out.getvalue())
    assert not trace.FindInitializationErrors()
    trace.DiscardUnknownFields()
    assert len(trace.SerializeToString()) == len(out.getvalue())
    return list(trace.packet)


def by_track(read: list[Any]) -> tuple[dict[int, Any], dict[int, list[Any]]]:
    tracks = {one.track_descriptor.uuid: one.track_descriptor for one in read if one.HasField("track_descriptor")}
    events = defaultdict(list)
    for one in read:
        if one.HasField("track_event"):
            events[one.track_event.track_uuid].append(one)
    return tracks, events


def test_every_process_is_a_slice_inside_that_of_its_lane_which_is_below_its_side() -> None:
    result = compared_sides(["a.c", "b.c"], ["a.c", "b.c", "c.c"], slow={"a.c": 3.0})
    tracks, events = by_track(packets(session(result)))
    sides = [track for track in tracks.values() if not track.parent_uuid]
    assert [track.name.rpartition(": ")[2] for track in sides] == ["before", "now"]
    assert [track.sibling_order_rank for track in sides] == [0, 1]
    for side, tree in zip(sides, (result.tree_before, result.tree), strict=True):
        assert tree is not None
        assert side.child_ordering == side.EXPLICIT
        below = [track for track in tracks.values() if track.parent_uuid == side.uuid]
        assert [track.sibling_order_rank for track in below] == list(range(len(below)))
        names = [track.name for track in below]
        assert names == ["processors running", "waiting for a processor", "memory of all, at most", "lane 1", "lane 2"]
        begun = 0
        for track in below[3:]:
            last, open_slices = 0, 0
            for one in events[track.uuid]:
                assert one.timestamp >= last
                last = one.timestamp
                open_slices += 1 if one.track_event.type == BEGIN else -1
                begun += one.track_event.type == BEGIN
                assert open_slices >= 0
            assert open_slices == 0
        assert begun == len(tree)


def test_slice_has_the_label_the_categories_and_the_figures_of_its_process() -> None:
    result = compared_sides(["a.c", "b.c"], ["a.c", "b.c"], slow={"a.c": 3.0})
    read = packets(session(result))
    named = [one for one in read if one.track_event.name == "cc1 a.c" and "regression" in one.track_event.categories]
    slow = named[-1]
    annotated = {each.name: each for each in slow.track_event.debug_annotations}
    (node,) = result.tree.find(name="cc1", args="a.c")
    assert annotated["cpu"].double_value == node.cpu
    assert annotated["max_rss_bytes"].int_value == node.max_rss_bytes
    assert annotated["command"].string_value.startswith("/usr/lib/gcc")
    assert slow.timestamp == node.start_ns - result.tree.root.start_ns


def test_counter_of_memory_has_the_build_s_peak_and_ends_at_nothing() -> None:
    result = measurement(now=rounds(count=1))
    tracks, events = by_track(packets(session(result)))
    (memory,) = (track for track in tracks.values() if track.name.startswith("memory"))
    values = [one.track_event.double_counter_value for one in events[memory.uuid]]
    assert all(one.track_event.type == COUNTER for one in events[memory.uuid])
    assert memory.counter.unit_name == "bytes"
    assert max(values) == result.tree.peak_memory_bytes
    assert values[-1] == 0


def test_hostile_name_is_a_text_like_any_other() -> None:
    read = packets(session(measurement(now=rounds(count=1, sources=[HOSTILE_SOURCE]))))
    assert any("</script>" in one.track_event.name for one in read)
