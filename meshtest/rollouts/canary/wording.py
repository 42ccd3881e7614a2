"""Numbers as Go prints them, because events quote them."""

from __future__ import annotations

from decimal import Decimal


def number(value: float) -> str:
    """`%v` of a float64: the shortest text that reads back, with an exponent from 1e21 and below 1e-4."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    exact = Decimal(repr(value))
    if value and not -4 <= exact.adjusted() < 21:
        mantissa, _, exponent = f"{exact.normalize():e}".partition("e")
        return f"{mantissa}e{exponent[0]}{exponent[1:].zfill(2)}"
    text = f"{exact:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def duration(milliseconds: int) -> str:
    """`%v` of a time.Duration of whole milliseconds: `0s`, `500ms`, `1.5s`, `1m0s`, `2h0m0.5s`."""
    if milliseconds < 0:
        return f"-{duration(-milliseconds)}"
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    rest, hours = milliseconds % 3_600_000, milliseconds // 3_600_000
    minutes, below = rest // 60_000, f"{number(rest % 60_000 / 1000)}s"
    if hours:
        return f"{hours}h{minutes}m{below}"
    return f"{minutes}m{below}" if minutes else below
