"""Many latencies in order, of which most occur more than once: in ticks of 100 ns, as they are recorded.

Quicker to make than a sorted list (each is counted, only different ones are sorted), and smaller.
"""

from __future__ import annotations

import itertools
import operator
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import overload

from meshtest.model.record import TICK_NS


class Distribution(Sequence[float]):
    """A sorted sequence of seconds, kept as different values and how often each occurs."""

    def __init__(self, counts: Mapping[int, int], infinite: int = 0) -> None:
        """From how often each number of ticks occurs, and how many took forever."""
        self._ticks = array("Q", sorted(counts))
        self._ends = array("Q", itertools.accumulate(map(counts.__getitem__, self._ticks)))
        self._infinite = infinite

    @classmethod
    def merged(cls, parts: Iterable[Distribution]) -> Distribution:
        total: Counter[int] = Counter()
        infinite = 0
        for part in parts:
            total.update(dict(part._counts()))
            infinite += part._infinite
        return cls(total, infinite)

    def _counts(self) -> Iterator[tuple[int, int]]:
        return zip(self._ticks, map(operator.sub, self._ends, (0, *self._ends)), strict=True)

    def __len__(self) -> int:
        return (self._ends[-1] if self._ends else 0) + self._infinite

    @overload
    def __getitem__(self, index: int, /) -> float: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[float]: ...
    def __getitem__(self, index: int | slice, /) -> float | list[float]:
        if isinstance(index, slice):
            return list(self)[index]
        place = bisect_right(self._ends, range(len(self))[index])
        return self._ticks[place] * TICK_NS / 1e9 if place < len(self._ticks) else inf

    def __iter__(self) -> Iterator[float]:
        repeated = (itertools.repeat(ticks * TICK_NS / 1e9, count) for ticks, count in self._counts())
        return itertools.chain(itertools.chain.from_iterable(repeated), itertools.repeat(inf, self._infinite))
