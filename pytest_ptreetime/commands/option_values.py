"""The options of commands: those of pytest by the table of options, all values read by its functions."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

from pytest_ptreetime.options.table import OPTIONS

__all__ = ["add_options", "value_of"]

_Value = TypeVar("_Value")


def value_of(parse: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """``parse`` as the type of an argparse option; argparse itself would say its name instead of its ValueError."""

    def read(text: str) -> _Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} can't be used: {error}") from None

    return read


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Declare options that are pytest's too. Those that take several values in one text are left as texts."""
    for option in OPTIONS:
        if option.name not in names:
            continue
        arguments: dict[str, Any] = {"help": option.help}
        if option.switch:
            arguments.update(action="store_true")
        else:
            read = str if option.split is not None else value_of(option.parse)
            arguments.update(type=read, metavar=option.metavar, default=option.default)
        if option.repeatable:
            arguments.update(action="append", default=[])
        parser.add_argument(f"--{option.name}", **arguments)
