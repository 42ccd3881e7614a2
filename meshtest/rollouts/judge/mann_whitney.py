"""By how much do two samples differ? The shift of Mann and Whitney, with an interval, exact in any unit. Pure.

The statistic z(mu) compares x - mu with y by ranks; it falls with mu, in steps, at the differences x_i - y_j. Where it
crosses zero is the Hodges-Lehmann estimate (the median of all differences), where it crosses a quantile of the normal
distribution an end of the interval.

Kayenta and R's wilcox.test look for these crossings with an absolute tolerance of 1e-4, so what they find depends on
the unit: error rates of 20 and 60 in a million are all one to them if they come as ratios, and three times as high if
they come as ppm. Here a crossing is found as exactly as numbers can be told apart, relative to the spread of the data.
`compatible` searches as they do.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from math import copysign, sqrt
from typing import NamedTuple

from meshtest.lib.stats import normal

DIGITS = 12
"""Of a value, relative to the largest: 1.6666666666666572 and 1.6666666666666714 are ties, a rate told twice."""
TOLERANCE = 1e-13
"""Of a crossing in these units, before the difference itself is looked up."""
ABSOLUTE = 1e-4
"""Kayenta's (BrentSolver), in whatever unit the data are."""


class Shift(NamedTuple):
    """Of x against y."""

    low: float
    high: float
    estimate: float
    side: int
    """1: x is the greater, -1: y is; 0: no telling, at this confidence. Where most pairs are ties, as of errors that
    are rare in both, the shift is 0 whatever x is, and only this tells."""


def shift(x: Sequence[float], y: Sequence[float], confidence: float, *, compatible: bool = False) -> Shift:
    """Two-sided; ValueError if all observations are tied."""
    least, most = min(x) - max(y), max(x) - min(y)
    if least == most:  # two constants: nothing is left to search
        return Shift(least, least, least, (least > 0) - (least < 0))
    return _searched(x, y, confidence) if compatible else _exact(x, y, confidence)


def _exact(x: Sequence[float], y: Sequence[float], confidence: float) -> Shift:
    scale = max(map(abs, (*x, *y)))
    x, y = ([round(value / scale, DIGITS) for value in values] for values in (x, y))
    z, least, most = _Statistic(x, y), min(x) - max(y), max(x) - min(y)
    quantile = normal(0.5 + confidence / 2)
    side = (z(0.0) > quantile) - (z(0.0) < -quantile)
    low, high = (_crossing(z, level, least, most, _step_of(z)) for level in (quantile, -quantile))
    return Shift(low * scale, high * scale, _median(z, least, most) * scale, side)


def _searched(x: Sequence[float], y: Sequence[float], confidence: float) -> Shift:
    """As Kayenta does, or R."""
    z, least, most = _Statistic(x, y), min(x) - max(y), max(x) - min(y)
    quantile = normal(0.5 + confidence / 2)
    side = (z(0.0) > quantile) - (z(0.0) < -quantile)
    low, high, estimate = (_crossing(z, level, least, most, _brent) for level in (quantile, -quantile, 0.0))
    return Shift(low, high, estimate, side)


def superiority(x: Sequence[float], y: Sequence[float]) -> float:
    """How often a value of x exceeds one of y, ties counted half (the common language effect size)."""
    return _Statistic(x, y).above(0.0) / (len(x) * len(y))


class _Statistic:
    """z as a function of mu, corrected for ties and continuity."""

    def __init__(self, x: Sequence[float], y: Sequence[float]) -> None:
        self._x, self._y = list(x), sorted(y)

    def __len__(self) -> int:
        """Pairs."""
        return len(self._x) * len(self._y)

    def above(self, mu: float) -> float:
        """Pairs in which x - mu is greater, ties counted half."""
        y = self._y
        return sum((bisect_left(y, one - mu) + bisect_right(y, one - mu)) / 2 for one in self._x)

    def difference(self, near: float) -> float:
        """The x_i - y_j that is nearest."""
        found = []
        for one in self._x:
            at = bisect_left(self._y, one - near)
            found += [one - other for other in self._y[max(at - 1, 0) : at + 1]]
        return min(found, key=lambda difference: abs(difference - near))

    def __call__(self, mu: float) -> float:
        m, n = len(self._x), len(self._y)
        excess = self.above(mu) - m * n / 2
        groups = Counter([one - mu for one in self._x])
        groups.update(self._y)
        ties = sum(size**3 - size for size in groups.values()) / ((m + n) * (m + n - 1))
        variance = m * n / 12 * (m + n + 1 - ties)
        if variance <= 0:
            raise ValueError("all observations are tied: they have no interval")
        correction = copysign(0.5, excess) if excess else 0.0
        return (excess - correction) / sqrt(variance)


Find = Callable[[Callable[[float], float], float, float], float]


def _crossing(z: _Statistic, level: float, least: float, most: float, find: Find) -> float:
    """Where z falls to the level; an end of the range if it is there already, or never."""
    if z(least) <= level:
        return least
    if z(most) >= level:
        return most
    return find(lambda mu: z(mu) - level, least, most)


def _step_of(z: _Statistic) -> Find:
    """Finds the difference at which a function of mu falls, to the last digit."""
    return lambda falling, low, high: z.difference(_bisected(falling, low, high))


def _bisected(falling: Callable[[float], float], low: float, high: float, *, strictly: bool = False) -> float:
    """The first place at which it is not above zero, or is below it."""
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        value = falling(middle)
        low, high = (low, middle) if (value < 0 if strictly else value <= 0) else (middle, high)
    return (low + high) / 2


def _median(z: _Statistic, least: float, most: float) -> float:
    """Of all differences: half of the pairs are above; with an even number of them between the middle two."""
    half = len(z) / 2
    ends = [_bisected(lambda mu: z.above(mu) - half, least, most, strictly=strictly) for strictly in (False, True)]
    return sum(map(z.difference, ends)) / 2


def _brent(function: Callable[[float], float], low: float, high: float) -> float:
    """A root by Brent's method (Algorithms for Minimization without Derivatives, 1973, chapter 4), to ABSOLUTE / 2."""
    before, at, across = low, high, low
    f_before, f_at, f_across = function(low), function(high), function(low)
    for _ in range(1000):
        step = at - before
        if abs(f_across) < abs(f_at):  # the better of the two ends is the estimate
            before, at, across = at, across, at
            f_before, f_at, f_across = f_at, f_across, f_at
        tolerance = ABSOLUTE / 2 + 4.4e-16 * abs(at)
        half = (across - at) / 2
        if abs(half) <= tolerance or f_at == 0:
            return at
        move = half
        if abs(step) >= tolerance and abs(f_before) > abs(f_at):
            move = _interpolated(at - before, half, (f_before, f_at, f_across), before == across, step, tolerance)
        before, f_before = at, f_at
        at += move if abs(move) >= tolerance else copysign(tolerance, half)
        f_at = function(at)
        if (f_at > 0) == (f_across > 0) and f_at:
            across, f_across = before, f_before
    return at


def _interpolated(
    back: float, half: float, values: tuple[float, float, float], two: bool, step: float, tolerance: float
) -> float:
    """The step of a line through two points or a parabola through three, if it stays well inside; else half the way."""
    f_before, f_at, f_across = values
    s = f_at / f_before
    if two:
        p, q = 2 * half * s, 1 - s
    else:
        r, t = f_before / f_across, f_at / f_across
        p = s * (2 * half * r * (r - t) - back * (t - 1))
        q = (r - 1) * (t - 1) * (s - 1)
    p, q = (p, -q) if p > 0 else (-p, q)
    if p < 1.5 * half * q - abs(tolerance * q) / 2 and p < abs(step * q / 2):
        return p / q
    return half
