from __future__ import annotations

import pytest
from report_goldens import DIRECTORY, GOLDENS
from report_sessions import regressed_session

from pytest_ptreetime.results import SessionResult


@pytest.fixture(scope="module")
def session() -> SessionResult:
    return regressed_session()


@pytest.mark.parametrize("name", list(GOLDENS))
def test_report_is_as_in_its_golden_file(name: str, session: SessionResult) -> None:
    golden = (DIRECTORY / name).read_text(encoding="utf-8")
    assert GOLDENS[name](session) == golden, "if this is wanted: PYTHONPATH=. python tests/report_goldens.py"
