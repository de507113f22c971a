"""The promises of the public surface: names, and that the manual names everything that there is."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import pytest
from option_table import option_table, with_table

import pytest_ptreetime
from pytest_ptreetime import cli
from pytest_ptreetime.decision.comparing import Comparison, Finding, compare
from pytest_ptreetime.errors import NativeHelperMissing
from pytest_ptreetime.native import helper
from pytest_ptreetime.options.table import OPTIONS
from pytest_ptreetime.plugin import MARKER, hookspecs
from pytest_ptreetime.plugin.fixture import PtreetimeFixture
from pytest_ptreetime.recording.events import End, Event, Exec, Exit, Start
from pytest_ptreetime.recording.recording import Recording
from pytest_ptreetime.reports import report_names
from pytest_ptreetime.session.run import record

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
HOOKS = [name for name in vars(hookspecs) if name.startswith("pytest_ptreetime_")]

NODE = (
    "pid parent children name exe args cwd start_ns exit_ns wall user sys cpu startlag exitlag run_delay max_rss_bytes "
    "exit_code signal previous_image depth key"
)
TREE = (
    "root find wall user sys complete incomplete_reason critical_path host tracer rounds stdout stderr exit_code "
    "peak_memory_bytes"
)
CALL = "args name rounds warmup setup cwd env input timeout check shell tracer interpose"


# What each public name does, as a program that has imported it. An import of anything else before changes nothing.
USES = {
    "Comparison": "assert Comparison('ok').verdict == 'ok'",
    "Finding": "assert Finding.__struct_fields__[:3] == ('key', 'metric', 'kind')",
    "ProcessNode": "assert isinstance(ProcessNode.wall, property)",
    "ProcessTree": "assert callable(ProcessTree.find)",
    "Profile": "assert Profile.from_dict({'a': {'count': 1}}).totals == {'a': {'count': 1}}",
    "PtreetimeError": "assert str(PtreetimeError('no')) == 'no'",
    "Recording": "assert Recording([]).events == []",
    "compare": "from pytest_ptreetime import Profile\n"
    "now = [Profile.from_dict({'a': {'count': 1, 'cpu': 1.0}})]\nassert compare([now], now).rounds == 1",
    "record": "assert record(['true'], tracer='ptrace').tree().exit_code == 0",
}


@pytest.mark.parametrize("before", ["", "import pytest_ptreetime.decision.comparing, pytest_ptreetime.session.run"])
@pytest.mark.parametrize("name", pytest_ptreetime.__all__)
def test_public_name_in_a_fresh_interpreter_is_what_it_says(name: str, before: str) -> None:
    program = f"{before}\nfrom pytest_ptreetime import {name}\nassert {name}.__doc__\n{USES[name]}"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_no_module_or_folder_bears_a_public_name() -> None:
    names = {module.name for module in pkgutil.iter_modules(pytest_ptreetime.__path__)}
    assert not names & set(pytest_ptreetime.__all__)


def test_package_when_asked_for_another_name_says_that_it_has_none() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pytest_ptreetime.nothing


def test_tree_and_its_nodes_have_the_promised_attributes() -> None:
    events: list[Event] = [Start(0, 7, 0), Exec(1, 7, b"make", b"/bin/make", [b"make"], b"/"), Exit(9, 7, 0), End(9, 0)]
    tree = Recording(events=events).tree()
    assert [name for name in TREE.split() if not hasattr(tree, name)] == []
    assert [name for name in NODE.split() if not hasattr(tree.root, name)] == []


def test_fixture_when_called_takes_what_it_promises() -> None:
    parameters = inspect.signature(PtreetimeFixture.__call__).parameters
    assert [name for name in CALL.split() if name not in parameters] == []
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in CALL.split()[1:])


@pytest.mark.parametrize("function", [record, PtreetimeFixture.__call__])
def test_argument_that_subprocess_run_has_and_we_do_not_is_refused(function: Callable[..., object]) -> None:
    parameters = inspect.signature(function).parameters
    assert (parameters["umask"].default, parameters["umask"].annotation) == (-1, "int")
    with pytest.raises(TypeError, match=r"\w\(\) got an unexpected keyword argument 'stdout'"):
        function(*["true"] * (2 if "self" in parameters else 1), stdout=None)


def test_compare_and_its_results_have_the_promised_names() -> None:
    parameters = inspect.signature(compare).parameters
    assert list(parameters)[:2] == ["baseline", "current"]
    assert {"paired", "min_effect", "fdr"} <= set(parameters)
    assert {"verdict", "findings", "host_shift"} <= set(typing.get_type_hints(Comparison))
    promised = {
        "key",
        "metric",
        "kind",
        "baseline",
        "current",
        "ratio",
        "interval",
        "p_value",
        "q_value",
        "explained_by",
    }
    assert promised <= set(typing.get_type_hints(Finding))


def test_options_page_has_the_table_as_it_is() -> None:
    page = (REFERENCE / "options.md").read_text()
    assert with_table(page) == page, "run `make goldens`"
    assert option_table() in page


def test_help_of_an_option_is_plain_text() -> None:
    told = {option.name: option.help for option in OPTIONS}
    assert not [text for text in told.values() if "`" in text or "](" in text]
    assert told["report"] == "any report"
    assert "a token; an empty pattern" in told["redact"]


def test_marker_names_every_argument_that_it_takes() -> None:
    arguments = MARKER[MARKER.index("(") + 1 : MARKER.index(")")].split(", ")
    assert arguments == [f"{option.attribute}=None" for option in OPTIONS if option.marker] + ["setup=None"]


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_page_names_every_hook_and_each_is_documented(hook: str) -> None:
    assert f"`{hook}(" in (REFERENCE / "hooks.md").read_text()
    assert inspect.getdoc(getattr(hookspecs, hook))


@pytest.mark.parametrize("name", [*cli.SUBCOMMANDS])
def test_commands_page_names_every_command(name: str) -> None:
    assert f"`ptreetime {name}" in (REFERENCE / "commands.md").read_text()


@pytest.mark.parametrize("name", report_names())
def test_reports_page_names_every_report(name: str) -> None:
    assert f"`{name}`" in (REFERENCE / "reports.md").read_text()


def test_helper_when_it_was_not_built_says_where_it_was_looked_for_and_how_to_build_it() -> None:
    with pytest.raises(NativeHelperMissing, match=r"no-such-helper is missing.*native/no-such-helper.*pip install"):
        helper("no-such-helper")
