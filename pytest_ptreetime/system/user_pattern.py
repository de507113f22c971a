"""Regular expressions that a user gave: Python's own, with errors that name the option.

They are trusted as the build is, that the same user wrote: one that backtracks exponentially takes its time, until
Ctrl-C.
"""

from __future__ import annotations

import re
import warnings

from pytest_ptreetime.errors import UsageError

__all__ = ["check_replacement", "user_pattern"]

# What re.compile and re.sub raise; the last three for what is too large or too deep.
_WRONG = (re.error, IndexError, ValueError, OverflowError, RecursionError)


def user_pattern(text: str, what: str, *, flags: int = 0) -> re.Pattern[str]:
    """The pattern, compiled.

    :param what: what the pattern is called in an error: ``--ptreetime-sub-arg a=b``.
    :raises UsageError: it is no regular expression.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a nested set in a pattern is the user's to want
            return re.compile(text, flags)
    except _WRONG as error:
        raise UsageError(f"{what} is not a regular expression of Python's: {error}") from None


def check_replacement(pattern: re.Pattern[str], replacement: str, what: str) -> None:
    """Let ``re`` read ``replacement``, with a pattern that has the same groups and matches for certain.

    :raises UsageError: the replacement names a group that is not there, or has an unknown escape.
    """
    names = {number: name for name, number in pattern.groupindex.items()}
    groups = (f"(?P<{names[number]}>)" if number in names else "()" for number in range(1, pattern.groups + 1))
    try:
        re.sub("".join(groups), replacement, "")
    except _WRONG as error:
        raise UsageError(f"{what} is wrong: {error}: see the syntax of Python's re.sub") from None
