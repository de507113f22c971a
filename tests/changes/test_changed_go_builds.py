"""A comment in a Go package changes the build ID, which is an argument of every step that depends on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from changed_fixtures import save_baseline
from changed_project import ChangedBuild, commit_all, in_shell

FILES = {
    "go.mod": "module example.org/app\n",
    "inner/inner.go": "package inner\n\nfunc Twice(x int) int { return 2 * x }\n",
    "outer/outer.go": 'package outer\n\nimport "example.org/app/inner"\n\nfunc Four() int { return inner.Twice(2) }\n',
    ".gitignore": "cache/\n.ptreetime/\n__pycache__/\nreport.json\n",
    "test_build.py": """
import os

def test_build(ptreetime):
    env = os.environ | {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOCACHE": os.getcwd() + "/cache", "HOME": os.getcwd()}
    ptreetime(["go", "build", "-p", "1", "./outer"], env=env, setup=["rm", "-rf", "cache"])
""",
}


@pytest.fixture(scope="module")
def go_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("go", "git"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    directory = tmp_path_factory.mktemp("go") / "project"
    for name, text in FILES.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    in_shell("git init -q", directory)
    commit_all(directory)
    save_baseline(directory)
    return directory


@pytest.mark.parametrize("against", ["--ptreetime-baseline", "--ptreetime-against=HEAD"])
def test_comment_in_a_go_package_is_no_change(pytester: pytest.Pytester, go_project: Path, against: str) -> None:
    build = ChangedBuild(pytester, go_project)
    build.change("echo '// a comment' >> inner/inner.go")
    outcome = build.run(against, rounds=2)
    outcome.expect("ok", "")
    assert outcome.comparable >= 0.95, outcome.text
    assert not any("compile" in text for text in outcome.changes), outcome.changes
