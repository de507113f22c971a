"""Hold docs/explanation/reliability.md and the tests to each other; `make lint` runs this.

    python tests/check_promises.py

Each promise of the document is a row ``| `name` | sentence | `tests/file.py::test` ... |``, where a file that is marked
as a whole (``pytestmark``) is named alone. This fails, with a line for
each fault, when a promise names no test, names a test that does not exist or is not marked ``promise("name")``, or when
a test is marked with a promise that the document does not make.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["faults", "made", "marked"]

REPOSITORY = Path(__file__).parent.parent
_ROW = re.compile(r"^\| `([a-z0-9-]+)` \|(.*)\|(.*)\|$")
_TEST = re.compile(r"`(tests/[^\s`]+?\.py(?:::[\w:]+)?)`")


def made(document: str) -> dict[str, set[str]]:
    """Each promise of the document, and the tests that it names."""
    rows = (_ROW.match(line) for line in document.splitlines())
    return {row[1]: set(_TEST.findall(row[3])) for row in rows if row}


def marked(source: str, name: str) -> Iterator[tuple[str, str]]:
    """Each promise that a test or all of the file is marked with, and pytest's name of it; ``name`` is the file's."""
    yield from _marked_in(ast.parse(source).body, name)


def _marked_in(statements: list[ast.stmt], place: str) -> Iterator[tuple[str, str]]:
    for statement in statements:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "pytestmark":
            marks = statement.value.elts if isinstance(statement.value, ast.List | ast.Tuple) else [statement.value]
            for mark in marks:
                for promise in _promises(mark):
                    yield promise, place
        elif isinstance(statement, ast.ClassDef):
            yield from _marked_in(statement.body, f"{place}::{statement.name}")
        elif isinstance(statement, ast.FunctionDef) and statement.name.startswith("test_"):
            for decorator in statement.decorator_list:
                for promise in _promises(decorator):
                    yield promise, f"{place}::{statement.name}"


def _promises(decorator: ast.expr) -> Iterator[str]:
    match decorator:
        case ast.Call(func=ast.Attribute(attr="promise"), args=arguments):
            for argument in arguments:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


def faults(promises: dict[str, set[str]], tests: dict[str, set[str]]) -> Iterator[str]:
    """What does not fit, a line each. Both map a promise to its tests."""
    for promise, named in sorted(promises.items()):
        if not named:
            yield f"docs/explanation/reliability.md: {promise}: no test holds it; name one in the row's last column"
        for test in sorted(named - tests.get(promise, set())):
            yield f'docs/explanation/reliability.md: {promise}: {test} is not there, or not marked promise("{promise}")'
    for promise, holding in sorted(tests.items()):
        if promise not in promises:
            yield f"{min(holding)}: the promise {promise} is not made in docs/explanation/reliability.md"


def main() -> int:
    tests: dict[str, set[str]] = {}
    for path in sorted((REPOSITORY / "tests").rglob("test_*.py")):
        for promise, test in marked(path.read_text(encoding="utf-8"), path.relative_to(REPOSITORY).as_posix()):
            tests.setdefault(promise, set()).add(test)
    promises = made((REPOSITORY / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8"))
    found = list(faults(promises, tests))
    sys.stdout.write("\n".join(found or [f"{len(promises)} promises, each held by a test"]) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
