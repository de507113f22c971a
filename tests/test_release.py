"""What a release is made of: one version, a workflow without a token, hooks that are those of `make lint`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
GITHUB = ROOT / ".github"
needs_github = pytest.mark.skipif(not GITHUB.is_dir(), reason="a source distribution has no workflows")


def test_version_is_said_in_one_place() -> None:
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    said = subprocess.run([sys.executable, "-m", "pytest_ptreetime.cli", "--version"], capture_output=True, text=True)
    assert said.stdout.strip() == version
    sources = [
        *ROOT.glob("pytest_ptreetime/**/*.py"),
        *ROOT.glob("libptreetime/**/CMakeLists.txt"),
        ROOT / "docs/conf.py",
    ]
    assignment = re.compile(rf"""(?i)version\w*\s*[=(]\s*["']?{re.escape(version)}""")
    assert [path for path in sources if assignment.search(path.read_text(encoding="utf-8"))] == []


def test_tag_of_the_action_in_its_page_is_the_version() -> None:
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    page = (ROOT / "docs/ci/github-actions.md").read_text()
    assert re.findall(r"pytest-ptreetime@(\S+)", page) == [f"v{version}"]


@needs_github
def test_release_is_published_without_a_token_and_with_attestations() -> None:
    text = (GITHUB / "workflows/release.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    publish = jobs["publish"]
    assert set(publish["needs"]) == set(jobs) - {"publish"}
    assert publish["environment"] == "release"
    assert publish["permissions"] == {"attestations": "write", "contents": "write", "id-token": "write"}
    assert all("permissions" not in job for name, job in jobs.items() if name != "publish")
    used = [step["uses"].partition("@")[0] for step in publish["steps"] if "uses" in step]
    assert used.index("actions/attest-build-provenance") < used.index("pypa/gh-action-pypi-publish")
    assert "secrets." not in text
    assert re.search(r"make release-check TAG=", text)


@needs_github
def test_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    steps = yaml.safe_load((GITHUB / "workflows/release.yml").read_text())["jobs"]["publish"]["steps"]
    script = steps[-1]["run"].replace("gh release create", "echo")
    changelog = (
        "# Changelog\n\n## [Unreleased]\n\nlater\n\n## [1.2.3] - 2026-01-01\n\n- this\n\n## [1.2.2]\n\n- before\n"
    )
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    (tmp_path / "dist").mkdir()
    environment = {"GITHUB_REF_NAME": "v1.2.3", "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-ec", script], cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "notes.md").read_text().strip() == "- this"


@needs_github
@pytest.mark.parametrize("path", [*GITHUB.rglob("*.yml"), ROOT / ".pre-commit-config.yaml"], ids=lambda path: path.name)
def test_file_for_github_can_be_read_and_names_no_registry(path: Path) -> None:
    text = path.read_text()
    assert yaml.safe_load(text)
    assert not re.search(r"https?://", text)


def test_hooks_before_a_commit_are_those_of_make_lint() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = [re.sub(r"\.venv/bin/", "", hook["entry"]) for hook in local["hooks"]]
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    checked = re.findall(r"check \$\(BIN\)/(.*?);", lint)
    for command in checked:
        plain = command.removesuffix(" .").replace("ruff format --check", "ruff format")
        assert any(entry.startswith(plain) for entry in entries), command
    assert any(entry.startswith("clang-format") for entry in entries)


@needs_github
def test_release_check_is_valid_shell() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci/release-check")], check=True)
