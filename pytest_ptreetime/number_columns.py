"""A column of whole numbers, small once compressed and fast to read.

What is stored of each row is its number, or by how much it exceeds the row before, less ``base``, divided by ``scale``,
in ``width`` bytes: first the lowest bytes of all rows, then the next ones ("planes"), so that the compressor finds the
bytes that hardly vary next to each other.
"""

from __future__ import annotations

import math
import operator
import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

__all__ = ["Column", "ColumnsDamaged", "check_range", "column_of", "numbers_in"]

_LOWEST, _HIGHEST = -(2**63), 2**64 - 1  # of MessagePack's integers
_WIDEST = 8
SAMPLE = 1_000  # the first so many rows decide whether differences are smaller


class ColumnsDamaged(ValueError):
    """A column, or a block of columns, makes no sense."""


class _Same(msgspec.Struct, array_like=True, tag=0):
    """One number in all rows."""

    value: int | None


class _Planes(msgspec.Struct, array_like=True, tag=1):
    """Numbers as above. With ``first`` they are differences, one less than there are rows.

    ``absent`` has a byte for each row, 1 where there is no number; such a row has 0 among the planes.
    """

    width: int
    base: int
    scale: int
    planes: bytes
    first: int | None = None
    absent: bytes | None = None


class _Listed(msgspec.Struct, array_like=True, tag=2):
    """Numbers whose range is wider than 64 bits."""

    values: list[int | None]


Column = _Same | _Planes | _Listed


def column_of(values: Sequence[int | None]) -> Column:
    """``values`` as a column. They fit 64 bits, signed or not."""
    if not values or (values[0] == values[-1] and values.count(values[0]) == len(values)):
        return _Same(values[0] if values else None)
    absent = None
    numbers: list[int] = list(values)  # type: ignore[arg-type] # a None is replaced below
    if None in values:
        absent = bytes(value is None for value in values)
        numbers = [value or 0 for value in values]
    first = None
    sample = numbers[:SAMPLE]
    if sum(_packed(_differences(sample))[2]) < sum(_packed(sample)[2]):
        first, numbers = numbers[0], _differences(numbers)
    base, scale, packed = _packed(numbers)
    width = (max(packed, default=0).bit_length() + 7) // 8
    if width > _WIDEST or not _LOWEST <= base <= _HIGHEST:
        return _Listed(list(values))
    size = _size(width)
    numbers_as_bytes = array(_typecode(size), packed)
    if sys.byteorder == "big":
        numbers_as_bytes.byteswap()
    together = numbers_as_bytes.tobytes()
    return _Planes(width, base, scale, b"".join(together[plane::size] for plane in range(width)), first, absent)


def numbers_in(column: Column, rows: int, *, optional: bool = False, partial: bool = False) -> list[int]:
    """The values of ``column``, of which there are ``rows``; with ``optional`` some of them may be None.

    With ``partial`` they may need more than 64 bits: what they are added to makes them less.

    :raises ColumnsDamaged: there are more or fewer, or one is out of range.
    """
    if isinstance(column, _Same):
        values: list[int] = [column.value] * rows  # type: ignore[list-item] # None is looked for below
        has_none = column.value is None
    elif isinstance(column, _Listed):
        values = column.values  # type: ignore[assignment] # as above
        has_none = None in column.values
    else:
        values = _unpacked(column, rows)
        if not partial and _may_exceed(column, rows):
            check_range(values)
        has_none = column.absent is not None
        if column.absent is not None:
            if len(column.absent) != rows:
                raise ColumnsDamaged(f"{len(column.absent)} marks of {rows} numbers")
            values = [
                None if missing else value  # type: ignore[misc] # as above
                for value, missing in zip(values, column.absent, strict=True)
            ]
    if len(values) != rows:
        raise ColumnsDamaged(f"{len(values)} numbers instead of {rows}")
    if has_none and not optional:
        raise ColumnsDamaged("a number is missing")
    return values


def _differences(numbers: list[int]) -> list[int]:
    return list(map(operator.sub, numbers[1:], numbers))


def _packed(numbers: list[int]) -> tuple[int, int, list[int]]:
    """Base, scale, and ``numbers`` by them; the base stays 0 where it would not save a byte."""
    if not numbers:
        return 0, 1, []
    lowest, highest = min(numbers), max(numbers)
    base = 0 if lowest >= 0 and (highest - lowest).bit_length() > highest.bit_length() - 8 else lowest
    above = [number - base for number in numbers] if base else numbers
    scale = math.gcd(*above[:SAMPLE]) or 1
    if scale > 1:
        scale = math.gcd(scale, *above)
    return base, scale, [number // scale for number in above] if scale > 1 else above


def _unpacked(column: _Planes, rows: int) -> list[int]:
    count = rows if column.first is None else rows - 1
    if count < 0 or not 0 <= column.width <= _WIDEST or len(column.planes) != column.width * count:
        raise ColumnsDamaged(f"{len(column.planes)} bytes can't be {count} numbers of {column.width} bytes")
    size = _size(column.width)
    buffer = bytearray(size * count)
    for plane in range(column.width):
        buffer[plane::size] = column.planes[plane * count : (plane + 1) * count]
    numbers = array(_typecode(size))
    numbers.frombytes(buffer)
    if sys.byteorder == "big":
        numbers.byteswap()
    base, scale, first = column.base, column.scale, column.first
    values: Iterable[int] = numbers
    if scale != 1:
        values = map(scale.__mul__, values)
    if base:
        values = map(base.__add__, values)
    return list(values if first is None else accumulate(values, initial=first))


def _may_exceed(column: _Planes, rows: int) -> bool:
    """Whether a value of ``column`` may be out of range, by what is known without looking at each."""
    most = column.scale * ((1 << 8 * column.width) - 1)
    lowest, highest = min(column.base, column.base + most), max(column.base, column.base + most)
    if column.first is not None:
        lowest, highest = column.first + rows * min(0, lowest), column.first + rows * max(0, highest)
    return lowest < _LOWEST or highest > _HIGHEST


def check_range(numbers: Sequence[int]) -> None:
    """Whether ``numbers`` fit 64 bits.

    :raises ColumnsDamaged: one does not.
    """
    if numbers and (min(numbers) < _LOWEST or max(numbers) > _HIGHEST):
        raise ColumnsDamaged("a number is out of range")


def _size(width: int) -> int:
    """The bytes that numbers of ``width`` bytes take in memory."""
    return 1 if width <= 1 else 2 if width == 2 else 4 if width <= 4 else 8


def _typecode(size: int) -> str:
    return {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
