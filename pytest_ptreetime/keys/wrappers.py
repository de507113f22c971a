"""Which nodes only pass a command on: ccache, time, nice, env, a sandbox, ``sh -c``.

Such a node keeps its own key and is left out of the path of what is below it, so that a wrapper put on top of a command
renames nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_ptreetime.keys.decoding import Decoded, encoded_args
from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["passes_through"]

# They run a compiler with arguments changed for their own purposes, so their arguments don't end with its.
LAUNCHERS = {"ccache", "sccache", "distcc", "icecc", "buildcache", "goma", "gomacc", "rewrapper", "recc", "cachepot"}
SHELLS = {"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"}
MOST_HELPERS = 16

_SHELL_COMMAND_OPTION = re.compile(r"-[a-zA-Z]*c")
_QUOTING = str.maketrans("\t\n", "  ", "'\"\\")
_COMMAND_ENDS = frozenset(" ;&|><)")
_COMMAND_BEGINS = frozenset(" ;&|(/")


def passes_through(nodes: Sequence[ProcessNode], decoded: Decoded) -> dict[ProcessNode, ProcessNode | None]:
    """Those of ``nodes``, a tree in preorder, that have others below and only pass them on, and what each passes on
    where that is one program.

    These are: a process that never execed (a shell's fork of itself); a launcher by name; a node whose arguments end
    with those of the one program that it runs, as its only child or by its own exec, or with those of one of a few
    (fakeroot runs helpers, too); a shell whose ``-c`` text has those of the one.
    """
    found: dict[ProcessNode, ProcessNode | None] = {}
    programs: dict[ProcessNode, ProcessNode] = {}  # what a fork that never execed runs, if it is one program
    launchers: dict[tuple[str, str | None], bool] = {}
    for node in reversed(nodes):
        if not node.children and node.next_image is None:
            continue
        inner = _only_program(node)
        if inner is not None and inner.forked_only:
            inner = programs.get(inner)
        if node.forked_only:
            found[node] = None
            if inner is not None:
                programs[node] = inner
            continue
        program = decoded.names[node], decoded.exe(node)
        launches = launchers.get(program)
        if launches is None:
            launches = launchers[program] = _is_launcher(*program)
        if launches or (inner is not None and _wraps(node, inner, decoded)):
            found[node] = inner
        elif inner is None and len(node.children) <= MOST_HELPERS:
            ours = encoded_args(node) or ()
            passed = [one for one in _programs(node) if _ends_with(ours, encoded_args(one) or (), decoded)]
            if len(passed) == 1:
                found[node] = passed[0]
    return found


def _only_program(node: ProcessNode) -> ProcessNode | None:
    """The one program that ``node`` runs: its next image, or the first image of its only child."""
    programs = _programs(node)
    return programs[0] if len(programs) == 1 else None


def _programs(node: ProcessNode) -> list[ProcessNode]:
    """What ``node`` runs: its next image, and the first images of its children."""
    programs = [child for child in node.children if child.previous_image is None]
    return programs if node.next_image is None else [node.next_image, *programs]


def _is_launcher(name: str, exe: str | None) -> bool:
    return name in LAUNCHERS or (exe is not None and exe.rpartition("/")[2] in LAUNCHERS)  # ccache can be called gcc


def _wraps(outer: ProcessNode, inner: ProcessNode, decoded: Decoded) -> bool:
    ours, theirs = encoded_args(outer), encoded_args(inner)
    if not ours or not theirs or len(ours) < 2:
        return False
    if _ends_with(ours, theirs, decoded):
        return True
    if len(theirs) > 1 and _base(decoded[theirs[1]]) == decoded.names[inner]:
        theirs = theirs[1:]  # a script: the kernel put its interpreter before it
        if _ends_with(ours, theirs, decoded):
            return True
    return decoded.names[outer] in SHELLS and _has_command([decoded[w] for w in ours], [decoded[w] for w in theirs])


def _ends_with(ours: Sequence[bytes | str], theirs: Sequence[bytes | str], decoded: Decoded) -> bool:
    begin = len(ours) - len(theirs)
    if not theirs or begin <= 0 or ours[begin + 1 :] != theirs[1:]:
        return False
    return _base(decoded[ours[begin]]) == _base(decoded[theirs[0]])


def _has_command(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether the text after a shell's ``-c`` has the words ``theirs``, quotation and further spaces aside."""
    place = next((i for i, word in enumerate(ours) if i and _SHELL_COMMAND_OPTION.fullmatch(word)), 0)
    if not place or place + 1 >= len(ours):
        return False
    text = _unquoted(ours[place + 1])
    command = _unquoted(" ".join([_base(theirs[0]), *theirs[1:]]))
    begin = text.find(command)
    while begin >= 0:
        end = begin + len(command)
        begins = begin == 0 or text[begin - 1] in _COMMAND_BEGINS
        if begins and (end == len(text) or text[end] in _COMMAND_ENDS):
            return True
        begin = text.find(command, begin + 1)
    return False


def _unquoted(text: str) -> str:
    return " ".join(text.translate(_QUOTING).split())


def _base(path: str) -> str:
    return path.rpartition("/")[2]
