"""Processes that outlive the build: a compile server, a daemon. What they do for a later run is in no tree of it.

The run that starts such a server has its compilers in the tree, the runs after it have none, and all are complete.
"""

from __future__ import annotations

from collections.abc import Iterable

from pytest_ptreetime.system.untrusted_text import clip, shell_line
from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["warning_of_survivors"]

LONGEST_NAME = 60
NAMES_SHOWN = 3


def warning_of_survivors(trees: Iterable[ProcessTree]) -> str | None:
    """What outlived the runs of one build, in words; None where nothing did.

    :param trees: of all runs in their order, warm-ups included.
    """
    names: dict[str, None] = {}
    works = False
    for tree in trees:
        if not tree.completeness.alive:
            continue
        for node in tree.find(where=lambda node: node.exit_ns is None):
            names[clip(shell_line(node.args or [node.name or "?"]), LONGEST_NAME)] = None
            works |= bool(node.children)
    if not names:
        return None
    shown = list(names)[:NAMES_SHOWN] + ([f"{len(names) - NAMES_SHOWN} more"] if len(names) > NAMES_SHOWN else [])
    doing = "processes that outlive the build do work for it" if works else "processes outlive the build"
    return f"{doing}: {', '.join(shown)}; what they do for later runs is not measured. Let the set-up end them"
