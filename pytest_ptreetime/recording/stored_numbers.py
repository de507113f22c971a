"""The numbers of a stored column (number_columns.py), read as an array.

An array has a type of at most 64 bits, signed or as narrow as the file's, where every number fits one; else, and where
numbers are missing, it is of Python's objects, which calculate exactly however large numbers get. A column of one
number in all rows is an array that takes the memory of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_ptreetime.recording.number_columns import (
    HIGHEST,
    LOWEST,
    WIDEST,
    Column,
    ColumnsDamaged,
    Listed,
    Planes,
    Same,
)

__all__ = ["Numbers", "array_of", "exact_sum", "lowest_and_highest", "numbers_in"]

Numbers = npt.NDArray[Any]

_INT64 = np.iinfo(np.int64)


def numbers_in(column: Column, rows: int, *, optional: bool = False, partial: bool = False) -> Numbers:
    """The values of ``column``, of which there are ``rows``; with ``optional`` some of them may be None.

    With ``partial`` they may need more than 64 bits: what they are added to makes them less.

    :raises ColumnsDamaged: there are more or fewer, or one is out of range.
    """
    if isinstance(column, Same):
        values = np.broadcast_to(array_of([column.value]), rows)
        has_none = column.value is None
    elif isinstance(column, Listed):
        values = array_of(column.values)
        has_none = None in column.values
    else:
        values = _unpacked(column, rows)
        if not partial:
            check_range(values)
        has_none = column.absent is not None
        if column.absent is not None:
            if len(column.absent) != rows:
                raise ColumnsDamaged(f"{len(column.absent)} marks of {rows} numbers")
            values = values.astype(object)
            values[np.frombuffer(column.absent, np.uint8) != 0] = None
    if len(values) != rows:
        raise ColumnsDamaged(f"{len(values)} numbers instead of {rows}")
    if has_none and not optional:
        raise ColumnsDamaged("a number is missing")
    return values


def exact_sum(some: Numbers, others: Numbers) -> Numbers:
    """Their sums, row by row.

    :raises ColumnsDamaged: one is out of range.
    """
    if len(some) == 0:
        return some
    if object not in (some.dtype, others.dtype):
        low, high = (a + b for a, b in zip(lowest_and_highest(some), lowest_and_highest(others), strict=True))
        if _fits(low, high):
            return some.astype(np.int64) + others.astype(np.int64)
    sums: Numbers = some.astype(object) + others.astype(object)
    check_range(sums)
    return sums


def check_range(numbers: Numbers) -> None:
    """Whether ``numbers`` fit what a file can say.

    :raises ColumnsDamaged: one does not.
    """
    if numbers.dtype == object and len(numbers):
        low, high = lowest_and_highest(numbers)
        if low < LOWEST or high > HIGHEST:
            raise ColumnsDamaged("a number is out of range")


def lowest_and_highest(numbers: Numbers) -> tuple[int, int]:
    """Of ``numbers``, at least one and none missing."""
    return int(numbers.min()), int(numbers.max())


def array_of(values: Sequence[int | None]) -> Numbers:
    """``values`` as an array, of 64 bits where all of them fit."""
    fit = all(value is not None and _fits(value) for value in values)
    return np.array(values, np.int64 if fit else object)


def _fits(*numbers: int) -> bool:
    return _INT64.min <= min(numbers) and max(numbers) <= _INT64.max


def _unpacked(column: Planes, rows: int) -> Numbers:
    count = rows if column.first is None else rows - 1
    if count < 0 or not 0 <= column.width <= WIDEST or len(column.planes) != column.width * count:
        raise ColumnsDamaged(f"{len(column.planes)} bytes can't be {count} numbers of {column.width} bytes")
    size = next(size for size in (1, 2, 4, 8) if column.width <= size)
    together = np.zeros((count, size), np.uint8)
    together[:, : column.width] = np.frombuffer(column.planes, np.uint8).reshape(column.width, count).T
    packed: Numbers = together.view(f"<u{size}").reshape(count)
    base, scale, first = column.base, column.scale, column.first
    if (base, scale, first) == (0, 1, None) and size < 8:
        return packed
    most = int(packed.max(initial=0))
    low, high = sorted((base, base + scale * most))
    if first is not None:
        low, high = first + count * min(0, low), first + count * max(0, high)
    exact = np.int64 if _fits(base, scale, most, scale * most, low, high) else object
    values: Numbers = packed.astype(exact) * scale + base
    if first is None:
        return values
    return np.add.accumulate(np.concatenate((np.array([first], exact), values)))
