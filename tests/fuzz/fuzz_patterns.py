"""The user's patterns, read but not applied: ``PATTERN=REPLACEMENT`` on the first line.

The same pattern is used as a glob pattern of node settings, for the texts on the other lines.
"""

from __future__ import annotations

import contextlib
import zlib

from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.keys.substitutions import Substitutions
from pytest_ptreetime.options.values import parse_min_effect, parse_substitution

_ROUND = Profile.from_dict({"make": {"wall": 1.0, "cpu": 1.0}})
compare([[_ROUND]], [_ROUND])  # the modules that it imports when it is called


def one_input(data: bytes) -> None:
    rule, *texts = data.decode("utf-8", "surrogateescape").split("\n")
    with contextlib.suppress(ValueError):
        Substitutions([parse_substitution(rule)])
    if zlib.crc32(data) % 64 == 0:
        _as_glob(rule, texts)


def _as_glob(pattern: str, texts: list[str]) -> None:
    round_ = Profile.from_dict({text: {"wall": 1.0, "cpu": 0.5} for text in texts})
    try:
        compare([[round_]], [round_], ignore=[pattern], node_settings={pattern: {"ignore": True}})
        parse_min_effect(f"{pattern}@wall=3")
    except (UsageError, ValueError):
        pass
