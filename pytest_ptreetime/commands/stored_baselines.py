"""Which baselines a command is about: the options that name them, and the baselines."""

from __future__ import annotations

import argparse

from pytest_ptreetime.baselines.store import Baseline, Store
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.table import DEFAULT_STORE

__all__ = ["add_store_arguments", "chosen_baselines"]


def add_store_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the tests, the store and the baseline's name."""
    parser.add_argument("tests", nargs="*", metavar="TEST", help="tests (a part of the name is enough); all by default")
    parser.add_argument("--dir", default=DEFAULT_STORE, help="the store (default %(default)s)")
    parser.add_argument("--name", default="main", help="which baseline (default %(default)s)")


def chosen_baselines(options: argparse.Namespace) -> list[Baseline]:
    """The stored baselines that the options name.

    :raises UsageError: there is none.
    """
    store = Store(options.dir, options.name)
    baselines = [Store.read(path) for path in store.files()]
    if options.tests:
        baselines = [one for one in baselines if any(test in one.test for test in options.tests)]
    if not baselines:
        wanted = f" of {', '.join(options.tests)}" if options.tests else ""
        raise UsageError(f"no baseline{wanted} in {store.directory}: pytest --ptreetime-save-baseline makes one")
    return baselines
