"""The user's own ``PATTERN=REPLACEMENT`` rules for arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pytest_ptreetime.system.user_pattern import check_replacement, user_pattern

__all__ = ["Substitutions"]

# An argument's first so many characters are matched, and make its key. The time of a harmless pattern may grow with
# the square of the length, and there are arguments of 128 KiB.
MATCHED_CHARACTERS = 1_000


class Substitutions:
    """Regular expressions and what replaces their matches, applied in order.

    :param rules: ``"PATTERN=REPLACEMENT"`` (the first ``=`` divides; without one the match is removed, as with
        swift-llbuild's ``--report-sub-arg``), or pairs. The syntax is that of ``re.sub``.
    :raises UsageError: a pattern is no regular expression, or its replacement names a group that is not there.
    """

    def __init__(self, rules: Iterable[str | tuple[str, str] | Sequence[str]] = ()) -> None:
        self._rules = [_compiled(*_pattern_and_replacement(rule)) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def apply(self, argument: str) -> str:
        """``argument`` with every rule applied."""
        argument = argument[:MATCHED_CHARACTERS]
        for pattern, replacement in self._rules:
            argument = pattern.sub(replacement, argument)
        return argument


def _compiled(pattern: str, replacement: str) -> tuple[re.Pattern[str], str]:
    what = f"the substitution {pattern}={replacement}"
    compiled = user_pattern(pattern, what)
    check_replacement(compiled, replacement, what)
    return compiled, replacement


def _pattern_and_replacement(rule: str | tuple[str, str] | Sequence[str]) -> tuple[str, str]:
    if isinstance(rule, str):
        pattern, _, replacement = rule.partition("=")
        return pattern, replacement
    pattern, replacement = rule
    return pattern, replacement
