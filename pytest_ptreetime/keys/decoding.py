"""Strings of traced processes, decoded once each: a build has millions of arguments and few that differ."""

from __future__ import annotations

import posixpath
import sys

from pytest_ptreetime.keys.program_arguments import is_temporary
from pytest_ptreetime.recording.events import COMM_BYTES
from pytest_ptreetime.tree.node import ProcessNode

__all__ = ["Decoded"]

_ENCODING = sys.getfilesystemencoding()
_ERRORS = sys.getfilesystemencodeerrors()


class Decoded(dict[bytes, str]):
    """The strings so far, as ``os.fsdecode`` gives them; a new one is decoded when it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._temporary: dict[bytes, bool] = {}  # by executable, whether that is a temporary file

    def __missing__(self, encoded: bytes) -> str:
        self[encoded] = text = encoded.decode(_ENCODING, _ERRORS)
        return text

    def name(self, node: ProcessNode) -> str:
        """``node.name``; of a program that was copied to a temporary file (proot does), that of argument 0."""
        program = node._program
        if program is not None and program.exe is not None:
            temporary = self._temporary.get(program.exe)
            if temporary is None:
                temporary = self._temporary[program.exe] = is_temporary(self[program.exe])
            if temporary and program.args:
                return posixpath.basename(self[program.args[0]]) or node.name
        if node._name is None:
            comm = None if program is None else program.comm
            if comm is not None and len(comm) < COMM_BYTES and not comm.isdigit():
                node._name = self[comm]
        return node._name or node.name

    def args(self, node: ProcessNode) -> list[str] | None:
        """``node.args``, without keeping the list."""
        if node._args is not None:
            return node._args
        program = node._program
        return None if program is None or program.args is None else list(map(self.__getitem__, program.args))

    def text(self, node: ProcessNode) -> str:
        """``node.args`` with a NUL before and behind each."""
        program = node._program
        if node._args is not None or program is None or program.args is None:
            return "\0".join(("", *(node._args or ()), ""))
        return b"\0".join((b"", *program.args, b"")).decode(_ENCODING, _ERRORS)

    def first_argument(self, node: ProcessNode) -> str | None:
        """``node.args[1]``, empty where there are no arguments; None where they are not known."""
        if node._args is not None:
            return node._args[1] if len(node._args) > 1 else ""
        program = node._program
        if program is None or program.args is None:
            return None
        return self[program.args[1]] if len(program.args) > 1 else ""

    def cwd(self, node: ProcessNode) -> str | None:
        """``node.cwd``."""
        program = node._program
        return None if program is None or program.cwd is None else self[program.cwd]

    def exe(self, node: ProcessNode) -> str | None:
        """``node.exe``."""
        program = node._program
        return None if program is None or program.exe is None else self[program.exe]
