"""What a key stands for, by which its process is found again in another build."""

from __future__ import annotations

import msgspec

__all__ = ["ARROW", "FORK", "Identity", "main_file"]

#: The subject of a process that never execed: it runs its parent's program.
FORK = "(fork)"
#: Stands in a subject between the main file and the output, where that tells it apart.
ARROW = " -> "


def main_file(subject: str) -> str:
    """``a.c`` of ``a.c -> pic/a.o``."""
    return subject.partition(ARROW)[0]


class Identity(msgspec.Struct, frozen=True):
    """What a key stands for, by which it is found again in another build.

    ``name`` is the program's, ``subject`` what this run works on (the text in the key's brackets, uncut), ``words`` its
    normalised arguments without element 0: the *command*. Of several nodes of one key the first counts. The words of a
    program of the build itself begin with its path.
    """

    name: str
    subject: str
    words: tuple[str, ...] = ()

    @classmethod
    def of_key(cls, key: str) -> Identity:
        """What the text of a key says, where nothing else is known."""
        path, bracket, rest = key.partition("[")
        if bracket and path.rpartition("/")[2] == "":  # there is a program called [
            path, rest = f"{path}[", rest.removeprefix("[")
        name, subject = path.rpartition("/")[2], rest.removesuffix("]")
        if not rest and name.endswith(FORK):
            name, subject = name.removesuffix(FORK), FORK
        return cls(name, subject, tuple(subject.split()))
