"""Names in little room: the path of programs goes, then directories; a file's name is never cut inside."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from pytest_ptreetime.system.untrusted_text import clip, shown

__all__ = ["fitted", "least_room", "without_directories", "without_path", "wrapped"]

_INDENT = "  "  # of a sentence's further lines
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|[mµ]?s|[KMG]?i?B)(?![\w.]))")
_NO_BREAK = "\x00"  # what shown() leaves nowhere, and textwrap does not break at

_DIRECTORIES = re.compile(r"(?<![\w.…-])[^\s\[\]'\"=]*/(?=[^\s/\[\]])")


def without_path(key: str) -> str:
    """``cc1[src/lvm.c]`` of ``make/gcc/cc1[src/lvm.c]``; a label, ``cc1 src/lvm.c``, has no such path."""
    path, bracket, arguments = key.partition("[")
    if not bracket and " " in key:
        return key
    return path.rpartition("/")[2] + bracket + arguments


def without_directories(label: str) -> str:
    """``cc1 …/lvm.c`` of ``cc1 src/lvm.c``."""
    return _DIRECTORIES.sub("…/", label)


def fitted(key: str, room: int) -> str:
    """``key`` (or a label, ``cc1 src/lvm.c``) in ``room`` columns: ``cc1[…/lvm.c]``, ``lvm.c``.

    Only where nothing else is left an end is cut off; where the file's name alone is too long, its beginning.
    """
    for text in _shorter(key):
        if len(text) <= room:
            return text
    shortest = _shorter(key)[-1]
    has_file = "." in shortest.strip(".")
    return f"…{shortest[-(room - 1) :]}" if has_file and room > 1 else clip(shortest, room)


def least_room(names: Sequence[str]) -> int:
    """The columns that ``names`` need for every program and file to be read."""
    return max((len(_shorter(name)[-2]) for name in names), default=0)


def wrapped(sentences: Iterable[str], width: int) -> list[str]:
    """The lines of ``sentences``, not longer than ``width``; no name and no unit goes on in the next line."""
    room = max(width, 20)
    lines = []
    for sentence in sentences:
        words = [fitted(word, room - len(_INDENT)) for word in shown(sentence).split(" ")]
        text = _BEFORE_UNIT.sub(_NO_BREAK, " ".join(words))
        lines += textwrap.wrap(text, room, subsequent_indent=_INDENT, break_on_hyphens=False) or [""]
    return [line.replace(_NO_BREAK, " ") for line in lines]


def _shorter(key: str) -> list[str]:
    """From the whole to the file's name alone."""
    label = without_path(key)
    brief = without_directories(label)
    words = re.split(r"[\s\[\]]+", brief.rstrip("]"))
    program, files = words[0], [word for word in words[1:] if word and not word.startswith("-")]
    file = files[0].removeprefix("…/") if files else program
    return [key, label, brief, f"{program} {file}" if files else program, file]
