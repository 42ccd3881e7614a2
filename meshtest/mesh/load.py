"""A load as a test holds it: start it, wait for evidence, look at what came back."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, overload

from meshtest.checks.certificate import Certificate
from meshtest.checks.failures import Failure
from meshtest.checks.masked import MaskedOutage
from meshtest.checks.outages import Outage
from meshtest.checks.share import Share
from meshtest.errors import LoadError, MeshtestError, UsageError
from meshtest.lib.wait import until
from meshtest.mesh.decide import until_decided
from meshtest.mesh.own_spans import MOST_LINKS, Begun
from meshtest.mesh.view import View
from meshtest.model.history import History
from meshtest.model.request import Request, Requests
from meshtest.model.verdict import Finding
from meshtest.spi.check import Check
from meshtest.spi.load import RunningLoad, Summary

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh
    from meshtest.mesh.traces import TracedRequest


class Load:
    """Requests at an even rate, sent by a process of its own, from `with` to the end of the block - or `run()`.

    with mesh.load("GET http://web/", rps=200) as load:
        load.until(requests=500)
    assert load.failures == []
    """

    def __init__(self, mesh: Mesh, running: RunningLoad) -> None:
        self._mesh, self._running = mesh, running
        self.name = running.name
        self._watched_out = False
        self.summary: Summary | None = None
        """What the load generator says of itself; set when the load has ended."""

    # ---- life

    def start(self) -> Self:
        self._running.start()
        self._span = Begun(f"load {self.name}", load=self.name)
        self._mesh.loads.append(self)
        if self._mesh.strain:
            self._mesh.strain.begin()
        return self

    def stop(self) -> Summary:
        """Nothing more is sent; returns when every request has its fate, and the proxies' word on it is on disk."""
        if self.summary is None:
            self.summary = self._stop_sending()
            if not any(load.sending for load in self._mesh.loads):
                self._mesh.provider.settle()
            self._mesh.flush()
            self._span.end(self._traces() if self._span.listened else ())
        return self.summary

    def _traces(self) -> Iterator[tuple[str, str]]:
        """Trace and span of its requests that were sampled, as many as a span may be linked to."""
        from meshtest.model.trace_ids import TraceIds

        history = self._mesh.run.history()
        ids = TraceIds.of(history)
        indices = history.requests.of_load(self.name).indices
        traced = (ids.id(self.name, index) for index in indices if ids.traced(self.name, index))
        return ((trace, trace[16:]) for trace in itertools.islice(traced, MOST_LINKS))

    def _stop_sending(self) -> Summary:
        try:
            return self._running.stop()
        finally:
            if self._mesh.strain and not self._watched_out:
                self._watched_out = True
                self._mesh.strain.end()

    def run(self) -> Self:
        """Send all of it: needs `requests` or `seconds`."""
        longest = self._running.longest()
        self.start()
        try:
            if not self.wait_end(within=longest):
                raise LoadError(f"load {self.name} does not end; it was stopped after {longest:g} s")
        finally:
            self.stop()
        return self

    @property
    def sending(self) -> bool:
        """It has not come to its end."""
        return self._running.running

    def wait_end(self, *, within: float) -> bool:
        """True as soon as it has come to its end; False if it has not in so many seconds."""
        with contextlib.suppress(TimeoutError):
            until(lambda: not self.sending, within=within, what=str)
        return not self.sending

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.stop()
        except MeshtestError:
            if error is None:  # else what went wrong in the block is the thing to tell
                raise

    # ---- evidence

    @overload
    def until(self, *, requests: int | None = None, seconds: float | None = None) -> None: ...
    @overload
    def until(self, *, decided: Check, requests: int | None = None, seconds: float | None = None) -> Finding: ...
    def until(
        self, *, requests: int | None = None, seconds: float | None = None, decided: Check | None = None
    ) -> Finding | None:
        """Wait for that many requests sent since the present step began (or the last change, if that was later), and
        finished; or for that much time of load. Evidence, not a pause: it counts what the client saw.

        `decided`: return as soon as this check, asked of those requests, says PASS or FAIL - or at the limit that
        `requests` or `seconds` set, with what it says then. Only sequential checks (canary, split_sequential) may be
        asked again and again without saying too often what is not true.
        """
        if decided is not None:
            return until_decided(self, decided, requests=requests, seconds=seconds)
        if (requests is None) == (seconds is None):
            raise UsageError("load.until(...) takes either requests=N or seconds=S")
        self._running.wait(requests=requests, seconds=seconds, after=self._mesh.mark)
        return None

    # ---- what came back

    @property
    def all(self) -> View:
        """Every request of this load."""
        return View.of_load(self._mesh.history(flushed=True), self.name)

    @property
    def here(self) -> View:
        """Requests sent since the present step began, or since the last change was in force if that was later; up to
        the first that has not ended yet."""
        return View.settled(self._mesh.history(flushed=True).between(self._mesh.mark), self.name)

    @property
    def requests(self) -> Requests:
        return self.all.requests

    @property
    def failures(self) -> Sequence[Failure]:
        return self.all.failures

    @property
    def history(self) -> History:
        """Everything recorded so far, and of requests those of this load: what `outages(load)` looks at."""
        return self.all.history

    @property
    def outages(self) -> Sequence[Outage]:
        return self.all.outages

    @property
    def masked_outages(self) -> Sequence[MaskedOutage]:
        return self.all.masked_outages

    @property
    def certificate(self) -> Certificate:
        return self.all.certificate

    @property
    def versions(self) -> set[str]:
        return self.all.versions

    def slowest(self, version: str = "", *, traced: bool = False) -> TracedRequest:
        """The answered request with the longest latency, of one version or of all; its `.trace` says where the time
        went. `traced`: the slowest of those whose trace was asked for, for by default 1 request in 100 is."""
        return self._with_trace(self.all.slowest(version, traced=traced))

    def first_failed(self) -> TracedRequest:
        """The first request that a user would call failed, with its `.trace`; UsageError if there is none."""
        return self._with_trace(self.all.first_failed())

    def _with_trace(self, request: Request) -> TracedRequest:
        from meshtest.mesh.traces import TracedRequest

        return TracedRequest(request, self._mesh.look.of)

    def share(self, version: str, *, host: str = "") -> Share:
        return self.all.share(version, host=host)

    def quantile(self, p: float, version: str = "") -> float:
        return self.all.quantile(p, version)

    def p50(self, version: str = "") -> float:
        return self.all.p50(version)

    def p99(self, version: str = "") -> float:
        return self.all.p99(version)
