"""A node's stable name: the names on the path from the root, then its own with its normalised arguments.

``make/sh/gcc/cc1[src/lvm.c]``. Two runs of an unchanged build have the same keys, on two machines and in two
directories, whatever the order in which their processes ran. Nodes with equal keys are counted and timed together.

- A path has names only, so a changed option renames the command that got it and nothing below.
- Nodes that only pass a command on are left out of it (wrappers.py), and an exec counts like a fork: whether a shell
  forks its last command or becomes it is the shell's choice.
- Arguments: those of compilers' inner programs are reduced to what identifies a run (compilers.py), all are normalised
  (arguments.py), after the user's substitutions (substitutions.py). Where a process runs in another directory than the
  root, an ordinary program's arguments begin with that: ``gcc[lib: -c a.c]``.
- A key has at most about 400 characters: what is too long is cut in the middle and gets a hash of the whole. What can't
  be printed is escaped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_ptreetime.collector import without_collector
from pytest_ptreetime.naming.arguments import ArgumentNormalizer
from pytest_ptreetime.naming.compilers import identity
from pytest_ptreetime.naming.substitutions import Substitutions
from pytest_ptreetime.naming.wrappers import passes_through
from pytest_ptreetime.node import ProcessNode
from pytest_ptreetime.tree_builder import preorder

if TYPE_CHECKING:
    from pytest_ptreetime.tree import ProcessTree

__all__ = ["Keyer"]

LONGEST_ARGUMENTS = 160
LONGEST_PATH = 200


class Keyer:
    """Gives the nodes of trees their keys.

    :param substitutions: the user's rules, ``"PATTERN=REPLACEMENT"`` or pairs (substitutions.py).
    :param key_hook: called with each node; a string is its whole key, None leaves it to the rules.
    :param normalize_hook: called with each node; a sequence is its arguments in the key as they are, None leaves them
        to the rules.
    :raises UsageError: a substitution is wrong.
    """

    def __init__(
        self,
        substitutions: Iterable[str | tuple[str, str] | Sequence[str]] = (),
        key_hook: Callable[[ProcessNode], str | None] | None = None,
        normalize_hook: Callable[[ProcessNode], Sequence[str] | None] | None = None,
    ) -> None:
        self._substitutions = Substitutions(substitutions)
        self._key_hook = key_hook
        self._normalize_hook = normalize_hook

    @property
    def is_default(self) -> bool:
        """Whether it follows the built-in rules alone: then the keys are those of ``node.key``."""
        return not self._substitutions and self._key_hook is None and self._normalize_hook is None

    def keys(self, tree: ProcessTree) -> dict[ProcessNode, str]:
        """The key of every node, in preorder."""
        if self.is_default and tree.root._key is not None:
            return {node: node.key for node in tree}
        return self._keys(list(tree))

    def assign(self, root: ProcessNode) -> None:
        """Give every node of a tree the key that ``node.key`` reads."""
        self._keys(preorder(root))

    def _keys(self, nodes: list[ProcessNode]) -> dict[ProcessNode, str]:
        with without_collector():
            return self._keys_of(nodes)

    def _keys_of(self, nodes: list[ProcessNode]) -> dict[ProcessNode, str]:
        normalizer = ArgumentNormalizer(nodes[0].cwd, self._substitutions)
        passed = passes_through(nodes)
        below: dict[int, str] = {}  # the path that a node's children have, by its id
        keys: dict[ProcessNode, str] = {}
        remember = self.is_default
        for node in nodes:
            above = node.parent if node.previous_image is None else node.previous_image
            path = "" if above is None else below[id(above)]
            name = _printable(node.name).replace("/", "_")
            if node.children or node.next_image is not None:
                below[id(node)] = path if id(node) in passed else _bounded(f"{path}{name}/", LONGEST_PATH, "/")
            key = None if self._key_hook is None else self._key_hook(node)
            key = path + name + self._arguments(node, normalizer) if key is None else _printable(key)
            keys[node] = key
            if remember:
                node._key = key
        return keys

    def _arguments(self, node: ProcessNode, normalizer: ArgumentNormalizer) -> str:
        """``[...]``, or nothing where there is nothing to say."""
        if self._normalize_hook is not None:
            words = self._normalize_hook(node)
            if words is not None:
                return _bracketed(" ".join(word for word in words if word))
        if node.forked_only:
            return "(fork)"
        args = node.args
        if args is None:
            return ""
        known = identity(node.name, args)
        if known is not None:
            cwd = node.cwd
            files = (normalizer.file(node, cwd, file) for file in known.files)
            return _bracketed(" ".join([*normalizer.arguments(node, cwd, known.words), *filter(None, files)]))
        is_script = len(args) > 1 and args[1].endswith(node.name) and not args[0].endswith(node.name)
        cwd = node.cwd
        stable = " ".join(normalizer.arguments(node, cwd, args[2:] if is_script else args[1:]))
        directory = normalizer.directory(cwd)
        return _bracketed(f"{directory}: {stable}" if directory else stable)


def _bracketed(text: str) -> str:
    return f"[{_bounded(_printable(text), LONGEST_ARGUMENTS)}]" if text else ""


def _printable(text: str) -> str:
    """``text`` on one line, with what can't be printed or encoded (controls, lone surrogates) escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in " ".join(text.split())
    )


def _bounded(text: str, longest: int, end: str = "") -> str:
    """``text``, at most ``longest`` characters of it; the middle gives way to a hash of the whole."""
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    kept = longest - len(digest) - 2 - len(end)
    return f"{text[: kept - kept // 3]}…{digest}…{text[len(text) - kept // 3 - len(end) : len(text) - len(end)]}{end}"
