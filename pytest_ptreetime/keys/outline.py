"""The outline of a run: of each process no more than a timeline needs, in a few bytes.

A stored session keeps that of its representative round, so that the timeline of before can be drawn above that of now.
Seven columns of whole numbers, a number for each process in preorder: the position of its key, its depth, its start as
the difference to that of the process before it, its wall time, its processor time, its time in the run queue (all in
units of TICK_NS), and its peak memory in units of PAGE. -1 is what is not known. MessagePack, deflated, in base64.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import msgspec

from pytest_ptreetime.recording.events import Usage
from pytest_ptreetime.tree.node import ProcessNode
from pytest_ptreetime.tree.process_tree import ProcessTree

__all__ = ["Outline"]

TICK_NS = 100_000
PAGE = 1 << 16
MOST_BYTES = 1 << 26  # of the columns, inflated
_LARGEST = 1 << 40  # of any number: three years, 64 PiB
_COLUMNS = 7
_START = 2

_decoder = msgspec.msgpack.Decoder(list[list[int]])


class Outline(msgspec.Struct, frozen=True):
    """That of round ``round`` (from 0) of a session."""

    round: int
    columns: str

    @classmethod
    def of(cls, tree: ProcessTree, number: int, keys: Sequence[str]) -> Outline:
        """That of ``tree``, round ``number`` of a session that has ``keys``, those of the nodes among them."""
        place = {key: position for position, key in enumerate(keys)}
        nodes, begin_ns = list(tree), tree.root.start_ns
        starts = [(node.start_ns - begin_ns) // TICK_NS for node in nodes]
        ends = [None if node.exit_ns is None else (node.exit_ns - begin_ns) // TICK_NS for node in nodes]
        columns = [
            [place[node.key] for node in nodes],
            [node.depth for node in nodes],
            [0, *(later - earlier for earlier, later in pairwise(starts))],
            # of moments that are rounded alike: what was inside its parent's life stays inside
            [-1 if end is None else max(end - start, 0) for start, end in zip(starts, ends, strict=True)],
            [_units(node.cpu, TICK_NS / 1e9) for node in nodes],
            [_units(node.run_delay, TICK_NS / 1e9) for node in nodes],
            [_units(node.max_rss_bytes, PAGE) for node in nodes],
        ]
        return cls(number, base64.b64encode(zlib.compress(msgspec.msgpack.encode(columns), 9)).decode("ascii"))

    def tree(self, keys: Sequence[str], names: Sequence[Mapping[str, str]] = ()) -> ProcessTree | None:
        """The tree as far as it is known; None where the columns are damaged.

        :param keys: those of the session.
        :param names: other names for some of them, for each round.
        """
        columns = self._unpacked()
        if columns is None or not _possible(columns, len(keys)):
            return None
        renamed = names[self.round] if 0 <= self.round < len(names) else {}
        nodes: list[ProcessNode] = []
        above: list[ProcessNode] = []
        for number, (place, depth, start, *amounts) in enumerate(zip(*columns, strict=True)):
            if depth > len(above) or (depth == 0) != (number == 0):
                return None
            del above[depth:]
            key = renamed.get(keys[place], keys[place])
            start_ns = start * TICK_NS
            wall_ns, cpu_ns, run_delay_ns, max_rss_bytes = (
                None if amount < 0 else amount * unit
                for amount, unit in zip(amounts, (TICK_NS, TICK_NS, TICK_NS, PAGE), strict=True)
            )
            node = ProcessNode(
                pid=0,  # of no process
                parent=above[-1] if above else None,
                start_ns=start_ns,
                depth=depth,
                exit_ns=None if wall_ns is None else start_ns + wall_ns,
                still_running=wall_ns is None,
                _name=key.partition("[")[0].rpartition("/")[2] or key,
                _key=key,
                _usage_after=Usage(cpu_ns=cpu_ns, run_delay_ns=run_delay_ns, max_rss_bytes=max_rss_bytes),
            )
            if above:
                above[-1].children.append(node)
            above.append(node)
            nodes.append(node)
        return ProcessTree(nodes[0], nodes=nodes)

    def _unpacked(self) -> list[list[int]] | None:
        inflating = zlib.decompressobj()
        try:
            inflated = inflating.decompress(base64.b64decode(self.columns, validate=True), MOST_BYTES)
            if not inflating.eof:
                return None
            columns = _decoder.decode(inflated)
        except (binascii.Error, zlib.error, msgspec.MsgspecError, RecursionError, ValueError):
            return None
        if len(columns) == _COLUMNS:
            columns[_START] = list(accumulate(columns[_START]))
        return columns


def _possible(columns: Sequence[Sequence[int]], keys: int) -> bool:
    if len(columns) != _COLUMNS or not columns[0] or len(set(map(len, columns))) != 1:
        return False
    least, most = (0, 0, 0, -1, -1, -1, -1), (keys - 1, len(columns[0]), *[_LARGEST] * 5)
    return all(low <= min(one) and max(one) <= high for low, one, high in zip(least, columns, most, strict=True))


def _units(amount: float | None, unit: float) -> int:
    return -1 if amount is None else round(amount / unit)
