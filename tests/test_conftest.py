"""What conftest.py adds to pytest for the package's own tests: the fast ones, and CI's last words."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent.parent / "conftest.py"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makepyfile(
        test_it="""
        import os, subprocess, pytest
        def test_pure(): pass
        def test_starts(): subprocess.run(["true"], check=True)
        def test_forks(): os.waitpid(os.fork() or os._exit(0), 0)
        @pytest.mark.seconds
        def test_long(): pass
        def test_wrong(): assert os.environ.get("RIGHT")
        """
    )
    return pytester


def run(suite: pytest.Pytester, *args: str) -> pytest.RunResult:
    return suite.runpytest_inprocess(*args)


def test_fast_leaves_out_what_starts_a_process_or_takes_seconds(suite: pytest.Pytester) -> None:
    run(suite, "--fast", "-k", "not wrong").assert_outcomes(passed=1, skipped=3)
    run(suite, "-k", "not wrong").assert_outcomes(passed=4)


def test_second_try_names_what_passes_before_the_closing_line(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = suite.path / "notes"
    notes.write_text("not tested: what needs chromium, which can't be installed\n")
    first = run(suite, f"--not-tested={notes}")
    first.assert_outcomes(passed=4, failed=1)
    assert "second try" not in first.stdout.str()
    monkeypatch.setenv("RIGHT", "1")
    lines = run(suite, "--second-try", "--last-failed", f"--not-tested={notes}").outlines
    assert lines[-3:-1] == [
        "passed on the second try: test_it.py::test_wrong",
        "not tested: what needs chromium, which can't be installed",
    ]
    assert "1 passed" in lines[-1]
