"""Numbers as people read them."""

from __future__ import annotations

import pytest

from pytest_ptreetime.system.figures import Unit, amount, amounts, change, counted, part, signed


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (None, "s", "-"),
        (0.0, "s", "0 s"),
        (12.345, "s", "12.3 s"),
        (1234.5, "s", "1234 s"),
        (1.9, "s", "1.9 s"),
        (0.05, "s", "50 ms"),
        (0.9996, "s", "1 s"),
        (0.0999, "s", "99.9 ms"),
        (-0.0014, "s", "-1.4 ms"),
        (0.0000004, "s", "0.4 us"),
        (512, "B", "512 B"),
        (1023 * 1024, "B", "1023 KiB"),
        (34.56 * 2**20, "B", "34.6 MiB"),
        (5 * 2**40, "B", "5120 GiB"),
        (3.0, "", "3"),
    ],
)
def test_an_amount_has_three_significant_digits(value: float | None, unit: Unit, expected: str) -> None:
    assert amount(value, unit) == expected


def test_both_sides_have_the_unit_of_the_larger() -> None:
    assert amounts([0.0796, 0.1243], "s") == ["79.6 ms", "124 ms"]
    assert amounts([0.08, 1.2, None], "s") == ["0.08 s", "1.2 s", "-"]
    assert signed(-0.31, "s") == "-310 ms"


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (None, "-"),
        (1.098, "+9.8 %"),
        (0.5, "-50.0 %"),
        (0.99999, "+0.0 %"),
        (2.381, "+138 %"),
        (3.0, "x3.0"),
        (3.5, "x3.5"),
        (123.4, "x123"),
    ],
)
def test_a_change_is_a_percentage_and_from_a_tripling_on_a_factor(ratio: float | None, expected: str) -> None:
    assert change(ratio) == expected


def test_parts_and_counts() -> None:
    assert (part(0.135), part(1.0), part(None)) == ("13.5 %", "100 %", "-")
    assert (counted(1, "process"), counted(2, "process"), counted(0, "round")) == (
        "1 process",
        "2 processes",
        "0 rounds",
    )
