"""Submodules of a revision that is checked out beside the repository: ``git worktree add`` leaves them empty.

What the repository's own submodules have is cloned from there, without the network; only a commit that they do not have
is fetched from where it comes from.
"""

from __future__ import annotations

from pathlib import Path

from pytest_ptreetime.errors import RepositoryError
from pytest_ptreetime.session.revisions import git

__all__ = ["check_out_submodules"]


def check_out_submodules(repository: Path, checkout: Path, revision: str) -> None:
    """Check out in ``checkout`` the submodules that are checked out in ``repository``, and those within them.

    One that is empty there stays empty here, too: the build does without it. One that the repository has no more is
    checked out.

    :param revision: what ``checkout`` is called.
    :raises RepositoryError: one can't be checked out.
    """
    common = git(repository, "rev-parse", "--path-format=absolute", "--git-common-dir", problem="git is too old")
    _check_out(repository, Path(common), checkout, revision)


def _check_out(repository: Path, kept: Path, checkout: Path, revision: str) -> None:
    """``kept`` is the git directory of ``repository``, below which those of its submodules are."""
    known = _submodules(repository)
    for name, path in _submodules(checkout).items():
        beside = repository / known.get(name, path)
        if name in known and not (beside / ".git").exists():
            continue
        problem = f"the submodule {path} of {revision} can't be checked out"
        update = ("submodule", "--quiet", "update", "--init", "--checkout", "--", path)
        local = kept / "modules" / name
        source = ("-c", "protocol.file.allow=always", "-c", f"submodule.{name}.url={local}") if local.is_dir() else ()
        try:
            git(checkout, *source, *update, problem=problem)
        except RepositoryError:
            if not source:
                raise
            git(checkout, *update, problem=problem)
        _check_out(beside, local, checkout / path, revision)


def _submodules(directory: Path) -> dict[str, str]:
    """The paths of a checkout's submodules, by their names."""
    if not (directory / ".gitmodules").is_file():
        return {}
    listing = ("config", "--file", ".gitmodules", "--null", "--get-regexp", r"^submodule\..*\.path$")
    try:
        entries = git(directory, *listing, problem="")
    except RepositoryError:
        return {}  # the file has none
    pairs = (entry.split("\n", 1) for entry in entries.split("\0") if "\n" in entry)
    return {key.removeprefix("submodule.").removesuffix(".path"): path for key, path in pairs}
