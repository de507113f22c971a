"""The directories of a build, which its arguments name: where it was started, and where it works.

A build is started in one directory and may work in another: ``make -C old``, ``cd new && make``, ``cmake --build out``.
What is below either is named relative to it, so that the same build elsewhere has the same names. The kernel tells
directories without symbolic links; CMake names files by ``$PWD``, which can lead through one. That second name of the
build's directory is learned from the arguments.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_ptreetime.keys.decoding import Decoded
from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["Directories", "usable"]

LOOKED_AT = 2_000  # nodes, from the root on: a configuration or the first commands show how directories are named
CHAIN = 16  # wrappers around the command that builds
_NOT_A_BUILD = re.compile(r"/(?:usr|lib\w*|bin|sbin|etc|opt|nix)(?:/|$)|/?$")
_WORKS_IN = {"make": ("-C", "--directory"), "gmake": ("-C", "--directory"), "ninja": ("-C",), "cmake": ("--build",)}
_CHANGES = re.compile(r"\s*cd\s+(/[^\s;&|'\"$`]+)\s*&&")


@dataclass(frozen=True)
class Directories:
    """``started``: the root's working directory. ``works``: where the command that builds does its work; mostly the
    same. ``aliases``: their other names, each with the one that it stands for. An empty one is not known.
    """

    started: str = ""
    works: str = ""
    aliases: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls, nodes: Sequence[ProcessNode], wrappers: Mapping[ProcessNode, ProcessNode | None], decoded: Decoded
    ) -> Directories:
        """Those of a tree in preorder, of which the nodes ``wrappers`` only pass a command on."""
        started = usable(decoded.cwd(nodes[0]))
        if not started:
            return cls()
        works = _works_in(nodes[0], wrappers, decoded) or started
        alias = _other_name(nodes[:LOOKED_AT], started, decoded)
        aliases = [(alias, started)] if alias else []
        if alias and works.startswith(started + "/"):
            aliases.insert(0, (alias + works[len(started) :], works))
        return cls(started, works, tuple(aliases))


def usable(directory: str | None) -> str:
    """``directory`` without a final slash; empty where it is not absolute or is the file system's root."""
    return directory.rstrip("/") if directory is not None and directory.startswith("/") else ""


def _works_in(root: ProcessNode, wrappers: Mapping[ProcessNode, ProcessNode | None], decoded: Decoded) -> str:
    """Where the command works that ``root`` is, or wraps."""
    node = root
    for _ in range(CHAIN):
        if node not in wrappers:
            break
        inner = wrappers[node] or node.next_image or next(iter(node.children), None)
        if inner is None:
            break
        node = inner
    cwd, words = decoded.cwd(node), decoded.args(node) or []
    for option in _WORKS_IN.get(decoded.names[node], ()):
        if option in words[:-1]:
            directory = words[words.index(option) + 1]
            return usable(posixpath.normpath(posixpath.join(cwd or "", directory)))
    return usable(cwd)


def _other_name(nodes: Sequence[ProcessNode], build: str, decoded: Decoded) -> str:
    """The name of ``build`` that leads through a symbolic link; empty without one, or where it is ambiguous.

    Sure is what a shell says (``cd NAME && ...``, and its child is in the build) and CMake's ``-B NAME``, which is its
    own directory where it checks the build system. Else it is the path that the arguments name most often among those
    that end as the build's directory does, and only where none of them has the build's own path: whoever uses both
    means two directories.
    """
    for node in nodes:
        sure = next(_sure_names(node, build, decoded), "")
        if sure:
            return sure
    return _likely_name(nodes, build)


def _sure_names(node: ProcessNode, build: str, decoded: Decoded) -> Iterator[str]:
    words = decoded.args(node) or []
    for place, word in enumerate(words[1:4], 1):
        if word.startswith(("cd /", "-B/")):
            changes = _CHANGES.match(word)
            child = node.next_image or next(iter(node.children), None)
            if changes is not None and child is not None:
                yield _name_of(build, changes[1], decoded.cwd(child))
            elif place <= 3 and "--check-build-system" in words:
                yield _name_of(build, word[2:], decoded.cwd(node))


def _name_of(build: str, said: str, real: str | None) -> str:
    """The path of ``build`` as seen from a process that calls the directory ``real`` ``said``."""
    if real is None or not f"{real}/".startswith(build + "/"):
        return ""
    below = real[len(build) :]
    name = usable(said).removesuffix(below) if below else usable(said)
    return name if name != build and usable(said).endswith(below) and not _NOT_A_BUILD.match(name) else ""


def _likely_name(nodes: Sequence[ProcessNode], build: str) -> str:
    tail = build.encode("utf-8", "surrogateescape").rpartition(b"/")[2]
    names = re.compile(rb"(?<![^\0=ILSB:])(/(?:[^\0/:=]+/)*?" + re.escape(tail) + rb")(?=[/\0])")
    mentions: Counter[bytes] = Counter()
    for node in nodes:
        program = node._program
        if program is not None and program.args is not None and node._execed:
            text = b"\0".join((b"", *program.args, b""))
            if tail in text:
                mentions.update(names.findall(text))
    by_name = {name.decode("utf-8", "surrogateescape"): number for name, number in mentions.items()}
    if not by_name or build in by_name:
        return ""
    likely = max(sorted(by_name), key=by_name.__getitem__)
    return likely if by_name[likely] > 1 and not _NOT_A_BUILD.match(likely) else ""
