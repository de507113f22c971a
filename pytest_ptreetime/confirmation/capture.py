"""What a program needs to be run again: the recorder's record of it, in memory alone (recorder/capture.h).

Environments hold secrets: they are never stored, shown or put into a recording, and go to the replaying process alone.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_ptreetime.confirmation.refused import Refused
from pytest_ptreetime.decision.profile import Profile
from pytest_ptreetime.tree.process_tree import ProcessNode, ProcessTree

__all__ = ["CapturedBuild", "Image", "images_in"]

_HEADER = struct.Struct("=IIII5I")


@dataclass(frozen=True)
class Image:
    """One program as it was at its exec. ``stdin`` is where the link of its standard input led, ``personality``
    is that of personality(2).
    """

    pid: int
    number: int
    uid: int
    personality: int
    exe: bytes
    cwd: bytes
    stdin: bytes
    args: list[bytes] = field(repr=False)
    env: dict[bytes, bytes] = field(repr=False)


def images_in(data: bytes | memoryview) -> dict[tuple[int, int], Image]:
    """By pid and number of the exec. A pid that was used twice has none: which is meant can't be told."""
    images: dict[tuple[int, int], Image] = {}
    twice = set()
    for image in _records(memoryview(data)):
        place = image.pid, image.number
        if place in images:
            twice.add(image.pid)
        images[place] = image
    return {place: image for place, image in images.items() if place[0] not in twice}


def _records(data: memoryview) -> Iterator[Image]:
    at = 0
    while at + _HEADER.size <= len(data):
        pid, number, uid, personality, *sizes = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        parts = []
        for size in sizes:
            parts.append(bytes(data[at : at + size]))
            at += size
        exe, cwd, stdin, args, env = parts
        yield Image(pid, number, uid, personality, exe, cwd, stdin, _strings(args), _environment(env))


def _strings(text: bytes) -> list[bytes]:
    return text[:-1].split(b"\0") if text.endswith(b"\0") else text.split(b"\0")


def _environment(text: bytes) -> dict[bytes, bytes]:
    environment: dict[bytes, bytes] = {}
    for entry in _strings(text):
        name, equals, value = entry.partition(b"=")
        if name and equals:
            environment.setdefault(name, value)  # as getenv() finds the first
    return environment


@dataclass(frozen=True)
class CapturedBuild:
    """One more run of one side, with what its programs need to be run again."""

    tree: ProcessTree
    #: By node, in the tree's order, under the names of the comparison.
    keys: list[str]
    images: Mapping[tuple[int, int], Image] = field(repr=False)
    #: Its own, under its own keys.
    profiles: Sequence[Profile] = field(default=(), repr=False)

    def node(self, key: str) -> ProcessNode:
        """The one node of ``key``.

        :raises Refused: there is none, or there are several.
        """
        nodes = [node for node, own in zip(self.tree, self.keys, strict=True) if own == key]
        if len(nodes) != 1:
            runs = "did not run" if not nodes else f"runs {len(nodes)} times"
            raise Refused(f"it {runs} in the run that was captured, and one process is wanted")
        return nodes[0]

    def image(self, node: ProcessNode) -> Image:
        """What ``node`` needs to be run again.

        :raises Refused: it can't be: what it did was not its own, or is not known.
        """
        number, before = 0, node
        while before.previous_image is not None:
            number, before = number + 1, before.previous_image
        image = self.images.get((node.pid, number))
        if node.forked_only:
            raise Refused("it is a copy of its parent that ran no program of its own")
        if node.next_image is not None:
            raise Refused("it went on as another program, by an exec")
        if image is None or not image.exe or not image.args:
            raise Refused("how it was started could not be captured")
        if image.uid != os.getuid():
            raise Refused(f"it ran as another user ({image.uid})")
        if node.exit_code != 0:
            raise Refused("it did not end with exit status 0 in the build")
        below = sum(child.cpu or 0.0 for child in _descendants(node))
        if below > (node.cpu or 0.0):
            raise Refused("what it starts takes more processor time than itself: it runs other programs, as make does")
        return image


def _descendants(node: ProcessNode) -> Iterator[ProcessNode]:
    for child in node.children:
        yield child
        yield from _descendants(child)
