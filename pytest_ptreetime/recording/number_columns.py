"""A column of whole numbers, small once compressed and fast to read (stored_numbers.py).

What is stored of each row is its number, or by how much it exceeds the row before, less ``base``, divided by ``scale``,
in ``width`` bytes: first the lowest bytes of all rows, then the next ones ("planes"), so that the compressor finds the
bytes that hardly vary next to each other.
"""

from __future__ import annotations

import math
import operator
import sys
from array import array
from collections.abc import Sequence

import msgspec

__all__ = ["HIGHEST", "LOWEST", "WIDEST", "Column", "ColumnsDamaged", "Listed", "Planes", "Same", "column_of"]

LOWEST, HIGHEST = -(2**63), 2**64 - 1  # of MessagePack's integers
WIDEST = 8
SAMPLE = 1_000  # the first so many rows decide whether differences are smaller


class ColumnsDamaged(ValueError):
    """A column, or a block of columns, makes no sense."""


class Same(msgspec.Struct, array_like=True, tag=0):
    """One number in all rows."""

    value: int | None


class Planes(msgspec.Struct, array_like=True, tag=1):
    """Numbers as above. With ``first`` they are differences, one less than there are rows.

    ``absent`` has a byte for each row, 1 where there is no number; such a row has 0 among the planes.
    """

    width: int
    base: int
    scale: int
    planes: bytes
    first: int | None = None
    absent: bytes | None = None


class Listed(msgspec.Struct, array_like=True, tag=2):
    """Numbers whose range is wider than 64 bits."""

    values: list[int | None]


Column = Same | Planes | Listed


def column_of(values: Sequence[int | None]) -> Column:
    """``values`` as a column. They fit 64 bits, signed or not."""
    if not values or (values[0] == values[-1] and values.count(values[0]) == len(values)):
        return Same(values[0] if values else None)
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
    if width > WIDEST or not LOWEST <= base <= HIGHEST or scale > HIGHEST:
        return Listed(list(values))
    size = _size(width)
    numbers_as_bytes = array(_typecode(size), packed)
    if sys.byteorder == "big":
        numbers_as_bytes.byteswap()
    together = numbers_as_bytes.tobytes()
    return Planes(width, base, scale, b"".join(together[plane::size] for plane in range(width)), first, absent)


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


def _size(width: int) -> int:
    """The bytes that numbers of ``width`` bytes take in memory."""
    return 1 if width <= 1 else 2 if width == 2 else 4 if width <= 4 else 8


def _typecode(size: int) -> str:
    return {1: "B", 2: "H", 4: "I", 8: "Q"}[size]
