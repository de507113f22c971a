"""What a key stands for, by which its process is found again in another build."""

from __future__ import annotations

import msgspec

__all__ = ["FORK", "Identity"]

#: The subject of a process that never execed: it runs its parent's program.
FORK = "(fork)"


class Identity(msgspec.Struct, frozen=True):
    """What a key stands for, by which it is found again in another build.

    ``name`` is the program's, ``subject`` what this run works on (the text in the key's brackets, uncut), ``words`` its
    normalised arguments without element 0: the *command*. Of several nodes of one key the first counts. The words of a
    program of the build itself begin with its path.
    """

    name: str
    subject: str
    words: tuple[str, ...] = ()
