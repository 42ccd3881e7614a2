"""Through one Envoy: how much a tool sends, and what that costs. Envoy counts the requests, the kernel the CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from meshtest.errors import MeshtestError
from tests.bench.peers.front import Front
from tests.bench.peers.machine import cpu
from tests.bench.peers.tool import Order, Running, Tool

SETTLE = 0.4
"""Seconds after the first request before the window begins: connections are open, code is warm."""
_PATIENCE = 10.0


@dataclass(frozen=True)
class Cost:
    """Of one tool, over a steady window."""

    rate: float
    """Requests a second that Envoy counted."""
    cores: float
    error: str = ""
    """Why it gave up; the figures are of the time before."""

    @property
    def microseconds(self) -> float:
        """Of CPU, a request."""
        return self.cores / self.rate * 1e6 if self.rate else 0.0


def cost(tool: Tool, front: Front, folder: Path, *, seconds: float, rate: float | None = None, users: int = 20) -> Cost:
    before = front.requests
    running = tool.start(Order(port=front.port, seconds=seconds + 8, rate=rate, users=users, log=False), folder)
    try:
        deadline = time.monotonic() + _PATIENCE
        while front.requests - before < users and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(SETTLE)
        count, used, began = front.requests, cpu(running.pid), time.monotonic()
        time.sleep(seconds)
        count, used, took = front.requests - count, cpu(running.pid) - used, time.monotonic() - began
    finally:
        error = _ended(running)
    return Cost(count / took, max(used, 0.0) / took, error)


def _ended(running: Running) -> str:
    """A load that the machine cannot send says so at its end."""
    try:
        running.kill()
    except MeshtestError as error:
        return str(error)
    return ""


def interleaved(
    tools: Sequence[Tool], front: Front, folder: Path, *, seconds: float, repetitions: int = 3
) -> dict[str, Cost]:
    """Medians of closed loops: all tools in turn, and again, so that what else runs hits them alike."""
    found: dict[str, list[Cost]] = {tool.name: [] for tool in tools}
    for _ in range(repetitions):
        for tool in tools:
            found[tool.name].append(cost(tool, front, folder, seconds=seconds))
    return {name: Cost(median(c.rate for c in costs), median(c.cores for c in costs)) for name, costs in found.items()}
