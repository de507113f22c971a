"""What tests are called in LNT: our own names, and the original's.

LNT shows of a name what stands behind its last slash, so none is left in a node's subject: ``make/gcc/cc1[src:lvm.c]``.
It can't match what changed its name, as a comparison does: another option, another date in a shell's text would be
another test for ever. So of a program whose subject is not known (keys/subjects.py) only the file that its arguments
name first is kept, and what then has one name is added up.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence

from pytest_ptreetime.keys.subjects import rule_of
from pytest_ptreetime.keys.substitutions import Substitutions
from pytest_ptreetime.system.untrusted_text import shown
from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["MAX_NAME_LENGTH", "key_in_lnt", "lnt_name", "original_samples"]

MAX_NAME_LENGTH = 256  # the column's; PostgreSQL answers 500 past it
SLASH = ":"
_FILE = re.compile(r"(?<![^\s'\"])[^\s'\"=-][^\s'\"=]*[./][^\s'\"]*")


def key_in_lnt(key: str) -> str:
    """``make/gcc/cc1[src:lvm.c]`` of ``make/gcc/cc1[src/lvm.c]``, ``make/sh[a.c]`` of ``make/sh[gcc -DN=7 -c a.c]``."""
    path, bracket, subject = key.partition("[")
    if not bracket:
        return key
    subject = subject.removesuffix("]")
    if rule_of(path.rpartition("/")[2], "") is None:
        file = _FILE.search(subject)
        subject = "" if file is None else file[0]
    return f"{path}[{subject.replace('/', SLASH)}]" if subject else path


def lnt_name(name: str) -> str:
    """``name`` as LNT can store and show it: printable, at most 256 characters, no part that starts with ``(``.

    A name that had to be changed ends in a hash of what it was, so that two different names stay different.
    """
    printable = re.sub(r"(?:(?<=/)|^)\(", "_(", shown(name).strip())
    if printable == name and len(name) <= MAX_NAME_LENGTH:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{printable[: MAX_NAME_LENGTH - len(digest) - 1]}#{digest}"


def original_samples(
    roots: Sequence[ProcessNode], substitutions: Sequence[tuple[str, str]]
) -> dict[str, dict[str, list[float]]]:
    """The samples of swift-llbuild's ptreetime, so that a history that was begun with it goes on.

    A test is ``gcc(depth=1,args=['gcc', '-c', 'a.c'])``, with a value for each of its processes in the order of their
    start. What has no known end is left out, with all that it started.
    """
    substituted = Substitutions(substitutions)
    samples: dict[str, dict[str, list[float]]] = {}
    waiting = [(root, 0) for root in reversed(roots)]
    while waiting:
        node, depth = waiting.pop()
        if node.exit_ns is None:
            continue
        row = samples.setdefault(f"{node.name}(depth={depth},args={_original_arguments(node, substituted)})", {})
        for metric in ("wall", "user", "sys"):
            if (value := getattr(node, metric)) is not None:
                row.setdefault(metric, []).append(value)
        waiting += [(child, depth + 1) for child in reversed(node.children)]
    return samples


def _original_arguments(node: ProcessNode, substitutions: Substitutions) -> str:
    """As Python 2 showed a list of byte strings; of clang's compiler only the target and the file."""
    args = node.args
    if args is None:
        return "None"
    if node.name == "clang" and args[1:2] == ["-cc1"]:
        args = args[:2] + [word for option in ("-triple", "-main-file-name") for word in _with_value(args, option)]
    words = [word for arg in args if (word := substitutions.apply(arg))]
    return f"[{', '.join(repr(os.fsencode(word)).removeprefix('b') for word in words)}]"


def _with_value(args: Sequence[str], option: str) -> Sequence[str]:
    place = args.index(option) if option in args else len(args)
    return args[place : place + 2]
