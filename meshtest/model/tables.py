"""Requests added up by who served them: what checks and reports are made of. Pure; a million requests in a second."""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import ceil

from meshtest.lib.dataclass import dataclass
from meshtest.model.distribution import Distribution
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


def latencies(requests: Requests) -> dict[str, Distribution]:
    """By label. From the intended time; infinite where there was no answer, as no user would call that fast."""
    found: dict[str, Distribution] | None = requests.kept.get("latencies")
    if found is None:
        names = [label(requests, origin) for origin in range(len(requests.origins))]
        present = sorted({names[kind.origin] for kind in requests.kinds})
        done = array("I", requests.done.tobytes())
        found = requests.kept["latencies"] = {name: _latencies(requests, done, names, name) for name in present}
    return found


def _latencies(requests: Requests, done: array[int], names: Sequence[str], wanted: str) -> Distribution:
    answered = requests.among(lambda kind: not kind.fate and names[kind.origin] == wanted)
    lost = sum(n for kind, n in requests.tally().items() if kind.fate and names[kind.origin] == wanted)
    return Distribution(Counter(itertools.compress(done, answered)), lost)


def quantile(ordered: Sequence[float], p: float) -> float:
    """The exact (nearest-rank) quantile of sorted values: the least that p of them do not exceed."""
    return ordered[max(ceil(p * len(ordered) - 1e-9), 1) - 1] if ordered else 0.0


def failures(requests: Requests) -> list[int]:
    """Positions of requests that were not answered, or with 5xx."""
    return requests.where(lambda kind: kind.failed)


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
    intended = requests.intended
    first, span = intended[0], intended[-1] - intended[0] + 1
    edges = [bisect_left(intended, first + span * i // buckets) for i in range(buckets + 1)]
    rows: dict[str, list[int]] = {}
    for bucket, (start, end) in enumerate(itertools.pairwise(edges)):
        for kind, count in requests.tally(start, end).items():
            rows.setdefault(label(requests, kind.origin), [0] * buckets)[bucket] += count
    return dict(sorted(rows.items()))
