"""A program built with AddressSanitizer looks for leaks at its end, and can't where it is traced by ptrace: it fails.

A build that runs such a program fails under the tracer ptrace and under no other: nobody would look for that cause.
"""

from __future__ import annotations

import re
from pathlib import Path

from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["failed_leak_check", "leak_check_advice"]

# What it says on its standard error.
_SAID = re.compile(rb"LeakSanitizer (does not work under ptrace|has encountered a fatal error)")
# What such a program has in its file: the shared library's name among those that it needs, or the sanitizer itself.
_LINKED = re.compile(rb"\0lib(?:clang_rt\.)?(?:asan|lsan)[^\0/ ]*\.so|LeakSanitizer has encountered a fatal error")
_MOST_FILES = 50
_MOST_BYTES = 1 << 30


def failed_leak_check(tree: ProcessTree, output: bytes = b"") -> str | None:
    """The name of the program whose leak check has probably failed for the tracer's sake; None where none has.

    :param output: what the build said, where that is known.
    """
    if tree.tracer != "ptrace":
        return None
    files: dict[str, bool] = {}
    for node in tree:
        if not node.exit_code or node.exe is None:
            continue
        if node.exe not in files and len(files) < _MOST_FILES:
            files[node.exe] = _has_leak_check(node.exe)
        if files.get(node.exe):
            return _name(node)
    return "a program of the build" if _SAID.search(output) else None


def leak_check_advice(program: str, *, prefix: str) -> str:
    """What to do about it.

    :param prefix: what stands before the name of an option: ``--`` or ``--ptreetime-``.
    """
    return (
        f"{program} is built with a sanitizer whose leak check does not work under ptreetime's tracer ptrace: take "
        f"another one ({prefix}tracer ebpf or {prefix}tracer interpose; `ptreetime doctor` says which work here), or "
        "set ASAN_OPTIONS=detect_leaks=0 for the build"
    )


def _name(node: ProcessNode) -> str:
    return node.name or node.exe or "a program of the build"


def _has_leak_check(exe: str) -> bool:
    try:
        path = Path(exe)
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return False
        return _LINKED.search(path.read_bytes()) is not None
    except OSError:
        return False
