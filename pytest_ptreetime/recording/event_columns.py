"""Many events as columns: what a recording's file holds of them.

Rows of one kind become a column for each field (number_columns.py), and numbers compress to a third of what they take
among others. Strings are numbers too: each is once in the block, in the order in which they come. Argument lists are
columns for each place, of all lists that have the same program and length, so that only what differs takes room.

A block is one MessagePack array: the kind (the wire's tag) of every event in order, a byte each; the strings with a NUL
between them, numbered from 1, 0 being None; by kind the columns of its fields; the events of kinds that are rare here,
as in events.py.

A column that GUESSES names has what must be added to the guess, which is what the newest event of another kind has
said of the same pid: a program starts less than a millisecond after its process. Where that kind has said nothing of
the pid, it is what it last said of the pid that it came to know last.

This module writes them; stored_events.py reads them.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from itertools import chain, compress, repeat
from typing import Any

import msgspec

from pytest_ptreetime.recording.events import (
    Create,
    Event,
    Exec,
    Exit,
    Usage,
    UserExec,
    UserExit,
    UserSpawn,
    UserStartup,
)
from pytest_ptreetime.recording.number_columns import Column, column_of

__all__ = [
    "CELLS_PER_BYTE",
    "EVENTS_PER_BYTE",
    "GUESSES",
    "GUESS_SOURCES",
    "KINDS",
    "TAGS",
    "ColumnBlock",
    "ColumnsEncoder",
    "KindColumns",
    "ListColumns",
    "UsageColumns",
]

RARE = 8  # so few events of a kind are rows
# A reader's memory is bounded by these times the length of the file. Real builds have a tenth of them.
EVENTS_PER_BYTE = 4  # of the compressed block
CELLS_PER_BYTE = 64  # arguments, likewise

KINDS: tuple[type[Any], ...] = (Create, Exec, Exit, UserStartup, UserExec, UserSpawn, UserExit)
TAGS: dict[type[Any], int] = {kind: kind.__struct_config__.tag for kind in Event.__args__}
# By field, the kind of event that its values are guessed from.
GUESSES: dict[tuple[type[Any], str], type[Any]] = {
    (Exec, "time_ns"): Create,
    (UserStartup, "time_ns"): Exec,
    (UserExit, "time_ns"): Exit,
    (UserStartup, "parent_pid"): Create,
    (UserExec, "parent_pid"): Create,
    (UserSpawn, "parent_pid"): Create,
    (UserExit, "parent_pid"): Create,
}
GUESS_SOURCES = {(source, field) for (_, field), source in GUESSES.items()}
_Known = dict[tuple[type[Any], str], dict[int, int]]  # what the newest event of a kind has said, by pid


class ListColumns(msgspec.Struct, array_like=True):
    """Argument lists: each row's group, 0 for None, and by group a column for each place in its lists."""

    groups: Column
    places: list[list[Column]]


class UsageColumns(msgspec.Struct, array_like=True):
    """Usages: 1 for each row that has one, 0 for others, and the columns of those that have."""

    known: Column
    fields: list[Column]


class KindColumns(msgspec.Struct, array_like=True):
    """The fields of one kind, of each type in the order of the kind's definition; strings are numbers."""

    numbers: list[Column]
    lists: list[ListColumns]
    used: list[UsageColumns]


class ColumnBlock(msgspec.Struct, array_like=True):
    """The block; the module says what its parts are."""

    kinds: bytes
    strings: bytes
    columns: dict[int, KindColumns]
    rows: list[Event]


_encoder = msgspec.msgpack.Encoder()


class ColumnsEncoder:
    """Makes the blocks of one file, in order."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Take no guesses from before: behind a block without columns."""
        self._known: _Known = {source: {} for source in GUESS_SOURCES}

    def encode(self, events: Sequence[Event]) -> tuple[bytes, int] | None:
        """The block, and the number of arguments in it; None where rows are needed.

        They are where a string contains a NUL, or a number is further from its guess than 64 bits can say.
        """
        kinds = bytes(map(TAGS.__getitem__, map(type, events)))
        tables = {
            kind: _fields_of(compress(events, map(TAGS[kind].__eq__, kinds)), kind)
            for kind in KINDS
            if kinds.count(TAGS[kind]) > RARE
        }
        lists = [list(filter(None, table["args"])) for table in tables.values() if "args" in table]
        numbers = _numbered(tables, lists)
        text = b"\0".join(numbers)
        if text.count(b"\0") != len(numbers) - 1:
            return None
        numbers[None] = 0
        columns = {TAGS[kind]: self._columns(kind, table, numbers) for kind, table in tables.items()}
        rare = [event for event in events if type(event) not in tables]
        cells = sum(sum(map(len, arguments)) for arguments in lists)
        try:
            return _encoder.encode(ColumnBlock(kinds, text, columns, rare)), cells
        except OverflowError:
            return None

    def _columns(self, kind: type[Any], table: dict[str, list[Any]], strings: dict[Any, int]) -> KindColumns:
        made = KindColumns([], [], [])
        pids = table["pid"]
        for field, values in table.items():
            type_ = kind.__annotations__[field]
            if type_.startswith("list[bytes]"):
                made.lists.append(_lists_of(values, strings))
            elif type_.startswith("Usage"):
                made.used.append(_used_of(values))
            elif type_.startswith("bytes"):
                made.numbers.append(column_of(list(map(strings.__getitem__, values))))
            else:
                made.numbers.append(column_of(_less_guesses(self._known, kind, field, pids, values)))
                _remember(self._known, kind, field, pids, values)
        return made


def _fields_of(rows: Iterable[Any], kind: type[Any]) -> dict[str, list[Any]]:
    """The values of each field."""
    fields = kind.__struct_fields__
    columns = list(map(list, zip(*map(msgspec.structs.astuple, rows), strict=True)))
    return dict(zip(fields, columns or [[] for _ in fields], strict=True))


def _numbered(tables: dict[type[Any], dict[str, list[Any]]], lists: list[list[list[bytes]]]) -> dict[Any, int]:
    """All strings in the order in which they come, with their numbers; None is not among them, b"" is the first."""
    columns = [
        values
        for kind, table in tables.items()
        for field, values in table.items()
        if kind.__annotations__[field].startswith("bytes")
    ]
    strings = dict.fromkeys(chain((b"",), *columns, chain.from_iterable(chain.from_iterable(lists))))
    strings.pop(None, None)
    return {string: number for number, string in enumerate(strings, 1)}


def _lists_of(values: list[list[bytes] | None], strings: dict[Any, int]) -> ListColumns:
    """Group 1 has the lists of the program and length that come first, and so on."""
    numbers: dict[tuple[bytes, int] | None, int] = {None: 0}
    members: list[list[list[bytes]]] = []
    groups = []
    for args in values:
        alike = None if args is None else (args[0] if args else b"", len(args))
        group = numbers.get(alike)
        if group is None:
            group = numbers[alike] = len(numbers)
            members.append([])
        groups.append(group)
        if args is not None:
            members[group - 1].append(args)
    places = [
        [column_of(list(map(strings.__getitem__, place))) for place in zip(*lists, strict=True)] for lists in members
    ]
    return ListColumns(column_of(groups), places)


def _used_of(values: list[Usage | None]) -> UsageColumns:
    known = [usage for usage in values if usage is not None]
    fields = _fields_of(known, Usage).values()
    return UsageColumns(column_of([int(usage is not None) for usage in values]), list(map(column_of, fields)))


def _less_guesses(known: _Known, kind: type[Any], field: str, pids: list[int], values: list[Any]) -> list[Any]:
    source = GUESSES.get((kind, field))
    if source is None:
        return values
    said = known[source, field]
    newest = next(reversed(said.values()), 0)  # what is nearest for a pid that is not known
    return list(map(operator.sub, values, map(said.get, pids, repeat(newest))))


def _remember(known: _Known, kind: type[Any], field: str, pids: list[int], values: list[int]) -> None:
    if (kind, field) in known:
        known[kind, field].update(zip(pids, values, strict=True))
