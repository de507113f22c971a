"""The rules of the Trace Event format, and those of Perfetto's importer for slices, on whatever was recorded.

No registry has Perfetto's trace processor, and Debian's Chromium comes without chrome://tracing, so its rules are held
here; speedscope itself opens the same file in test_speedscope.py.
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from typing import Any

from hypothesis import given, settings
from report_sessions import compared_sides, measurement, regressed_session, session
from simulated_processes import simulations

from pytest_ptreetime.recording.events import Event
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports import find_report
from pytest_ptreetime.reports.results import SessionResult

METADATA = {"process_name": str, "process_labels": str, "process_sort_index": int, "thread_name": str}
INT32 = range(2**31)


def trace(result: SessionResult) -> dict[str, Any]:
    out = io.BytesIO()
    find_report("chrome-trace").render(result, out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def nanoseconds(microseconds: float) -> int:
    """As Perfetto reads a time: it counts in whole nanoseconds."""
    assert isinstance(microseconds, int | float)
    rounded = round(microseconds * 1000)
    assert abs(microseconds * 1000 - rounded) < 0.01
    return rounded


def assert_valid(document: dict[str, Any]) -> None:
    """The JSON Object Format, its events of the kinds M, X and C, and slices that nest on each thread."""
    assert document["displayTimeUnit"] in ("ms", "ns")
    assert all(isinstance(value, str) for value in document["otherData"].values())
    slices: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    counted: dict[tuple[int, str], int] = {}
    for event in document["traceEvents"]:
        assert event["pid"] in INT32
        assert event["tid"] in INT32
        assert isinstance(event["name"], str)
        if event["ph"] == "M":
            (value,) = event["args"].values()
            assert isinstance(value, METADATA[event["name"]])
        elif event["ph"] == "X":
            begin, length = nanoseconds(event["ts"]), nanoseconds(event["dur"])
            assert begin >= 0
            assert length >= 0
            assert isinstance(event["cat"], str)
            assert isinstance(event["args"], dict)
            slices[event["pid"], event["tid"]].append((begin, begin + length))
        else:
            assert event["ph"] == "C"
            assert event["args"]
            assert all(isinstance(value, int | float) and value >= 0 for value in event["args"].values())
            track = event["pid"], event["name"]
            assert nanoseconds(event["ts"]) > counted.get(track, -1), "a counter has one value at a time"
            counted[track] = nanoseconds(event["ts"])
    for lane in slices.values():
        assert_nested(lane)


def assert_nested(lane: list[tuple[int, int]]) -> None:
    """In file order a slice begins after the one before it, and ends before those that it began in: else an importer
    drops it.
    """
    around: list[tuple[int, int]] = []
    last = 0
    for begin, end in lane:
        assert begin >= last
        last = begin
        while around and around[-1][1] <= begin:
            around.pop()
        assert not around or end <= around[-1][1]
        around.append((begin, end))


def test_trace_of_a_session_keeps_the_rules_of_the_format() -> None:
    document = trace(regressed_session())
    assert_valid(document)
    processes = {event["pid"] for event in document["traceEvents"]}
    named = {event["pid"] for event in document["traceEvents"] if event["name"] == "process_name"}
    assert processes == named == {1, 2, 3, 4, 5}  # three measurements, of two also the side before
    lanes = {(event["pid"], event["tid"]) for event in document["traceEvents"] if event["ph"] == "X"}
    assert lanes == {
        (event["pid"], event["tid"]) for event in document["traceEvents"] if event["name"] == "thread_name"
    }


def test_trace_of_two_recorded_sides_has_both_as_processes_before_first() -> None:
    document = trace(session(compared_sides(["a.c", "b.c"], ["a.c", "b.c"], slow={"b.c": 3.0})))
    assert_valid(document)
    names = [event["args"]["name"] for event in document["traceEvents"] if event["name"] == "process_name"]
    assert names == ["test_build.test_clean_build: before", "test_build.test_clean_build: now"]
    slow = [event for event in document["traceEvents"] if event["ph"] == "X" and event["name"] == "cc1 b.c"]
    assert [event["pid"] for event in slow] == [1, 2]
    assert slow[1]["dur"] > 2 * slow[0]["dur"]


@settings(max_examples=25)
@given(simulations())
def test_trace_of_any_recording_keeps_the_rules_of_the_format(events: list[Event]) -> None:
    document = trace(session(measurement(now=[Recording(events, tracer="ptrace")])))
    assert_valid(document)
    slices = sum(event["ph"] == "X" for event in document["traceEvents"])
    assert slices == len(Recording(events).tree())
