"""The user's own ``PATTERN=REPLACEMENT`` rules for arguments."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from pytest_ptreetime.errors import UsageError

if sys.version_info >= (3, 11):
    from re import _parser as regex_parser
else:
    import sre_parse as regex_parser

__all__ = ["Substitutions"]

# An argument's first so many characters are matched. Together with the refusal of nested repeats below it bounds the
# time of a match, which can still grow with a power of the length: one for each repeat that follows another.
MATCHED_CHARACTERS = 1_000

_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}


class Substitutions:
    """Regular expressions and what replaces their matches, applied in order.

    :param rules: ``"PATTERN=REPLACEMENT"`` (the first ``=`` divides; without one the match is removed, as with
        swift-llbuild's ``--report-sub-arg``), or pairs. The syntax is that of ``re.sub``.
    :raises UsageError: a pattern is no regular expression, its replacement names a group that is not there, or it can
        take exponential time (an unbounded repeat inside another one).
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


def _pattern_and_replacement(rule: str | tuple[str, str] | Sequence[str]) -> tuple[str, str]:
    if isinstance(rule, str):
        pattern, _, replacement = rule.partition("=")
        return pattern, replacement
    pattern, replacement = rule
    return pattern, replacement


def _compiled(pattern: str, replacement: str) -> tuple[re.Pattern[str], str]:
    what = f"the substitution {pattern}={replacement}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a nested set in a pattern is the user's to want
            parsed = regex_parser.parse(pattern)
            compiled = re.compile(pattern)
        _check_replacement(compiled, replacement)
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise UsageError(f"{what} is wrong: {error}: see the syntax of Python's re.sub") from None
    if _can_explode(parsed):
        raise UsageError(
            f"{what} can take exponential time: a repeat without a bound, or an alternative, is inside a repeat "
            "without a bound; write it without nesting them"
        )
    return compiled, replacement


def _check_replacement(pattern: re.Pattern[str], replacement: str) -> None:
    """Let ``re`` parse ``replacement`` with a pattern that has the same groups and matches for certain."""
    names = {number: name for name, number in pattern.groupindex.items()}
    groups = (f"(?P<{names[number]}>)" if number in names else "()" for number in range(1, pattern.groups + 1))
    re.sub("".join(groups), replacement, "")


def _can_explode(parsed: Any) -> bool:
    """Whether an unbounded repeat holds another repeat or a choice, the forms that backtrack exponentially."""
    stack = [(parsed, False)]
    while stack:
        item, inside = stack.pop()
        for operation, argument in item:
            name = str(operation)
            repeats = name in _REPEATS
            unbounded = repeats and argument[1] == regex_parser.MAXREPEAT
            if inside and ((repeats and argument[0] != argument[1]) or name == "BRANCH" or name == "GROUPREF"):
                return True
            stack.extend((inner, inside or unbounded) for inner in _inner(argument))
    return False


def _inner(argument: Any) -> list[Any]:
    """The sub-patterns among an operation's arguments."""
    found = []
    waiting = [argument]
    while waiting:
        one = waiting.pop()
        if isinstance(one, regex_parser.SubPattern):
            found.append(one)
        elif isinstance(one, (tuple, list)):
            waiting.extend(one)
    return found
