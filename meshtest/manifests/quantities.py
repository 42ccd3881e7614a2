"""Text that stands for a number: durations as Go and Istio write them, percentages, int-or-percent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|us|µs|ns|s)")


def seconds(text: str) -> float | None:
    """`7s`, `1m30s`, `250ms`, `0`: the duration in seconds, or None when the text is no duration."""
    if text == "0":
        return 0.0
    end, total = 0, 0.0
    while part := _PART.match(text, end):
        total += float(part[1]) * _UNITS[part[2]]
        end = part.end()
    return round(total, 9) if text and end == len(text) else None


_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,2}))?")
_UNIT = {unit: (10, 3 * power) for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)}
_UNIT |= {f"{unit}i": (2, 10 * power) for power, unit in enumerate("KMGTPE", 1)}


def quantity(text: str) -> Fraction | None:
    """`10`, `500m`, `1e2`, `2Ki` as Kubernetes writes quantities; None when the text is none."""
    from fractions import Fraction  # 2 ms, and quantities are rare

    if not (found := _QUANTITY.fullmatch(text)):
        return None
    number, unit, exponent = found.groups()
    base, power = _UNIT[unit or ""]
    return Fraction(number) * Fraction(base) ** power * Fraction(10) ** int(exponent or 0)


def duration(value: float) -> str:
    """The shortest way to write seconds that Istio takes: `7s`, `250ms`."""
    return f"{value:g}s" if value >= 1 or value == 0 else f"{round(value * 1000, 6):g}ms"


def is_percent(text: str) -> bool:
    """`25%`"""
    return text.endswith("%") and text[:-1].isdigit()
