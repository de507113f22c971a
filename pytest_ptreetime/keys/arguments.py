"""Arguments as they stay the same from directory to directory and from machine to machine.

Directories of the build become relative, home directories ``~``, temporary ones ``TMP``. What is drawn at random or
counted up stays: that two rounds differ there shows what it is, whatever it looks like (decision/matching.py).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from pytest_ptreetime.keys.decoding import Decoded
from pytest_ptreetime.keys.directories import Directories, usable
from pytest_ptreetime.keys.substitutions import Substitutions

__all__ = ["ArgumentNormalizer", "printable"]

_PLACES = re.compile(
    r"""
    (?: (?<![\w.~/-]) | (?<=-[A-Za-z]) | (?<=-isystem) )  # where a path can begin, after an option's letter too
    (?: (?P<temporary>
            (?:/private)? (?: /tmp | /var/tmp | /dev/shm | /var/folders/[^/\s]+/[^/\s]+/T ) (?= / )
            (?P<drawn> / (?: pytest-of-[^/\s]+/pytest-\d+ | [^/\s:,;="'()]+ ) (?= / ) )? )
      | (?: [^\s:,;="'()]+ /pytest-of-[^/\s]+/pytest-\d+ ) (?= / )
      | (?P<home> (?: /home/[^/\s:,;="'()]+ | /Users/[^/\s:,;="'()]+ | /root ) (?= / | $ ) ) )
    """,
    re.VERBOSE,
)
# What makes _PLACES worth trying.
_TELLING = ("/tmp/", "/home/", "/Users/", "/root", "/shm/", "/T/", "/pytest-of-")  # noqa: S108 -- nothing is made there
_DRAWN = re.compile(r"(?=[A-Za-z_]*\d|[A-Z]*[a-z]+[A-Z])\w{6,}$")  # tmp.Ab3dEf9h12, go-build1234567, tmpab12cd34
OPTION_LENGTH = 15  # of the longest that _OPTION_BEFORE finds, what is before it included
_OPTION_BEFORE = re.compile(r"(?:^|[\s,])-{1,2}[A-Za-z]{1,12}\Z")


class ArgumentNormalizer:
    """Normalises the arguments of one tree.

    :param directories: those of the build; what is below one is written relative to it.
    """

    def __init__(self, directories: Directories, substitutions: Substitutions, decoded: Decoded) -> None:
        self._substitutions = substitutions or None
        self._decoded = decoded
        self._build, self._works = directories.started, directories.works
        self._replaced = _replaced(directories)
        # By directory and argument; arguments repeat over and over in a build.
        self._known: dict[str | None, _Stable] = {}
        self._parts: dict[tuple[str | None, str], str] = {}
        self._directories: dict[str | None, str] = {}
        self._files: dict[tuple[str | None, str], str] = {}
        self._of_build: dict[tuple[str | None, str], str] = {}

    def directory(self, cwd: str | None) -> str:
        """Where a process runs, for its label: empty in the build directory itself or where it is not known."""
        known = self._directories.get(cwd)
        if known is None:
            known = "" if cwd is None or cwd == self._build else self.stable(cwd, "")
            self._directories[cwd] = known = "" if known == "." else known
        return known

    def arguments(self, cwd: str | None, arguments: Sequence[bytes | str]) -> list[str]:
        """``arguments`` of a process that runs in ``cwd`` as they were recorded, normalised, empty ones left out."""
        known = self._known.get(cwd)
        if known is None:
            known = self._known[cwd] = _Stable(self, self._outside(cwd), self._decoded)
        return list(filter(None, map(known.__getitem__, arguments)))

    def part(self, cwd: str | None, text: str) -> str:
        """One of them, or a part of one."""
        known = self._parts.get((cwd, text))
        if known is None:
            known = self._parts[cwd, text] = self.stable(text, self._outside(cwd))
        return known

    def file(self, cwd: str | None, path: str) -> str:
        """A file that a process in ``cwd`` was given, relative to the build directory where it is below it."""
        known = self._files.get((cwd, path))
        if known is None:
            absolute = path
            if path[:1] != "/" and (cwd != self._works or "." in path[:1] or "/." in path or "//" in path):
                absolute = posixpath.normpath(path if cwd is None else posixpath.join(cwd, path))
            self._files[cwd, path] = known = self.stable(absolute, "")
        return known

    def file_of_build(self, cwd: str | None, path: str) -> str:
        """The same of a file below the build directory, empty for another."""
        known = self._of_build.get((cwd, path))
        if known is None:
            file = self.file(cwd, path)
            outside = file[:1] in ("", "/", "~", ".") or file.startswith("TMP/")
            self._of_build[cwd, path] = known = "" if outside else file
        return known

    def _outside(self, cwd: str | None) -> str:
        """``cwd`` where it is a build directory of its own, outside those of the root."""
        directory = usable(cwd)
        inside = any(f"{directory}/".startswith(f"{build}/") for build in (self._build, self._works) if build)
        return "" if inside else directory

    def stable(self, argument: str, here: str) -> str:
        """``argument`` of a process that runs ``here``, where that is outside the build directory."""
        if self._substitutions is not None:
            argument = self._substitutions.apply(argument)
        argument = printable(argument)
        if "/" not in argument:
            return argument
        if here and here in argument:
            argument = _relative(argument, here, "")
        for directory, replacement in self._replaced:
            if directory in argument:
                argument = _relative(argument, directory, replacement)
        for word in _TELLING:
            if word in argument:
                return _PLACES.sub(_place, argument)
        return argument


class _Stable(dict[bytes | str, str]):
    """Arguments of processes in one directory, each normalised when it is first asked for."""

    def __init__(self, normalizer: ArgumentNormalizer, here: str, decoded: Decoded) -> None:
        super().__init__()
        self._normalizer = normalizer
        self._here = here
        self._decoded = decoded

    def __missing__(self, argument: bytes | str) -> str:
        self[argument] = stable = self._normalizer.stable(self._decoded[argument], self._here)
        return stable


def _replaced(directories: Directories) -> list[tuple[str, str]]:
    """Directories and what stands in their place, in the order in which they are looked for.

    The longest first: where the build works below the directory where it was started, both become relative.
    """
    names = [(directory, directory) for directory in (directories.works, directories.started) if directory]
    names += directories.aliases
    inner = {name: "" for name, _ in names}
    outer = {around: "../" for name, _ in names if (around := _around(name)) and around not in inner}
    return [*sorted(inner.items(), key=_by_length), *sorted(outer.items(), key=_by_length)]


def _by_length(pair: tuple[str, str]) -> tuple[int, str]:
    return -len(pair[0]), pair[0]


def _around(directory: str) -> str:
    """The directory that holds sources and build side by side: the parent, unless it is one that holds anything.

    ``/home/me/project/build`` has ``/home/me/project`` around it, ``/tmp/x/build`` has ``/tmp/x``; ``/ci/build`` and
    ``/home/me/project`` stand alone.
    """
    around = posixpath.dirname(directory)
    parts = around.split("/")
    shared = {"home", "Users", "usr", "opt", "mnt", "media", "var", "private"}
    return around if len(parts) > 3 or (len(parts) == 3 and parts[1] not in shared) else ""


#: What can follow a directory's name in an argument: of sed (``s&@srcdir@&/b&``), of a shell, of a list.
_AFTER_DIRECTORY = " :;,=\"')]}&|<>#!`"


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
        elif after == "" or after in _AFTER_DIRECTORY:
            pieces.append(replacement.rstrip("/") or ".")
        else:
            pieces.append(directory)
        position = end
    pieces.append(argument[position:])
    return "".join(pieces)


def _after_option(argument: str, place: int) -> bool:
    """Whether at ``place`` ends an option that its value follows without a space: ``-I``, ``-L``, ``-isystem``."""
    return _OPTION_BEFORE.search(argument[max(0, place - OPTION_LENGTH) : place]) is not None


def _place(match: re.Match[str]) -> str:
    """``TMP`` for a temporary directory, and for a directory in it that somebody made."""
    if match["home"] is not None:
        return "~"
    drawn = match["drawn"]
    if match["temporary"] is None or drawn is None or "/pytest-of-" in drawn or _DRAWN.search(drawn):
        return "TMP"
    return f"TMP{drawn}"


def printable(text: str) -> str:
    """``text`` on one line, with what can't be printed or encoded (controls, lone surrogates) escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in " ".join(text.split())
    )
