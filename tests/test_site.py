"""The site is complete and builds without a warning; the tutorial and the code blocks of the how-to pages run."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_project import Project, words_of

from pytest_ptreetime import record
from pytest_ptreetime.options.table import OPTIONS

pytest_plugins = ["scripted_project"]

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "generated" not in path.parts)
BLOCK = re.compile(r"^```(\w[\w ]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Pages whose shell blocks run one after the other, in an empty directory.
RUN = ["choose-a-tracer", "hide-secrets", "look-at-a-build", "send-to-lnt"]


def blocks_of(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "PYTEST_"))}
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = re.findall(r"^([\w/-]+)$", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    there = [page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES]
    assert sorted(name for name in listed if "generated" not in name) == sorted(set(there) - {"index"})


def test_every_page_is_read_in_ten_minutes() -> None:
    """At 200 words a minute; the explanation of how all is built may be looked up in parts."""
    long = {page.stem: len(page.read_text(encoding="utf-8").split()) for page in PAGES}
    looked_up = {"architecture", "decisions", "reliability"}
    assert {name: words for name, words in long.items() if words > 2_000 and name not in looked_up} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_code_of_a_page_is_python_and_its_settings_exist(page: Path) -> None:
    for code in blocks_of(page, "python"):
        ast.parse(code)
    keys = {option.key for option in OPTIONS}
    for text in blocks_of(page, "ini"):
        parser = configparser.ConfigParser()
        parser.read_string(text)
        assert set(parser["pytest"]) <= keys


@pytest.mark.parametrize("name", RUN)
def test_commands_of_a_page_run(name: str, tmp_path: Path) -> None:
    scripts = blocks_of(DOCS / "how-to" / f"{name}.md", "sh")
    assert scripts
    script = "\n".join(scripts).replace("ptreetime profile", "ptreetime profile --tracer ptrace")
    done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    if name == "hide-secrets":
        assert "--token=***" in done.stdout


def test_tree_has_what_the_page_of_the_fixture_says() -> None:
    _, attributes = blocks_of(DOCS / "reference" / "fixture.md", "python")
    tree = record(["/bin/sh", "-c", "/bin/true; :"], tracer="ptrace").tree()
    exec(attributes, {"tree": tree})


@pytest.mark.slow
def test_commands_of_the_example_run(tmp_path: Path) -> None:
    shutil.copytree(DOCS.parent / "examples", tmp_path / "examples")
    (script,) = blocks_of(DOCS.parent / "examples" / "README.md", "sh")
    quick = {"PYTEST_ADDOPTS": "--ptreetime-tracer=ptrace --ptreetime-rounds=1 --ptreetime-warmup=0"}
    done = subprocess.run(
        ["bash", "-ec", script], cwd=tmp_path, env={**environment(), **quick}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "baseline saved in" in done.stdout
    assert "not compared" not in done.stdout


@pytest.mark.slow
def test_first_test_and_commands_of_the_readme_run(tmp_path: Path) -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    shutil.copytree(DOCS.parent / "examples/calc", tmp_path / "calc")
    (test,) = blocks_of(DOCS.parent / "README.md", "python")
    (tmp_path / "calc/test_build.py").write_text(test)
    indented = re.findall(r"^    ((?:pytest|ptreetime) .*)$", readme, re.MULTILINE)
    assert len(indented) == 7
    git = "git -c user.name=x -c user.email=x@example.com"
    script = [f"git init -q -b main; git add .; {git} commit -qm first", *indented, "test -s build.html"]
    quick = {"PYTEST_ADDOPTS": "--ptreetime-tracer=ptrace --ptreetime-rounds=1 --ptreetime-warmup=0"}
    done = subprocess.run(
        ["bash", "-exc", "\n".join(script)],
        cwd=tmp_path / "calc",
        env={**environment(), **quick},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("1 passed") == 3


def test_hooks_of_their_page_do_what_it_says(project: Project) -> None:
    for code in blocks_of(DOCS / "how-to" / "write-hooks.md", "python"):
        project.hook(code)
    project.plan({"python3 tools/generate.py a": 0.1, "python3 tools/generate.py b": 0.1, "packer --seed=1 x": 0.1})
    result = project.run("--ptreetime-report=json:r.json", "--ptreetime-report=slowest", "-v")
    result.assert_outcomes(passed=1)
    assert "test_build::test_build: measured" in words_of(result)
    report = (project.path / "r.json").read_text()
    assert '"generator"' in report
    assert "--seed" not in report.replace('"--seed=1"', "")
    assert '"runner"' in report


FAILED = "what fails here ends here"


@pytest.mark.slow
def test_tutorial_finds_the_regression_word_for_word(tmp_path: Path) -> None:
    steps: list[str] = ["set -e"]
    for kind, text in BLOCK.findall((DOCS / "tutorial.md").read_text(encoding="utf-8")):
        if kind == "python":
            (tmp_path / "test_build.py").write_text(text)
            steps.append(f"cp {tmp_path}/test_build.py test_build.py")
        elif kind == "sh fails":  # "inconclusive" passes: "run it again", says the page
            steps.append(f"for again in 1 2 3; do {text.strip()} || break; again=; done; test $again; echo '{FAILED}'")
        else:
            assert kind == "sh"
            steps.append(text)
    script = "\n".join(steps).replace("/tmp/tutorial", str(tmp_path))
    install = re.compile(r"^.*(?:-m venv|pip install).*\n", re.MULTILINE)
    assert len(install.findall(script)) == 2
    (tmp_path / "env").symlink_to(Path(sys.executable).parent.parent)
    done = subprocess.run(
        ["bash", "-c", install.sub("", script)], cwd=DOCS.parent, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *failed, _ = done.stdout.split(FAILED)
    assert len(failed) == 2
    assert all(re.search(r"cc1 src/strings\.c: \w+ \+", said) for said in failed)
    assert (tmp_path / "calc/report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    for module in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(module)
    shutil.copytree(DOCS, tmp_path / "docs")
    for name in ("pyproject.toml", "pytest_ptreetime"):
        (tmp_path / name).symlink_to(DOCS.parent / name)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "docs", "site"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ProcessTree" in (tmp_path / "site/reference/api.html").read_text()
    assert "pytest_ptreetime_key" in (tmp_path / "site/reference/hooks.html").read_text()
    assert "--live" in (tmp_path / "site/reference/generated/command-help.html").read_text()
