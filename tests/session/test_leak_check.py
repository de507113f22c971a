"""A program with a leak check fails under ptrace: who meets that is told why, and what to do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_ptreetime.errors import CommandFailed
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.leak_check import failed_leak_check
from pytest_ptreetime.session.run import record, run_once
from pytest_ptreetime.tracers import builtin_tracers


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A program without a leak, built with AddressSanitizer."""
    directory = tmp_path_factory.mktemp("checked")
    source = directory / "checked.c"
    source.write_text("#include <stdlib.h>\nint main(int argc, char **argv) { (void)argv; return argc > 1 ? 3 : 0; }\n")
    compiler = shutil.which("gcc")
    if compiler is None or builtin_tracers()["ptrace"]().available() is not None:
        pytest.skip("needs gcc and ptrace")
    program = directory / "checked"
    if subprocess.run([compiler, "-fsanitize=address", source, "-o", program], capture_output=True).returncode != 0:
        pytest.skip("there is no AddressSanitizer here")
    if subprocess.run([program], capture_output=True).returncode != 0:
        pytest.skip("leaks can't be looked for here")
    return str(program)


def test_failure_of_a_leak_check_below_ptrace_names_another_tracer_and_the_option(checked: str) -> None:
    tracer = builtin_tracers()["ptrace"]()
    with pytest.raises(CommandFailed) as failed:
        run_once(Build.from_arguments(["sh", "-c", f"{checked} && true"]), tracer, capture=True)
    tracer.close()
    for words in ("checked is built with a sanitizer", "tracer ptrace", "--ptreetime-tracer", "detect_leaks=0"):
        assert words in str(failed.value)


def test_failed_leak_check_is_known_by_the_program_alone(checked: str) -> None:
    assert failed_leak_check(record([checked], tracer="ptrace").tree()) == "checked"


def test_other_failures_and_other_tracers_are_not_explained_by_it(checked: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.c"
    broken.write_text("int main(void) { return }\n")
    assert failed_leak_check(record(["gcc", "-fsanitize=address", "-c", str(broken)], tracer="ptrace").tree()) is None
    assert failed_leak_check(record([checked, "x"], tracer="interpose").tree()) is None
    assert failed_leak_check(record(["false"], tracer="ptrace").tree(), b"LeakSanitizer does not work under ptrace")
