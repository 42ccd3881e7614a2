"""What could have been missed: the shortest outage that is sure to be seen, from the gaps between sends as they were.

An outage of all traffic is seen if one request is sent inside it, so none longer than the largest gap was missed. One
that breaks a share p of the traffic, at random, is missed by m sends with probability (1 - p)^m: with m = ln(0.01) /
ln(1 - p) sends inside (7 for a half, 44 for a tenth) it is seen 99 times in 100. So for each m the longest time in
which only m sends began is what counts. (An even spread over k endpoints needs k sends only: the figure is on the safe
side.)
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from itertools import compress, islice
from math import ceil, inf, log, log1p
from typing import Any

from meshtest.checks.instruments import blind
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import seconds
from meshtest.model.history import History
from meshtest.model.request import Lane
from meshtest.model.sends import Sends, lanes, of_loads

SHARES = (1.0, 0.5, 0.1)
"""Shares of traffic that are told."""
MISSED = 0.01


@dataclass(frozen=True)
class Certificate:
    """Of one load, or of the worst of several. Seconds; infinite if there were too few requests to say anything."""

    shares: Mapping[float, float]
    """The longest outage that can have been missed, by the share of the traffic that it touched."""
    lanes: Mapping[str, float]
    """The same for one that touched all of one lane and nothing else; empty if there was one lane only."""

    @property
    def whole(self) -> float:
        """Of all traffic: the largest gap between two sends."""
        return self.shares.get(1.0, inf)

    def as_data(self) -> dict[str, Any]:
        """JSON has no infinity: None."""
        told = {f"{share:g}": _finite(length) for share, length in self.shares.items()}
        return {"shares": told, "lanes": {lane: _finite(length) for lane, length in self.lanes.items()}}

    def __str__(self) -> str:
        if self.whole == inf:
            return "a single request says nothing about outages"
        parts = [f"{seconds(max(self.lanes.values()))} in one lane"] if self.lanes else []
        half = self.shares.get(0.5, inf)
        parts += [f"{seconds(half)} if it touched half of the requests"] if half < inf else []
        limits = f" ({'; '.join(parts)})" if parts else ""
        return f"no outage longer than {seconds(self.whole)}{limits} can have been missed"


def certificate(history: History) -> Certificate:
    """The worst of all open loops: each is an instrument of its own, and one may have watched what another did not.

    Closed loops (Locust, k6) certify nothing: their users fall silent exactly while the service is down.
    """
    unseeing = blind(history)
    each = [_of(history, sends) for sends in of_loads(history.requests) if sends.load not in unseeing]
    names = {name for found in each for name in found.lanes}
    return Certificate(
        {share: max((found.shares[share] for found in each), default=inf) for share in SHARES},
        {name: max(found.lanes.get(name, 0.0) for found in each) for name in sorted(names)},
    )


def sends_needed(share: float) -> int:
    """Inside an outage of that share of the traffic, so that it is seen 99 times in 100."""
    return 1 if share >= 1 else ceil(log(MISSED) / log1p(-share))


def _of(history: History, sends: Sends) -> Certificate:
    start, end = _edges(history, sends)
    times = [*([start] if start >= 0 else []), *sends.times, *([end] if end >= 0 else [])]
    shares = {share: _longest(times, sends_needed(share)) for share in SHARES}
    return Certificate(shares, _lanes(history, sends))


def _lanes(history: History, sends: Sends) -> dict[str, float]:
    column = lanes(history.requests)
    known = sorted(set(column)) if isinstance(sends.positions, range) else sorted({column[p] for p in sends.positions})
    if len(known) < 2:
        return {}
    own = column if isinstance(sends.positions, range) else bytes(column[p] for p in sends.positions)
    masks = {lane: own.translate(bytes(code == lane for code in range(256))) for lane in known}
    return {Lane(lane).name.lower(): _longest(list(compress(sends.times, mask)), 1) for lane, mask in masks.items()}


def _longest(times: Sequence[int], sends: int) -> float:
    """The longest time between a send and the one `sends` later: strictly inside are fewer than that."""
    return max(map(operator.sub, islice(times, sends, None), times), default=inf * 1e9) / 1e9


def _edges(history: History, sends: Sends) -> tuple[int, int]:
    """Where the window of the judgement cuts the load: the time to its first and last send was not watched either.

    -1 where the load itself began or ended, or nobody knows.
    """
    begun = [e.at for e in history.of("load.start") if e.subject == sends.load]
    ended = [e.at for e in history.of("load.end") if e.subject == sends.load]
    starts_inside = not begun or min(begun) >= history.start
    ends_inside = bool(ended) or history.end == inf
    requests = history.requests
    return (
        -1 if starts_inside else min(requests.nanosecond(history.start), sends.times[0]),
        -1 if ends_inside else max(requests.nanosecond(history.end), sends.times[-1]),
    )


def _finite(value: float) -> float | None:
    return None if value == inf else value
