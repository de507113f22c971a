"""The user's patterns: ``PATTERN=REPLACEMENT`` on the first line, the texts to apply it to on the others.

The same pattern is used as a glob pattern of node settings.
"""

from __future__ import annotations

import zlib

from fuzz.bounds import Violation
from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.keys.substitutions import Substitutions
from pytest_ptreetime.settings import parse_min_effect, parse_substitution
from pytest_ptreetime.system import user_pattern
from pytest_ptreetime.system.user_pattern import UserPattern

_ROUND = Profile.from_dict({"make": {"wall": 1.0, "cpu": 1.0}})
compare([[_ROUND]], [_ROUND])  # the modules that it imports when it is called

user_pattern.SECONDS = 0.01  # of waiting for the limit a fuzzer learns nothing


def one_input(data: bytes) -> None:
    rule, *texts = data.decode("utf-8", "surrogateescape").split("\n")
    try:
        pattern, replacement = parse_substitution(rule)
    except ValueError:
        pass
    else:
        _substitute(pattern, replacement, texts)
    if zlib.crc32(data) % 64 == 0:
        _as_glob(rule, texts)


def _substitute(pattern: str, replacement: str, texts: list[str]) -> None:
    try:
        substitutions = Substitutions([(pattern, replacement)])
        for text in texts:
            if not isinstance(substitutions.apply(text), str):
                raise Violation("no text")
        found = UserPattern(pattern, "the pattern").matches("\n".join(texts))
    except UsageError:
        return
    if any(match.start() > match.end() for match in found):
        raise Violation("a match ends before it begins")


def _as_glob(pattern: str, texts: list[str]) -> None:
    round_ = Profile.from_dict({text: {"wall": 1.0, "cpu": 0.5} for text in texts})
    try:
        compare([[round_]], [round_], ignore=[pattern], node_settings={pattern: {"ignore": True}})
        parse_min_effect(f"{pattern}@wall=3")
    except (UsageError, ValueError):
        pass
