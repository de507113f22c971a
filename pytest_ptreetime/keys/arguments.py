"""Arguments as they stay the same from run to run, from directory to directory and from machine to machine.

Directories of the build become relative, home directories ``~``; what is drawn at random or counted up (names of
temporary files, hashes, process ids, dates) becomes a word in capitals: ``TMP``, ``HASH``, ``PID``, ``TIME``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from pytest_ptreetime.keys.substitutions import Substitutions
from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["ArgumentNormalizer"]

# One pass over an argument: the alternatives are tried in this order at each place.
_VOLATILE = re.compile(
    r"""
    (?: (?<![\w.~/-]) | (?<=-[A-Za-z]) | (?<=-isystem) )  # where a path can begin, after an option's letter too
    (?: (?P<temporary>
            (?:/private)? (?: /tmp | /var/tmp | /dev/shm | /var/folders/[^/\s]+/[^/\s]+/T )
            (?: /pytest-of-[^/\s]+/pytest-\d+ | /[^/\s:,;="'()]+ ) )
      | (?P<home> (?: /home/[^/\s:,;="'()]+ | /Users/[^/\s:,;="'()]+ | /root ) (?= / | $ ) ) )
    | (?P<uuid> (?<![0-9a-fA-F]) [0-9a-fA-F]{8} (?: -[0-9a-fA-F]{4} ){3} -[0-9a-fA-F]{12} (?![0-9a-fA-F]) )
    | (?P<hash> (?<![0-9A-Za-z]) (?= [0-9a-f]{0,63}[a-f] ) (?= [a-f]{0,63}[0-9] ) [0-9a-f]{12,64} (?![0-9A-Za-z]) )
    | (?P<try> (?<= TryCompile- ) [A-Za-z0-9]{6} (?![A-Za-z0-9]) | (?<= cmTC_ ) [0-9a-f]{5} (?![0-9A-Za-z]) )
    | (?P<mktemp> (?<![0-9A-Za-z]) (?: tmp\.[A-Za-z0-9]{6,12} | tmp[a-z0-9_]{8} ) (?![A-Za-z0-9_])
        | (?<= / ) (?: rustc | rmeta ) [A-Za-z0-9]{6} (?= / )
        | (?<= /tmp/ ) cc [A-Za-z0-9]{6} (?= \. ) )  # gcc, where TMPDIR is another directory than /tmp
    | (?P<pid> (?<= tmp[.-] ) \d+ (?!\w) | (?<![0-9A-Za-z]) \d{2,10} (?= [.-]tmp\b ) )
    | (?P<time> (?<![0-9A-Za-z.]) 1[5-9]\d{8} (?![0-9A-Za-z.]) | (?<!\d) 20\d\d-[01]\d-[0-3]\d
        (?: [T_\ ] [0-2]\d:?[0-5]\d (?: :?[0-5]\d )? )? (?!\d) )
    """,
    re.VERBOSE,
)
_PLACEHOLDERS = {
    "home": "~",
    "uuid": "HASH",
    "hash": "HASH",
    "try": "HASH",
    "mktemp": "TMP",
    "pid": "PID",
    "time": "TIME",
}
# What makes _VOLATILE worth trying on an argument: one of these words, or a run of digits as in a hash or a date.
_TELLING = ("tmp", "/home", "/Users", "/root", "/var", "/shm", "cmTC_", "TryCompile-", "/rustc", "/rmeta")
_DIGITS = re.compile(r"\d[\da-f]{5}|\d\d-\d\d|[a-f][\da-f]{11}|-[\da-fA-F]{4}-")
_DIGITS_OR_DASHES = re.compile(r"[\da-fA-F-]{5}")  # what _DIGITS finds has that, and this is fast
_NUMBER = re.compile(r"(?<![0-9A-Za-z])\d{4,10}(?![0-9A-Za-z])")
OPTION_LENGTH = 15  # of the longest that _OPTION_BEFORE finds, what is before it included
_OPTION_BEFORE = re.compile(r"(?:^|[\s,])-{1,2}[A-Za-z]{1,12}\Z")
_RANDOM_STEM = re.compile(r"-[0-9a-f]{6,8}$")  # clang: /tmp/lvm-1a2b3c.o


class ArgumentNormalizer:
    """Normalises the arguments of one tree.

    :param build_directory: the root's working directory; what is below it is written relative to it.
    """

    def __init__(self, build_directory: str | None, substitutions: Substitutions) -> None:
        self._substitutions = substitutions
        self._build = _usable(build_directory)
        self._around = _around(self._build)
        # By directory and argument; arguments repeat over and over in a build.
        self._known: dict[str | None, _Stable] = {}
        self._numbered: set[str] = set()  # those that have a number which may be a process id
        self._directories: dict[str | None, str] = {}
        self._files: dict[tuple[str | None, str], str] = {}

    def directory(self, cwd: str | None) -> str:
        """Where a process runs, for its label: empty in the build directory itself or where it is not known."""
        known = self._directories.get(cwd)
        if known is None:
            known = "" if cwd is None else self._stable(cwd, "")
            self._directories[cwd] = known = "" if known == "." else known
        return known

    def arguments(self, cwd: str | None, arguments: Sequence[str]) -> list[str]:
        """``arguments`` of a process that runs in ``cwd``, each normalised, empty ones left out."""
        return list(filter(None, map((self._known.get(cwd) or self._of(cwd)).__getitem__, arguments)))

    def file(self, cwd: str | None, path: str) -> str:
        """A file that a process in ``cwd`` was given, relative to the build directory where it is below it."""
        known = self._files.get((cwd, path))
        if known is None:
            absolute = path
            if cwd is not None and cwd != self._build and path[:1] != "/":
                absolute = posixpath.normpath(posixpath.join(cwd, path))
            self._files[cwd, path] = known = (self._known.get(cwd) or self._of(cwd))[absolute]
        return known

    def may_have_pids(self, words: Sequence[str]) -> bool:
        """Whether one of ``words``, which are normalised, has a number that could be a process id."""
        return not self._numbered.isdisjoint(words)

    def without_pids(self, words: Sequence[str], node: ProcessNode) -> list[str]:
        """``words``, which are normalised, without the pids of ``node`` and its next ancestors."""
        return [_without_pids(one, node) if one in self._numbered else one for one in words]

    def _of(self, cwd: str | None) -> _Stable:
        """The arguments of processes in ``cwd`` so far."""
        known = self._known.get(cwd)  # an empty one is false
        if known is None:
            known = self._known[cwd] = _Stable(self, self._outside(cwd))
        return known

    def _outside(self, cwd: str | None) -> str:
        """``cwd`` where it is a build directory of its own, outside that of the root."""
        usable = _usable(cwd)
        return "" if not usable or usable == self._build or usable.startswith(self._build + "/") else usable

    def stable(self, argument: str, here: str) -> str:
        """``argument`` of a process that runs ``here``, where that is outside the build directory."""
        one = self._stable(argument, here)
        if _NUMBER.search(one):
            self._numbered.add(one)
        return one

    def _stable(self, argument: str, here: str) -> str:
        if self._substitutions:
            argument = self._substitutions.apply(argument)
        for directory, replacement in ((self._build, ""), (here, ""), (self._around, "../")):
            if directory and directory in argument:
                argument = _relative(argument, directory, replacement)
        return _VOLATILE.sub(_placeholder, argument) if _is_suspicious(argument) else argument


class _Stable(dict[str, str]):
    """Arguments of processes in one directory, each normalised when it is first asked for."""

    def __init__(self, normalizer: ArgumentNormalizer, here: str) -> None:
        super().__init__()
        self._normalizer = normalizer
        self._here = here

    def __missing__(self, argument: str) -> str:
        self[argument] = stable = self._normalizer.stable(argument, self._here)
        return stable


def _is_suspicious(argument: str) -> bool:
    for word in _TELLING:
        if word in argument:
            return True
    return _DIGITS_OR_DASHES.search(argument) is not None and _DIGITS.search(argument) is not None


def _usable(directory: str | None) -> str:
    """``directory`` without a final slash; empty where it is not absolute or is the file system's root."""
    return directory.rstrip("/") if directory is not None and directory.startswith("/") else ""


def _around(directory: str) -> str:
    """The directory that holds sources and build side by side: the parent, unless it is one that holds anything.

    ``/home/me/project/build`` has ``/home/me/project`` around it, ``/tmp/x/build`` has ``/tmp/x``; ``/ci/build`` and
    ``/home/me/project`` stand alone.
    """
    around = posixpath.dirname(directory)
    parts = around.split("/")
    shared = {"home", "Users", "usr", "opt", "mnt", "media", "var", "private"}
    return around if len(parts) > 3 or (len(parts) == 3 and parts[1] not in shared) else ""


def _relative(argument: str, directory: str, replacement: str) -> str:
    pieces = []
    position = 0
    while (found := argument.find(directory, position)) >= 0:
        end = found + len(directory)
        before = argument[found - 1] if found else ""
        after = argument[end : end + 1]
        pieces.append(argument[position:found])
        if before and (before.isalnum() or before in "._~-/") and not _after_option(argument, found):
            pieces.append(directory)
        elif after == "/":
            pieces.append(replacement)
            end += 1
        elif after == "" or after in " :;,=\"')":
            pieces.append(replacement.rstrip("/") or ".")
        else:
            pieces.append(directory)
        position = end
    pieces.append(argument[position:])
    return "".join(pieces)


def _after_option(argument: str, place: int) -> bool:
    """Whether at ``place`` ends an option that its value follows without a space: ``-I``, ``-L``, ``-isystem``."""
    return _OPTION_BEFORE.search(argument[max(0, place - OPTION_LENGTH) : place]) is not None


def _placeholder(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if kind != "temporary":
        return _PLACEHOLDERS[kind]
    name = match.group().rpartition("/")[2]
    if match.string[match.end() : match.end() + 1] == "/" or "pytest-of-" in match.group():
        return "TMP"
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or len(extension) > 5:
        return "TMP"
    kept = _RANDOM_STEM.sub("-TMP", stem)
    return f"{kept if kept != stem else 'TMP'}.{extension}"


def _without_pids(argument: str, node: ProcessNode) -> str:
    """``argument`` without the pids of ``node`` and its next ancestors: ``$$`` in a script makes a temporary name."""

    def replace(match: re.Match[str]) -> str:
        number = int(match.group())
        ancestor: ProcessNode | None = node
        for _ in range(8):
            if ancestor is None:
                break
            if ancestor.pid == number:
                return "PID"
            ancestor = ancestor.parent
        return match.group()

    return _NUMBER.sub(replace, argument)
