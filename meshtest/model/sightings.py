"""Which version of a host was chosen, and when: by the requests themselves, or deeper in the mesh by the hops."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from meshtest.model.history import History, Hop, same_host
from meshtest.model.record import TICK_NS

CHOOSING = ("outbound", "gateway")
"""Directions of the hops that choose a version; an inbound one is the version."""


@dataclass(frozen=True)
class Sightings:
    """Choices in order of time. `codes` stand for versions, -1 or an absent code for "not of this host"."""

    times: Sequence[int]
    """ns since the start of the run."""
    codes: Sequence[int] | memoryview
    versions: dict[int, str]
    ends: Sequence[int] = ()
    """ns at which each was over, where the choice was made some time between: a request that the client has sent may
    still be on its way to the proxy that chooses. Empty: the choice was made at `times`."""

    def settled(self, start: float, end: float) -> float:
        """The latest moment up to `end` before which every choice that had begun since `start` was over by `end`.

        What began later may have been chosen by the configuration after `end`. To leave out just those would favour the
        fast versions, so everything from there on is left out.
        """
        first, last = bisect_left(self.times, start * 1e9), bisect_left(self.times, end * 1e9)
        over = zip(self.times[first:last], self.ends[first:last], strict=False)
        return next((at / 1e9 for at, ended in over if ended > end * 1e9), end)

    def __bool__(self) -> bool:
        return bool(self.times) and bool(self.versions)

    @property
    def first(self) -> float:
        return self.times[0] / 1e9

    @property
    def last(self) -> float:
        return self.times[-1] / 1e9

    def count(self, start: float, end: float) -> Counter[str]:
        """Choices made in [start, end), by version."""
        counts: Counter[str] = Counter()
        part = self.codes[bisect_left(self.times, start * 1e9) : bisect_left(self.times, end * 1e9)]
        for code, count in Counter(part).items():
            if code in self.versions:
                counts[self.versions[code]] += count
        return counts


def sightings(history: History, host: str) -> Sightings:
    """Of the requests if the entry proxy chose among the host's versions, else of the hops."""
    requests = history.requests
    known = enumerate(requests.origins)
    versions = {i: s.version for i, (_, s) in known if s.version and same_host(s.service, host)}
    if not versions.keys().isdisjoint(set(requests.served)):
        start = requests.start_ns
        ends = [at + ticks * TICK_NS - start for at, ticks in zip(requests.intended, requests.done, strict=True)]
        return _ordered([at - start for at in requests.began], requests.served, versions, ends)
    return _of_hops(history, host)


def _of_hops(history: History, host: str) -> Sightings:
    names: dict[str, int] = {}
    chosen = [hop for hop in history.hops if is_choice(hop, host) and history.start <= hop.at < history.end]
    codes = [names.setdefault(hop.server.version, len(names)) for hop in chosen]
    return _ordered([round(hop.at * 1e9) for hop in chosen], codes, {code: version for version, code in names.items()})


def is_choice(hop: Hop, host: str) -> bool:
    """A proxy chose a version of the host for a request."""
    return hop.direction in CHOOSING and bool(hop.server.version) and same_host(hop.server.service, host)


def _ordered(
    times: list[int], codes: Sequence[int] | memoryview, versions: dict[int, str], ends: Sequence[int] = ()
) -> Sightings:
    if times == sorted(times):
        return Sightings(times, codes, versions, ends)
    order = sorted(range(len(times)), key=times.__getitem__)
    return Sightings([times[i] for i in order], [codes[i] for i in order], versions, [ends[i] for i in order if ends])
