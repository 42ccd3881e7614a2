"""When each request is to be sent: intended times as a pure function of the shape of a load. No clock, no socket.

A load's requests have *positions*: 0, 1, 2 … when evenly spaced; sums of exponential gaps of mean 1 when Poisson. A
stage with a rate r(t) has its request at position n when the integral of r reaches n, solved exactly, so no step adds
up an error and a ramp made of stages is one even flow. Part k of N processes takes every N-th position, from k.

Part of the prober's process: light imports. Not here: what a person writes (shape.py).
"""

from __future__ import annotations

from math import inf, log, sqrt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Stage = tuple[str, float, float, float | None]
    """("rate", from, to, seconds): requests a second, changing linearly; ("burst", requests, every, seconds): so many
    at once, again after each `every` seconds (0: once). Seconds None: until the load ends."""

_SECOND = 1e9


class Even:
    """Positions `part`, `part` + `parts`, …"""

    def __init__(self, part: int, parts: int) -> None:
        self._next, self._step = float(part), parts

    def upto(self, total: float) -> Iterator[float]:
        """Those before `total`; counting then goes on from there, as from 0."""
        first, step, count = self._next, self._step, 0
        while (at := first + count * step) < total:
            yield at
            count += 1
        self._next = at - total


class Poisson:
    """A Poisson process of one request a unit, thinned to one part of `parts` (which together are one again)."""

    def __init__(self, seed: int, parts: int) -> None:
        from _random import Random  # `random` costs 5 ms to import

        self._random, self._mean = Random(seed).random, parts
        self._next = self._gap()

    def _gap(self) -> float:
        return -log(1.0 - self._random()) * self._mean

    def upto(self, total: float) -> Iterator[float]:
        at = self._next
        while at < total:
            yield at
            at += self._gap()
        self._next = at - total


def intended(stages: Sequence[Stage], part: int = 0, parts: int = 1, poisson: int | None = None) -> Iterator[int]:
    """The times of one part's requests in ns after the origin, in order. `poisson`: the seed of random arrivals."""
    positions = Even(part, parts) if poisson is None else Poisson(poisson, parts)
    start = 0
    for kind, first, second, seconds in stages:
        if kind == "burst":
            for at in _bursts(second, seconds):
                for _ in range(part, int(first), parts):
                    yield start + at
        elif first == second:
            if first:
                period = _SECOND / first
                for position in positions.upto(inf if seconds is None else first * seconds):
                    yield start + round(position * period)
        else:
            assert seconds
            for position in positions.upto((first + second) / 2 * seconds):
                yield start + round(_on_ramp(position, first, second, seconds) * _SECOND)
        if seconds is None:
            return
        start += round(seconds * _SECOND)


def _on_ramp(position: float, first: float, second: float, seconds: float) -> float:
    """The second at which the integral of a rate that goes from `first` to `second` is `position`.

    The root of `first t + (second - first) / (2 seconds) t²` in the form that does not cancel.
    """
    under = first * first + 2 * (second - first) / seconds * position
    return 2 * position / (first + sqrt(max(under, 0.0))) if position else 0.0


def _bursts(every: float, seconds: float | None) -> Iterator[int]:
    """ns after the stage's start."""
    count, period = 0, every * _SECOND
    end = inf if seconds is None else seconds * _SECOND
    while not count or (every and count * period < end):
        yield round(count * period)
        count += 1
