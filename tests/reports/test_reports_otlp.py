"""Spans of processes, read by OpenTelemetry's own package."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from report_sessions import STARTED, measurement, rounds, session

from pytest_ptreetime.reports import find_report

IDENTITIES = ("traceId", "spanId", "parentSpanId")
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def document() -> dict[str, Any]:
    out = io.BytesIO()
    find_report("otlp-json").render(session(measurement(now=rounds(count=1))), out)
    decoded: dict[str, Any] = json.loads(out.getvalue())
    return decoded


def in_base64(value: Any) -> Any:
    """The identities as protobuf's own JSON has them: OTLP's has them in hexadecimal."""
    if isinstance(value, list):
        return [in_base64(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(each)).decode()
        if key in ("traceId", "spanId", "parentSpanId")
        else in_base64(each)
        for key, each in value.items()
    }


def decoded() -> Any:
    trace = pytest.importorskip(
        "opentelemetry.proto.trace.v1.trace_pb2", reason="needs opentelemetry-proto (pip install opentelemetry-proto)"
    )
    json_format = pytest.importorskip("google.protobuf.json_format")
    return json_format.Parse(json.dumps(in_base64(document())), trace.TracesData())


def test_every_process_is_a_span_below_its_parent_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRACEPARENT", raising=False)
    (of_resource,) = decoded().resource_spans
    spans = of_resource.scope_spans[0].spans
    by_identity = {span.span_id: span for span in spans}
    assert len(by_identity) == len(spans) == 28 + 1
    assert [span.name for span in spans if not span.parent_span_id] == ["test_build.test_clean_build"]
    for span in spans[1:]:
        above = by_identity[span.parent_span_id]
        assert above.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
    compiler = next(span for span in spans if span.name == "cc1 c.c")
    assert by_identity[compiler.parent_span_id].name == "gcc c.c"
    attributes = {each.key: each.value for each in compiler.attributes}
    assert attributes["process.executable.name"].string_value == "cc1"
    assert [each.string_value for each in attributes["process.command_args"].array_value.values][1:3] == [
        "-quiet",
        "c.c",
    ]
    assert attributes["process.exit.code"].int_value == 0
    assert attributes["ptreetime.cpu_seconds"].double_value == pytest.approx(0.09, rel=0.01)
    assert abs(spans[0].start_time_unix_nano / 1e9 - STARTED) < 1
    resource = {each.key: each.value.string_value for each in of_resource.resource.attributes}
    assert resource["vcs.ref.head.revision"].startswith("4f2a1c9")


def test_traceparent_is_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{SPAN}-01")
    spans = document()["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert {span["traceId"] for span in spans} == {TRACE}
    assert spans[0]["parentSpanId"] == SPAN


@pytest.mark.parametrize("given", ["", "nonsense", f"00-{'0' * 32}-{SPAN}-01"])
def test_traceparent_that_is_none_is_not_used(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", given)
    spans = document()["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert spans[0]["parentSpanId"] == ""
    assert len(spans[0]["traceId"]) == 32
