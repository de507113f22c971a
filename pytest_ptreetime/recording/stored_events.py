"""The events of a recording's file: columns (event_columns.py) until they are asked for.

A block is looked through when the file is read, so that what makes no sense is refused then; events are made of it
when they are wanted, a block at a time. So a tree is built of millions of events of which only thousands exist at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from pytest_ptreetime.recording.event_columns import (
    CELLS_PER_BYTE,
    EVENTS_PER_BYTE,
    GUESS_SOURCES,
    GUESSES,
    KINDS,
    TAGS,
    ColumnBlock,
    KindColumns,
    ListColumns,
    UsageColumns,
)
from pytest_ptreetime.recording.events import Event, Usage
from pytest_ptreetime.recording.number_columns import Column, ColumnsDamaged, Same
from pytest_ptreetime.recording.stored_numbers import Numbers, array_of, exact_sum, lowest_and_highest, numbers_in

__all__ = ["ColumnsDecoder", "StoredBlock"]

_NO_NUMBER = Same(None)
_block_decoder = msgspec.msgpack.Decoder(ColumnBlock)


class StoredBlock:
    """The events of one block, not made yet.

    :param kinds: the tag of each event.
    :param sources: by tag what makes the events of one kind; ``rare`` are those of the other kinds.
    """

    def __init__(self, kinds: bytes, sources: dict[int, _Rows], rare: list[Event]) -> None:
        self._kinds = kinds
        self._sources = sources
        self._rare = rare

    @property
    def earliest_ns(self) -> int:
        """The first one's time."""
        return int(self._times().min())

    def __len__(self) -> int:
        return len(self._kinds)

    def events(self) -> list[Event]:
        """The events as they were, made anew."""
        kinds, tags = np.frombuffer(self._kinds, np.uint8), list(self._sources)
        places = [*(np.flatnonzero(kinds == tag) for tag in tags), np.flatnonzero(np.isin(kinds, tags, invert=True))]
        return self._made(np.argsort(np.concatenate(places)))

    def by_time(self) -> list[Event]:
        """The events by time, made anew."""
        return self._made(np.argsort(self._times(), kind="stable"))

    def _made(self, order: Numbers) -> list[Event]:
        """The events, which are made kind by kind, the rare ones last, in this order."""
        made = chain(*(rows.events() for rows in self._sources.values()), self._rare)
        arranged: list[Event] = np.fromiter(made, object, len(order))[order].tolist()
        return arranged

    def _times(self) -> Numbers:
        """The times of the events as they are made."""
        columns = [rows.numbers["time_ns"] for rows in self._sources.values()]
        return np.concatenate([*columns, array_of([event.time_ns for event in self._rare])])


class ColumnsDecoder:
    """Reads the blocks of one file, in their order."""

    def __init__(self) -> None:
        self._strings: dict[bytes, bytes] = {}  # of all blocks, each once
        self.forget()

    def forget(self) -> None:
        """Take no guesses from before: behind a block without columns."""
        self._guesses = _Guesses()

    def decode(self, raw: bytes, stored_bytes: int) -> StoredBlock:
        """The events of a block that takes ``stored_bytes`` in the file.

        :raises ColumnsDamaged, msgspec.MsgspecError: the block makes no sense, or expands to too much.
        """
        block = _block_decoder.decode(raw)
        kinds = block.kinds
        if len(kinds) > EVENTS_PER_BYTE * stored_bytes:
            raise ColumnsDamaged(f"{len(kinds)} events in {stored_bytes} bytes are too many")
        words = block.strings.split(b"\0")
        strings = _Strings([None, *map(self._strings.setdefault, words, words)], CELLS_PER_BYTE * stored_bytes)
        sources = {
            TAGS[kind]: _Rows(kind, block.columns[TAGS[kind]], kinds.count(TAGS[kind]), strings)
            for kind in KINDS
            if TAGS[kind] in block.columns
        }
        rare = bytes(TAGS[type(row)] for row in block.rows)
        if len(sources) < len(block.columns) or rare != kinds.translate(None, bytes(sources)):
            raise ColumnsDamaged("the events are of other kinds than their places")
        self._guesses.add_to(list(sources.values()))
        return StoredBlock(kinds, sources, block.rows)


class _Strings:
    """The strings of a block, by number; counts the arguments that are made of them."""

    def __init__(self, strings: list[bytes | None], cells: int) -> None:
        self._strings = strings
        self._cells = cells

    def column(self, column: Column, count: int, optional: bool) -> _Texts:
        numbers = numbers_in(column, count)
        if count:
            low, high = lowest_and_highest(numbers)
            if low < (0 if optional else 1) or high >= len(self._strings):
                raise ColumnsDamaged("a string is missing")
        return _Texts(self._strings, numbers if _is_same(numbers) else numbers.astype(np.uint32))

    def lists(self, lists: ListColumns, count: int, optional: bool) -> _ArgumentLists:
        groups = numbers_in(lists.groups, count)
        low, high = lowest_and_highest(groups) if count else (0, 0)
        if low < 0 or high > len(lists.places):
            raise ColumnsDamaged("a group of arguments is missing")
        if count and low == 0 and not optional:
            raise ColumnsDamaged("arguments are missing")
        members = np.bincount(groups.astype(np.intp), minlength=len(lists.places) + 1).tolist()
        places = []
        for columns, rows in zip(lists.places, members[1:], strict=True):
            self._cells -= rows * len(columns)
            if self._cells < 0:
                raise ColumnsDamaged("too many arguments for so small a block")
            places.append([self.column(column, rows, False) for column in columns])
        return _ArgumentLists(groups, members, places)


class _Values(Protocol):
    """A column that gives the values of a field, row by row."""

    def values(self) -> Iterable[Any]: ...


class _Texts(NamedTuple):
    strings: Sequence[bytes | None]
    numbers: Numbers

    def values(self) -> Iterable[bytes | None]:
        if _is_same(self.numbers):
            return repeat(self.strings[self.numbers[0]], len(self.numbers))
        return map(self.strings.__getitem__, self.numbers.tolist())


class _ArgumentLists(NamedTuple):
    """``groups`` has each row's, 0 for None; ``members`` the number of each group's rows; ``places`` their columns."""

    groups: Numbers
    members: list[int]
    places: list[list[_Texts]]

    def values(self) -> Iterable[list[bytes] | None]:
        sources: list[Iterator[Any]] = [repeat(None)]
        for columns, rows in zip(self.places, self.members[1:], strict=True):
            lists = map(list, zip(*(column.values() for column in columns), strict=True))
            sources.append(lists if columns else iter([[] for _ in range(rows)]))
        return map(next, map(sources.__getitem__, self.groups.tolist()))


class _Usages(NamedTuple):
    """``known`` says of each row whether it has one; ``fields`` are of those that have."""

    known: Numbers
    fields: list[Numbers]

    def values(self) -> Iterable[Usage | None]:
        usages = map(Usage, *map(_plain, self.fields))
        return usages if self.known.all() else (next(usages) if one else None for one in self.known.tolist())


class _Rows:
    """The columns of one kind of event.

    :raises ColumnsDamaged: they are not those of ``count`` such events.
    """

    def __init__(self, kind: type[Any], columns: KindColumns, count: int, strings: _Strings) -> None:
        self.kind = kind
        self.numbers: dict[str, Numbers] = {}
        self._others: dict[str, _Values] = {}
        numbers, lists, used = iter(columns.numbers), iter(columns.lists), iter(columns.used)
        try:
            for field, type_ in kind.__annotations__.items():
                optional = type_.endswith("None")
                if type_.startswith("list[bytes]"):
                    self._others[field] = strings.lists(next(lists), count, optional)
                elif type_.startswith("Usage"):
                    self._others[field] = _usages(next(used), count)
                elif type_.startswith("bytes"):
                    self._others[field] = strings.column(next(numbers), count, optional)
                else:
                    guessed = (kind, field) in GUESSES
                    # an older file lacks the last ones
                    column = next(numbers, _NO_NUMBER) if optional else next(numbers)
                    self.numbers[field] = numbers_in(column, count, optional=optional, partial=guessed)
        except StopIteration:
            raise ColumnsDamaged("a column is missing") from None

    def events(self) -> Iterator[Any]:
        """The events, made one by one."""
        columns = [
            _plain(self.numbers[field]) if field in self.numbers else self._others[field].values()
            for field in self.kind.__annotations__
        ]
        return map(self.kind, *columns)


class _Guesses:
    """What GUESSES lean on. Pids have places, in the order in which they come, and what was said of them is there."""

    def __init__(self) -> None:
        self._places: dict[int, int] = {}
        self._said = {source: _Said() for source in GUESS_SOURCES}

    def add_to(self, kinds: Sequence[_Rows]) -> None:
        """Add the guesses to the columns of a block which lack them, in order of ``kinds``.

        :raises ColumnsDamaged: a number is out of range then.
        """
        for rows, places in zip(kinds, self._places_of([rows.numbers["pid"] for rows in kinds]), strict=True):
            for field, numbers in rows.numbers.items():
                source = GUESSES.get((rows.kind, field))
                if source is not None:
                    numbers = exact_sum(numbers, self._said[source, field].of(places, len(self._places)))
                    rows.numbers[field] = numbers
                said = self._said.get((rows.kind, field))
                if said is not None:
                    said.add(places, numbers, len(self._places))

    def _places_of(self, pids: list[Numbers]) -> list[Numbers]:
        if not pids:
            return []
        known = self._places
        distinct, inverse = np.unique(np.concatenate(pids), return_inverse=True)
        places = np.array([known.setdefault(pid, len(known)) for pid in distinct.tolist()], np.intp)[inverse]
        return np.split(places, np.cumsum([len(some) for some in pids])[:-1])


class _Said:
    """What the newest event of a kind has said of each place, of which there are ``size`` so far."""

    def __init__(self) -> None:
        self._numbers: Numbers = np.zeros(0, np.int64)
        self._known = np.zeros(0, bool)
        self._last: int | None = None  # the place that became known last

    def of(self, places: Numbers, size: int) -> Numbers:
        """What was said of each of ``places``, in those that are not known what was said of the last one."""
        self._grow(size)
        last = 0 if self._last is None else self._numbers[self._last]
        return np.where(self._known[places], self._numbers[places], last)

    def add(self, places: Numbers, numbers: Numbers, size: int) -> None:
        """Of each of ``places`` a number is said, in this order."""
        self._grow(size)
        new = dict.fromkeys(places[~self._known[places]].tolist())
        if new:
            self._last = next(reversed(new))
        if numbers.dtype == object:
            self._numbers = self._numbers.astype(object, copy=False)
        self._numbers[places] = numbers  # of one place the last number
        self._known[places] = True

    def _grow(self, size: int) -> None:
        if size > len(self._known):
            # by more than is needed: so it seldom happens
            self._numbers = np.concatenate((self._numbers, np.zeros(size, self._numbers.dtype)))
            self._known = np.concatenate((self._known, np.zeros(size, bool)))


def _usages(used: UsageColumns, count: int) -> _Usages:
    known = numbers_in(used.known, count)
    rows = int(np.count_nonzero(known == 1))
    missing = len(Usage.__struct_fields__) - len(used.fields)
    if rows + np.count_nonzero(known == 0) != count or missing < 0:
        raise ColumnsDamaged("usages are not as they should be")
    fields = [*used.fields, *[_NO_NUMBER] * missing]  # an older file lacks the last ones
    return _Usages(known, [numbers_in(field, rows, optional=True) for field in fields])


def _is_same(numbers: Numbers) -> bool:
    """Whether it is one number in all rows, stored once."""
    return len(numbers) > 0 and numbers.strides == (0,)


def _plain(numbers: Numbers) -> Iterable[Any]:
    """``numbers`` as Python's."""
    return repeat(numbers[:1].tolist()[0], len(numbers)) if _is_same(numbers) else numbers.tolist()
