"""Requests counted by time and version: the columns of the timeline, the cells of the heatmap. Pure, and quick.

A hundred thousand requests are added up in a tenth of a second: every step over all of them is one call into C.
"""

from __future__ import annotations

import itertools
from array import array
from bisect import bisect_left
from collections import Counter
from functools import partial
from math import log10
from typing import NamedTuple

from meshtest.model import tables
from meshtest.model.record import TICK_NS
from meshtest.reporters.html.material import Material


class Counts(NamedTuple):
    """The requests of one host in equal parts of the time of the load."""

    host: str
    start: float
    width: float
    """Seconds of a part."""
    served: dict[str, list[int]]
    """By version, `web/v1`; "" is nobody known. Those that failed are not among them."""
    failed: list[int]
    versions: dict[str, list[int]]
    """All, failed or not: what the split is measured on."""

    @property
    def totals(self) -> list[int]:
        return [sum(column) for column in zip(self.failed, *self.served.values(), strict=True)]

    def edge(self, part: int) -> float:
        return self.start + part * self.width


def entry_counts(material: Material, parts: int) -> Counts:
    """What users saw."""
    requests = material.requests
    intended = requests.intended
    first, span = intended[0], max(intended[-1] - intended[0], 1)
    edges = [bisect_left(intended, first + span * i // parts) for i in range(parts)] + [len(requests)]
    names = [tables.label(requests, origin) for origin in range(len(requests.origins))]
    versions: dict[str, list[int]] = {}
    for part, (start, end) in enumerate(itertools.pairwise(edges)):
        for kind, count in requests.tally(start, end).items():
            versions.setdefault(names[kind.origin], [0] * parts)[part] += count
    served = {name: list(row) for name, row in versions.items()}
    failed = [0] * parts
    for position in material.lost:
        part = min((intended[position] - first) * parts // span, parts - 1)
        failed[part] += 1
        served[names[requests.served[position]]][part] -= 1
    host = next((name.partition("/")[0] for name in sorted(versions) if "/" in name), "")
    return Counts(host, requests.second(first), span / 1e9 / parts, served, failed, versions)


def deeper_counts(material: Material, host: str, parts: int) -> Counts:
    """What the proxies in front of a host further down saw."""
    requests, chosen = material.requests, material.choices(host)
    times = [requests[0].at, requests[-1].at] if len(requests) else [hop.at for hop in chosen] or [0.0]
    start, span = min(times), max(max(times) - min(times), 1e-6)
    versions: dict[str, list[int]] = {}
    served: dict[str, list[int]] = {}
    failed = [0] * parts
    for hop in chosen:
        part = min(max(int((hop.at - start) / span * parts), 0), parts - 1)
        name = f"{host}/{hop.server.version}"
        good = 0 < hop.status < 500
        versions.setdefault(name, [0] * parts)[part] += 1
        served.setdefault(name, [0] * parts)[part] += good
        failed[part] += not good
    return Counts(host, start, span / parts, served, failed, versions)


# Latencies.

FINE = 24
"""Steps of the latency axis to a factor of ten."""


class Cells(NamedTuple):
    """How many answers of each version took how long, by time."""

    start: float
    width: float
    """Seconds of a part."""
    parts: int
    low: int
    """The axis begins at 10 ** (low / FINE) ticks."""
    coarse: int
    """A step is so many of the FINE ones."""
    steps: int
    counts: dict[str, Counter[tuple[int, int]]]
    """(part, step) to how many."""

    def latency(self, step: float) -> float:
        """Seconds at which a step begins."""
        return float(10.0 ** ((self.low + step * self.coarse) / FINE)) * TICK_NS / 1e9


class Steps(NamedTuple):
    """The axis of latencies, and on which of its steps each request is."""

    low: int
    total: int
    of: bytes


def cells(material: Material, parts: int, coarse: int = 1) -> Cells:
    """`coarse` steps are taken together."""
    requests = material.requests
    steps = _steps(material, coarse)
    answered = [not kind.fate for kind in requests.kinds]
    names = [tables.label(requests, kind.origin) for kind in requests.kinds]
    counts: dict[str, Counter[tuple[int, int]]] = {}
    first, span = requests.intended[0], max(requests.intended[-1] - requests.intended[0], 1)
    bounds = [bisect_left(requests.intended, first + span * i // parts) for i in range(parts)] + [len(requests)]
    for part, (start, end) in enumerate(itertools.pairwise(bounds)):
        pairs = zip(requests.codes[start:end], steps.of[start:end], strict=True)
        for (code, row), count in Counter(pairs).items():
            if answered[code]:
                counts.setdefault(names[code], Counter())[part, row] += count
    return Cells(requests.second(first), span / 1e9 / parts, parts, steps.low, coarse, steps.total, counts)


def _steps(material: Material, coarse: int) -> Steps:
    """Worked out once for all widths."""
    requests = material.requests
    found: Steps | None = requests.kept.get(f"steps {coarse}")
    if found is None:
        done = array("I", requests.done.tobytes())
        answered = array("I", itertools.compress(done, requests.among(lambda kind: not kind.fate)))
        least, most = max(min(answered, default=1), 1), max(answered, default=2)
        low, high = int(log10(least) * FINE) // coarse * coarse, int(log10(max(most, 2)) * FINE) + 1
        count = max(-(-(high - low) // coarse), 1)
        edges = [10.0 ** ((low + step * coarse) / FINE) for step in range(1, count)]
        found = Steps(low, count, bytes(map(partial(bisect_left, edges), done)))
        requests.kept[f"steps {coarse}"] = found
    return found
