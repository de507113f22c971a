"""Which test fails when an option, a hook, an option of a command or a sentence of README is ignored.

Whoever adds one adds a row here, and the test that the row names: an option that is read and then forgotten is the
commonest way for a tool to say "ok" of what it did not do.
"""

from __future__ import annotations

import argparse
import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_ptreetime.cli import SUBCOMMANDS
from pytest_ptreetime.options.table import OPTIONS
from pytest_ptreetime.plugin import hookspecs

#: By pytest's option: the test in test_wiring_options.py, for each place that the option can be given at.
PYTEST_OPTIONS = {
    "baseline": ["test_baseline", "test_store_when_pytest_was_started_below_the_rootdir_is_the_same"],
    "save-baseline": ["test_save_baseline"],
    "baseline-name": ["test_baseline_name"],
    "allow-other-machine": ["test_allow_other_machine"],
    "against": ["test_against"],
    "rounds": ["test_rounds", "test_rounds_auto"],
    "budget": ["test_budget"],
    "confirm": ["test_confirm", "test_confirm_when_the_baseline_is_a_stored_one"],
    "warmup": ["test_warmup"],
    "timeout": ["test_timeout"],
    "tracer": ["test_tracer"],
    "interpose": ["test_interpose"],
    "no-aslr": ["test_no_aslr"],
    "sudo": ["test_sudo"],
    "min-effect": ["test_min_effect"],
    "metrics": ["test_metrics"],
    "ignore": ["test_ignore"],
    "fail-on": ["test_fail_on", "test_fail_on_elsewhere"],
    "sub-arg": ["test_sub_arg"],
    "redact": ["test_redact"],
    "report": ["test_report"],
    "lnt-report": ["test_lnt_report"],
    "lnt-suite": ["test_lnt_suite"],
    "lnt-submit": ["test_lnt_submit"],
    "machine": ["test_machine"],
    "run-order": ["test_run_order"],
    "record-dir": ["test_record_dir"],
    "bisect": ["test_bisect"],
    "disable": ["test_disable"],
}

#: By hook: the test in test_wiring_hooks.py.
HOOKS = {
    "pytest_ptreetime_key": "test_key",
    "pytest_ptreetime_normalize_args": "test_normalize_args",
    "pytest_ptreetime_compare": "test_compare",
    "pytest_ptreetime_tracers": "test_tracers",
    "pytest_ptreetime_reports": "test_reports",
    "pytest_ptreetime_lnt_report": "test_lnt_report",
    "pytest_ptreetime_machine_info": "test_machine_info",
}

#: By command and option: the test in test_wiring_commands.py.
COMMAND_OPTIONS = {
    "profile --output": "test_profile_output",
    "profile --verbose": "test_profile_verbose",
    "profile --live": "test_profile_live",
    "profile --tracer": "test_profile_tracer",
    "profile --interpose": "test_profile_interpose",
    "profile --no-interpose": "test_profile_interpose",
    "profile --quiet": "test_profile_quiet",
    "profile --sudo": "test_profile_sudo",
    "profile --timeout": "test_profile_timeout",
    "profile --redact": "test_profile_redact",
    "analyze --focus": "test_analyze_focus",
    "analyze --show-tree": "test_analyze_show_tree",
    "analyze --sort": "test_analyze_sort",
    "analyze --no-fold": "test_analyze_no_fold",
    "analyze --depth": "test_analyze_depth",
    "analyze --min-time": "test_analyze_min_time",
    "analyze --gen-report": "test_analyze_gen_report_with_machine_run_order_and_sub_arg",
    "analyze --report-machine": "test_analyze_gen_report_with_machine_run_order_and_sub_arg",
    "analyze --report-run-order": "test_analyze_gen_report_with_machine_run_order_and_sub_arg",
    "analyze --report-sub-arg": "test_analyze_gen_report_with_machine_run_order_and_sub_arg",
    "top --sort": "test_top_sort",
    "top --limit": "test_top_limit",
    "compare --with": "test_compare_with",
    "compare --allow-other-machine": "test_compare_allow_other_machine",
    "compare --sub-arg": "test_compare_sub_arg",
    "compare --min-effect": "test_compare_min_effect",
    "compare --metrics": "test_compare_metrics",
    "compare --ignore": "test_compare_ignore",
    "compare --report": "test_compare_report",
    "ab --report": "test_ab_report",
    "history --dir": "test_history_dir_and_name",
    "history --name": "test_history_dir_and_name",
    "history --metric": "test_history_metric",
    "history --node": "test_history_node",
    "history --limit": "test_history_limit",
    "history --html": "test_history_html",
    "ab --aa": "test_ab_aa",
    "ab --rounds": "test_ab_rounds_and_warmup",
    "ab --warmup": "test_ab_rounds_and_warmup",
    "ab --setup": "test_ab_setup",
    "ab --cwd": "test_ab_cwd",
    "ab --tracer": "test_ab_tracer",
    "ab --sudo": "test_ab_sudo",
    "ab --confirm": "test_ab_confirm",
    "ab --budget": "test_ab_confirm_budget",
    "ab --min-effect": "test_ab_min_effect_metrics_and_ignore",
    "ab --metrics": "test_ab_min_effect_metrics_and_ignore",
    "ab --ignore": "test_ab_min_effect_metrics_and_ignore",
    "replay --setup": "test_replay_setup_cwd_and_budget",
    "replay --cwd": "test_replay_setup_cwd_and_budget",
    "replay --budget": "test_replay_setup_cwd_and_budget",
    "report --output": "test_report_output",
    **{
        f"baseline {action} --{option}": "test_baseline_dir_and_name"
        for action in ("show", "pin", "prune", "export", "power")
        for option in ("dir", "name")
    },
    "baseline pin --session": "test_baseline_pin_session_and_remove",
    "baseline pin --remove": "test_baseline_pin_session_and_remove",
    "baseline prune --keep": "test_baseline_prune_keep",
    "baseline power --rounds": "test_baseline_power_rounds",
    "baseline merge --output": "test_baseline_merge_output",
    "lnt submit --suite": "test_lnt_submit_suite_merge_and_token",
    "lnt submit --merge": "test_lnt_submit_suite_merge_and_token",
    "lnt submit --token": "test_lnt_submit_suite_merge_and_token",
    "lnt schema --suite": "test_lnt_schema_suite",
    "doctor --sudo": "test_doctor_sudo",
}


def functions_of(name: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(Path(__file__).with_name(f"test_wiring_{name}.py").read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def options_of(parser: argparse.ArgumentParser, command: str) -> Iterator[str]:
    """Every option of a command and of those below it, by its longest name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from options_of(below, f"{command} {name}")
        elif action.option_strings and not isinstance(action, argparse._HelpAction):
            yield f"{command} {max(action.option_strings, key=len)}"


@pytest.mark.promise("options-do-what-they-say")
def test_every_option_of_pytest_has_a_test_that_gives_it_everywhere() -> None:
    assert sorted(PYTEST_OPTIONS) == sorted(option.name for option in OPTIONS)
    tests = functions_of("options")
    for option, names in PYTEST_OPTIONS.items():
        assert set(names) <= set(tests)
        given = [ast.unparse(decorator) for name in names for decorator in tests[name].decorator_list]
        assert f"places('{option}')" in given or option == "fail-on"  # its two tests share the places


@pytest.mark.promise("options-do-what-they-say")
def test_every_hook_has_a_test() -> None:
    assert sorted(HOOKS) == sorted(name for name in vars(hookspecs) if name.startswith("pytest_ptreetime_"))
    assert set(HOOKS.values()) <= set(functions_of("hooks"))


@pytest.mark.promise("options-do-what-they-say")
@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_every_option_of_a_command_has_a_test(command: str) -> None:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"pytest_ptreetime.commands.{SUBCOMMANDS[command][0]}").add_arguments(parser)
    rows = {row: test for row, test in COMMAND_OPTIONS.items() if row.split()[0] == command}
    assert sorted(rows) == sorted(options_of(parser, command))
    assert set(rows.values()) <= set(functions_of("commands"))
