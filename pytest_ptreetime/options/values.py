"""What the text of an option means: a parser for each kind of value; each raises ValueError and says what to give."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.metrics import METRICS, MIN_EFFECTS, unknown_names
from pytest_ptreetime.system.user_pattern import check_replacement, user_pattern

__all__ = ["FAIL_ON", "MinEffect", "min_effect_terms", "names_in", "parse_min_effects"]

#: What may fail a test. Each verdict fails those before it, too; ``structure`` is a regression's verdict for every
#: difference of structure.
FAIL_ON = ("never", "regression", "no-baseline", "inconclusive", "structure")
TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})
MAX_PATTERN_LENGTH = 1000


class MinEffect(NamedTuple):
    """The smallest change worth an alarm: ``ratio`` of the metric, and at least ``seconds`` (or bytes) in all."""

    ratio: float
    seconds: float = 0.0


def parse_bool(text: str) -> bool:
    word = text.strip().lower()
    if word in TRUE_WORDS or word in FALSE_WORDS:
        return word in TRUE_WORDS
    raise ValueError("give true or false")


def parse_interpose(text: str) -> bool | Literal["log"]:
    if text.strip().lower() == "log":
        return "log"
    try:
        return parse_bool(text)
    except ValueError:
        raise ValueError("give true or false, or log") from None


def parse_text(text: str) -> str:
    return text


def parse_rounds(text: str) -> int | str:
    if text == "auto":
        return "auto"
    return parse_positive(text)


def parse_positive(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise ValueError("give a whole number of at least 1")
    return number


def parse_natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("give a whole number of at least 0")
    return int(text)


def parse_seconds(text: str) -> float:
    seconds = _number(text)
    if seconds is None or seconds <= 0:
        raise ValueError("give a number of seconds above 0")
    return seconds


def parse_least_seconds(text: str) -> float:
    seconds = _number(text)
    if seconds is None or seconds < 0:
        raise ValueError("give a number of seconds, 0 or more")
    return seconds


def _number(text: str) -> float | None:
    """``text`` as a number; None where it is not a finite number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


def parse_baseline_name(text: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", text):
        raise ValueError("a baseline's name has letters, digits, '.', '-' and '_' and is no path")
    return text


def parse_name(text: str) -> str:
    if not text.strip():
        raise ValueError("give a name")
    return text


def parse_metric(text: str) -> str:
    unknown = unknown_names([text], (*METRICS, "count"), "metric")
    if unknown is not None:
        raise ValueError(unknown)
    return text


def parse_fail_on(text: str) -> frozenset[str]:
    """The verdicts that fail a test, and ``structure`` where any difference of structure does.

    ``never`` none, ``regression`` that, ``no-baseline`` that too, ``inconclusive`` all three. ``structure`` has
    ``regression`` in it, and may be named beside one of the others.
    """
    words = names_in(text)
    unknown = unknown_names(words, FAIL_ON, "level")
    if unknown is not None or not words:
        raise ValueError(unknown or f"give one of {', '.join(FAIL_ON)}")
    if "never" in words:
        if len(words) > 1:
            raise ValueError("never stands alone")
        return frozenset()
    ladder = FAIL_ON[1:4]
    highest = max((ladder.index(word) for word in words if word in ladder), default=0)
    return frozenset({*ladder[: highest + 1], *(("structure",) if "structure" in words else ())})


def names_in(text: str) -> list[str]:
    """The names of a text, with commas or blanks between them."""
    return [name for name in re.split(r"[\s,]+", text) if name]


def reports_in(text: str) -> list[str]:
    """``json html`` are two reports; ``json:a file.json`` is one, whose file's name may hold anything."""
    return [text] if ":" in text else names_in(text)


def min_effects_in(text: str) -> list[str]:
    """``wall=2 cpu=3`` are two; a pattern before an ``@`` may hold anything."""
    return [text] if "@" in text else names_in(text)


def parse_min_effects(texts: Sequence[str]) -> dict[str, MinEffect]:
    """Minimum effects as ``--min-effect`` gives them, several times and several in one.

    :raises ValueError: one can't be read.
    """
    return dict(parse_min_effect(part) for text in texts for part in min_effects_in(text) or [text])


def parse_min_effect(text: str) -> tuple[str, MinEffect]:
    """``wall=2`` is 2 % of wall time; ``cpu=3:0.05`` is 3 %, and no less than 0.05 seconds.

    ``*/cc1*@cpu=10`` is for the nodes alone whose key matches the glob pattern before the last ``@``.
    """
    matched = re.fullmatch(r"((?:.+@)?[a-z_]+)=(\d+(?:\.\d*)?)%?(?::(\d+(?:\.\d*)?))?", text.strip())
    if matched is None:
        raise ValueError("give [PATTERN@]METRIC=PERCENT[:SECONDS], for example wall=2, cpu=3:0.05 or '*/cc1*@cpu=10'")
    metric, percent, seconds = matched.groups()
    unknown = unknown_names([metric.rpartition("@")[2]], MIN_EFFECTS, "metric")
    if unknown is not None:
        raise ValueError(unknown)
    return metric, MinEffect(float(percent) / 100, float(seconds or 0))


def min_effect_terms(effects: Mapping[str, MinEffect]) -> dict[str, Any]:
    """The keyword arguments of compare() for minimum effects by ``METRIC`` or ``PATTERN@METRIC``."""
    general: dict[str, tuple[float, float]] = {}
    by_pattern: dict[str, dict[str, Any]] = {}
    for name, effect in effects.items():
        pattern, _, metric = name.rpartition("@")
        chosen = by_pattern.setdefault(pattern, {"min_effect": {}})["min_effect"] if pattern else general
        chosen[metric] = (effect.ratio, effect.seconds)
    terms: dict[str, Any] = {"min_effect": general} if general else {}
    return {**terms, "node_settings": by_pattern} if by_pattern else terms


def parse_substitution(text: str) -> tuple[str, str]:
    """``PATTERN=REPLACEMENT``; without ``=`` the replacement is empty, as in the original."""
    pattern, _, replacement = text.partition("=")
    if not pattern or len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(f"give PATTERN=REPLACEMENT with a pattern of 1 to {MAX_PATTERN_LENGTH} characters")
    what = f"the pattern {pattern}"
    try:
        check_replacement(user_pattern(pattern, what), replacement, what)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return pattern, replacement


def parse_redaction(text: str) -> str:
    if len(text) > MAX_PATTERN_LENGTH:
        raise ValueError(f"give a pattern of at most {MAX_PATTERN_LENGTH} characters")
    try:
        user_pattern(text, f"the pattern {text}", flags=re.MULTILINE)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return text
