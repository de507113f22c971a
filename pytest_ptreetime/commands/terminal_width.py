"""What the terminal can show."""

from __future__ import annotations

import os
import shutil
import sys

__all__ = ["colour", "width"]


def width() -> int:
    """Columns of the terminal; 120 where the output goes elsewhere, so that it does not depend on who looks."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return 120
    return shutil.get_terminal_size((80, 24)).columns


def colour() -> bool:
    """Whether to write colours: on a terminal, unless NO_COLOR (no-color.org) is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
