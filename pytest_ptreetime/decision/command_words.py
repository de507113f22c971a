"""Texts of commands as words: their shape, what looks drawn at random, and what another build has nowhere.

A *word* here is a run of letters and digits: ``-DVERSION=1.2`` has three.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache

__all__ = [
    "WORD",
    "Masks",
    "file_names",
    "is_drawn",
    "shape",
    "starred",
    "vocabulary",
    "without_drawn",
    "without_words",
]

MOST_TEXTS = 1 << 18  # that are remembered

WORD = re.compile(r"[A-Za-z0-9]+")
_WORDS_AND_REST = re.compile(r"([A-Za-z0-9]+)")
_WORD_OR_STAR = re.compile(r"[A-Za-z0-9]+|\*")
_STARS = re.compile(r"_*\*(?:[_-]+\*)*_*")
_LETTERS_THEN_DIGITS = re.compile(r"([A-Za-z]*)\d+")
_WORKING_DIRECTORY = re.compile(r"^\S*: ")
_THREE_DIGITS = re.compile(r"(?<!\d)\d{3}(?!\d)")
_LONG_NUMBER = re.compile(r"\d{4}")
_HEXADECIMAL = re.compile(r"(?=.*\d)[0-9a-f]{5,}")
_CAMEL_CASE = re.compile(r"[a-z]*\d{0,3}(?:[A-Z]+[a-z]{2,}\d{0,3})*[A-Z]*")
_NAME_AROUND_NUMBER = re.compile(r"[A-Za-z][a-z]*\d{1,3}[a-z]*")  # sha256sum, utf8proc


def _pieces(text: str) -> list[str]:
    """Its words at odd places, what is between them at even ones."""
    return _WORDS_AND_REST.split(text)


@lru_cache(MOST_TEXTS)
def _shape_of_word(word: str) -> str:
    if word.isalpha():
        return word if len(word) < 5 or _is_plain(word) else "@"
    counted = _LETTERS_THEN_DIGITS.fullmatch(word)
    return f"{counted[1]}#" if counted and _is_plain(counted[1]) else "@"


def _is_plain(letters: str) -> bool:
    return letters.islower() or letters.isupper() or letters.istitle() or not letters


@lru_cache(MOST_TEXTS)
def shape(text: str) -> str:
    """What is left when all that could be drawn or counted is taken out: ``conf1234.file`` -> ``conf#.file``."""
    pieces = _pieces(text)
    pieces[1::2] = map(_shape_of_word, pieces[1::2])
    return "".join(pieces)


@lru_cache(MOST_TEXTS)
def is_drawn(word: str) -> bool:
    """Whether a word looks drawn: four digits in a row, hexadecimal, or a mixture that no one writes.

    ``FooBarTest`` and ``sha256sum`` are names.
    """
    if word.isalpha() and _is_plain(word):
        return False
    if _LONG_NUMBER.search(word) or _HEXADECIMAL.fullmatch(word):
        return True
    if len(word) < 5 or _shape_of_word(word) != "@":
        return False
    return not (_CAMEL_CASE.fullmatch(word) or _NAME_AROUND_NUMBER.fullmatch(word))


def _is_drawn_in_file(word: str) -> bool:
    """Also where a process has put its number into a file's name; ``sha256`` and the like have multiples of 32."""
    return is_drawn(word) or any(int(number) % 32 for number in _THREE_DIGITS.findall(word))


@lru_cache(MOST_TEXTS)
def without_drawn(text: str) -> str:
    """``text`` with ``*`` for each word that looks drawn."""
    return without_words(text, is_drawn)


def without_words(text: str, gone: Callable[[str], bool]) -> str:
    """``text`` with ``*`` for each word that is ``gone``."""
    pieces = _pieces(text)
    pieces[1::2] = ["*" if gone(word) else word for word in pieces[1::2]]
    return "".join(pieces)


@lru_cache(MOST_TEXTS)
def file_names(text: str) -> str:
    """``text`` without directories: ``src/u3.c`` is ``u3.c``, ``lib: --help`` is ``--help``."""
    text = _WORKING_DIRECTORY.sub("", text)
    if "/" not in text:
        return text
    return " ".join(word.rstrip("/").rpartition("/")[2] or word for word in text.split(" "))


def vocabulary(texts: Iterable[str]) -> set[str]:
    """All words of ``texts``."""
    return set(WORD.findall(" ".join(set(texts))))


def starred(text: str, other: str) -> str | None:
    """``text`` with ``*`` for each word that differs from ``other``'s; None where more than words differs.

    A ``*`` of an earlier comparison is a word, too.

    Whole words: what ``conf12345`` and ``conf12399`` share by chance says nothing.
    """
    if text == other:
        return text
    if _WORD_OR_STAR.sub("", text) != _WORD_OR_STAR.sub("", other):
        return None
    theirs = _WORD_OR_STAR.findall(other)
    if len(theirs) != len(_WORD_OR_STAR.findall(text)):
        return None
    rest = iter(theirs)
    return _WORD_OR_STAR.sub(lambda match: match[0] if match[0] == next(rest) else "*", text)


def _one_star(masked: str) -> str:
    """Drawn names may have ``_`` and ``-``: ``*_*`` is one."""
    return _STARS.sub("*", masked) if "*" in masked else masked


class Masks:
    """Texts of one build with ``*`` for words that the other build has nowhere: no table of what may vary is needed.

    :param other: gives the other build's vocabulary; called when it is needed first.
    """

    def __init__(self, other: Callable[[], set[str]]) -> None:
        self._find_other = other
        self._known: dict[str, tuple[str, int]] = {}
        self._careful: dict[tuple[str, bool], str] = {}
        self._of_files: dict[str, str] = {}

    @cached_property
    def other(self) -> set[str]:
        """The other build's words."""
        return self._find_other()

    def masked(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """With ``*`` wherever the other build lacks the word."""
        return tuple([(self._known.get(word) or self._mask_all(word))[0] for word in words])

    def telling(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """As masked(), but only drawn() where that leaves too little.

        At least half of the words that do not look drawn must be left: ``node tsc`` is not ``node eslint``.
        """
        known = [self._known.get(word) or self._mask_all(word) for word in words]
        enough = sum([surplus for _, surplus in known]) >= 0
        return tuple([masked for masked, _ in known]) if enough else self.drawn(words)

    def drawn(self, words: tuple[str, ...], *, numbered: bool = False) -> tuple[str, ...]:
        """Masked where the other build lacks a word that looks drawn; with ``numbered``, or has a digit."""
        return tuple([self._careful.get((word, numbered)) or self._mask_drawn(word, numbered) for word in words])

    def file(self, text: str, *, same_build: bool) -> str:
        """A file's name or a program's, masked where the word looks drawn; in ``same_build`` also numbers."""
        known = self._of_files.get(text)
        if known is None:
            other = self.other

            def one(match: re.Match[str]) -> str:
                word = match[0]
                if word in other:
                    return word
                return "*" if _is_drawn_in_file(word) else _shape_of_word(word) if same_build else word

            known = self._of_files[text] = _one_star(WORD.sub(one, text))
        return known

    def _mask_all(self, text: str) -> tuple[str, int]:
        """It, and how many more of the words that do not look drawn are left than are masked."""
        pieces, other = _pieces(text), self.other
        surplus = 0
        for place in range(1, len(pieces), 2):
            word = pieces[place]
            if word in other:
                surplus += 1
            else:
                pieces[place] = "*"
                surplus -= not is_drawn(word)
        known = self._known[text] = _one_star("".join(pieces)), surplus
        return known

    def _mask_drawn(self, text: str, numbered: bool) -> str:
        pieces, other = _pieces(text), self.other
        for place in range(1, len(pieces), 2):
            word = pieces[place]
            if word not in other and ((numbered and not word.isalpha()) or is_drawn(word)):
                pieces[place] = "*"
        known = self._careful[text, numbered] = _one_star("".join(pieces))
        return known
