"""Colours of a terminal, used only where the caller says that there is one."""

from __future__ import annotations

__all__ = ["paint"]

_CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1"}

VERDICT_COLOURS = {"regression": "red", "improvement": "green", "inconclusive": "yellow"}


def paint(text: str, style: str | None, colour: bool) -> str:
    """``text`` in ``style`` (red, green, yellow, bold); unchanged without ``colour``."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if colour and style else text
