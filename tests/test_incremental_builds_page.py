"""The examples of docs/how-to/incremental-builds.md run, word for word, on a build as they describe it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_scenarios import NINJA, write_sources

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "incremental-builds.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("ninja") is None, reason="no ninja")
@pytest.mark.parametrize("example", EXAMPLES)
def test_example_passes(pytester: pytest.Pytester, example: str) -> None:
    if "ccache" in example and shutil.which("ccache") is None:
        pytest.skip("no ccache")
    write_sources(pytester.path)
    (pytester.path / "build").mkdir()
    ninja = NINJA.replace("= cc", "= ccache cc") if "ccache" in example else NINJA
    (pytester.path / "build/build.ninja").write_text(ninja)
    subprocess.run(["ninja", "-C", "build"], cwd=pytester.path, check=True)
    pytester.makepyfile(test_page=example)
    result = pytester.runpytest_subprocess("--ptreetime-tracer=ptrace")
    result.assert_outcomes(passed=example.count("\ndef test_"))
