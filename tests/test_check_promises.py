"""The script that compares docs/explanation/reliability.md with the tests finds every kind of disagreement."""

from __future__ import annotations

from check_promises import faults, made, marked

TESTS = """
import pytest

@pytest.mark.promise("whole-tree")
def test_one(): ...

class TestMore:
    @pytest.mark.promise("whole-tree")
    @pytest.mark.parametrize("n", [1])
    def test_two(self, n): ...
"""
ONE, TWO = "tests/test_x.py::test_one", "tests/test_x.py::TestMore::test_two"


def test_marks_are_found_on_functions_and_methods() -> None:
    assert list(marked(TESTS, "tests/test_x.py")) == [("whole-tree", ONE), ("whole-tree", TWO)]


def test_mark_of_a_whole_file_is_found() -> None:
    source = 'pytestmark = [pytest.mark.promise("whole-tree"), pytest.mark.slow]'
    assert list(marked(source, "tests/test_x.py")) == [("whole-tree", "tests/test_x.py")]


def test_row_names_its_tests_and_prose_does_not_count() -> None:
    document = (
        f"| promise | what | tests |\n|---|---|---|\n| `whole-tree` | All of it. | `{ONE}`, `{TWO}` |\nsee `{ONE}`\n"
    )
    assert made(document) == {"whole-tree": {ONE, TWO}}


def test_agreement_has_no_fault() -> None:
    assert list(faults({"whole-tree": {ONE}}, {"whole-tree": {ONE, TWO}})) == []


def test_promise_without_a_test_is_a_fault() -> None:
    assert [fault.split(": ")[1] for fault in faults({"whole-tree": set()}, {})] == ["whole-tree"]


def test_test_that_is_not_there_is_a_fault() -> None:
    (fault,) = faults({"whole-tree": {ONE, TWO}}, {"whole-tree": {TWO}})
    assert ONE in fault


def test_mark_of_an_unknown_promise_is_a_fault() -> None:
    (fault,) = faults({}, {"half-tree": {ONE}})
    assert "half-tree" in fault
    assert ONE in fault
