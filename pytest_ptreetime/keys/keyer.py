"""A node's stable name: the names on the path from the root, then its own with what it works on.

``make/sh/gcc/cc1[src/lvm.c]``. Two runs of an unchanged build have the same keys, on two machines and in two
directories, whatever the order in which their processes ran. Nodes with equal keys are counted and timed together.

- A path has names only, so a changed command renames nothing below.
- Nodes that only pass a command on are left out of it (wrappers.py), and an exec counts like a fork: whether a shell
  forks its last command or becomes it is the shell's choice.
- In brackets: of a program that is known, its *subject* (subjects.py), so that other options do not rename it; of
  another, all of its arguments. A compile is told by its main file, and by its output where the build compiles that
  file to several. They are normalised (arguments.py) after the user's substitutions (substitutions.py).
  Where a process runs in another directory than the root, an ordinary program's arguments begin with that:
  ``tool[lib: -v a.c]``.
- A key has at most about 400 characters: what is too long is cut in the middle and gets a hash of the whole. What can't
  be printed is escaped.

Beside its key a node has an *identity*: name, subject and whole command, by which it is found again where keys differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_ptreetime.keys.arguments import printable
from pytest_ptreetime.keys.decoding import Decoded
from pytest_ptreetime.keys.directories import Directories
from pytest_ptreetime.keys.identity import FORK, Identity
from pytest_ptreetime.keys.node_subjects import NodeSubjects
from pytest_ptreetime.keys.substitutions import Substitutions
from pytest_ptreetime.keys.wrappers import passes_through
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.tree.builder import preorder
from pytest_ptreetime.tree.node import ProcessNode

if TYPE_CHECKING:
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["Keyer", "bracketed"]

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
        return dict(zip(tree, self.keys_in_preorder(tree), strict=True))

    def keys_in_preorder(self, tree: ProcessTree) -> list[str]:
        """The keys alone: of a million nodes the dictionary would take a second and 100 MB."""
        if self.is_default and tree.root._key is not None:
            return [node._key or node.key for node in tree]
        return self._keys(list(tree))

    def assign(self, root: ProcessNode) -> None:
        """Give every node of a tree the key that ``node.key`` reads."""
        self._keys(preorder(root))

    def _keys(self, nodes: list[ProcessNode]) -> list[str]:
        with without_collector():
            return self._keys_of(nodes)

    def named(self, tree: ProcessTree) -> tuple[list[str], dict[str, Identity]]:
        """The keys in preorder, and what each stands for, in the order in which they occur first."""
        identities: dict[str, Identity] = {}
        with without_collector():
            return self._keys_of(list(tree), identities), identities

    def _keys_of(self, nodes: list[ProcessNode], identities: dict[str, Identity] | None = None) -> list[str]:
        """The keys of a tree's nodes; ``identities`` gets what they stand for."""
        decoded = Decoded()
        passed = passes_through(nodes, decoded)
        directories = Directories.of(nodes, passed, decoded)
        subjects = NodeSubjects(directories, self._substitutions, decoded, passed, self._normalize_hook)
        subjects.learn_outputs(nodes)
        below: dict[ProcessNode, str] = {}  # the path that its children have
        names: dict[str, str] = {}  # as they are printed
        brackets: dict[str, str] = {}
        keys: list[str] = []
        known: dict[str, str] = {}  # each key once: nodes of one key share it
        remember, key_hook = self.is_default, self._key_hook
        for node in nodes:
            above = node.previous_image or node.parent
            path = "" if above is None else below[above]
            name = decoded.names[node]
            printed = names.get(name)
            if printed is None:
                printed = names[name] = _printable_name(subjects.name(name))
            if node.children or node.next_image is not None:
                below[node] = path if node in passed else _bounded(f"{path}{printed}/", LONGEST_PATH, "/")
            subject = subjects.of(node)
            key = None if key_hook is None else key_hook(node)
            if key is not None:
                key = printable(key)
            else:
                bracket = brackets.get(subject)
                if bracket is None:
                    bracket = brackets[subject] = bracketed(subject)
                key = path + printed + bracket
            key = known.setdefault(key, key)
            if identities is not None and key not in identities:
                identities[key] = Identity(printed, subject, subjects.words(node))
            keys.append(key)
            if remember:
                node._key = key
        return keys


def bracketed(subject: str) -> str:
    """The end of a key for what its node works on."""
    if not subject or subject == FORK:
        return subject
    return f"[{_bounded(printable(subject), LONGEST_ARGUMENTS)}]"


def _printable_name(name: str) -> str:
    return printable(name).replace("/", "_")


def _bounded(text: str, longest: int, end: str = "") -> str:
    """``text``, at most ``longest`` characters of it; the middle gives way to a hash of the whole."""
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    kept = longest - len(digest) - 2 - len(end)
    return f"{text[: kept - kept // 3]}…{digest}…{text[len(text) - kept // 3 - len(end) : len(text) - len(end)]}{end}"
