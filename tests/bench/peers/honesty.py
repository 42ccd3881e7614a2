"""Does a tool tell what it was done to? A server resets, refuses, stalls, and keeps the books; they are compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peers.recorder import Recorder, shuffled, windows
from tests.bench.peers.tool import TIMEOUT, USERS, Order, Tool

KINDS = ("refused", "reset", "busy", "stall", "slow")
RATE = 500.0
ROUNDS = 10
"""Windows of each kind."""
_WINDOW = 0.02
_APART = (0.02, 0.06)
_CLOSED_PORT = 200
"""Requests to a port where nobody listens."""


@dataclass(frozen=True)
class Books:
    """Of one tool: what was done to its requests, and what it says of it."""

    injected: Counter[str]
    told: Counter[str]
    bytes_each: float
    """On disk, for a request; 0 if it keeps no record."""

    def share(self, kind: str) -> float | None:
        """None: nothing was injected (a closed loop may hang before)."""
        return min(self.told[kind] / self.injected[kind], 1.0) if self.injected[kind] else None

    @property
    def invented(self) -> int:
        """Failures told beyond those injected."""
        return sum(max(self.told[kind] - self.injected[kind], 0) for kind in KINDS if kind != "slow")


def books(tool: Tool, folder: Path, *, seed: int = 1) -> Books:
    """Windows of each kind in random order; then a port that is closed."""
    kinds = shuffled([(kind, _WINDOW) for kind in KINDS[1:]] * ROUNDS, seed)
    plan = list(windows(kinds, apart=_APART, start=0.4, seed=seed))
    seconds = round(plan[-1].end + TIMEOUT + 0.7)
    with Recorder(folder, plan) as server:
        told = tool.start(
            Order(port=server.port, seconds=seconds, rate=min(RATE, tool.most), users=50), folder
        ).finish()
        log = server.log()
    injected, said = Counter(log.done), Counter(told.counts)
    attempts, refused = _refused(tool, server.port, folder)
    injected["refused"], said["refused"] = attempts, said["refused"] + refused
    return Books(injected, said, told.sheet / len(told.rows or [0]))


def _refused(tool: Tool, port: int, folder: Path) -> tuple[int, int]:
    """(requests it was made to send, refusals it tells of); the server of before is gone, and so is its listener."""
    order = Order(port=port, seconds=1, rate=RATE, requests=_CLOSED_PORT, users=USERS)
    try:
        told = tool.start(order, folder).finish()
    except RuntimeError:
        return 0, 0  # it would not begin, and said so: nothing was hidden
    return told.calls or 0, told.counts.get("refused", 0)
