"""What the names of revisions stand for in the repository at hand, ``merge-base`` among them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_ptreetime.errors import RepositoryError
from pytest_ptreetime.system.inherited import waiting_for_children
from pytest_ptreetime.system.os_errors import message_of

__all__ = ["MERGE_BASE", "Revision", "commit_of", "commit_time_of", "git", "revision_at"]

#: The commit that this branch left its target at; the keyword of ``--ptreetime-against``.
MERGE_BASE = "merge-base"
#: Where a CI job says which branch its change is to be merged into: GitHub, GitLab, Jenkins.
TARGET_VARIABLES = ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "CHANGE_TARGET")
DEFAULT_TARGETS = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


@dataclass(frozen=True)
class Revision:
    """A ``commit`` of the ``repository``, and what it is ``called``: as it was given, or what was found for it."""

    repository: Path
    called: str
    commit: str


def revision_at(name: str, start: Path) -> Revision:
    """The revision ``name`` in the repository that ``start`` lies in.

    :raises RepositoryError: no git, no repository, no such revision, or one that a shallow clone does not have.
    """
    repository = Path(git(start, "rev-parse", "--show-toplevel", problem="no git repository here"))
    if name == MERGE_BASE:
        return _merge_base(repository)
    problem = f"no revision {name}{_if_shallow(repository)}"
    commit = git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", problem=problem)
    return Revision(repository, name, commit)


def _merge_base(repository: Path) -> Revision:
    """Where HEAD left the branch that it is to be merged into.

    On that branch itself it is HEAD where files are changed and not committed, else the commit before.
    """
    target = _target(repository)
    problem = f"HEAD and {target} have no commit in common{_if_shallow(repository)}"
    base = git(repository, "merge-base", "HEAD", target, problem=problem)
    if base != git(repository, "rev-parse", "HEAD", problem="there is no commit"):
        return Revision(repository, f"merge-base with {target}", base)
    if git(repository, "status", "--porcelain", "--untracked-files=no", problem="git can't tell what was changed"):
        return Revision(repository, "HEAD", base)
    problem = f"HEAD is on {target} itself, and there is no commit before it{_if_shallow(repository)}"
    return Revision(
        repository,
        f"the commit before HEAD, which is on {target},",
        git(repository, "rev-parse", "--verify", "--quiet", "HEAD^", problem=problem),
    )


def _target(repository: Path) -> str:
    """The branch that HEAD is to be merged into: as the CI job says, else the repository's main branch."""
    for variable in TARGET_VARIABLES:
        branch = os.environ.get(variable)
        if branch:
            candidates: tuple[str, ...] = (f"origin/{branch}", branch)
            advice = (
                f"the target branch {branch} ({variable}) is not in this clone: run `git fetch origin {branch}` first"
            )
            break
    else:
        candidates = DEFAULT_TARGETS
        advice = f"none of {', '.join(DEFAULT_TARGETS)} exists: name the revision instead of {MERGE_BASE}"
    for candidate in candidates:
        if _commit(repository, candidate) is not None:
            return candidate
    raise RepositoryError(f"--ptreetime-against: {advice} ({repository})")


def _if_shallow(repository: Path) -> str:
    shallow = git(repository, "rev-parse", "--is-shallow-repository", problem="git is too old") == "true"
    return "; this clone is shallow: run `git fetch --unshallow` first (in CI: fetch-depth: 0)" if shallow else ""


def commit_of(directory: Path) -> str | None:
    """The commit checked out in ``directory``, or None outside of a repository."""
    return _commit(directory, "HEAD")


def _commit(directory: Path, name: str) -> str | None:
    try:
        return git(directory, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", problem="")
    except RepositoryError:
        return None


def commit_time_of(directory: Path) -> int | None:
    """The commit's time in epoch seconds, or None outside of a repository."""
    try:
        return int(git(directory, "show", "--no-patch", "--format=%ct", "HEAD", problem=""))
    except (RepositoryError, ValueError):
        return None


@waiting_for_children()
def git(directory: Path, *args: str, problem: str) -> str:
    """What a command of git says.

    :param problem: what it means when it fails.
    :raises RepositoryError: it failed, or there is no git.
    """
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise RepositoryError("git is not installed: --ptreetime-against needs it") from None
    except OSError as error:
        raise RepositoryError(f"--ptreetime-against: git can't be started: {message_of(error)}") from None
    if done.returncode != 0:
        detail = done.stderr.strip().splitlines()
        raise RepositoryError(f"--ptreetime-against: {problem} ({directory})" + (f": {detail[-1]}" if detail else ""))
    return done.stdout.strip()
