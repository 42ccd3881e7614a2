"""Outages of known length at a random phase: how many does a tool's own record show, and how long were they by it?

The server closes its listener and resets every connection, then listens again; its log has the true window. Whatever a
tool recorded is judged by meshtest's check, the same for all.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from meshtest.checks.outages import Outage
from meshtest.checks.outages import outages as windows_of_failures
from meshtest.model.history import History
from meshtest.model.request import UNKNOWN_SERVER, Fate, Lane, Request, Requests
from tests.bench.peers.recorder import Recorder, Window, shuffled, windows
from tests.bench.peers.tool import Order, Row, Tool

LENGTHS = (0.0011, 0.005, 0.02, 0.1)
"""Seconds. At 1,000/s one of 1 ms is as long as the time between two sends; the least that none can slip through is a
little more."""
RATE = 1000.0
_APART = (0.125, 0.155)
"""Seconds between windows: failures nearer than 0.1 s would be one outage."""
_NEAR = 0.02
"""Seconds by which a tool may date an outage wrong and still have seen it."""
_EDGE = 100_000
"""ns; what leaves so shortly before the end of an outage may arrive after it."""
_FATES = {"refused": Fate.REFUSED, "reset": Fate.RESET, "stall": Fate.TIMEOUT}


@dataclass(frozen=True)
class Seen:
    """Of the windows of one length."""

    rate: float
    windows: int
    sent_in: int
    """Those in which the tool sent something, by its own record: the rest it had no chance to see."""
    hidden: int
    """Of these, those that its record does not show: somebody was asked, failed, and it was not told."""
    detected: int
    errors: Sequence[float]
    """Seconds by which the length of each one that was detected is off, without sign, sorted."""

    @property
    def median(self) -> float:
        return median(self.errors) if self.errors else float("nan")

    @property
    def p90(self) -> float:
        return self.errors[min(int(len(self.errors) * 0.9), len(self.errors) - 1)] if self.errors else float("nan")


def measure(tool: Tool, folder: Path, counts: Sequence[int], *, seed: int = 1) -> dict[float, Seen]:
    """`counts`: how many windows of each of LENGTHS."""
    rate = min(RATE, tool.most)
    kinds = [("down", length) for length, count in zip(LENGTHS, counts, strict=True) for _ in range(count)]
    plan = list(windows(shuffled(kinds, seed), apart=_APART, start=0.7, seed=seed))
    with Recorder(folder, plan) as server:
        order = Order(port=server.port, seconds=round(plan[-1].end + 1), rate=rate, users=50)
        told = tool.start(order, folder).finish()
        log = server.log()
    assert told.rows is not None
    found, sends = outages(told.rows), sorted(row.sent for row in told.rows)
    pairs = list(zip(log.windows, plan, strict=False))
    return {
        length: _seen([w for w, p in pairs if abs(p.end - p.begin - length) < 1e-6], found, sends, rate)
        for length in LENGTHS
    }


def outages(rows: Sequence[Row]) -> list[Outage]:
    """As meshtest finds them in records."""
    requests = Requests.of(_request(number, row) for number, row in enumerate(sorted(rows)))
    return windows_of_failures(History([], requests, start=0.0))


def _request(number: int, row: Row) -> Request:
    fate = _FATES.get(row.what, Fate.ANSWERED)
    status = 0 if fate else 503 if row.failed else 200
    return Request(
        "load", number, row.at / 1e9, 0.0, row.seconds, row.seconds, fate, status, Lane.KEEPALIVE, 1, UNKNOWN_SERVER
    )


def _seen(true: Sequence[Window], found: Sequence[Outage], sends: Sequence[int], rate: float) -> Seen:
    errors, sent_in, hidden = [], 0, 0
    for window in true:
        begin, end = window.begin / 1e9, window.end / 1e9
        near = [o for o in found if o.begin < end + _NEAR and o.end > begin - _NEAR]
        if near:
            errors.append(abs(sum(outage.seconds for outage in near) - (end - begin)))
        sent = bisect(sends, window.end - _EDGE) > bisect(sends, window.begin + _EDGE)
        sent_in += sent
        hidden += sent and not near
    return Seen(rate, len(true), sent_in, hidden, len(errors), sorted(errors))
