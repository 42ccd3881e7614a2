"""Envoy's spans on their way to the receiver: wait until they are there, and count those that Envoy lost itself."""

from __future__ import annotations

import contextlib
import time

from meshtest.errors import ProviderError
from meshtest.lib import wait
from meshtest.spi.provider import Record
from meshtest_envoy.envoy import Admin
from meshtest_envoy.xds.bootstrap import FLUSHED_EVERY
from meshtest_envoy.xds.tracing import CLUSTER

WITHIN = 2.0
"""Seconds for the receiver to answer; it does so in milliseconds."""

_COLLECTOR = r"cluster\." + CLUSTER.replace(".", r"\.")
UNDER_WAY = rf"^{_COLLECTOR}\.upstream_rq_active$"
LOST = rf"^(tracing\.opentelemetry\.spans_dropped|{_COLLECTOR}\.upstream_rq_(timeout|pending_overflow|rx_reset|5xx))$"
"""Spans for which there was no room, and messages that did not arrive."""


class ProxySpans:
    """The spans of one Envoy."""

    def __init__(self, admin: Admin, worker: Admin) -> None:
        """`worker`: answered by the thread that serves requests, and buffers their spans (barrier.py)."""
        self._admin, self._worker = admin, worker
        self._lost = 0

    def sent(self, record: Record) -> None:
        """Return when spans that were ready have been sent and answered; or Envoy is gone, and its spans with it.

        The worker sends what it has when a timer goes off. No counter tells which thread's timer it was; but once the
        time is over, a worker that answers a request has come by its timers, too.
        """
        with contextlib.suppress(ProviderError, TimeoutError):
            time.sleep(FLUSHED_EVERY)
            for _ in range(2):
                self._worker.request("GET", "/")
            wait.until(lambda: not self._under_way(), within=WITHIN, what=str, every=0.002)
        with contextlib.suppress(ProviderError):
            self._tell(record)

    def _under_way(self) -> int:
        return sum(self._admin.counters(UNDER_WAY).values())

    def _tell(self, record: Record) -> None:
        lost, before = sum(self._admin.counters(LOST).values()), self._lost
        self._lost = lost
        if lost > before:
            record(
                "spans.dropped", count=lost - before, reason="Envoy had no room for them, or did not get them across"
            )
