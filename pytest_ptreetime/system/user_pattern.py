"""Regular expressions that a user gave: Python's own syntax, with a limit on the time that they may take.

Matching by backtracking can take exponential time, and ``re`` can't be interrupted but by a signal. The engine here is
``regex``, which takes a time limit. ``re`` decides what is a pattern and what it means: what ``regex`` alone knows
(fuzzy matching, POSIX classes, sets in sets) is escaped.

A limit costs 5 us a text. So ``re`` itself matches what can't take long: a pattern with n repeats or other choices,
none in a repeat, makes at most as many steps as the text's length to the power of n + 1, here QUICK_STEPS or some 4 ms.
"""

from __future__ import annotations

import re
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

from pytest_ptreetime.errors import UsageError

if sys.version_info >= (3, 11):
    from re import _parser as regex_parser
else:
    import sre_parse as regex_parser

if TYPE_CHECKING:
    import regex

__all__ = ["UserPattern"]

# Processor seconds that a pattern may take: so many for a text, and in all so many and on average these for each text.
SECONDS = 0.5
SECONDS_PER_TEXT = 0.000_2
# ``regex`` copies what is repeated a bounded number of times: (?:a{1000}){1000} takes it 270 MB and a second.
EXPANDED_LIMIT = 20_000
SHOWN_CHARACTERS = 120
QUICK_STEPS = 1_000_000
QUICK_ITEMS = 100
TOO_MANY = 100

_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
_SAME_FLAGS = int(re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE)  # in both engines
_DIFFERENT = re.compile(r"\\N\{[^}]*\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{\d*,?\d*\}|\{", re.DOTALL)
_IN_SET = re.compile(r"\\.|(?!^)\[", re.DOTALL)


class UserPattern:
    """A regular expression in the syntax of ``re``, whose time is limited.

    :param what: what the pattern is called in an error: ``--ptreetime-sub-arg a=b``.
    :param flags: those of ``re`` that hold for all of it.
    :param shows_text: whether an error may quote the text that took too long.
    :raises UsageError: it is no regular expression, or too large a one.
    """

    def __init__(self, pattern: str, what: str, *, flags: int = 0, shows_text: bool = True) -> None:
        self.what = what
        self._shows_text = shows_text
        self._text = pattern
        self._known, self._quick_characters = _compiled(pattern, what, flags)
        self._engine: regex.Pattern[str] | None = None
        self._left = SECONDS

    def sub(self, replacement: str, text: str) -> str:
        r"""``text`` with every match replaced; ``replacement`` may name groups, as ``\1`` or ``\g<name>``.

        :raises UsageError: the pattern has used up its time.
        """
        if len(text) <= self._quick_characters:
            return self._known.sub(replacement, text)
        return str(self._limited("sub", replacement, text))

    def matches(self, text: str) -> list[regex.Match[str]]:
        """Every match in ``text``, as ``re.finditer`` finds them.

        :raises UsageError: the pattern has used up its time.
        """
        found: list[regex.Match[str]] = self._limited("finditer", text)
        return found

    @property
    def groups(self) -> int:
        """How many groups the pattern has."""
        return self._known.groups

    def check_replacement(self, replacement: str) -> None:
        """Let ``re`` read ``replacement``, with a pattern that has the same groups and matches for certain.

        :raises UsageError: it is none: it names a group that is not there, or has an unknown escape.
        """
        names = {number: name for name, number in self._known.groupindex.items()}
        groups = (f"(?P<{names[number]}>)" if number in names else "()" for number in range(1, self._known.groups + 1))
        try:
            re.sub("".join(groups), replacement, "")
        except (re.error, IndexError, OverflowError, ValueError) as error:
            raise UsageError(f"{self.what} is wrong: {error}: see the syntax of Python's re.sub") from None

    def _limited(self, operation: str, *arguments: Any) -> Any:
        engine = self._engine
        if engine is None:
            engine = self._engine = self._started()
        begin = time.process_time()
        try:
            found = getattr(engine, operation)(*arguments, timeout=self._left)
            return list(found) if operation == "finditer" else found
        except (TimeoutError, MemoryError):
            text = arguments[-1]
            quoted = f" at {_shown(text)}" if self._shows_text else f" at a text of {len(text)} characters"
            raise UsageError(
                f"{self.what} took too long{quoted}: it can match in too many ways; write it without a repeat inside "
                "another one or after one that takes the same characters"
            ) from None
        finally:
            self._left = min(max(self._left - (time.process_time() - begin), 0) + SECONDS_PER_TEXT, SECONDS)

    def _started(self) -> regex.Pattern[str]:
        import regex  # here: its import takes 20 ms, and most runs have no pattern

        pattern = self._text if self._known.flags & re.VERBOSE else _DIFFERENT.sub(_literal, self._text)
        try:
            return regex.compile(pattern, regex.VERSION0 | (self._known.flags & _SAME_FLAGS))
        except (regex.error, MemoryError, RecursionError, OverflowError) as error:
            raise UsageError(f"{self.what} is too large a regular expression: {error or 'no memory'}") from None


def _compiled(pattern: str, what: str, flags: int) -> tuple[re.Pattern[str], int]:
    """The pattern, and the length up to which no text takes it long."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a nested set in a pattern is the user's to want
            parsed = regex_parser.parse(pattern, flags)
            compiled = re.compile(pattern, flags)
        size = _expanded(parsed)
    except (re.error, IndexError, OverflowError, ValueError, RecursionError) as error:
        raise UsageError(f"{what} is wrong: not a regular expression of Python's: {error}") from None
    if size > EXPANDED_LIMIT:
        raise UsageError(f"{what} is too large a regular expression: its repeats are {size} items long")
    return compiled, int(QUICK_STEPS ** (1 / (_choices(parsed) + 1))) if size <= QUICK_ITEMS else 0


def _choices(parsed: Any) -> int:
    """In how many places a match can go on in more than one way; TOO_MANY for each that is in a repeat."""
    count = 0
    for operation, argument in parsed:
        name = str(operation)
        inner = sum(map(_choices, _inner(argument)))
        if name in _REPEATS:
            varies = argument[0] != argument[1]
            count += varies + inner * (TOO_MANY if varies else argument[0])
        else:
            count += inner + (name in ("BRANCH", "GROUPREF", "GROUPREF_EXISTS"))
    return min(count, TOO_MANY)


def _expanded(parsed: Any) -> int:
    """How many items the pattern has, written without bounded repeats."""
    size = 0
    for operation, argument in parsed:
        inner = sum(map(_expanded, _inner(argument)))
        if str(operation) in _REPEATS:
            least, most = argument[0], argument[1]
            inner *= least + 1 if most == regex_parser.MAXREPEAT else most
        size += 1 + inner
    return size


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


def _literal(match: re.Match[str]) -> str:
    """A piece of a pattern so that ``regex`` reads it as ``re`` does."""
    piece = match.group()
    if piece.startswith("["):
        return _IN_SET.sub(lambda inner: "\\[" if inner.group() == "[" else inner.group(), piece)
    if piece in ("{", "{}"):
        return "\\" + piece
    return piece


def _shown(text: str) -> str:
    short = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
    return ascii(short)
