"""A process in a few words, for a line that has no room for its arguments: ``cc1 src/lvm.c``, ``gcc src/lvm.c``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_ptreetime.keys.subjects import subject

if TYPE_CHECKING:
    from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["brief", "label_of_node"]

_OUTPUT = "-o"
_WITH_VALUE = (_OUTPUT, "-I", "-L", "-D", "-C", "-MF", "-MT", "-MQ", "-isystem", "-include", "-x")
_COMPILES = ("-c", "-S", "-E")


def brief(name: str, args: Sequence[str]) -> str:
    """``name`` and what tells it from its like: the main file that it works on, or the one that it makes."""
    known = subject(name, args) if args else None
    words = list(known.parts) if known is not None and not known.of_parent else _main_argument(args)
    return " ".join(filter(None, [name, *words]))


def _main_argument(args: Sequence[str]) -> list[str]:
    """The first argument that is neither an option nor the value of one; the output where a driver links."""
    if _OUTPUT in args[:-1] and not any(word in args for word in _COMPILES):
        return [args[args.index(_OUTPUT) + 1]]
    for before, argument in pairwise(args):
        if argument and not argument.startswith("-") and before not in _WITH_VALUE:
            return [argument]
    return list(args[1:2])


def label_of_node(node: ProcessNode) -> str:
    """What ``node`` is called where there is little room: ``cc1 src/lvm.c``; without arguments by its key."""
    if node.args is None and node._key is not None and node._key.endswith("]"):
        return f"{node.name} {node._key.partition('[')[2].removesuffix(']')}"
    return brief(node.name or "?", node.args or ())
