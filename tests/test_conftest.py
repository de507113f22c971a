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


def test_later_tries_name_what_passes_before_the_closing_line(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = suite.path / "notes"
    notes.write_text("not tested: what needs chromium, which can't be installed\n")
    suite.makepyfile(
        test_late="""
        import os
        def test_late(): assert os.environ.get("LATE")
        """
    )
    first = run(suite, f"--notes={notes}")
    first.assert_outcomes(passed=4, failed=2)
    assert "second try" not in first.stdout.str()
    monkeypatch.setenv("RIGHT", "1")
    run(suite, "--try=second", "--last-failed", f"--notes={notes}").assert_outcomes(passed=1, failed=1)
    monkeypatch.setenv("LATE", "1")
    lines = run(suite, "--try=third", "--last-failed", f"--notes={notes}").outlines
    assert lines[-4:-1] == [
        "not tested: what needs chromium, which can't be installed",
        "passed on the second try: test_it.py::test_wrong",
        "passed on the third try: test_late.py::test_late",
    ]
    assert "1 passed" in lines[-1]
