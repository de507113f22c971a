"""Strings of traced processes, decoded once each: a build has millions of arguments and few that differ."""

from __future__ import annotations

import posixpath
import sys

from pytest_ptreetime.keys.program_arguments import is_temporary
from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["Decoded", "encoded_args"]

_ENCODING = sys.getfilesystemencoding()
_ERRORS = sys.getfilesystemencodeerrors()


class Decoded(dict[bytes | str, str]):
    """The strings so far, as ``os.fsdecode`` gives them; a new one is decoded when it is asked for.

    ``names`` has the name of each node: ``node.name``, or of a program that was copied to a temporary file (proot does)
    that of argument 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names = _Names(self)

    def __missing__(self, encoded: bytes | str) -> str:
        self[encoded] = text = encoded if isinstance(encoded, str) else encoded.decode(_ENCODING, _ERRORS)
        return text

    def args(self, node: ProcessNode) -> list[str] | None:
        """``node.args``, without keeping the list."""
        args = encoded_args(node)
        return None if args is None else list(map(self.__getitem__, args))

    def text(self, node: ProcessNode) -> str:
        """``node.args`` with a NUL before and behind each."""
        program = node._program
        if program is None or program.args is None:
            return "\0".join(("", *(node._args or ()), ""))
        return b"\0".join((b"", *program.args, b"")).decode(_ENCODING, _ERRORS)

    def cwd(self, node: ProcessNode) -> str | None:
        """``node.cwd``."""
        program = node._program
        return None if program is None or program.cwd is None else self[program.cwd]

    def exe(self, node: ProcessNode) -> str | None:
        """``node.exe``."""
        program = node._program
        return None if program is None or program.exe is None else self[program.exe]


class _Names(dict[ProcessNode, str]):
    """Names, each found out when it is first asked for."""

    def __init__(self, decoded: Decoded) -> None:
        super().__init__()
        self._decoded = decoded
        self._temporary: dict[bytes, bool] = {}  # by executable, whether that is a temporary file

    def __missing__(self, node: ProcessNode) -> str:
        self[node] = name = self._argument_0(node) or node.name
        return name

    def _argument_0(self, node: ProcessNode) -> str:
        program = node._program
        if program is None or program.exe is None:
            return ""
        temporary = self._temporary.get(program.exe)
        if temporary is None:
            temporary = self._temporary[program.exe] = is_temporary(self._decoded[program.exe])
        return posixpath.basename(self._decoded[program.args[0]]) if temporary and program.args else ""


def encoded_args(node: ProcessNode) -> tuple[bytes, ...] | list[str] | None:
    """``node.args`` as they were recorded: bytes, but for swift-llbuild's recordings."""
    program = node._program
    return node._args if program is None or program.args is None else program.args
