"""What a run has come to so far: rate, failures, latency, step. Reads what was written since the last look and no more.

Not here: verdicts (checks/). A figure here is for the eye: the p99 is within 1 %.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from meshtest.model.record import ANSWERED, NOT_SENT, RECORD, TICK_NS
from meshtest.model.request import Server
from meshtest.run import folder

WINDOW = 2.0
"""Seconds over which the rate is taken."""
DIGITS = 7
"""Binary digits kept of a latency."""


class Beat(NamedTuple):
    """One look."""

    seconds: float
    """Since the first."""
    requests: int
    failed: int
    """Sent, and not answered or with 5xx."""
    rate: float
    """Requests that ended in a second, lately."""
    p99: float | None
    """Seconds; None while nothing was answered."""
    versions: Mapping[str, int]
    """Requests by who served them: `web/v1`."""
    step: str
    """The innermost that is under way, or ""."""


class Pulse:
    """Of one load, or of all in a run folder."""

    def __init__(self, directory: Path, load: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._directory, self._load, self._clock = directory, load, clock
        self._seen: dict[Path, int] = {}
        self._names: dict[Path, list[str]] = {}
        self._requests = self._failed = 0
        self._latencies: Counter[int] = Counter()
        self._versions: Counter[str] = Counter()
        self._steps: list[str] = []
        self._began = clock()
        self._lately = deque([(self._began, 0)])

    def look(self) -> Beat:
        for path in sorted((self._directory / folder.REQUESTS).glob("*.bin")):
            if self._load in ("", path.stem.partition("+")[0]):
                self._take(path)
        self._follow_steps()
        now = self._clock()
        return Beat(
            seconds=now - self._began,
            requests=self._requests,
            failed=self._failed,
            rate=self._rate(now),
            p99=self._p99(),
            versions=dict(self._versions),
            step=self._steps[-1] if self._steps else "",
        )

    def _take(self, path: Path) -> None:
        data = self._new(path, lambda new: len(new) // RECORD.size * RECORD.size)
        servers: Counter[int] = Counter()
        for _, _, _, _, done, status, server, fate, *_ in RECORD.iter_unpack(data):
            self._failed += (fate != ANSWERED and fate != NOT_SENT) or status >= 500
            if fate == ANSWERED:
                self._latencies[rounded(done)] += 1
            servers[server] += 1
        self._requests += sum(servers.values())
        for server, count in servers.items():
            self._versions[self._name(path, server)] += count

    def _new(self, path: Path, whole: Callable[[bytes], int]) -> bytes:
        """What was added, as far as it is whole."""
        try:
            with path.open("rb") as file:
                file.seek(self._seen.get(path, 0))
                data = file.read()
        except FileNotFoundError:
            return b""
        size = whole(data)
        self._seen[path] = self._seen.get(path, 0) + size
        return data[:size]

    def _name(self, path: Path, server: int) -> str:
        """Names are written before the first record that means them."""
        if server == 0:
            return "(unknown)"
        known = self._names.setdefault(path, [])
        if server > len(known):
            known += self._lines(path.with_suffix(".names"))
        found = Server.parse(known[server - 1]) if server <= len(known) else Server()
        return f"{found.service}/{found.version}" if found.version else "(unknown)"

    def _lines(self, path: Path) -> list[str]:
        return self._new(path, lambda new: new.rfind(b"\n") + 1).decode("utf-8", "replace").splitlines()

    def _follow_steps(self) -> None:
        for line in self._lines(self._directory / folder.EVENTS):
            if '"step.' in line:
                event = json.loads(line)
                if event["kind"] == "step.start":
                    self._steps.append(event["subject"])
                elif event["kind"] == "step.end" and self._steps:
                    self._steps.pop()

    def _rate(self, now: float) -> float:
        self._lately.append((now, self._requests))
        while len(self._lately) > 2 and self._lately[1][0] <= now - WINDOW:
            self._lately.popleft()
        since, before = self._lately[0]
        return (self._requests - before) / (now - since) if now > since else 0.0

    def _p99(self) -> float | None:
        values = sorted(self._latencies)
        counts = list(accumulate(self._latencies[value] for value in values))
        if not counts:
            return None
        place = next(i for i, count in enumerate(counts) if count >= 0.99 * counts[-1])
        return values[place] * TICK_NS / 1e9


def rounded(ticks: int) -> int:
    """To so many binary digits, so that an hour's latencies are some thousand numbers."""
    surplus = max(ticks.bit_length() - DIGITS, 0)
    return ticks >> surplus << surplus
