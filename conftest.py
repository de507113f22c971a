"""What the package's own tests share: pytester, and the switch for what takes minutes or the network."""

from __future__ import annotations

import numpy  # noqa: F401 # pytester takes what a run has imported away again, and numpy can't be imported twice
import pytest

pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--slow", action="store_true", help="run the tests marked slow too (they build and install packages)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes a minute or a package index; runs with --slow, as .ci/run does")
    config.addinivalue_line("markers", "promise(name): holds a promise that docs/reliability.md makes under this name")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if item.get_closest_marker("slow") is not None:
            item.add_marker(pytest.mark.skip(reason="slow: give --slow to run it"))
