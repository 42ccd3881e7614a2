"""A server that stands still for half a second, once: what p99 does a tool report, and what would users have felt?"""

from __future__ import annotations

from math import ceil
from pathlib import Path

from tests.bench.peers.recorder import Log, Recorder, Window
from tests.bench.peers.tool import Order, Tool

RATE, SECONDS = 1000.0, 4.0
_PLAN = [Window(1.5, 2.0, "pause")]


def ratio(tool: Tool, folder: Path) -> float | None:
    """The reported p99 through the true one; None if the tool reports none."""
    with Recorder(folder, _PLAN) as server:
        rate = RATE if tool.paced else None
        told = tool.start(Order(port=server.port, seconds=SECONDS, rate=rate), folder).finish()
        log = server.log()
    return None if told.p99 is None else told.p99 / truth(log)


def truth(log: Log) -> float:
    """p99 of users who come RATE a second, whatever happens: those who come while it stands still wait until its end,
    everybody else next to nothing."""
    (pause,) = log.windows
    length, requests = (pause.end - pause.begin) / 1e9, RATE * SECONDS
    rank = requests - ceil(requests * 0.99)
    return length - rank / RATE
