from __future__ import annotations

import re
import subprocess
import sys
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.settings import parse_substitution
from pytest_ptreetime.system.user_pattern import SECONDS, UserPattern

PIECES = [
    *"aab{}[]e:,1<=^$.*+?|()-/ #",
    *["(?:", "(?=", "(?!", "(?P<n>", "{2}", "{,2}", "{1,}", "{,}", "{e}", "{e<=1}", "{i}", "[[:alpha:]]", "[^", "[a-c"],
    *[r"\d", r"\w", r"\1", r"\b", r"\Z", "(?i)", "||", "--", "&&", "(?<=a)", "(?<!a)", r"\[", r"\{", "[]", "[^]", "[["],
    *[r"\N{DIGIT ONE}", "(?x)"],
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.text("aab{}[]e:,1<=AB/ -#", max_size=9))
@settings(deadline=None, max_examples=400)
def test_pattern_that_re_takes_replaces_what_re_would(pattern: str, text: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = re.compile(pattern).sub("X", text)
    except re.error:
        with pytest.raises(UsageError, match="not a regular expression"):
            UserPattern(pattern, "the pattern")
        return
    assert UserPattern(pattern, "the pattern").sub("X", text) == expected


def test_matches_are_those_of_finditer() -> None:
    pattern = UserPattern("^--key=(.*)$", "--ptreetime-redact", flags=re.MULTILINE)
    assert [match.span(1) for match in pattern.matches("cc\n--key=abc\nx")] == [(9, 12)]
    assert pattern.groups == 1


@pytest.mark.promise("patterns-time-limited")
def test_pattern_that_takes_too_long_names_itself_and_the_text() -> None:
    begin = time.process_time()
    with pytest.raises(UsageError, match=r"--ptreetime-sub-arg \(a\|a\)\*\$=x took too long at 'aaa.*\.\.\."):
        UserPattern("(a|a)*$", "--ptreetime-sub-arg (a|a)*$=x").sub("x", "a" * 200 + "\x1b\udcff")
    assert time.process_time() - begin < 20 * SECONDS


@pytest.mark.promise("patterns-time-limited")
def test_error_of_a_pattern_for_secrets_does_not_quote_the_text() -> None:
    with pytest.raises(UsageError, match="at a text of 47 characters") as stopped:
        UserPattern("(a|a)*$", "--ptreetime-redact", shows_text=False).matches("a" * 40 + "hunter2")
    assert "hunter2" not in str(stopped.value)


@pytest.mark.promise("patterns-time-limited")
def test_time_of_all_texts_together_is_limited() -> None:
    pattern = UserPattern("(?:a|a)*$", "the pattern")
    begin = time.process_time()
    with pytest.raises(UsageError, match="took too long"):
        for number in range(100_000):
            pattern.sub("", "a" * 14 + f"b{number}")
    assert time.process_time() - begin < 100 * SECONDS


@pytest.mark.promise("patterns-time-limited")
@pytest.mark.parametrize(
    "pattern",
    [
        "(?:(?:a{1000}){1000}){1000}",
        "a{4294967294}",
        "(?:a?){60000}",
        "((((a{9,99}){9,99}){9,99}){9,99}){9,99}",
        "(" * 900,
        "(" * 490 + ")" * 490,
        "(?:" * 240 + "a*" + ")" * 240,
    ],
)
def test_pattern_that_takes_too_much_memory_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"too large|not a regular expression"):
        UserPattern(pattern, "the pattern").sub("", "a" * 2000)
    with pytest.raises((ValueError, UsageError)):
        parse_substitution(f"{pattern}=x")
        UserPattern(pattern, "the pattern").sub("", "a" * 2000)


def test_pattern_with_a_set_in_a_set_warns_nobody() -> None:
    assert parse_substitution("[[a]=x") == ("[[a]", "x")
    assert UserPattern("[[a]", "the pattern").sub("x", "[a") == "xx"


def test_engine_is_not_loaded_before_it_is_needed() -> None:
    check = "import sys, pytest_ptreetime.settings; sys.exit('regex' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


@pytest.mark.promise("patterns-time-limited")
def test_glob_pattern_with_many_stars_takes_no_exponential_time() -> None:
    profile = Profile.from_dict({"a" * 300 + str(number): {"wall": 1.0} for number in range(100)})
    begin = time.process_time()
    compare([[profile]], [profile], ignore=["*a" * 60 + "b"], node_settings={"a*" * 60 + "b": {"ignore": True}})
    assert time.process_time() - begin < 20 * SECONDS
