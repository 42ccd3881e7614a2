"""What Prometheus' scrape loop does, on our own time: read the targets each second, hand the samples over.

On a clock that goes faster (prometheus_clock.py) it is as often as Flagger's own Prometheus scrapes, but a tenth of the
time at most. Labels that a target tells win over ours (honor_labels), `up` and `scrape_duration_seconds` say how it
went, and a series that is not there any more, or whose target does not answer, is marked stale.

A counter that appears on a fast clock has risen from 0 since the scrape before, and is given that 0 (as Prometheus does
with created timestamps): what it holds then are the only requests of a window, not the first of hundreds.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from meshtest.errors import MeshtestError, ProviderError
from meshtest.spi.provider import Record
from meshtest_telemetry.prometheus_client import Client
from meshtest_telemetry.prometheus_clock import Clock, accumulates
from meshtest_telemetry.prometheus_write import HEADERS, begin_series, snappy, write_request

INTERVAL = 1.0
"""Seconds."""
FAST_INTERVAL = 5.0
"""Seconds of a fast clock; what Flagger's charts set (charts/flagger: scrape_interval)."""
SPARE = 9.0
"""Times as long as a scrape took, nothing is scraped: on a fast clock that may be more than its interval."""
SLOW_INTERVAL = 15.0
"""Seconds of a fast clock, after which it scrapes whatever that costs: a rate over a minute needs two samples in it."""
TIMEOUT = 10.0
"""Seconds for a target to answer, as by default there."""
JOB = "meshtest"

_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")

Encoded = dict[bytes, float | None]
"""Begun series (prometheus_write.py) to the value; None: it has ended."""
Worth = Callable[[float], float] | None
"""What a value stands for on the clock of the samples; None: for itself."""


class Scraper:
    """From start() to stop(); scrape() at any time from any thread."""

    def __init__(self, client: Client, targets: Sequence[str], record: Record, clock: Clock) -> None:
        self._client, self._record, self._clock = client, record, clock
        self._targets = [_Target(url, clock) for url in targets]
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._regularly, name="scraper", daemon=True)
        self._complained = False
        self.since = 0.0
        """The time of the first scrape, on the clock of the samples."""
        self.last = 0.0
        """Of the latest one: the time of its samples."""

    def start(self) -> None:
        """The first scrape has happened when this returns: counters have something to rise from."""
        self.scrape()
        self.since = self.last
        self._thread.start()

    def stop(self) -> None:
        """After one last scrape."""
        self._over.set()
        self._thread.join()
        self.scrape()

    def scrape(self) -> None:
        """Now. ProviderError names targets that do not answer; the others are in."""
        with self._lock:
            at = max(self._clock.now(), self.last + 0.001)  # one sample a series and millisecond
            at = round(at, 3)
            said = [target.scrape() for target in self._targets]
            self._hand_over(said, at)
            self.last = at
        if down := [one.trouble for one in said if one.trouble]:
            raise ProviderError(f"no metrics from {'; '.join(down)}")

    def _hand_over(self, said: Sequence[_Said], at: float) -> None:
        begun = {series: 0.0 for one in said for series in one.begun} if self.last else {}
        samples = {series: value for one in said for series, value in one.samples.items()}
        told = ((begun, self.last), (samples, at))
        body = snappy(b"".join(write_request(part.items(), round(when * 1000)) for part, when in told if part))
        status, answer = self._client.request("POST", "/api/v1/write", body, HEADERS)
        if status not in (200, 204):
            raise ProviderError(f"Prometheus refused samples ({status}): {answer[:200].decode(errors='replace')}")

    def _regularly(self) -> None:
        """Evenly: a scrape that took long does not shift those after it."""
        next_at = self._after(time.monotonic(), time.monotonic())
        while not self._over.wait(max(next_at - time.monotonic(), 0.0)):
            began = time.monotonic()
            try:
                self.scrape()
                self._complained = False
            except MeshtestError as error:
                self._complain(error)
            next_at = self._after(next_at, began)

    def _after(self, planned: float, began: float) -> float:
        """When to scrape after the scrape that was planned for then, and began then."""
        if self._clock.speed == 1:
            return max(planned + INTERVAL, began)
        ended = time.monotonic()
        rest = min(SPARE * (ended - began), SLOW_INTERVAL / self._clock.speed)
        return max(planned + FAST_INTERVAL / self._clock.speed, ended + rest)

    def _complain(self, error: MeshtestError) -> None:
        """Once until it works again: who asks is told each time."""
        if not self._complained:
            self._complained = True
            self._record("note", text=str(error))


class _Said(NamedTuple):
    samples: Encoded
    begun: Sequence[bytes] = ()
    """Counters that were not there before, on a fast clock."""
    trouble: str = ""


class _Target:
    """One URL, and the series that it told last."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._parts, self._clock = url, urlsplit(url), clock
        self._ours = {"job": JOB, "instance": self._parts.netloc}
        self._types: dict[str, str] = {}
        """By family, as told."""
        self._known: dict[str, tuple[bytes, Worth]] = {}
        """Begun series by their text, and what their values are worth: parsed once."""
        self._present: frozenset[bytes] = frozenset()
        self._begun: list[bytes] = []
        """Counters that the present scrape has met for the first time."""

    def scrape(self) -> _Said:
        began, trouble, told = time.monotonic(), "", Encoded()
        self._begun = []
        try:
            told = dict(self._samples(self._read()))
        except (OSError, http.client.HTTPException, ValueError) as error:
            trouble = f"{self._url} ({getattr(error, 'strerror', None) or error})"
        present = frozenset(told)
        told.update(dict.fromkeys(self._present - present))
        self._present = present
        told[self._own("up")] = float(not trouble)
        told[self._own("scrape_duration_seconds")] = time.monotonic() - began
        return _Said(told, [series for series in self._begun if series in told], trouble)

    def _read(self) -> str:
        connection = http.client.HTTPConnection(self._parts.netloc, timeout=TIMEOUT)
        try:
            connection.request("GET", self._parts.path or "/", headers={"Accept": "text/plain;version=0.0.4"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(f"answered {answer.status}")
        return body.decode()

    def _samples(self, text: str) -> Iterator[tuple[bytes, float]]:
        """Lines `NAME{LABELS} VALUE [TIME]`; times are left out, as all samples of a scrape are of one."""
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                family, _, kind = line[7:].partition(" ")
                self._types[family] = kind.strip()
            elif line and line[0] != "#":
                braced, _, rest = line.rpartition("}")
                series, rest = (braced, rest) if braced else line.split(None, 1)
                begun, worth = self._known.get(series) or self._learnt(series)
                value = float(rest.split(None, 1)[0])
                yield begun, value if worth is None else worth(value)

    def _learnt(self, series: str) -> tuple[bytes, Worth]:
        name, _, inner = series.partition("{")
        name = name.strip()
        told = {label: _unescaped(value) for label, value in _LABEL.findall(inner)}
        labels = {**self._ours, **{k: v for k, v in told.items() if v}, "__name__": name}
        self._known[series] = found = begin_series(labels), self._clock.worth(name, self._types)
        if self._clock.speed > 1 and accumulates(name, self._types):
            self._begun.append(found[0])
        return found

    def _own(self, name: str) -> bytes:
        return begin_series({**self._ours, "__name__": name})


def _unescaped(value: str) -> str:
    return _ESCAPE.sub(lambda m: "\n" if m[1] == "n" else m[1], value) if "\\" in value else value
