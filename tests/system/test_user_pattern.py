from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest

from pytest_ptreetime.decision.comparing import compare
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.values import parse_substitution
from pytest_ptreetime.system.user_pattern import check_replacement, user_pattern


def test_pattern_is_that_of_re_with_its_flags() -> None:
    assert user_pattern("^b$", "the pattern", flags=re.MULTILINE) == re.compile("^b$", re.MULTILINE)


@pytest.mark.parametrize("pattern", ["(", "(" * 900, "*a", "a{2,1}", r"\N{NO SUCH CHARACTER}", "(?P<a>)(?P<a>)"])
def test_pattern_that_is_none_is_a_usage_error_that_names_the_option(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"--ptreetime-redact is not a regular expression"):
        user_pattern(pattern, "--ptreetime-redact")


@pytest.mark.parametrize("replacement", [r"\2", r"\g<m>", r"\q", r"\g<", "\\"])
def test_replacement_that_is_none_is_a_usage_error(replacement: str) -> None:
    with pytest.raises(UsageError, match=r"a=b is wrong: .*re\.sub"):
        check_replacement(re.compile("(?P<n>a)"), replacement, "a=b")


def test_replacement_that_names_groups_is_taken() -> None:
    check_replacement(re.compile("(?P<n>a)(b)"), r"\g<n>\1\2\n", "a=b")


def test_pattern_with_a_set_in_a_set_warns_nobody() -> None:
    assert parse_substitution("[[a]=x") == ("[[a]", "x")
    assert user_pattern("[[a]", "the pattern").sub("x", "[a") == "xx"


def test_pattern_that_takes_for_ever_ends_with_ctrl_c() -> None:
    script = "import re; print(flush=True); re.compile('(a|a)*$').sub('', 'a' * 200 + 'b')"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=60)[1]


@pytest.mark.promise("globs-time-limited")
def test_glob_pattern_with_many_stars_takes_no_exponential_time() -> None:
    profile = Profile.from_dict({"a" * 300 + str(number): {"wall": 1.0} for number in range(100)})
    begin = time.process_time()
    compare([[profile]], [profile], ignore=["*a" * 60 + "b"], node_settings={"a*" * 60 + "b": {"ignore": True}})
    assert time.process_time() - begin < 10  # a guard against exponential time, not a measurement
