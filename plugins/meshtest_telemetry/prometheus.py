"""A Prometheus to ask: started for the run and fed by its scrapes, or the one at a URL, which scrapes by itself.

                       GET /metrics, each second and before a query
 mesh's endpoint ◄──────────────── Scraper ────────────────► prometheus (its TSDB in the run folder)
                                            remote write       ▲
                                                  PromQL ──────┘

Why it is fed, and does not scrape itself: Prometheus takes up new targets only with a tick of 5 s (measured: ready
after 0.2 s, first scrape after 5.2 to 5.7 s), and even then an answer would be up to a second old.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from typing import Any

from meshtest.errors import ProcessFailed, ProviderError, UsageError
from meshtest.lib import wait
from meshtest.model.series import Matrix, NoData, Number, Sample, Series, Vector
from meshtest.spi.telemetry import Asking
from meshtest_telemetry.prometheus_client import Client, Credentials
from meshtest_telemetry.prometheus_clock import Clock
from meshtest_telemetry.prometheus_missing import why_nothing
from meshtest_telemetry.prometheus_scraper import Scraper
from meshtest_telemetry.prometheus_server import Server

PATIENCE = 60.0
"""Seconds for a Prometheus that scrapes by itself to do so: clusters scrape every 15 to 60 s."""
OWN_TIMEOUT = 30.0
"""Seconds for an answer of the one that was started: it shares the machine with proxies and loads."""
_SPACE = re.compile(r"\s+")


class Prometheus:
    """Implements meshtest.spi.telemetry.PromQl; running when it is made."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._clock = Clock(asking.wall_start, asking.speed)
        self._server: Server | None = None
        self._scraper: Scraper | None = None
        configured = asking.settings.prometheus
        if configured.startswith(("http://", "https://")):
            if asking.speed != 1:
                raise UsageError(
                    f"the Prometheus at {configured} scrapes by its own clock, which cannot go {asking.speed:g} "
                    "times as fast: leave the setting prometheus empty, or set it to a binary"
                )
            self._client = Client(configured, Credentials.of(os.environ), ca=asking.settings.prometheus_ca)
        else:
            self._start(configured)
        self.url = self._client.url

    def _start(self, binary: str) -> None:
        self._server = Server(self._asking.folder, binary, within=self._asking.settings.start_timeout)
        self._client = Client(self._server.url, timeout=OWN_TIMEOUT)
        if self._asking.targets:
            self._scraper = Scraper(self._client, self._asking.targets, self._asking.record, self._clock)
            try:
                self._scraper.start()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """The last scrape tells the end of the run; a target that is gone by then is no trouble any more."""
        if self._scraper:
            with contextlib.suppress(ProviderError):
                self._scraper.stop()
            self._scraper = None
        if self._server:
            self._server.close()

    # ---- fresh

    def refresh(self, since: float) -> None:
        if self._scraper:
            with self._told_if_ended():
                self._scraper.scrape()
        elif not self._server:
            self._wait_for_scrape(self._clock.at(since))

    def _wait_for_scrape(self, since: float) -> None:
        """The targets of a Prometheus of others cannot be hurried: wait until one was scraped since."""
        last: list[float] = []

        def scraped() -> bool:
            found = self._ask("query", query="max(timestamp(up))")["result"]
            last[:] = [float(one["value"][1]) for one in found]
            return not last or last[0] >= since

        def what() -> str:
            ago = f"{time.time() - last[0]:.0f} s ago" if last else "never"
            return f"{self.url} has scraped nothing within {PATIENCE:g} s of the last request (last: {ago})"

        try:
            wait.until(scraped, within=PATIENCE, what=what, every=0.2)
        except TimeoutError as error:
            raise ProviderError(str(error)) from None

    # ---- questions

    def query(self, promql: str, at: float | None = None) -> Vector | Matrix:
        text = collapse(promql)
        when = self._now() if at is None else self._clock.at(at)
        answer = self._read(self._ask("query", query=text, time=f"{when:.3f}"), text)
        if isinstance(answer, Vector) and answer == NoData():
            return Vector(self._explained(answer, text, when), query=text, why=self._why(text, when, len(answer)))
        return answer

    def query_range(self, promql: str, start: float, end: float, step: float) -> Matrix:
        if not (step > 0 and end >= start):
            raise UsageError(f"query_range: from {start:g} to {end:g} in steps of {step:g} s is no range of seconds")
        text = collapse(promql)
        first, last = self._clock.at(start), self._clock.at(end)
        window = {"start": f"{first:.3f}", "end": f"{last:.3f}", "step": f"{step * self._clock.speed:g}"}
        answer = self._read(self._ask("query_range", query=text, **window), text)
        assert isinstance(answer, Matrix)
        return answer if len(answer) else Matrix((), query=text, why=self._why(text, last, 0))

    def _explained(self, answer: Vector, text: str, when: float) -> list[Sample]:
        """Of a sample that is no number, why."""
        why = self._why(text, when, len(answer)) if len(answer) else ""
        return [sample._replace(value=NoData(why)) for sample in answer]

    def _why(self, text: str, when: float, series: int) -> str:
        return why_nothing(self._client, text, when, series, self._scraper.since if self._scraper else None)

    def _now(self) -> float:
        """The time of the latest scrape, if it is ours: what has been asked for is as of then."""
        return self._scraper.last if self._scraper else self._clock.now()

    def _ask(self, what: str, **parameters: str) -> Any:
        with self._told_if_ended():
            return self._client.get(what, **parameters)

    @contextlib.contextmanager
    def _told_if_ended(self) -> Iterator[None]:
        """That it does not answer is then the lesser half of the truth."""
        try:
            yield
        except ProviderError:
            if self._server and (end := self._server.ended()):
                raise ProcessFailed(f"Prometheus has ended: {end}") from None
            raise

    # ---- answers

    def _read(self, data: Any, query: str = "") -> Vector | Matrix:
        kind, result = data["resultType"], data["result"]
        if kind == "matrix":
            return Matrix([self._series(one) for one in result], query=query)
        if kind == "vector":
            return Vector([Sample(one["metric"], *self._point(one["value"])) for one in result], query=query)
        if kind == "scalar":
            number = Vector([Sample({}, *self._point(result))], query=query)
            number.is_scalar = True
            return number
        raise UsageError(f"{query} is a {kind}, not a number: {result[1]!r}")

    def _point(self, told: list[Any]) -> tuple[Number, float]:
        at, text = told
        value = float(text)
        number = NoData("NaN") if value != value else value
        return number, round(self._clock.second(at), 3)

    def _series(self, told: Any) -> Series:
        points = [self._point(one) for one in told["values"]]
        return Series(told["metric"], tuple((at, number) for number, at in points))


def collapse(promql: str) -> str:
    """Every run of white space a space, as Flagger's client does."""
    text = _SPACE.sub(" ", promql).strip()
    if not text:
        raise UsageError("an empty query; write PromQL such as sum(rate(istio_requests_total[5s]))")
    return text
