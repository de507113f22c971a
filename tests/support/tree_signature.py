"""A tree as something that can be compared."""

from __future__ import annotations

from pytest_ptreetime.tree.process_tree import ProcessTree


def signature(tree: ProcessTree) -> list[object]:
    """Everything that a tree says, without object identities."""
    return [
        (
            node.depth, node.pid, node.name, node.args, node.start_ns, node.exit_ns, node.wall, node.user, node.sys,
            node.startlag, node.exitlag, node.exit_code, node.signal, node.still_running, node.reparented,
            node.previous_image and node.previous_image.start_ns, len(node.children),
        )
        for node in tree
    ] + [tree.incomplete_reason]  # fmt: skip
