"""Which programs a build ran and which files it compiled: what a test of an incremental build asserts.

Both say, when an assertion about them fails, what ran and must not (``pytest_assertrepr_compare`` of the plugin).
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from pytest_ptreetime.errors import RecordingFailed
from pytest_ptreetime.keys.identity import FORK, Identity, main_file
from pytest_ptreetime.keys.keyer import Keyer
from pytest_ptreetime.keys.subjects import COMPILERS, File, is_driver, rule_of, subject
from pytest_ptreetime.keys.wrappers import LAUNCHERS, SHELLS
from pytest_ptreetime.tree.node import ProcessNode
from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["Compiled", "Ran", "compiled", "explained", "ran"]

_SOURCE = re.compile(
    r"\.(?:c|cc|cp|cxx|cpp|c\+\+|C|CPP|m|mm|M|cu|ixx|cppm|f|for|f90|f95|f03|f08|F|F90|adb|ads|d|go|s|S|asm"
    r"|rs|java|kt|scala|swift|ml|mli|ts|tsx|hs|zig|nim|cs)$"
)
_NOT_COMPILED = frozenset(("-E", "-M", "-MM", "-fsyntax-only", "-modules", "-gensymabis"))
_MIRRORED = {"<=": ">=", ">=": "<=", "<": ">", ">": "<"}
MOST_CHARACTERS = 220


class Ran(list[str]):
    """The labels of the programs that ran: the root's first, then the others in alphabetical order."""


class Compiled(frozenset[str]):
    """The main source files that were compiled, relative to the build's directory."""


def ran(tree: ProcessTree) -> Ran:
    """The labels of what ran: see :meth:`ProcessTree.ran`."""
    nodes = list(_programs(tree))
    return Ran([tree.root.name, *sorted(_label(node, identity) for node, identity in nodes if node is not tree.root)])


def compiled(tree: ProcessTree) -> Compiled:
    """The main source files: see :meth:`ProcessTree.compiled`."""
    return Compiled(file for node, identity in _programs(tree) for file in _sources(node, identity))


def _programs(tree: ProcessTree) -> Iterator[tuple[ProcessNode, Identity]]:
    """Every node that ran a program of its own, with its identity: not the forks of a program."""
    if not tree.complete:
        raise RecordingFailed(f"what ran is not known: the recording is not complete: {tree.incomplete_reason}")
    keys, identities = Keyer().named(tree)
    for node, key in zip(tree, keys, strict=True):
        if identities[key].subject != FORK and not _is_itself_again(node):
            yield node, identities[key]


def _is_itself_again(node: ProcessNode) -> bool:
    """Whether a program has only become another file of its name: rustup's ``cargo``."""
    before = node.previous_image
    return before is not None and before.name == node.name and (before.args or [])[1:] == (node.args or [])[1:]


def _label(node: ProcessNode, identity: Identity) -> str:
    """``cc1 src/lvm.c``: the name and what it works on; of an unknown program its first non-option."""
    if _is_known(node):
        return f"{identity.name} {identity.subject}".rstrip()
    words = identity.words
    if node.name in SHELLS and any(word.startswith("-") and word.endswith("c") for word in words[:2]):
        return identity.name
    first = next((word for word in words if not word.startswith("-")), "")
    return f"{identity.name} {first}".rstrip()


def _is_known(node: ProcessNode) -> bool:
    return bool(node.args) and subject(node.name, node.args or ()) is not None


def _sources(node: ProcessNode, identity: Identity) -> list[str]:
    """The files that the node compiles; none where it is not a compiler, or only preprocesses."""
    args = node.args or []
    launched = node.exe is not None and node.exe.rpartition("/")[2] in LAUNCHERS  # ccache can be called gcc
    if launched or rule_of(node.name, args[1] if len(args) > 1 else "") not in COMPILERS:
        return []
    found = subject(node.name, args, node.cwd)
    if found is None or not _NOT_COMPILED.isdisjoint(identity.subject.split()):
        return []
    words = main_file(identity.subject).split(" ")
    files = [part for part in found.parts if isinstance(part, File) and _SOURCE.search(part)]
    if len(files) == 1:  # its name may hold blanks
        words = [" ".join(words[-1 - files[0].count(" ") :])]
    sources = [word for word in words if _SOURCE.search(word)]
    if not sources and not is_driver(node.name):  # a package, or where the classes go
        sources = [word for word in identity.words if _SOURCE.search(word)]
    return [posixpath.normpath(source) for source in sources]


def explained(op: str, left: object, right: object, *, verbose: bool = False) -> list[str] | None:
    """Why ``left op right`` does not hold where one of them is what ran or was compiled; None for all else.

    :param verbose: list all, one a line; else in what pytest shows of an explanation, 8 lines of 80 characters.
    """
    actual, wanted = (left, right) if isinstance(left, (Ran, Compiled)) else (right, left)
    if not isinstance(actual, (Ran, Compiled)):
        return None
    op = op if actual is left else _MIRRORED.get(op, op)
    did, do = ("ran", "run") if isinstance(actual, Ran) else ("was compiled", "be compiled")
    if op in ("in", "not in"):
        return [f"{wanted!r} {'did not' if op == 'in' else 'did'} {do}", *_listed(did, actual, verbose)]
    if op not in ("==", "<=", "<", ">=", ">") or not isinstance(wanted, Iterable) or isinstance(wanted, str):
        return None
    more, fewer = Counter(actual) - Counter(wanted), Counter(wanted) - Counter(actual)
    lines = [f"what {did} {op} what {'may' if '<' in op else 'must'} {do}"]
    if op in ("==", "<=", "<") and more:
        lines += _listed(f"{did}, and must not", more.elements(), verbose)
    if op in ("==", ">=", ">") and fewer:
        lines += _listed(f"must {do}, and did not", fewer.elements(), verbose)
    return lines if len(lines) > 1 else [*lines, f"the same {did}, in another order or no less than that"]


def _listed(title: str, labels: Iterable[str], verbose: bool) -> list[str]:
    counts = Counter(sorted(labels))  # those of a set have no order
    items = [f"{label} ({number} times)" if number > 1 else label for label, number in counts.items()] or ["nothing"]
    if verbose:
        return [f"{title}:", *(f"  {item}" for item in items)]
    shown = items[:1]
    for item in items[1:]:
        if sum(map(len, shown)) + 2 * len(shown) + len(item) > MOST_CHARACTERS:
            return [f"{title}: {', '.join(shown)}, and {len(items) - len(shown)} more (-vv lists all)"]
        shown.append(item)
    return [f"{title}: {', '.join(shown)}"]
