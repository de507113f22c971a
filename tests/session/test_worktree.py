"""The other revision: which one ``merge-base`` is, what of it is checked out, and whose build failed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_repository import GitRepository

from pytest_ptreetime.errors import RepositoryError
from pytest_ptreetime.session.revisions import MERGE_BASE, TARGET_VARIABLES, revision_at
from pytest_ptreetime.session.worktree import Worktree


@pytest.fixture(autouse=True)
def outside_of_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TARGET_VARIABLES, "PYTEST_ADDOPTS", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    """main with two commits, and a branch that left it at the first one."""
    repository = GitRepository(tmp_path / "project")
    repository.commit({"a": "1"})
    repository("branch", "topic")
    repository.commit({"a": "2"})
    repository("switch", "--quiet", "topic")
    repository.commit({"b": "1"})
    return repository


def test_merge_base_is_the_commit_at_which_the_branch_left_main(repository: GitRepository) -> None:
    found = revision_at(MERGE_BASE, repository.path)
    assert found.commit == repository("rev-parse", "main~1")
    assert found.called == "merge-base with main"


@pytest.mark.parametrize("variable", TARGET_VARIABLES)
def test_merge_base_in_a_job_is_with_the_branch_that_the_job_names(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    repository("branch", "release", "topic")
    repository.commit({"b": "2"})
    monkeypatch.setenv(variable, "release")
    found = revision_at(MERGE_BASE, repository.path)
    assert (found.commit, found.called) == (repository("rev-parse", "release"), "merge-base with release")
    monkeypatch.setenv(variable, "gone")
    with pytest.raises(
        RepositoryError, match=rf"gone \({variable}\) is not in this clone: run `git fetch origin gone`"
    ):
        revision_at(MERGE_BASE, repository.path)


def test_merge_base_in_a_clone_is_with_the_branch_of_the_origin(repository: GitRepository, tmp_path: Path) -> None:
    repository("switch", "--quiet", "main")
    repository("clone", "--quiet", "--branch", "topic", str(repository.path), str(tmp_path / "clone"))
    found = revision_at(MERGE_BASE, tmp_path / "clone")
    assert found.commit == repository("rev-parse", "main~1")
    assert found.called.startswith("merge-base with origin/")


def test_merge_base_on_main_itself_is_what_was_not_committed_or_the_commit_before(repository: GitRepository) -> None:
    repository("switch", "--quiet", "main")
    (repository.path / "untracked").write_text("")
    found = revision_at(MERGE_BASE, repository.path)
    assert (found.commit, found.called) == (
        repository("rev-parse", "main~1"),
        "the commit before HEAD, which is on main,",
    )
    (repository.path / "a").write_text("3")
    assert revision_at(MERGE_BASE, repository.path).commit == repository("rev-parse", "main")


def test_merge_base_that_a_shallow_clone_has_not_is_told_with_what_to_do(
    repository: GitRepository, tmp_path: Path
) -> None:
    url = repository.path.as_uri()
    repository("switch", "--quiet", "main")
    repository("clone", "--quiet", "--depth=1", "--no-single-branch", "--branch", "topic", url, str(tmp_path / "clone"))
    with pytest.raises(RepositoryError, match=r"no commit in common; this clone is shallow: .*fetch-depth: 0"):
        revision_at(MERGE_BASE, tmp_path / "clone")


def test_merge_base_without_a_main_branch_asks_for_a_name(tmp_path: Path) -> None:
    repository = GitRepository(tmp_path)
    repository.commit({})
    repository("branch", "--move", "work")
    with pytest.raises(RepositoryError, match="name the revision instead of merge-base"):
        revision_at(MERGE_BASE, tmp_path)


@pytest.fixture
def with_submodule(tmp_path: Path) -> Iterator[GitRepository]:
    """A project with a submodule in a submodule, whose second commit has others of them."""
    inner, library = GitRepository(tmp_path / "inner"), GitRepository(tmp_path / "library")
    inner.commit({"inner.c": "1"})
    library.commit({"lib.c": "1"})
    library("submodule", "--quiet", "add", str(inner.path), "deep/inner")
    library.commit({}, "with inner")
    repository = GitRepository(tmp_path / "project")
    repository("submodule", "--quiet", "add", "--name", "the library", str(library.path), "ext lib")
    repository("submodule", "--quiet", "update", "--init", "--recursive")
    repository.commit({"a": "1"}, "first")
    library.commit({"lib.c": "2"})
    subprocess.run(["git", "-C", "ext lib", "pull", "--quiet", "origin", "main"], cwd=repository.path, check=True)
    repository.commit({"a": "2"}, "second")
    for origin in (inner, library):
        origin.path.rename(origin.path.with_name(f"{origin.path.name} is gone"))  # the network is not needed
    yield repository
    assert len(repository("worktree", "list").splitlines()) == 1


def test_submodules_are_checked_out_as_the_revision_has_them_without_the_network(with_submodule: GitRepository) -> None:
    configuration = (with_submodule.path / ".git/config").read_text()
    worktree = Worktree.add("HEAD~1", with_submodule.path)
    try:
        assert (worktree.directory / "ext lib/lib.c").read_text() == "1"
        assert (worktree.directory / "ext lib/deep/inner/inner.c").read_text() == "1"
    finally:
        worktree.remove()
    assert not worktree.directory.exists()
    assert (with_submodule.path / "ext lib/lib.c").read_text() == "2"
    assert (with_submodule.path / ".git/config").read_text() == configuration
    assert with_submodule("status", "--porcelain") == ""


def test_submodule_that_was_removed_since_is_checked_out_all_the_same(with_submodule: GitRepository) -> None:
    with_submodule("rm", "--quiet", "ext lib")
    with_submodule.commit({}, "without")
    with_submodule("config", "--remove-section", "submodule.the library")
    configuration = (with_submodule.path / ".git/config").read_text()
    worktree = Worktree.add("HEAD~1", with_submodule.path)
    try:
        assert (worktree.directory / "ext lib/lib.c").read_text() == "2"
    finally:
        worktree.remove()
    assert (with_submodule.path / ".git/config").read_text() == configuration


def test_submodule_that_is_empty_here_stays_empty_there(with_submodule: GitRepository) -> None:
    with_submodule("submodule", "--quiet", "deinit", "--force", "ext lib")
    worktree = Worktree.add("HEAD~1", with_submodule.path)
    try:
        assert list((worktree.directory / "ext lib").iterdir()) == []
    finally:
        worktree.remove()


def test_submodule_that_can_not_be_had_is_named_and_nothing_is_left(with_submodule: GitRepository) -> None:
    modules = (with_submodule.path / ".gitmodules").read_text()
    with_submodule.commit({".gitmodules": modules.replace("the library", "other")}, "renamed")
    with_submodule("rm", "--quiet", "--cached", "ext lib")
    with_submodule.commit({".gitmodules": ""}, "without")
    subprocess.run(["rm", "-rf", "ext lib"], cwd=with_submodule.path, check=True)
    with pytest.raises(RepositoryError, match="the submodule ext lib of HEAD~1 can't be checked out"):
        Worktree.add("HEAD~1", with_submodule.path)


def test_failure_says_whose_build_it_was(repository: GitRepository) -> None:
    repository.commit({"test_build.py": "def test_build(ptreetime):\n    ptreetime(['cat', 'b'])\n"})
    command = [sys.executable, "-m", "pytest", "-q", "--ptreetime-tracer=ptrace", "--ptreetime-rounds=1"]

    def told(*more: str) -> str:
        done = subprocess.run([*command, *more], cwd=repository.path, capture_output=True, text=True)
        assert done.returncode == 1, done.stdout
        return done.stdout

    assert "the build of main, in a worktree: cat b ended with exit status 1" in told("--ptreetime-against=main")
    (repository.path / "b").unlink()
    own = told("--ptreetime-against=HEAD")
    assert "cat b ended with exit status 1" in own
    assert "in a worktree" not in own


def test_edit_is_done_to_the_files_of_each_revision(repository: GitRepository) -> None:
    test = """
from pytest_ptreetime.scenarios import edit

def test_build(ptreetime):
    import pathlib
    here = pathlib.Path(__file__).parent
    setup = [edit(here / "b", append="x {round}"), edit("other", replace=("2", "{round}"))]
    ptreetime(["sh", "-c", f"cat b other >> {here.parent}/seen"], setup=setup)
"""
    repository.commit({"test_build.py": test, "other": "2\n", "b": "1\n"})
    repository.commit({"b": "new\n"})
    command = [sys.executable, "-m", "pytest", "-q", "--ptreetime-tracer=ptrace", "--ptreetime-rounds=2"]
    more = ["--ptreetime-warmup=0", "--ptreetime-against=HEAD~1", "--ptreetime-metrics=count", "-p", "no:cacheprovider"]
    subprocess.run([*command, *more], cwd=repository.path, check=True, capture_output=True)
    lines = (repository.path.parent / "seen").read_text().splitlines()
    # two rounds of each, and one more of each with the files restored
    assert (lines.count("new"), lines.count("1"), lines.count("2")) == (3, 3, 2)
    assert sum(line.startswith("x ") for line in lines) == 4
    assert sum(line.isdigit() and len(line) == 9 for line in lines) == 4
    assert (repository.path / "b").read_text() == "new\n"
    assert (repository.path / "other").read_text() == "2\n"
