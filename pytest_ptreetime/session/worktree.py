"""A revision of the repository, checked out beside it for as long as it is compared with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_ptreetime.errors import RepositoryError
from pytest_ptreetime.session.build import Build
from pytest_ptreetime.session.preparation import moved_setup
from pytest_ptreetime.session.revisions import git, revision_at
from pytest_ptreetime.session.submodules import check_out_submodules
from pytest_ptreetime.system.os_errors import os_errors_as
from pytest_ptreetime.system.temporary_files import private_directory

__all__ = ["Worktree"]


@dataclass
class Worktree:
    """``revision`` of the repository at ``repository``, checked out at ``directory``."""

    repository: Path
    revision: str
    commit: str
    directory: Path
    held: ExitStack = field(default_factory=ExitStack, repr=False)  # the temporary directory that it is in

    @classmethod
    def add(cls, revision: str, start: Path) -> Worktree:
        """Check out ``revision`` of the repository that ``start`` lies in, with its submodules.

        Uncommitted changes stay where they are: they belong to the candidate.

        :raises RepositoryError: no git, no repository, no such revision, or one that a shallow clone does not have.
        """
        found = revision_at(revision, start)
        repository = found.repository
        problem = f"{found.called} can't be checked out"
        with ExitStack() as stack:
            with os_errors_as(RepositoryError, f"--ptreetime-against: {problem}"):
                directory = stack.enter_context(private_directory())
            git(repository, "worktree", "prune", problem="git can't forget a checkout that is gone")
            checkout = directory / "tree"
            git(repository, "worktree", "add", "--detach", "--force", str(checkout), found.commit, problem=problem)
            worktree = cls(repository, found.called, found.commit, checkout, stack.pop_all())
        try:
            check_out_submodules(repository, checkout, found.called)
        except BaseException:
            worktree.remove()
            raise
        return worktree

    def remove(self) -> None:
        """Remove the checkout and what git remembers of it."""
        subprocess.run(
            ["git", "-C", str(self.repository), "worktree", "remove", "--force", "--force", str(self.directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.held.close()
        subprocess.run(["git", "-C", str(self.repository), "worktree", "prune"], stdin=subprocess.DEVNULL)

    def build_here(self, build: Build) -> Build:
        """``build`` as it would be in this checkout: every path into the repository becomes one into the checkout.

        :raises RepositoryError: the build's directory is not in the repository, or not in this revision.
        """
        cwd = Path(build.cwd or Path.cwd()).resolve()
        if cwd != self.repository and self.repository not in cwd.parents:
            raise RepositoryError(
                f"the build runs in {cwd}, which is outside of the repository {self.repository}: "
                "--ptreetime-against can't tell what it was in another revision; pass cwd= inside of it"
            )
        here = self.directory / cwd.relative_to(self.repository)
        if not here.is_dir():
            raise RepositoryError(f"{cwd.relative_to(self.repository)} does not exist in {self.revision}")
        return replace(
            build,
            cwd=str(here),
            args=[self._moved(word) for word in build.args],
            env=self._moved_environment(build.env),
            setup=moved_setup(build.setup, self._moved, lambda function: _called_in(here, function)),
            whose=f"the build of {self.revision}, in a worktree",
        )

    def _moved(self, text: str) -> str:
        """``text`` with the repository's path replaced where it stands as a whole or before a slash."""
        root = str(self.repository)
        if text == root:
            return str(self.directory)
        return text.replace(root + os.sep, str(self.directory) + os.sep)

    def _moved_environment(self, environment: Mapping[str, str] | None) -> Mapping[str, str] | None:
        if environment is None:
            return None
        return {name: self._moved(value) for name, value in environment.items()}


def _called_in(directory: Path, setup: Callable[[], object]) -> Callable[[], object]:
    def call() -> object:
        with _directory(directory):
            return setup()

    return call


@contextmanager
def _directory(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)
