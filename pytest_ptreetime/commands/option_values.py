"""The values of options: read by the functions of settings.py, refused in the words of these."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

__all__ = ["value_of"]

_Value = TypeVar("_Value")


def value_of(parse: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """``parse`` as the type of an argparse option; argparse itself would say its name instead of its ValueError."""

    def read(text: str) -> _Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} can't be used: {error}") from None

    return read
