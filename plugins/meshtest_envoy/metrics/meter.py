"""Reads what Envoy has counted of one run, and keeps it.

Envoy forgets the counts of a listener with the listener, and begins again with one of the same name. So counts are
added up here, from one reading to the next: a count that went down began again at zero (Prometheus treats counters
alike). Who removes or changes a listener reads before, and asks for another reading soon, for what was under way.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import quote

from meshtest.errors import ProviderError
from meshtest_envoy.metrics.flow import Bucket, Buckets, Flow, Tally, parse
from meshtest_envoy.metrics.page import Page
from meshtest_envoy.xds import stats
from meshtest_envoy.xds.stats import Counting

AGAIN = (0.3, 0.8)
"""Seconds after a listener went: within the time that its connections have to drain (envoy.FLAGS)."""

LONGEST_WAIT = 1.0
"""Seconds, until the histograms are as new as the counters; on an idle machine they are at once."""

HISTOGRAMS = (stats.DURATION, stats.RECEIVED, stats.SENT)
_BUCKET = re.compile(r"([0-9.e+]+),([0-9.e+]+):(\d+)")


class Asks(Protocol):
    """Envoy's admin interface (envoy.Admin)."""

    def request(self, method: str, target: str) -> str: ...


class Meter:
    """Thread-safe."""

    def __init__(self, admin: Asks, counting: Counting) -> None:
        self._admin, self._counting = admin, counting
        self._lock = threading.RLock()
        self._raw: dict[str, str] = {}
        """By stat, its value as Envoy told it last."""
        self._tallies: dict[Flow, Tally] = {}
        self._known: dict[str, Tally] = {}
        self._missing: dict[str, int] = {}
        """Durations that did not come: they went with their listener, and are not waited for again."""
        self._pages: dict[str, Page] = {}
        self._timers: list[threading.Timer] = []

    def read(self) -> Mapping[Flow, Tally]:
        """The counts of the run so far."""
        with self._lock:
            # asked for anything, Envoy has its workers hand over their histograms; asked next, it tells them
            counters = self._told("type=Counters&usedonly")
            self._take(counters | self._histograms(counters))
            return self._tallies

    def _histograms(self, counters: Mapping[str, str]) -> dict[str, str]:
        """As new as these counters."""
        deadline = time.monotonic() + LONGEST_WAIT
        while True:
            found = self._told("type=Histograms&histogram_buckets=detailed")
            missing = behind(counters, found)
            known = all(count <= self._missing.get(name, 0) for name, count in missing.items())
            if known or time.monotonic() > deadline:
                self._missing = missing
                return found

    def _told(self, what: str) -> dict[str, str]:
        """By type, for Envoy looks at each stat it has: of a mesh of 20 services 13,000."""
        mine = quote(f"^{self._counting.prefix}\\.")
        return dict(readings(self._admin.request("GET", f"/stats?{what}&filter={mine}")))

    def text(self, vocabulary: str) -> str:
        """The counts by now, in the words of `istio` or `linkerd`."""
        with self._lock:
            if vocabulary not in self._pages:
                words: Any = import_module(f"meshtest_envoy.metrics.{vocabulary}")
                self._pages[vocabulary] = Page(words)
            return self._pages[vocabulary].text(self.read())

    def read_soon(self) -> None:
        """Again, when what was under way in listeners that go has ended."""
        with self._lock:
            self.stop()  # who asks has just read
            for seconds in AGAIN:
                timer = threading.Timer(seconds, self.read_quietly)
                timer.name, timer.daemon = "metrics", True
                self._timers.append(timer)
                timer.start()

    def relabelled(self) -> None:
        """Callers have new labels: what is counted from now on is theirs."""
        with self._lock:
            self._known.clear()

    def stop(self) -> None:
        with self._lock:
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()

    def read_quietly(self) -> None:
        """Envoy may have ended meanwhile."""
        with contextlib.suppress(ProviderError):
            self.read()

    # ---- from text to tallies

    def _take(self, found: dict[str, str]) -> None:
        for name, value in found.items():
            before = self._raw.get(name, "")
            if value != before:
                self._add(name, before, value)
        self._raw = found

    def _add(self, name: str, before: str, value: str) -> None:
        _, kind, _, fields = name.split(".", 3)  # PREFIX.KIND.k.FIELDS
        if kind == stats.MESSAGES:
            fields, _, messages = fields.rpartition(stats.SEPARATOR)
        tally = self._known.get(fields) or self._tally(fields)
        tally.version += 1
        if kind in HISTOGRAMS:
            grow(getattr(tally, kind), buckets(before), buckets(value))
            return
        grown = increase(int(before or 0), int(value))
        if kind == stats.MESSAGES:
            received, _, sent = messages.partition(",")
            tally.streamed = True
            tally.received_messages += grown * int(received or 0)
            tally.sent_messages += grown * int(sent or 0)
        else:
            setattr(tally, kind, getattr(tally, kind) + grown)

    def _tally(self, fields: str) -> Tally:
        flow = parse(fields, self._counting.peers)
        made = self._known[fields] = self._tallies.setdefault(flow, Tally())
        return made


def readings(text: str) -> Iterator[tuple[str, str]]:
    """(stat, value) of Envoy's /stats; of a histogram the value is its buckets as they stand there."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.endswith(":"):
            yield line[:-1], next(lines).removeprefix("  totals=")
        elif not line.startswith("  "):
            name, _, value = line.rpartition(": ")
            if value.isdigit():
                yield name, value


def behind(counters: Mapping[str, str], histograms: Mapping[str, str]) -> dict[str, int]:
    """Requests that have been counted, and their durations not yet: workers that are busy hand over later."""
    found: dict[str, int] = {}
    for name, count in counters.items():
        prefix, kind, fields = name.split(".", 2)
        if kind == stats.REQUESTS:
            durations = buckets(histograms.get(f"{prefix}.{stats.DURATION}.{fields}", ""))
            if (missing := int(count) - sum(durations.values())) > 0:
                found[name] = missing
    return found


@lru_cache(maxsize=4096)
def buckets(text: str) -> Mapping[Bucket, int]:
    """`1,0.1:2, 10,1:1`. Remembered, for most are as they were a second ago."""
    return {(float(low), float(width)): int(count) for low, width, count in _BUCKET.findall(text)}


def grow(tally: Buckets, before: Mapping[Bucket, int], now: Mapping[Bucket, int]) -> None:
    if any(now.get(bucket, 0) < count for bucket, count in before.items()):
        before = {}
    for bucket, count in now.items():
        tally[bucket] = tally.get(bucket, 0) + count - before.get(bucket, 0)


def increase(before: int, now: int) -> int:
    return now - before if now >= before else now
