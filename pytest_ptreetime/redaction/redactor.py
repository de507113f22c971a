r"""Secrets in command lines, hidden as soon as a run has been captured: nothing downstream can forget to.

A command line may hold passwords and tokens, and everything here is made to be kept and shown: recordings, reports,
stores, keys. So a recording has ``***`` in their place from the beginning; what was hidden is nowhere.

What the default hides is in names.py, tokens.py and rules.py. A value that was hidden somewhere is then hidden wherever
else it stands in the same run, where it can't be a word of the language (letters and digits, 8 characters at least).

A pattern of the user's is matched with the command line, one argument on each line: ``.`` does not leave an argument,
``^`` and ``$`` are its ends, ``\s`` matches the boundary to the next. Where it has groups, what they matched is hidden,
else the whole match.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import msgspec

from pytest_ptreetime.recording.events import Event, Exec, Exit, Outside, UserExec, UserSpawn, UserStartup
from pytest_ptreetime.redaction.rules import argument_spans, command_spans, is_telling
from pytest_ptreetime.redaction.tokens import Span
from pytest_ptreetime.system.user_pattern import user_pattern

__all__ = ["HIDDEN", "Redactor"]

HIDDEN = "***"
SWITCHES_DEFAULT_OFF = ("", "off")

# Values to look for in the rest of the run: more would take time that grows with their number.
MOST_VALUES = 100
# What of an event comes from the build: its arguments, and the names of files.
_FOREIGN: Mapping[type, tuple[str, ...]] = {
    Exec: ("args", "name", "exe", "cwd"),
    Exit: ("name",),
    Outside: ("name", "socket"),
    UserStartup: ("args", "exe", "cwd"),
    UserExec: ("args", "path"),
    UserSpawn: ("args", "path"),
}
_TELLING_VALUE = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z]).{8,}", re.DOTALL)


class Redactor:
    """Hides secrets in the command lines and messages of one or more runs.

    :param patterns: the user's regular expressions, besides the default. An empty one, or ``off``, takes the default
        away.
    :raises UsageError: a pattern is wrong.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        texts = list(patterns)
        self._default = not any(text in SWITCHES_DEFAULT_OFF for text in texts)
        self._patterns = [
            user_pattern(text, f"the redaction pattern {text}", flags=re.MULTILINE)
            for text in texts
            if text not in SWITCHES_DEFAULT_OFF
        ]
        self._known: dict[tuple[str, bool, bool], str] = {}
        self._values: set[str] = set()
        self._anywhere: re.Pattern[str] | None = None

    @property
    def active(self) -> bool:
        """Whether anything is hidden at all."""
        return self._default or bool(self._patterns)

    def arguments(self, args: Sequence[str]) -> list[str]:
        """A command line, its secrets hidden."""
        return self._everywhere(self._command_line(args))

    def text(self, text: str) -> str:
        """A message, or output of the build that a message shows: as a shell command is read."""
        if not self.active:
            return text
        if self._default:
            text = "\n".join(self._argument(line, script=True) for line in text.split("\n"))
        for pattern in self._patterns:
            text = self._replaced(text, _matches(pattern, text))
        return self._everywhere([text])[0]

    def events(self, events: Sequence[Event]) -> list[Event]:
        """The events of a run, their secrets hidden."""
        if not self.active:
            return list(events)
        plain: set[bytes] = set()  # what can't be a secret: the arguments of a build repeat over and over

        @cache
        def hide(words: tuple[bytes, ...]) -> tuple[bytes, ...]:
            return _each(words, self._command_line)

        def hide_what_is_not_plain(words: tuple[bytes, ...]) -> tuple[bytes, ...]:
            if not self._patterns and not plain.issuperset(words):
                plain.update(word for word in {*words} - plain if not is_telling(os.fsdecode(word)))
            return words if plain.issuperset(words) else hide(words)

        done = [_with_words(event, hide_what_is_not_plain) for event in events]
        self._known.clear()
        if self._anywhere is None:
            return done
        everywhere = cache(lambda words: _each(words, self._everywhere))
        return [_with_words(event, everywhere) for event in done]

    def _command_line(self, args: Sequence[str]) -> list[str]:
        hidden = self._by_default(args) if self._default else list(args)
        for pattern in self._patterns:
            joined = "\n".join(hidden)
            spans = _matches(pattern, joined)
            if spans:
                places = accumulate((len(word) + 1 for word in hidden), initial=0)
                hidden = [
                    self._replaced(word, [(max(begin - at, 0), min(end - at, len(word))) for begin, end in spans])
                    for at, word in zip(places, hidden, strict=False)
                ]
        return hidden

    def _by_default(self, args: Sequence[str]) -> list[str]:
        hidden = []
        before = ""
        telling = [is_telling(word) for word in args]
        for word, tells in zip(args, telling, strict=True):
            script = before[:1] == "-" and before[-1:] == "c"
            hidden.append(self._argument(word, script=script, defined=before == "-D") if tells else word)
            before = word
        for place, span in command_spans(args, telling):
            hidden[place] = self._replaced(args[place], [span])
        return hidden

    def _argument(self, word: str, *, script: bool, defined: bool = False) -> str:
        known = self._known.get((word, script, defined))
        if known is None:
            spans = argument_spans(word, script=script, defined=defined)
            known = self._known[word, script, defined] = self._replaced(word, spans) if spans else word
        return known

    def _replaced(self, text: str, spans: Sequence[Span]) -> str:
        """``text`` with ``***`` for each of the spans, which may overlap; what was there is remembered."""
        pieces = []
        position = 0
        for begin, end in sorted(spans):
            if end <= max(begin, position):
                continue
            if begin >= position:
                pieces += [text[position:begin], HIDDEN]
            self._remember(text[max(begin, position) : end])
            position = end
        pieces.append(text[position:])
        return "".join(pieces)

    def _remember(self, value: str) -> None:
        if value in self._values or len(self._values) >= MOST_VALUES or not _TELLING_VALUE.fullmatch(value):
            return
        self._values.add(value)
        longest_first = sorted(self._values, key=len, reverse=True)
        self._anywhere = re.compile("|".join(map(re.escape, longest_first)))

    def _everywhere(self, words: list[str]) -> list[str]:
        anywhere = self._anywhere
        return words if anywhere is None else [anywhere.sub(HIDDEN, word) for word in words]


def _with_words(event: Event, hide: Callable[[tuple[bytes, ...]], tuple[bytes, ...]]) -> Event:
    """``event`` with ``hide`` applied to what of it comes from the build."""
    changes: dict[str, Any] = {}
    for field in _FOREIGN.get(type(event), ()):
        value = getattr(event, field)
        words = tuple(value or ()) if field == "args" else (value,)
        if value and (hidden := hide(words)) != words:
            changes[field] = list(hidden) if field == "args" else hidden[0]
    return msgspec.structs.replace(event, **changes) if changes else event


def _each(words: Iterable[bytes], hide: Callable[[list[str]], list[str]]) -> tuple[bytes, ...]:
    return tuple(map(os.fsencode, hide(list(map(os.fsdecode, words)))))


def _matches(pattern: re.Pattern[str], text: str) -> list[Span]:
    """What the user's pattern hides in ``text``."""
    groups = range(1, pattern.groups + 1) if pattern.groups else (0,)
    return [match.span(group) for match in pattern.finditer(text) for group in groups if match.group(group)]
