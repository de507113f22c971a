"""Numbers as people read them, the same everywhere: amounts, changes, parts, counts. What is unknown is a dash.

The scripts of the HTML page have the same rules (reports/page/data.js).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

__all__ = ["UNKNOWN", "Unit", "amount", "amounts", "change", "counted", "part", "ratio_of", "seconds", "signed"]

#: Seconds, bytes, or a plain number.
Unit: TypeAlias = Literal["s", "B", ""]

UNKNOWN = "-"
#: From this ratio on a change is told as a factor.
FACTOR_FROM = 3.0
_SCALES: dict[Unit, tuple[tuple[str, float], ...]] = {
    "s": (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)),
    "B": (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10), ("B", 1.0)),
}


def amount(value: float | None, unit: Unit) -> str:
    """``1.9 s``, ``12.3 ms``, ``34 MiB``, or a plain number."""
    return amounts([value], unit)[0]


def amounts(values: Sequence[float | None], unit: Unit) -> list[str]:
    """As amount(), all in the unit that the largest needs: ``0.08 s`` beside ``1.2 s``."""
    if unit == "":
        return [UNKNOWN if value is None else f"{value:.10g}" for value in values]
    largest = max((abs(value) for value in values if value is not None), default=0.0)
    largest = _rounded(largest) if unit == "s" else largest  # 999.6 ms is 1 s, 1023 KiB is no MiB
    scales = _SCALES[unit]
    name, scale = next((each for each in scales if largest >= each[1]), scales[-1] if largest else (unit, 1.0))
    return [UNKNOWN if value is None else f"{_digits(value / scale, whole=name == 'B')} {name}" for value in values]


def signed(value: float, unit: Unit) -> str:
    """``+310 ms``."""
    return f"{'+' if value >= 0 else '-'}{amount(abs(value), unit)}"


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")


def _digits(value: float, *, whole: bool) -> str:
    """Three significant digits, and no fewer than there are before the point; without zeros at the end."""
    rounded = _rounded(abs(value))
    places = 0 if whole or not rounded else 2 - math.floor(math.log10(rounded))
    text = f"{value:.{max(places, 0)}f}"
    return text.rstrip("0").rstrip(".") if places > 0 else text


def seconds(value: float | None) -> str:
    """A column of seconds, without the unit: to 0.1 ms below 10 s, as the original printed them, and to 10 ms above."""
    if value is None:
        return UNKNOWN
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def change(ratio: float | None) -> str:
    """``+9.8 %`` of a ratio of 1.098; from a tripling on the factor, ``x3.5``."""
    if ratio is None:
        return UNKNOWN
    if ratio >= FACTOR_FROM:
        return f"x{ratio:.{1 if ratio < 99.95 else 0}f}"
    return f"{_percentage(ratio - 1):+.{1 if ratio < 1.9995 else 0}f} %"


def part(ratio: float | None) -> str:
    """A part of a whole: ``9.8 %`` of 0.098."""
    if ratio is None:
        return UNKNOWN
    return f"{_percentage(ratio):.{1 if abs(ratio) < 0.9995 else 0}f} %"


def _percentage(ratio: float) -> float:
    return round(100 * ratio, 1) + 0.0  # never -0.0


def ratio_of(before: float | None, now: float | None) -> float | None:
    """What ``before`` was multiplied by; None where that is not known, or it came from nothing."""
    if before is None or now is None:
        return None
    if before == 0:
        return None if now else 1.0
    return now / before


def counted(number: int, noun: str) -> str:
    """``1 round``, ``2 rounds``, ``2 processes``, ``2 directories``, ``2 replays``."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"
