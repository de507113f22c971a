"""Apache Parquet, one row for each node of each round: for DuckDB, Spark or BigQuery, where results outgrow a machine.

Needs the extra ``parquet`` (pyarrow). A round's rows follow each other as the tree does (preorder). ``node`` counts the
nodes of a round from 0 and ``parent`` refers to it, so a tree can be walked in SQL. Row groups have about the same size
whatever that of the trees is, and only the one that is being filled is in memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from pytest_ptreetime.errors import ReportFailed
from pytest_ptreetime.metrics import TABLE
from pytest_ptreetime.system.untrusted_text import valid_unicode

if TYPE_CHECKING:
    from pytest_ptreetime.reports.results import Measurement, SessionResult
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["ParquetReport"]

GROUP_ROWS = 40_960  # about 60 MB while they are collected; a reader takes a group at a time

_SECONDS = tuple(metric.column for metric in TABLE if metric.unit == "s")
_NUMBERS = (
    "pid",
    "depth",
    "start_ns",
    "exit_ns",
    *(metric.column for metric in TABLE if metric.unit != "s" and not metric.of_build),
    "voluntary_switches",
    "involuntary_switches",
    "failed_execs",
    "exit_code",
    "signal",
)
_TEXTS = ("key", "name", "exe", "cwd")
_FLAGS = ("still_running", "reparented")


class ParquetReport:
    """A row for each node; the session's and the measurement's own facts are columns too."""

    name = "parquet"
    suffix = ".parquet"

    def render(self, session: SessionResult, out: IO[bytes]) -> None:
        try:
            pa = importlib.import_module("pyarrow")
            pq = importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise ReportFailed(
                "the parquet report needs pyarrow: install it by `pip install pytest-ptreetime[parquet]`"
            ) from None
        schema = _schema(pa)
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            group: dict[str, list[Any]] = {name: [] for name in schema.names}
            for measurement in session.measurements:
                for number, tree in enumerate(measurement.trees):
                    for columns in _columns(session, measurement, number, tree):
                        for name, values in columns.items():
                            group[name] += values
                        if len(group["node"]) >= GROUP_ROWS:
                            writer.write_table(pa.table(group, schema=schema), row_group_size=2 * GROUP_ROWS)
                            group = {name: [] for name in schema.names}
            if group["node"]:
                writer.write_table(pa.table(group, schema=schema), row_group_size=2 * GROUP_ROWS)


def _schema(pa: Any) -> Any:
    """Repeated texts are dictionaries: they cost a number a row."""
    word = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("started", pa.timestamp("us", tz="UTC")),
            *((name, word) for name in ("machine", "commit", "run_order", "test", "measurement", "tracer")),
            ("round", pa.int32()),
            ("node", pa.int32()),
            ("parent", pa.int32()),
            *((name, word) for name in _TEXTS),
            ("args", pa.list_(pa.string())),
            *((name, pa.int64()) for name in _NUMBERS),
            *((name, pa.float64()) for name in _SECONDS),
            *((name, pa.bool_()) for name in _FLAGS),
            ("critical", pa.bool_()),
        ]
    )


def _columns(
    session: SessionResult, measurement: Measurement, number: int, tree: ProcessTree
) -> Iterator[dict[str, list[Any]]]:
    """The rows of one round, at most ``GROUP_ROWS`` at a time."""
    everything = list(tree)
    index = {id(node): position for position, node in enumerate(everything)}
    critical = {id(node) for node in tree.critical_path()}
    same = {
        "started": round(session.started * 1e6),
        "machine": valid_unicode(session.machine),
        "commit": session.commit,
        "run_order": session.run_order,
        "test": valid_unicode(measurement.test),
        "measurement": valid_unicode(measurement.name),
        "tracer": measurement.tracer,
        "round": number,
    }
    for begin in range(0, len(everything), GROUP_ROWS):
        nodes = everything[begin : begin + GROUP_ROWS]
        columns: dict[str, list[Any]] = {name: [value] * len(nodes) for name, value in same.items()}
        columns["node"] = list(range(begin, begin + len(nodes)))
        columns["parent"] = [None if node.parent is None else index[id(node.parent)] for node in nodes]
        for name in _TEXTS:
            columns[name] = [None if (text := getattr(node, name)) is None else valid_unicode(text) for node in nodes]
        columns["args"] = [None if node.args is None else [valid_unicode(word) for word in node.args] for node in nodes]
        for name in (*_NUMBERS, *_SECONDS, *_FLAGS):
            columns[name] = [getattr(node, name) for node in nodes]
        columns["critical"] = [id(node) in critical for node in nodes]
        yield columns
