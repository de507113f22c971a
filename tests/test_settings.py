from __future__ import annotations

from typing import Any

import pytest

from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.table import OPTIONS
from pytest_ptreetime.options.values import MinEffect, min_effect_terms
from pytest_ptreetime.settings import Settings, resolve

# For each option: a text as a flag or an ini key gives it, and the value that it means.
READ_AS: dict[str, tuple[Any, Any]] = {
    "baseline": ("store", "store"),
    "save_baseline": ("store", "store"),
    "baseline_name": ("release", "release"),
    "allow_other_machine": ("true", True),
    "against": ("HEAD~1", "HEAD~1"),
    "rounds": ("7", 7),
    "budget": ("12.5", 12.5),
    "confirm": ("true", True),
    "no_aslr": ("true", True),
    "warmup": ("0", 0),
    "timeout": ("3", 3.0),
    "tracer": ("ptrace", "ptrace"),
    "interpose": ("false", False),
    "sudo": ("true", True),
    "min_effect": (["wall=2", "cpu=3:0.05"], {"wall": MinEffect(0.02), "cpu": MinEffect(0.03, 0.05)}),
    "metrics": (["wall", "max_rss"], ("wall", "max_rss")),
    "ignore": (["*/configure*"], ("*/configure*",)),
    "fail_on": ("no-baseline", frozenset({"regression", "no-baseline"})),
    "sub_arg": (["a=b", "c"], (("a", "b"), ("c", ""))),
    "redact": (["corp", "--pin=(.*)"], ("corp", "--pin=(.*)")),
    "report": (["html:x.html", "json"], ("html:x.html", "json")),
    "lnt_report": ("r.json", "r.json"),
    "lnt_suite": ("ptreetime", "ptreetime"),
    "lnt_submit": ("http://127.0.0.1:1/db_default", "http://127.0.0.1:1/db_default"),
    "machine": ("builder-1", "builder-1"),
    "run_order": ("101", "101"),
    "record_dir": ("recordings", "recordings"),
    "bisect": ("true", True),
    "disable": ("true", True),
}


def test_the_table_below_has_every_option() -> None:
    assert set(READ_AS) == {option.attribute for option in OPTIONS}
    assert set(READ_AS) == set(Settings._fields) - {"from_flags"}


@pytest.mark.parametrize("attribute", sorted(READ_AS))
def test_option_when_given_as_a_flag_is_read(attribute: str) -> None:
    text, value = READ_AS[attribute]
    assert getattr(resolve({attribute: text}, {}, {}), attribute) == value


@pytest.mark.parametrize("attribute", sorted(option.attribute for option in OPTIONS))
def test_option_when_given_in_an_ini_file_is_read_like_the_flag(attribute: str) -> None:
    text, value = READ_AS[attribute]
    assert getattr(resolve({}, {}, {attribute: text}), attribute) == value


@pytest.mark.parametrize("attribute", sorted(option.attribute for option in OPTIONS if option.marker))
def test_option_when_given_by_a_marker_takes_the_place_of_the_ini_key(attribute: str) -> None:
    text, value = READ_AS[attribute]
    other = "9" if isinstance(value, (int, float)) else "true" if isinstance(value, bool) else text
    assert getattr(resolve({}, {attribute: text}, {attribute: other}), attribute) == value


def test_values_when_given_in_several_places_are_taken_from_the_flag_then_the_marker_then_the_ini_key() -> None:
    assert resolve({"rounds": "1"}, {"rounds": 2}, {"rounds": "3"}).rounds == 1
    assert resolve({"rounds": None}, {"rounds": 2}, {"rounds": "3"}).rounds == 2
    assert resolve({}, {}, {"rounds": "3"}).rounds == 3
    assert resolve({}, {}, {}).rounds is None


def test_call_arguments_when_a_flag_was_given_lose_against_it_and_win_otherwise() -> None:
    assert resolve({"rounds": "1"}, {}, {}).with_call({"rounds": 4}).rounds == 1
    assert resolve({}, {"rounds": 2}, {}).with_call({"rounds": 4}).rounds == 4


def test_rounds_when_nothing_is_compared_or_kept_are_one_without_warmup() -> None:
    plain = resolve({}, {}, {})
    assert (plain.round_count, plain.warmup_count) == (1, 0)
    comparing = resolve({"baseline": ""}, {}, {})
    assert comparing.baseline == ".ptreetime"
    assert (comparing.round_count, comparing.warmup_count) == (5, 1)


def test_marker_when_it_gives_python_values_understands_them() -> None:
    settings = resolve({}, {"min_effect": {"wall": 2, "cpu": "3:0.05"}, "interpose": False, "timeout": 5}, {})
    assert settings.min_effect == {"wall": MinEffect(0.02), "cpu": MinEffect(0.03, 0.05)}
    assert settings.interpose is False
    assert settings.timeout == 5.0


@pytest.mark.parametrize(("text", "value"), [("true", True), ("off", False), ("log", "log"), (" LOG ", "log")])
def test_interpose_is_a_switch_or_the_log(text: str, value: bool | str) -> None:
    assert resolve({"interpose": text}, {}, {}).interpose == value


@pytest.mark.parametrize("place", ["flag", "marker", "ini"])
def test_minimum_effect_when_it_names_a_pattern_is_for_the_nodes_that_match(place: str) -> None:
    texts = ["wall=2", "*/cc1[-DA=1 x@y.c]@cpu=10:0.1", "*/cc1[-DA=1 x@y.c]@wall=5", "make@cpu=3"]
    given = {"min_effect": texts}
    if place == "marker":
        given = {"min_effect": dict(text.rsplit("=", 1) for text in texts)}  # type: ignore[dict-item] # a mapping too
    settings = resolve(*({} if place != other else given for other in ("flag", "marker", "ini")))
    assert min_effect_terms(settings.min_effect) == {
        "min_effect": {"wall": (0.02, 0.0)},
        "node_settings": {
            "*/cc1[-DA=1 x@y.c]": {"min_effect": {"cpu": (0.1, 0.1), "wall": (0.05, 0.0)}},
            "make": {"min_effect": {"cpu": (0.03, 0.0)}},
        },
    }
    assert min_effect_terms({}) == {}


@pytest.mark.parametrize(
    ("flags", "marker", "words"),
    [
        ({"rounds": "0"}, {}, ["--ptreetime-rounds", "'0'", "whole number"]),
        ({"rounds": "many"}, {}, ["--ptreetime-rounds", "'many'"]),
        ({"warmup": "-1"}, {}, ["--ptreetime-warmup"]),
        ({"timeout": "nan"}, {}, ["--ptreetime-timeout"]),
        ({"fail_on": "always"}, {}, ["no level 'always'", "never, regression, no-baseline, inconclusive, structure"]),
        ({"fail_on": "never,regression"}, {}, ["never stands alone"]),
        ({"fail_on": ","}, {}, ["--ptreetime-fail-on", "give one of never"]),
        ({"metrics": ["cpuu"]}, {}, ["--ptreetime-metrics", "no metric 'cpuu'", "wall, user"]),
        ({"metrics": ["cpu wal"]}, {}, ["no metric 'wal'"]),
        ({"metrics": [""]}, {}, ["no metric ''"]),
        ({}, {"metrics": "CPU"}, ["marker metrics", "no metric 'CPU'"]),
        ({"min_effect": ["cpuu=3"]}, {}, ["no metric 'cpuu'"]),
        ({"min_effect": ["*/cc1@cpuu=3"]}, {}, ["no metric 'cpuu'"]),
        ({"baseline_name": "../x"}, {}, ["--ptreetime-baseline-name", "is no path"]),
        ({"budget": "abc"}, {}, ["--ptreetime-budget", "seconds above 0"]),
        ({"budget": "0"}, {}, ["seconds above 0"]),
        ({"timeout": "0"}, {}, ["seconds above 0"]),
        ({"machine": ""}, {}, ["--ptreetime-machine", "give a name"]),
        ({"against": ""}, {}, ["--ptreetime-against", "give a name"]),
        ({"redact": ["("]}, {}, ["--ptreetime-redact", "not a regular expression"]),
        ({"baseline": "", "against": "main"}, {}, ["can't both be compared with"]),
        ({"min_effect": ["wall"]}, {}, ["METRIC=PERCENT"]),
        ({"min_effect": ["@wall=2"]}, {}, ["[PATTERN@]METRIC=PERCENT"]),
        ({"sub_arg": ["(=x"]}, {}, ["not a regular expression"]),
        ({"interpose": "perhaps"}, {}, ["true or false"]),
        ({}, {"round": 5}, ["no argument round", "rounds"]),
        ({}, {"baseline": "x"}, ["no argument baseline"]),
        ({}, {"rounds": 2.5}, ["marker rounds", "'2.5'"]),
    ],
)
def test_value_when_it_cannot_be_read_names_the_place_and_what_is_expected(
    flags: dict[str, Any], marker: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(flags, marker, {})
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["cpu wall", "cpu,wall", "cpu, wall", " cpu\twall ,"])
@pytest.mark.parametrize("place", ["flag", "marker", "ini"])
def test_names_when_several_stand_in_one_text_are_told_apart(text: str, place: str) -> None:
    def resolved(values: dict[str, Any]) -> Settings:
        return resolve(*(values if place == one else {} for one in ("flag", "marker", "ini")))

    assert resolved({"metrics": text}).metrics == ("cpu", "wall")
    assert resolved({"metrics": [text, "user"]}).metrics == ("cpu", "wall", "user")
    assert resolved({"min_effect": ["wall=2 cpu=3:0.05"]}).min_effect == {
        "wall": MinEffect(0.02),
        "cpu": MinEffect(0.03, 0.05),
    }


def test_reports_when_several_stand_in_one_text_are_told_apart_unless_one_has_a_file() -> None:
    given = ["json html", "markdown:a file, of mine.md"]
    assert resolve({"report": given}, {}, {}).report == ("json", "html", "markdown:a file, of mine.md")


@pytest.mark.parametrize(
    ("text", "failing"),
    [
        ("never", set()),
        ("regression", {"regression"}),
        ("no-baseline", {"regression", "no-baseline"}),
        ("inconclusive", {"regression", "no-baseline", "inconclusive"}),
        ("structure", {"regression", "structure"}),
        ("structure,no-baseline", {"regression", "no-baseline", "structure"}),
    ],
)
def test_fail_on_when_it_names_a_verdict_fails_the_worse_ones_too(text: str, failing: set[str]) -> None:
    assert resolve({"fail_on": text}, {}, {}).fail_on == failing
    assert resolve({}, {"fail_on": text}, {}).fail_on == failing


def test_against_and_baseline_when_one_is_a_flag_and_the_other_an_ini_key_are_the_flag() -> None:
    against = resolve({"against": "main"}, {}, {"baseline": "store"})
    assert (against.against, against.baseline) == ("main", None)
    stored = resolve({"baseline": "store"}, {}, {"against": "main"})
    assert (stored.against, stored.baseline) == (None, "store")
    with pytest.raises(UsageError, match="can't both"):
        resolve({}, {}, {"against": "main", "baseline": "store"})


def test_baseline_from_an_ini_file_when_only_saving_is_asked_for_by_flag_is_not_compared_with() -> None:
    ini = {"baseline": "store"}
    assert resolve({"save_baseline": ""}, {}, ini).baseline is None
    assert resolve({"save_baseline": "", "baseline": ""}, {}, ini).baseline == ".ptreetime"
    assert resolve({}, {}, ini).baseline == "store"
