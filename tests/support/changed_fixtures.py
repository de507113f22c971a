"""The C project and its baseline, once for all changes: a plugin."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from changed_project import ChangedBuild, write_c_project


@pytest.fixture(scope="session")
def c_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C project with a stored baseline of one session."""
    for tool in ("make", "gcc", "git"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    directory = tmp_path_factory.mktemp("c") / "project"
    write_c_project(directory)
    save_baseline(directory)
    return directory


def save_baseline(directory: Path, rounds: int = 3) -> None:
    pytest_of_it = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    flags = ["--ptreetime-save-baseline", "--ptreetime-warmup=0", f"--ptreetime-rounds={rounds}"]
    done = subprocess.run([*pytest_of_it, *flags], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def changed_build(pytester: pytest.Pytester, c_project: Path) -> ChangedBuild:
    return ChangedBuild(pytester, c_project)
