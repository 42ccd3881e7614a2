"""When requests arrive, by the server's clock: how late a tool is, and how long it leaves the server unwatched."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from tests.bench.peers.recorder import Recorder
from tests.bench.peers.tool import Order, Tool

WARM = 0.5
"""Seconds after the first request that do not count: locust's users and k6's are still being made."""
_EARLIEST = 0.01
"""The quantile that counts as on time: no tool is early, and one stray must not make all others late."""


@dataclass(frozen=True)
class Arrivals:
    """Seconds."""

    rate: float
    late_p50: float
    late_p99: float
    longest_hole: float
    start: float
    """From making the process to its first request."""


def arrivals(tool: Tool, folder: Path, *, rate: float, seconds: float) -> Arrivals:
    with Recorder(folder) as server:
        running = tool.start(Order(port=server.port, seconds=seconds + WARM, rate=rate, log=False), folder)
        running.finish()
        log = server.log()
    return judged(log.arrivals, running.spawned, seconds)


def judged(times: Sequence[int], spawned: int, seconds: float) -> Arrivals:
    """`seconds` of them, from WARM on."""
    first = times[0]
    used = [(at - first) / 1e9 for at in times if WARM <= (at - first) / 1e9 < WARM + seconds]
    late = lateness(used)
    hole = max(after - before for before, after in itertools.pairwise(used))
    return Arrivals(
        rate=(len(used) - 1) / (used[-1] - used[0]),
        late_p50=late[len(late) // 2],
        late_p99=late[int(len(late) * 0.99)],
        longest_hole=hole,
        start=(first - spawned) / 1e9,
    )


def lateness(times: Sequence[float]) -> list[float]:
    """How long after the grid that fits them best they arrived, sorted. The grid's period is fitted too: a tool whose
    clock is off by a thousandth is not late by it."""
    period, _ = linear_regression(range(len(times)), times)
    off = sorted(at - k * period for k, at in enumerate(times))
    on_time = off[int(len(off) * _EARLIEST)]
    return [max(each - on_time, 0.0) for each in off]
