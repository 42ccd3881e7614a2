"""Requests added up by who served them: what checks and reports are made of. Pure; a million requests in a second."""

from __future__ import annotations

import itertools
import operator
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf

from meshtest.model.record import NEVER, TICK_NS
from meshtest.model.request import Requests


@dataclass(frozen=True, kw_only=True)
class Row:
    """The requests of one version. Seconds; a request without an answer has an infinite latency."""

    version: str
    """`service/version`, or "" for requests that no one is known to have served."""
    requests: int
    share: float
    failed: int
    p50: float
    p99: float
    worst: float


def label(requests: Requests, origin: int) -> str:
    """How an origin is called in tables: `web/v1`, or "" if unknown."""
    server = requests.origins[origin][1]
    return f"{server.service}/{server.version}" if server.service and server.version else server.version or ""


def latencies(requests: Requests) -> dict[str, list[float]]:
    """By label, sorted. From the intended time; infinite where there was no answer, as no user would call that fast."""
    groups: dict[int, list[int]] = {}
    for ticks, origin, fate in zip(requests.done, requests.served, requests.fates, strict=True):
        group = groups.get(origin)
        if group is None:
            group = groups[origin] = []
        group.append(NEVER if fate else ticks)
    merged: dict[str, list[int]] = {}
    for origin, group in groups.items():
        merged.setdefault(label(requests, origin), []).extend(group)
    return {name: _in_seconds(sorted(group)) for name, group in sorted(merged.items())}


def _in_seconds(ticks: list[int]) -> list[float]:
    return [inf if t == NEVER else t * TICK_NS / 1e9 for t in ticks]


def quantile(ordered: Sequence[float], p: float) -> float:
    """The exact (nearest-rank) quantile of sorted values: the least that p of them do not exceed."""
    return ordered[max(ceil(p * len(ordered) - 1e-9), 1) - 1] if ordered else 0.0


def failures(requests: Requests) -> list[int]:
    """Positions of requests that were not answered (these have no status), or with 5xx."""
    return [i for i, status in enumerate(requests.statuses) if not 0 < status < 500]


def by_version(requests: Requests, failed: Sequence[int] | None = None) -> list[Row]:
    """A row a version; `failed` are the positions that count as failed."""
    lost: dict[str, int] = {}
    served = requests.served
    for position in failures(requests) if failed is None else failed:
        name = label(requests, served[position])
        lost[name] = lost.get(name, 0) + 1
    return [
        Row(
            version=name,
            requests=len(ordered),
            share=len(ordered) / len(requests),
            failed=lost.get(name, 0),
            p50=quantile(ordered, 0.5),
            p99=quantile(ordered, 0.99),
            worst=ordered[-1],
        )
        for name, ordered in latencies(requests).items()
    ]


def timeline(requests: Requests, buckets: int) -> dict[str, list[int]]:
    """Requests of each label in each of so many equal parts of the time from the first to the last."""
    if not len(requests):
        return {}
    intended, served = requests.intended, requests.served
    first, span = intended[0], intended[-1] - intended[0] + 1
    edges = [bisect_left(intended, first + span * i // buckets) for i in range(buckets + 1)]
    rows: dict[str, list[int]] = {}
    for bucket, (start, end) in enumerate(itertools.pairwise(edges)):
        for origin, count in Counter(served[start:end]).items():
            rows.setdefault(label(requests, origin), [0] * buckets)[bucket] += count
    return dict(sorted(rows.items()))


def largest_gap(requests: Requests) -> float:
    """Seconds; the longest time between two sends of a load, over all loads: a shorter outage cannot hide there."""
    groups: dict[str, list[int]] = {}
    if len({load for load, _ in requests.origins}) <= 1:
        groups[""] = requests.began.tolist()
    else:
        for at, origin in zip(requests.began, requests.served, strict=True):
            groups.setdefault(requests.origins[origin][0], []).append(at)
    return max((_gap(sorted(times)) for times in groups.values()), default=0.0)


def _gap(times: list[int]) -> float:
    return max(map(operator.sub, times[1:], times), default=0) / 1e9
