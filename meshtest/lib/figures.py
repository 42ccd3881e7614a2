"""Figures for people: durations, percentages, a row of bars."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = ".:-=+*#@"


def seconds(value: float) -> str:
    """`12 ms`, `3.4 ms`, `1.25 s`, `never`."""
    if value == inf:
        return "never"
    if value >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.0f} ms" if value >= 0.01 else f"{value * 1e3:.1f} ms"


def clock(value: float) -> str:
    """`0s`, `90s` as `1m30s`, `2h`; parts of a second only below a minute."""
    if value < 60:
        return f"{round(value, 1):g}s"
    whole = round(value)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount)


def percent(share: float) -> str:
    """`9.1 %` of 0.091; three digits say enough."""
    return f"{share * 100:.3g} %"


def chance(value: float, runs: int = 0) -> str:
    """`35 %`, `0.13 %`, `< 0.01 %`; never a rounded 0 or 100, nor one that only says that it was not drawn."""
    least = 3 / runs if runs else 1e-4  # what happens so often is missed by all runs in 5 of 100 cases
    if value < least and (value or runs):
        return f"< {least * 100:.2g} %"
    if value > 1 - least and (value < 1 or runs):
        return f"> {100 - least * 100:.4g} %"
    return f"{value * 100:.4g} %" if value > 0.99 else f"{value * 100:.2g} %"


def bars(values: Sequence[float], top: float, ramp: str = BARS) -> str:
    """One character a value, its height relative to `top`; blank for zero, and at least the lowest bar above it."""
    last = len(ramp) - 1
    return "".join(" " if not v else ramp[min(last, round(v / top * last))] for v in values) if top else ""
