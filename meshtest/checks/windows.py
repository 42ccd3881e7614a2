"""When requests were hit - failed, or saved by a retry - as windows of time with the error of their length.

        ok   ok   X    X    X    ok          X: hit
        │    │    ╰─ at_least ╯  │           certainly inside
             ╰────── at_most ────╯           certainly not longer

Where some sends of the window went well (one endpoint of two is down), a good neighbour proves less: it may have gone
to the other endpoint. Then `at_most` reaches out to so many good sends that all of them missed it by chance once in a
hundred times, and the best estimate is the middle of the bracket: the count would read p * w.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from math import ceil, log, log1p

from meshtest.lib.dataclass import dataclass
from meshtest.model.request import Requests
from meshtest.model.sends import Sends, Stream, Streams, of_loads

JOIN = 0.1
"""Seconds; hits further apart than this (and than five sends) are never one window."""
CHANCE = 0.01
"""A run of good sends that chance explains less often than this, given how many of the window were hit, ends it."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """Seconds on the run's clock, by the times of sending."""

    load: str
    positions: Sequence[int]
    """Of the requests hit, in the order of their sending."""
    first: float
    """When the first request that was hit left."""
    last: float
    earliest: float
    """It did not begin before this ..."""
    latest: float
    """... nor end after this; certain if all sends were hit, else with probability 1 - CHANCE."""
    seconds: float
    """Best estimate of its length."""
    sends: int
    """From the first to the last hit, of the streams that were hit."""
    of_load: int
    """The same of the whole load."""
    streams: tuple[Stream, ...]
    open_start: bool = False
    """No good send is known before it; `earliest` is where the record begins."""
    open_end: bool = False

    @property
    def at_least(self) -> float:
        return self.last - self.first

    @property
    def at_most(self) -> float:
        return self.latest - self.earliest

    @property
    def share(self) -> float:
        """How much of the load's traffic in the window was hit."""
        return len(self.positions) / self.of_load

    @property
    def begin(self) -> float:
        """Best estimate, in the middle of what is possible."""
        return (self.first + self.last - self.seconds) / 2

    @property
    def end(self) -> float:
        return self.begin + self.seconds


def find(requests: Requests, hits: Collection[int]) -> list[Window]:
    """Windows of each load, in order of time; `hits` are positions."""
    if not hits:
        return []
    hits = frozenset(hits)
    keys = Streams(requests)
    found: list[Window] = []
    for sends in of_loads(requests):
        found += [_window(requests, sends, keys, group) for group in _groups(_ranks(sends, hits), sends.times)]
    return sorted(found, key=lambda window: window.first)


def _ranks(sends: Sends, hits: frozenset[int]) -> list[int]:
    """Where in the order of sending the hits are."""
    if isinstance(sends.positions, range):
        return sorted(hits)
    return [rank for rank, position in enumerate(sends.positions) if position in hits]


def union(intervals: Collection[tuple[float, float]]) -> float:
    """How long some interval lasts: what several loads see at once counts once."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _groups(ranks: Sequence[int], times: Sequence[int]) -> Iterator[Sequence[int]]:
    """Hits that belong together."""
    if not ranks:
        return
    period = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
    join = max(JOIN * 1e9, 5 * period)
    start = 0
    for i, (before, rank) in enumerate(itertools.pairwise(ranks), 1):
        if times[rank] - times[before] > join:
            yield from _parts(ranks[start:i])
            start = i
    yield from _parts(ranks[start:])


def _parts(ranks: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut where a run of good sends is too long for chance: two short outages are not one long half outage."""
    waiting = [ranks]
    while waiting:
        part = waiting.pop()
        cut = _cut(part)
        if cut:
            waiting += [part[cut:], part[:cut]]
        else:
            yield part


def _cut(ranks: Sequence[int]) -> int:
    """Where to cut, or 0: at the longest run of good sends, if that is rare among so many runs."""
    if len(ranks) < 2:
        return 0
    good, at = max((after - before - 1, i) for i, (before, after) in enumerate(itertools.pairwise(ranks), 1))
    share = len(ranks) / (ranks[-1] - ranks[0] + 1)
    if share == 1.0:
        return 0
    return at if log(len(ranks) - 1) + good * log1p(-share) < log(CHANCE) else 0


def _window(requests: Requests, sends: Sends, keys: Streams, ranks: Sequence[int]) -> Window:
    hit = set(ranks)
    alike = {keys[sends.positions[rank]] for rank in ranks}
    first, last = ranks[0], ranks[-1]
    inside = sum(keys[sends.positions[rank]] in alike for rank in range(first, last + 1))
    around = _Neighbours(sends, keys, alike, hit)
    good = _good_sends_needed(len(ranks), inside)
    before, after = around.walk(first, -1, good), around.walk(last, 1, good)
    second = requests.second
    return Window(
        load=sends.load,
        positions=[sends.positions[rank] for rank in ranks],
        first=second(sends.times[first]),
        last=second(sends.times[last]),
        earliest=second(sends.times[before[-1] if before else first]),
        latest=second(sends.times[after[-1] if after else last]),
        seconds=_length(requests, sends, ranks, inside, before, after),
        sends=inside,
        of_load=last - first + 1,
        streams=tuple(sorted(alike)),
        open_start=not before,
        open_end=not after,
    )


def _good_sends_needed(hit: int, inside: int) -> int:
    """On each side, so that both together miss the window with probability CHANCE: ln(CHANCE / 2) / ln(1 - p)."""
    if hit == inside:
        return 1
    return ceil(log(CHANCE / 2) / log1p(-hit / inside))


@dataclass(frozen=True)
class _Neighbours:
    """Sends of the same streams outside of a window."""

    sends: Sends
    keys: Streams
    alike: set[Stream]
    hit: set[int]

    def walk(self, start: int, step: int, count: int) -> list[int]:
        """The ranks of the next `count`, the nearest first; fewer where the record ends."""
        found: list[int] = []
        rank = start + step
        while 0 <= rank < len(self.sends.positions) and len(found) < count:
            if self.keys[self.sends.positions[rank]] in self.alike:
                found.append(rank)
            rank += step
        return found


def _length(
    requests: Requests, sends: Sends, ranks: Sequence[int], inside: int, before: list[int], after: list[int]
) -> float:
    """The best estimate: count times period if everything was hit, else the middle of the bracket.

    The period is that of the plan, for it has no jitter; what was observed bounds the result.
    """
    at_least = (sends.times[ranks[-1]] - sends.times[ranks[0]]) / 1e9
    outer = [before[0] if before else ranks[0], after[0] if after else ranks[-1]]
    bracket = (sends.times[outer[1]] - sends.times[outer[0]]) / 1e9
    if inside > len(ranks):
        return (at_least + bracket) / 2
    planned = [requests.intended[sends.positions[rank]] for rank in outer]
    periods = len(ranks) - 1 + bool(before) + bool(after)
    if not periods:
        return 0.0
    return min(max(at_least, abs(planned[1] - planned[0]) / 1e9 / periods * len(ranks)), max(bracket, at_least))
