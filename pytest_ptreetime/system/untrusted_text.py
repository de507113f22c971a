"""Text that comes from traced processes: names, arguments and paths can hold anything but NUL, escapes included.

Every report passes such text through here before it meets a terminal, a file or a browser, and so does every error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["clip", "middle", "shell_line", "shown", "shown_lines", "valid_unicode"]

# Compiled when first used: this module is imported in every run of pytest.
_COLOURS = "\x1b\\[[0-9;]{0,40}[mK]"
_UNSAFE = (
    "["
    "\x00-\x1f\x7f-\x9f"  # C0 and C1 controls: escape sequences, line breaks
    "\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0"  # invisible letters and marks
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, line-breaking and bidirectional controls
    "\ud800-\udfff"  # surrogates: bytes that were not UTF-8
    "\U000e0000-\U000e0fff"  # tags and variation selectors
    "]"
)


def shown(text: str) -> str:
    r"""``text`` on one line, without control characters or anything that hides or reorders its neighbours.

    What is taken out is written as an escape that a reader can see: ``\x1b``, ``\u202e``; a byte that was not UTF-8
    as ``\xff``.
    """
    return re.sub(_UNSAFE, _escape, text)


def shown_lines(text: str) -> str:
    """As :func:`shown`, for text of several lines: output of a build. Colours are taken out."""
    lines = re.sub(_COLOURS, "", text).expandtabs().replace("\r\n", "\n").split("\n")
    return "\n".join(map(shown, lines))


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's stand-in for the byte 0x80..0xff
        code -= 0xDC00
    if code <= 0xFF:
        return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def valid_unicode(text: str) -> str:
    r"""``text`` with nothing changed but the bytes that were not UTF-8, which become ``\xff``: for JSON files."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", _escape, text)
    return text


def clip(text: str, width: int) -> str:
    """``text`` in at most ``width`` characters, its end replaced by an ellipsis where it is longer."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def middle(text: str, width: int) -> str:
    """As :func:`clip`, but both ends stay: a key's root and its file are what tells it from others.

    The end begins with a word or a directory, if one begins in its first half: a file's name is whole or left out.
    """
    if len(text) <= width:
        return text
    end = max((width - 1) * 2 // 3, 0)
    tail = text[-end:] if end else ""
    begin = re.search(r"[\s/]", tail[: end // 2])
    return text[: max(width - 1 - end, 0)] + "…" + (tail[begin.start() :] if begin else tail)


def shell_line(args: Iterable[str]) -> str:
    """``args`` as a line that could be typed into a shell."""
    import shlex

    return " ".join(shlex.quote(argument) for argument in args)
