"""The processes as spans: OTLP/JSON, which every OpenTelemetry collector takes (its otlpjsonfile receiver, or by POST).

A measurement is a span, its processes are spans below it, with the attributes of OpenTelemetry's semantic conventions
for CI/CD, processes, hosts and version control. Where the environment has ``TRACEPARENT`` (W3C Trace Context), as CI
systems set it, that is the parent. Identities are made from the session, so that sending it twice is no second trace.

In JSON, trace and span identities are hexadecimal and 64-bit numbers are texts:
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

import msgspec

from pytest_ptreetime.keys.brief import label_of_node
from pytest_ptreetime.reports.lanes import end_of
from pytest_ptreetime.system.untrusted_text import shown, valid_unicode

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import Measurement, SessionResult
    from pytest_ptreetime.tree.process_tree import ProcessNode

__all__ = ["OtlpJsonReport"]

_PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_INTERNAL = 1  # SpanKind
_OK, _ERROR = 1, 2  # StatusCode


class OtlpJsonReport:
    """One request of ExportTraceServiceRequest."""

    name = "otlp-json"
    suffix = ".otlp.json"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        parent = _PARENT.fullmatch(os.environ.get("TRACEPARENT", "").strip().lower())
        trace = parent[1] if parent else _identity(32, session.started, session.machine)
        above = parent[2] if parent else ""
        spans = [span for m in session.measurements for span in _spans(session, m, trace, above)]
        resource = {
            "service.name": "pytest-ptreetime",
            "host.name": session.host.hostname,
            "host.arch": session.host.machine,
            "host.cpu.model.name": session.host.cpu_model,
            "os.description": session.host.os,
            "vcs.ref.head.revision": session.commit,
        }
        request = {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes(resource)},
                    "scopeSpans": [{"scope": {"name": "pytest_ptreetime"}, "spans": spans}],
                }
            ]
        }
        out.write(msgspec.json.encode(request) + b"\n")


def _spans(session: SessionResult, measurement: Measurement, trace: str, above: str) -> Iterator[dict[str, Any]]:
    tree = measurement.tree
    nodes = list(tree)
    end = max(node.exit_ns or node.start_ns for node in nodes)
    offset = round((tree.started or session.started) * 1e9) - tree.root.start_ns
    own = _identity(16, trace, measurement.name)
    identities = {id(node): _identity(16, own, str(number)) for number, node in enumerate(nodes)}
    failed = bool(tree.exit_code)
    task = {
        "cicd.pipeline.task.name": measurement.name,
        "cicd.pipeline.task.type": "build",
        "cicd.pipeline.task.run.result": "failure" if failed else "success",
        "ptreetime.verdict": measurement.verdict,
    }
    yield _span(trace, own, above, measurement.name, (tree.root.start_ns + offset, end + offset), task, failed)
    for node in nodes:
        parent = own if node.parent is None else identities[id(node.parent)]
        times = node.start_ns + offset, end_of(node, end) + offset
        failed = bool(node.exit_code or node.signal)
        yield _span(trace, identities[id(node)], parent, label_of_node(node), times, _of_process(node), failed)


def _span(
    trace: str,
    identity: str,
    parent: str,
    name: str,
    times: tuple[int, int],
    attributes: Mapping[str, Any],
    failed: bool,
) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": identity,
        "parentSpanId": parent,
        "name": shown(name),
        "kind": _INTERNAL,
        "startTimeUnixNano": str(times[0]),
        "endTimeUnixNano": str(times[1]),
        "attributes": _attributes(attributes),
        "status": {"code": _ERROR if failed else _OK},
    }


def _of_process(node: ProcessNode) -> dict[str, Any]:
    return {
        "process.pid": node.pid,
        "process.parent_pid": None if node.parent is None else node.parent.pid,
        "process.executable.name": node.name,
        "process.executable.path": node.exe,
        "process.command_args": node.args,
        "process.working_directory": node.cwd,
        "process.exit.code": node.exit_code,
        "ptreetime.cpu_seconds": node.cpu,
        "ptreetime.run_delay_seconds": node.run_delay,
        "ptreetime.max_rss_bytes": node.max_rss_bytes,
    }


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """As OTLP has them; what is not known is left out."""
    return [{"key": key, "value": _value(value)} for key, value in values.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": valid_unicode(value)}
    return {"arrayValue": {"values": [_value(each) for each in value]}}


def _identity(digits: int, *parts: object) -> str:
    return hashlib.sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()[:digits]
