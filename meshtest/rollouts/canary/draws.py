"""The chances of a Canary where there is no sum to write down: many runs of it, drawn from one seed.

For windows that share requests in more ways than a chain can remember (power.py): consecutive failed checks then have
one cause, and to take them as independent would be wrong by far (interval 10 s, window 1 m, 20 requests/s, 1.5 % errors
where 1 % is tolerated: promoted in 21 % of the cases, not in 4 %). The same seed for every version and traffic, so that
what differs between them is not luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, sqrt
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from meshtest.rollouts.canary import course
from meshtest.rollouts.canary.limits import Limit
from meshtest.rollouts.canary.state import Phase

if TYPE_CHECKING:
    from meshtest.rollouts.canary.power import Node, Version
    from meshtest.rollouts.canary.spec import Canary
    from meshtest.rollouts.canary.traffic import Traffic

RUNS = 2000
"""A chance of 50 % is then told to within 2.2 points, one of 5 % within 1, one of 1 % within 0.5 (95 of 100 times)."""
SEED = 6
LARGE = 25.0
"""Expected counts above which a normal draw, corrected for skewness, stands for the binomial one."""


class Drawn(NamedTuple):
    """Means over all runs."""

    promoted: float
    rolled_back: float
    intervals: float
    served: float


class Part(NamedTuple):
    """Requests of the canary in a part of an interval."""

    requests: int
    errors: int
    slow: int


def drawn(
    canary: Canary, nodes: Sequence[Node], limits: Sequence[Limit], traffic: Traffic, version: Version, runs: int = RUNS
) -> Drawn:
    """Run after run."""
    one = _Runs(canary, nodes, limits, traffic, version)
    ended = [one.run() for _ in range(runs)]
    phases = [phase for phase, *_ in ended]
    return Drawn(
        promoted=phases.count(Phase.SUCCEEDED) / runs,
        rolled_back=phases.count(Phase.FAILED) / runs,
        intervals=sum(intervals for _, intervals, _ in ended) / runs,
        served=sum(served for *_, served in ended) / runs,
    )


class _Runs:
    """Of one version under one traffic."""

    def __init__(
        self, canary: Canary, nodes: Sequence[Node], limits: Sequence[Limit], traffic: Traffic, version: Version
    ) -> None:
        self._nodes, self._limits, self._traffic, self._version = nodes, limits, traffic, version
        self._interval = canary.analysis.interval
        self._random = Random(SEED)
        self._shares = [course.asked(canary, node.state) for node in nodes]
        self._exposed = [course.exposed(canary, node.state) for node in nodes]
        cuts = {self._interval - limit.window % self._interval for limit in limits}
        ends = sorted({cut for cut in cuts if cut > 0} | {self._interval})
        self._lengths = [end - begin for begin, end in zip([0.0, *ends], ends, strict=False)]
        self._reach = [self._parts_of(limit.window) for limit in limits]
        self._needs_one = any(limit.needs_one for limit in limits)

    def _parts_of(self, window: float) -> int:
        """So many parts, counted from the check backwards, make up the window."""
        parts, left = 0, window
        while left > 1e-9:
            parts += 1
            left -= self._lengths[-1 - (parts - 1) % len(self._lengths)]
        return parts

    def run(self) -> tuple[Phase | None, int, float]:
        """How it ended, after how many intervals, and the users that the new version has served."""
        number, parts, seen, served = 0, list[Part](), False, 0.0
        for tick in range(len(self._nodes) + 1):
            node = self._nodes[number]
            if node.ending:
                return node.ending, tick - 1, served
            served += self._exposed[number] * self._traffic.rps * self._interval
            parts += [self._part(self._shares[number], length) for length in self._lengths]
            seen = seen or any(part.errors for part in parts[-len(self._lengths) :])
            passed = not node.measures or self._accepted(parts, seen)
            number = node.passed if passed else node.failed
        return None, len(self._nodes), served

    def _part(self, share: float, seconds: float) -> Part:
        arrivals = self._traffic.arrivals(share, seconds)
        whole = floor(arrivals.users)
        users = whole + (self._random.random() < arrivals.users - whole)
        requests = binomial(self._random, users, arrivals.share)
        errors = binomial(self._random, requests, self._version.errors)
        return Part(requests, errors, binomial(self._random, requests, self._version.slow))

    def _accepted(self, parts: Sequence[Part], seen: bool) -> bool:
        for limit, reach in zip(self._limits, self._reach, strict=True):
            window = parts[-reach:]
            bad = sum(part.errors if limit.kind == "errors" else part.slow for part in window)
            if (limit.needs_one and not seen) or not limit.accepts(bad, sum(part.requests for part in window)):
                return False
        return True


def binomial(random: Random, n: int, p: float) -> int:
    """One draw; the standard library has it from 3.12 on."""
    if n <= 0 or p <= 0:
        return 0
    if p > 0.5:
        return n - binomial(random, n, 1 - p)
    if n * p > LARGE:
        z = random.gauss(0.0, 1.0)
        found = n * p + z * sqrt(n * p * (1 - p)) + (1 - 2 * p) * (z * z - 1) / 6
        return min(n, max(0, round(found)))
    return _inverted(random.random(), n, p)


def _inverted(u: float, n: int, p: float) -> int:
    """The distribution function, summed up until it is above u."""
    odds, chance, k = p / (1 - p), (1 - p) ** n, 0
    while u > chance and k < n:
        u -= chance
        k += 1
        chance *= odds * (n - k + 1) / k
    return k
