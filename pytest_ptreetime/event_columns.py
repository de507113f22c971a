"""Many events as columns: what a recording's file holds of them.

Rows of one kind become a column for each field (number_columns.py), and numbers compress to a third of what they take
among others. Strings are numbers too: each is once in the block, in the order in which they come. Argument lists are
columns for each place, of all lists that have the same program and length, so that only what differs takes room.

A block is one MessagePack array: the kind (the wire's tag) of every event in order, a byte each; the strings with a NUL
between them, numbered from 1, 0 being None; by kind the columns of its fields; the events of kinds that are rare here,
as in events.py.

A column that GUESSES names has what must be added to the guess, which is what the newest event of another kind has
said of the same pid: a program starts less than a millisecond after its process.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, repeat
from typing import Any

import msgspec

from pytest_ptreetime.events import Create, Event, Exec, Exit, Usage, UserExec, UserExit, UserSpawn, UserStartup
from pytest_ptreetime.number_columns import Column, ColumnsDamaged, check_range, column_of, numbers_in

__all__ = ["CELLS_PER_BYTE", "EVENTS_PER_BYTE", "ColumnsDamaged", "ColumnsDecoder", "ColumnsEncoder"]

RARE = 8  # so few events of a kind are rows
# A reader's memory is bounded by these times the length of the file. Real builds have a tenth of them.
EVENTS_PER_BYTE = 4  # of the compressed block
CELLS_PER_BYTE = 64  # arguments, likewise

_KINDS: tuple[type[Any], ...] = (Create, Exec, Exit, UserStartup, UserExec, UserSpawn, UserExit)
_TAGS: dict[type[Any], int] = {kind: kind.__struct_config__.tag for kind in Event.__args__}
_USAGE_FIELDS = Usage.__struct_fields__
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
_SOURCES = {(source, field) for (_, field), source in GUESSES.items()}
_Known = dict[tuple[type[Any], str], dict[int, int]]  # what the newest event of a kind has said, by pid


class _Lists(msgspec.Struct, array_like=True):
    """Argument lists: each row's group, 0 for None, and by group a column for each place in its lists."""

    groups: Column
    places: list[list[Column]]


class _Used(msgspec.Struct, array_like=True):
    """Usages: 1 for each row that has one, 0 for others, and the columns of those that have."""

    known: Column
    fields: list[Column]


class _Columns(msgspec.Struct, array_like=True):
    """The fields of one kind, of each type in the order of the kind's definition; strings are numbers."""

    numbers: list[Column]
    lists: list[_Lists]
    used: list[_Used]


class _Block(msgspec.Struct, array_like=True):
    kinds: bytes
    strings: bytes
    columns: dict[int, _Columns]
    rows: list[Event]


_encoder = msgspec.msgpack.Encoder()
_block_decoder = msgspec.msgpack.Decoder(_Block)


class _Memory:
    """What guesses lean on: the same before a block is made and before it is read."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, behind a block without columns."""
        self._known: _Known = {source: {} for source in _SOURCES}


class ColumnsEncoder(_Memory):
    """Makes the blocks of one file, in order."""

    def encode(self, events: Sequence[Event]) -> tuple[bytes, int] | None:
        """The block, and the number of arguments in it; None where rows are needed.

        They are where a string contains a NUL, or a number is further from its guess than 64 bits can say.
        """
        kinds = bytes(map(_TAGS.__getitem__, map(type, events)))
        tables = {
            kind: _fields_of(compress(events, map(_TAGS[kind].__eq__, kinds)), kind)
            for kind in _KINDS
            if kinds.count(_TAGS[kind]) > RARE
        }
        lists = [list(filter(None, table["args"])) for table in tables.values() if "args" in table]
        numbers = _numbered(tables, lists)
        text = b"\0".join(numbers)
        if text.count(b"\0") != len(numbers) - 1:
            return None
        numbers[None] = 0
        columns = {_TAGS[kind]: self._columns(kind, table, numbers) for kind, table in tables.items()}
        rare = [event for event in events if type(event) not in tables]
        cells = sum(sum(map(len, arguments)) for arguments in lists)
        try:
            return _encoder.encode(_Block(kinds, text, columns, rare)), cells
        except OverflowError:
            return None

    def _columns(self, kind: type[Any], table: dict[str, list[Any]], strings: dict[Any, int]) -> _Columns:
        made = _Columns([], [], [])
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


class ColumnsDecoder(_Memory):
    """The reverse of :class:`ColumnsEncoder`, for the blocks of one file in their order."""

    def __init__(self) -> None:
        super().__init__()
        self._strings: dict[bytes, bytes] = {}  # of all blocks, each once

    def decode(self, raw: bytes, stored_bytes: int) -> list[Event]:
        """The events of a block that takes ``stored_bytes`` in the file.

        :raises ColumnsDamaged, msgspec.MsgspecError: the block makes no sense, or expands to too much.
        """
        block = _block_decoder.decode(raw)
        kinds = block.kinds
        if len(kinds) > EVENTS_PER_BYTE * stored_bytes:
            raise ColumnsDamaged(f"{len(kinds)} events in {stored_bytes} bytes are too many")
        words = block.strings.split(b"\0")
        words = list(map(self._strings.setdefault, words, words))
        strings = _Strings([None, *words], CELLS_PER_BYTE * stored_bytes)
        sources: dict[int, Iterator[Any]] = {}
        for kind in _KINDS:
            columns = block.columns.pop(_TAGS[kind], None)
            if columns is not None:
                sources[_TAGS[kind]] = self._rows(kind, columns, kinds.count(_TAGS[kind]), strings)
        rare = bytes(_TAGS[type(row)] for row in block.rows)
        if block.columns or rare != kinds.translate(None, bytes(sources)):
            raise ColumnsDamaged("the events are of other kinds than their places")
        rows = iter(block.rows)
        sources.update(dict.fromkeys(rare, rows))
        return list(map(next, map(sources.__getitem__, kinds)))

    def _rows(self, kind: type[Any], columns: _Columns, count: int, strings: _Strings) -> Iterator[Any]:
        numbers, lists, used = iter(columns.numbers), iter(columns.lists), iter(columns.used)
        fields: list[Iterable[Any]] = []
        pids: list[int] = []
        waiting: list[tuple[int, str, list[int]]] = []  # fields that come before the pid
        try:
            for place, (field, type_) in enumerate(kind.__annotations__.items()):
                optional = type_.endswith("None")
                if type_.startswith("list[bytes]"):
                    fields.append(strings.lists(next(lists), count, optional))
                elif type_.startswith("Usage"):
                    fields.append(_usages(next(used), count))
                elif type_.startswith("bytes"):
                    fields.append(strings.column(next(numbers), count, optional))
                else:
                    partial = (kind, field) in GUESSES
                    values = numbers_in(next(numbers), count, optional=optional, partial=partial)
                    if field == "pid":
                        pids = values
                    fields.append(values)
                    waiting.append((place, field, values))
        except StopIteration:
            raise ColumnsDamaged("a column is missing") from None
        for place, field, values in waiting:
            guessed = _with_guesses(self._known, kind, field, pids, values)
            if guessed is not values:
                check_range(guessed)
            _remember(self._known, kind, field, pids, guessed)
            fields[place] = guessed
        return map(kind, *fields)


class _Strings:
    """The strings of a block, by number; counts the arguments that are made of them."""

    def __init__(self, strings: list[bytes | None], cells: int) -> None:
        self._strings = strings
        self._cells = cells

    def column(self, column: Column, count: int, optional: bool) -> list[bytes | None]:
        numbers = numbers_in(column, count)
        if numbers and min(numbers) < (0 if optional else 1):
            raise ColumnsDamaged("a string is missing")
        try:
            return list(map(self._strings.__getitem__, numbers))
        except IndexError:
            raise ColumnsDamaged("a string is missing") from None

    def lists(self, lists: _Lists, count: int, optional: bool) -> list[list[bytes] | None]:
        groups = numbers_in(lists.groups, count)
        sources: dict[int, Iterator[Any]] = {}
        for group, places in enumerate(lists.places, 1):
            rows = groups.count(group)
            self._cells -= rows * len(places)
            if self._cells < 0:
                raise ColumnsDamaged("too many arguments for so small a block")
            columns = [self.column(place, rows, False) for place in places]
            sources[group] = map(list, zip(*columns, strict=True)) if columns else iter([[] for _ in range(rows)])
        if 0 in groups:
            if not optional:
                raise ColumnsDamaged("arguments are missing")
            sources[0] = iter([None] * groups.count(0))
        try:
            return list(map(next, map(sources.__getitem__, groups)))
        except KeyError:
            raise ColumnsDamaged("a group of arguments is missing") from None


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


def _lists_of(values: list[list[bytes] | None], strings: dict[Any, int]) -> _Lists:
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
    return _Lists(column_of(groups), places)


def _used_of(values: list[Usage | None]) -> _Used:
    known = [usage for usage in values if usage is not None]
    fields = _fields_of(known, Usage).values()
    return _Used(column_of([int(usage is not None) for usage in values]), list(map(column_of, fields)))


def _usages(used: _Used, count: int) -> list[Usage | None]:
    known = numbers_in(used.known, count)
    rows = known.count(1)
    if rows + known.count(0) != count or len(used.fields) != len(_USAGE_FIELDS):
        raise ColumnsDamaged("usages are not as they should be")
    usages = map(Usage, *(numbers_in(field, rows, optional=True) for field in used.fields))
    return list(usages) if rows == count else [next(usages) if one else None for one in known]


def _guesses(known: _Known, kind: type[Any], field: str, pids: list[int]) -> Iterator[int] | None:
    source = GUESSES.get((kind, field))
    if source is None:
        return None
    said = known[source, field]
    newest = next(reversed(said.values()), 0)  # what is nearest for a pid that is not known
    return map(said.get, pids, repeat(newest))


def _less_guesses(known: _Known, kind: type[Any], field: str, pids: list[int], values: list[Any]) -> list[Any]:
    guesses = _guesses(known, kind, field, pids)
    return values if guesses is None else list(map(operator.sub, values, guesses))


def _with_guesses(known: _Known, kind: type[Any], field: str, pids: list[int], values: list[int]) -> list[int]:
    guesses = _guesses(known, kind, field, pids)
    return values if guesses is None else list(map(operator.add, values, guesses))


def _remember(known: _Known, kind: type[Any], field: str, pids: list[int], values: list[int]) -> None:
    if (kind, field) in known:
        known[kind, field].update(zip(pids, values, strict=True))
