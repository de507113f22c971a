"""The table of metrics, and what can't loop over it: documents, the list in C, the fields of the events."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_ptreetime.metrics import COUNTERS, METRICS, TABLE, Metric
from pytest_ptreetime.recording.events import Usage
from pytest_ptreetime.tree.node import ProcessNode
from pytest_ptreetime.tree.process_tree import ProcessTree

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"


def names_of_list(macro: str) -> list[str]:
    header = (ROOT / "libptreetime" / "ptreetime_records.h").read_text()
    (lines,) = re.findall(rf"#define {macro}\((?:FIELD|COUNTER)\)((?:.*\\\n)*.*)", header)
    return re.findall(r"(?:FIELD|COUNTER)\((\w+)", lines)


def test_list_in_c_is_that_of_usage() -> None:
    assert tuple(names_of_list("PTREETIME_USAGE")) == Usage.__struct_fields__
    assert set(names_of_list("PTREETIME_THREAD_COUNTERS")) <= set(Usage.__struct_fields__)


def test_counters_are_fields_of_usage() -> None:
    assert set(COUNTERS) <= set(Usage.__struct_fields__)


@pytest.mark.parametrize("metric", TABLE, ids=METRICS)
def test_metric_is_an_attribute_of_a_node_or_a_tree_with_a_word_about_it(metric: Metric) -> None:
    assert getattr(ProcessTree if metric.of_build else ProcessNode, metric.column).__doc__


def test_documents_name_every_metric() -> None:
    (row,) = re.findall(
        r"^\| `--ptreetime-metrics NAME`.*: (.*); repeatable \|$", (REFERENCE / "options.md").read_text(), re.MULTILINE
    )
    assert tuple(row.split()) == METRICS
    document = (REFERENCE / "json.md").read_text()
    assert [name for name in METRICS if f"`{name}`" not in document] == []


def test_table_is_read_without_numpy() -> None:
    code = "import sys, pytest_ptreetime.metrics; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
