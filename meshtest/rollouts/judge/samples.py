"""The values of a metric over time, of baseline and canary, before they are compared: gaps and outliers. Pure.

As Kayenta has it (kayenta-judge: Transforms, IQRDetector, DescriptiveStatistics).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isinf, isnan, sqrt

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass

OUTLIERS = 3.0
"""Times the distance of the quartiles beyond which a value is one."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One metric, of both. NaN: there was no value at that time."""

    name: str
    baseline: Sequence[float]
    canary: Sequence[float]
    tags: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if any(isinf(value) for value in (*self.baseline, *self.canary)):
            raise UsageError(f"metric {self.name}: a value is infinite; no ranks, no means, nothing can be said of it")


def cleaned(values: Sequence[float], *, replace_nan: bool, outliers: float | None) -> list[float]:
    """Without gaps (or with 0 for them); and without outliers beyond so many times the distance of the quartiles."""
    if replace_nan:
        kept = [0.0 if isnan(value) else value for value in values]
    else:
        kept = [value for value in values if not isnan(value)]
    return kept if outliers is None else without_outliers(kept, outliers)


def without_outliers(values: Sequence[float], factor: float = OUTLIERS, *, cautious: bool = True) -> list[float]:
    """By Tukey's fences; cautiously, nothing between the first and the last percentile is one."""
    if not values:
        return []
    low, high = percentile(values, 25), percentile(values, 75)
    reach = factor * (high - low)
    low, high = low - reach, high + reach
    if cautious:
        low, high = min(low, percentile(values, 1)), max(high, percentile(values, 99))
    return [value for value in values if low <= value <= high]


def percentile(values: Sequence[float], percent: float) -> float:
    """By linear interpolation between order statistics (Hyndman and Fan's type 7)."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * percent / 100
    below = floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def summary(values: Sequence[float]) -> dict[str, float]:
    """As results tell it."""
    count = len(values)
    if not count:
        return {"min": 0.0, "max": 0.0, "mean": 0.0, "std": 0.0, "count": 0}
    mean = sum(values) / count
    spread = sqrt(sum((value - mean) ** 2 for value in values) / (count - 1)) if count > 1 else 0.0
    return {"min": min(values), "max": max(values), "mean": mean, "std": spread, "count": count}


def mean_ratio(canary: Sequence[float], baseline: Sequence[float]) -> float:
    """Canary to baseline; NaN if one of the means is zero."""
    means = [sum(values) / len(values) for values in (canary, baseline)]
    return means[0] / means[1] if all(means) else float("nan")
