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

from pytest_ptreetime.keys.arguments import ArgumentNormalizer
from pytest_ptreetime.keys.compilers import Identity, rule_of
from pytest_ptreetime.keys.decoding import Decoded
from pytest_ptreetime.keys.substitutions import Substitutions
from pytest_ptreetime.keys.wrappers import passes_through
from pytest_ptreetime.system.garbage_collection import without_collector
from pytest_ptreetime.tree.builder import preorder
from pytest_ptreetime.tree.node import ProcessNode

if TYPE_CHECKING:
    from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["Keyer"]

_Command = tuple[str, bytes | None, tuple[bytes, ...]]  # a name, the directory, the arguments

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

    def _keys_of(self, nodes: list[ProcessNode]) -> list[str]:
        decoded = Decoded()
        arguments = _Arguments(nodes[0].cwd, self._substitutions, decoded)
        passed = passes_through(nodes, decoded)
        below: dict[int, str] = {}  # the path that a node's children have, by its id
        names: dict[str, str] = {}
        keys: list[str] = []
        known: dict[str, str] = {}  # each key once: nodes of one key share it
        remember, key_hook, normalize_hook = self.is_default, self._key_hook, self._normalize_hook
        for node in nodes:
            above = node.previous_image or node.parent
            path = "" if above is None else below[id(above)]
            name = node._name or decoded.name(node)
            printed = names.get(name)
            if printed is None:
                printed = names[name] = _printable(name).replace("/", "_")
            if node.children or node.next_image is not None:
                below[id(node)] = path if id(node) in passed else _bounded(f"{path}{printed}/", LONGEST_PATH, "/")
            key = None if key_hook is None else key_hook(node)
            if key is not None:
                key = _printable(key)
            else:
                words = None if normalize_hook is None else normalize_hook(node)
                key = path + printed + (arguments.of(node, name) if words is None else arguments.as_given(words))
            key = known.setdefault(key, key)
            keys.append(key)
            if remember:
                node._key = key
        return keys


class _Arguments:
    """The part of a key in brackets, of the nodes of one tree.

    It is worked out once for each text, each argument and each command of an ordinary program: a large build has
    millions, and few that differ. (Those of inner programs differ all the time: they have temporary files' names.)
    """

    def __init__(self, build_directory: str | None, substitutions: Substitutions, decoded: Decoded) -> None:
        self._normalizer = ArgumentNormalizer(build_directory, substitutions)
        self._decoded = decoded
        self._bracketed: dict[str, str] = {"": ""}
        self._commands: dict[_Command, str] = {}
        self._inner: set[str] = set()  # names of inner programs

    def of(self, node: ProcessNode, name: str) -> str:
        """``[...]``, or nothing where there is nothing to say. ``name`` is the node's."""
        if not node._execed and node.forked_only:
            return "(fork)"
        program = node._program
        if program is None or program.args is None or name in self._inner:
            return self._worked_out(node, name, None)
        command = name, program.cwd, program.args
        return self._commands.get(command) or self._worked_out(node, name, command)

    def _worked_out(self, node: ProcessNode, name: str, command: _Command | None) -> str:
        decoded, normalizer = self._decoded, self._normalizer
        first = decoded.first_argument(node)
        if first is None:
            return ""
        cwd = decoded.cwd(node)
        rule = rule_of(name, first)
        inner = None if rule is None else rule(decoded.text(node))
        before = ""
        if inner is not None:
            self._inner.add(name)
            words = self._of_identity(cwd, inner)
        else:
            words = self._of_arguments(cwd, name, decoded.args(node) or [])
            directory = normalizer.directory(cwd)
            if directory:
                before = f"{directory}: "
        own_pids = normalizer.may_have_pids(words)
        if own_pids:
            words = normalizer.without_pids(words, node)
        text = before + (words[0] if len(words) == 1 else " ".join(words))
        bracketed = self._bracketed.get(text) or self._bracket(text)
        if command is not None and inner is None and not own_pids:
            self._commands[command] = bracketed
        return bracketed

    def _of_identity(self, cwd: str | None, inner: Identity) -> list[str]:
        normalizer = self._normalizer
        words = normalizer.arguments(cwd, inner.words) if inner.words else []
        for file in inner.files:
            stable = normalizer.file(cwd, file)
            if stable:
                words.append(stable)
        return words

    def _of_arguments(self, cwd: str | None, name: str, args: list[str]) -> list[str]:
        is_script = len(args) > 1 and args[1].endswith(name) and not args[0].endswith(name)
        return self._normalizer.arguments(cwd, args[2:] if is_script else args[1:])

    def as_given(self, words: Sequence[str]) -> str:
        """``words`` in brackets, if they are any."""
        return self._bracket(" ".join(word for word in words if word))

    def _bracket(self, text: str) -> str:
        if not text:
            return ""
        self._bracketed[text] = bracketed = f"[{_bounded(_printable(text), LONGEST_ARGUMENTS)}]"
        return bracketed


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
