"""Numbers as people read them: seconds, bytes, changes. What is unknown is a dash, never 0."""

from __future__ import annotations

from pytest_ptreetime.metrics import metric_of

__all__ = ["UNKNOWN", "change", "counted", "figure", "label_of", "percent", "seconds", "size"]

UNKNOWN = "-"


def seconds(value: float | None) -> str:
    """Seconds to 0.1 ms below 10 s, as the original printed them, and to 10 ms above."""
    if value is None:
        return UNKNOWN
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def size(value: float | None) -> str:
    """Bytes in the largest binary unit that leaves a number above 1."""
    if value is None:
        return UNKNOWN
    for unit in ("B", "KiB", "MiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def figure(metric: str, value: float | None) -> str:
    """A value of one of a profile's metrics, with its unit."""
    if value is None:
        return UNKNOWN
    unit = metric_of(metric).unit
    if unit == "":
        return f"{value:g}"
    return size(value) if unit == "B" else f"{seconds(value)} s"


def label_of(metric: str) -> str:
    """What tables call a metric."""
    return metric_of(metric).label or metric


def percent(ratio: float | None) -> str:
    """A ratio as a change: 1.5 is ``+50.0 %``; from tenfold on it is ``x 12``."""
    if ratio is None:
        return UNKNOWN
    if ratio >= 10:
        return f"x {ratio:.0f}"
    return f"{(ratio - 1) * 100:+.1f} %"


def counted(number: int, noun: str) -> str:
    """``1 round``, ``2 rounds``, ``2 processes``."""
    return f"{number} {noun}{'' if number == 1 else 'es' if noun.endswith('s') else 's'}"


def change(before: float | None, now: float | None) -> str:
    """How ``now`` differs from ``before``."""
    if before is None or now is None:
        return UNKNOWN
    if before == 0:
        return UNKNOWN if now else percent(1.0)
    return percent(now / before)
