"""Which version of a host was chosen, and when: by the requests themselves, or deeper in the mesh by the hops."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import inf

from meshtest.lib.dataclass import dataclass
from meshtest.model.history import History, Hop, same_host
from meshtest.model.packing import Codes, tally
from meshtest.model.record import TICK_NS
from meshtest.model.request import Requests

CHOOSING = ("outbound", "gateway")
"""Directions of the hops that choose a version; an inbound one is the version."""


@dataclass(frozen=True)
class Sightings:
    """Choices in order of time. `codes` stand for versions, an absent code for "not of this host"."""

    times: Sequence[int]
    """ns; those of the run's second 0 are `zero`."""
    codes: Codes
    versions: dict[int, str]
    zero: int = 0
    ends: Callable[[int, int], Iterable[int]] | None = None
    """ns at which those at positions [first, last) were over, where a choice was made some time between: a request that
    the client has sent may still be on its way to the proxy that chooses. None: the choice was made at `times`."""
    longest: int = 0
    """No choice was over later than so many ns after it had begun."""

    def settled(self, start: float, end: float) -> float:
        """The latest moment up to `end` before which every choice that had begun since `start` was over by `end`.

        What began later may have been chosen by the configuration after `end`. To leave out just those would favour the
        fast versions, so everything from there on is left out.
        """
        if self.ends is None or end == inf:
            return end
        limit = self._ns(end)
        first = bisect_left(self.times, max(self._ns(start), limit - self.longest))
        last = bisect_left(self.times, limit)
        over = zip(self.times[first:last], self.ends(first, last), strict=True)
        return next((self._second(at) for at, ended in over if ended > limit), end)

    def __bool__(self) -> bool:
        return bool(self.times) and bool(self.versions)

    @property
    def first(self) -> float:
        return self._second(self.times[0])

    @property
    def last(self) -> float:
        return self._second(self.times[-1])

    def count(self, start: float, end: float) -> Counter[str]:
        """Choices made in [start, end), by version."""
        counts: Counter[str] = Counter()
        first, last = bisect_left(self.times, self._ns(start)), bisect_left(self.times, self._ns(end))
        for code, count in tally(self.codes, max(self.versions, default=0) + 1, first, last).items():
            if code in self.versions:
                counts[self.versions[code]] += count
        return counts

    def each(self) -> Iterator[tuple[float, str]]:
        """Second and version of every choice."""
        for at, code in zip(self.times, self.codes, strict=True):
            if code in self.versions:
                yield self._second(at), self.versions[code]

    def _ns(self, second: float) -> float:
        return second * 1e9 + self.zero

    def _second(self, ns: int) -> float:
        return (ns - self.zero) / 1e9


def sightings(history: History, host: str) -> Sightings:
    """Of the requests if the entry proxy chose among the host's versions, else of the hops."""
    requests = history.requests
    servers = ((code, requests.origins[kind.origin][1]) for code, kind in enumerate(requests.kinds))
    versions = {code: s.version for code, s in servers if s.version and same_host(s.service, host)}
    if versions:
        return replace(_of_requests(requests), versions=versions)
    return _of_hops(history, host)


def _of_requests(requests: Requests) -> Sightings:
    """Whatever the host; kept with the requests."""
    found: Sightings | None = requests.kept.get("sightings")
    if found is None:
        order = None if requests.in_order else sorted(range(len(requests)), key=requests.began.__getitem__)
        intended, done = requests.intended, requests.done

        def ends(first: int, last: int) -> Iterable[int]:
            positions = range(first, last) if order is None else order[first:last]
            return (intended[i] + done[i] * TICK_NS for i in positions)

        times, codes = requests.began, requests.codes
        if order is not None:
            times, codes = array("Q", [times[i] for i in order]), _like(codes, [codes[i] for i in order])
        longest = max(done.tolist(), default=0) * TICK_NS
        found = requests.kept["sightings"] = Sightings(times, codes, {}, requests.start_ns, ends, longest)
    return found


def _like(codes: Codes, values: list[int]) -> Codes:
    return bytes(values) if isinstance(codes, bytes) else array("L", values)


def _of_hops(history: History, host: str) -> Sightings:
    names: dict[str, int] = {}
    chosen = [hop for hop in history.hops if is_choice(hop, host) and history.start <= hop.at < history.end]
    chosen.sort(key=lambda hop: hop.at)
    codes = array("L", [names.setdefault(hop.server.version, len(names)) for hop in chosen])
    return Sightings([round(hop.at * 1e9) for hop in chosen], codes, {code: name for name, code in names.items()})


def is_choice(hop: Hop, host: str) -> bool:
    """A proxy chose a version of the host for a request."""
    return hop.direction in CHOOSING and bool(hop.server.version) and same_host(hop.server.service, host)
