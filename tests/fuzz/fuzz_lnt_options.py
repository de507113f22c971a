"""The options of the LNT report, and what a server answers: lines ``NAME=VALUE``."""

from __future__ import annotations

import json
from typing import Any

from fuzz.bounds import Violation
from pytest_ptreetime.errors import UsageError
from pytest_ptreetime.options.table import OPTIONS
from pytest_ptreetime.options.values import min_effect_terms
from pytest_ptreetime.reports import lnt_submit
from pytest_ptreetime.reports.lnt import SUITES, default_run_order, lnt_report, lnt_schema, render_lnt
from pytest_ptreetime.reports.lnt_names import lnt_name
from pytest_ptreetime.settings import Settings, resolve
from pytest_ptreetime.system.untrusted_text import shown

SAMPLES = {"build": {"wall": [1.0, float("inf")], "count": [3.0]}, "build/\x1b[31mcc": {"cpu": [0.1]}}


def one_input(data: bytes) -> None:
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    given = {name: value for name, equals, value in (line.partition("=") for line in lines) if equals}
    try:
        settings = resolve(*_flags_marker_and_ini(given))
    except UsageError:
        settings = Settings()
    min_effect_terms(settings.min_effect)
    _report(settings, given)
    _address(given.get("url", ""), given.get("suite", "compile"), bool(given.get("token")))
    answer = given.get("answer", "").encode("utf-8", "surrogateescape")
    words = lnt_submit._words(lnt_submit._answer(answer), answer)
    if words != shown(words):
        raise Violation("a server's words can't be printed")


def _flags_marker_and_ini(given: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    known = {option.attribute: option for option in OPTIONS}
    flags: dict[str, Any] = {}
    marker: dict[str, Any] = {}
    ini: dict[str, Any] = {}
    for name, value in given.items():
        where, _, attribute = name.partition(".")
        if where == "marker":
            marker[attribute] = value
        elif attribute in known:
            (flags if where == "flag" else ini)[attribute] = [value] if known[attribute].repeatable else value
    return flags, marker, ini


def _report(settings: Settings, given: dict[str, str]) -> None:
    number = given.get("time", "")
    commit_time = int(number) if number.isascii() and number.isdigit() and len(number) < 15 else None
    try:
        report = lnt_report(
            SAMPLES,
            machine=settings.machine or given.get("machine", ""),
            run_order=settings.run_order or given.get("order") or default_run_order(commit_time, 1.7e9),
            started=1.7e9,
            ended=1.7e9 + 1,
            suite=given.get("suite", "compile"),
            machine_fields=given,
            run_fields=given,
        )
        if "schema" in given:
            lnt_schema(given["schema"])
    except UsageError:
        return
    if json.loads(render_lnt(report)) != report:
        raise Violation("the report is not the JSON that it seems")
    render_lnt(report).encode()
    for text in given.values():
        name = lnt_name(text)
        if len(name) > 256 or shown(name) != name:
            raise Violation("a name that LNT can't store")


def _address(url: str, suite: str, token: bool) -> None:
    try:
        address = lnt_submit.submission_url(url, suite if suite in SUITES else "compile", rest=token)
        lnt_submit._request(address, "{}", "reject", "t" if token else None)
    except UsageError:
        return
