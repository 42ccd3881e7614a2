"""A stand-in's own metrics, as a service has them that is instrumented with a Prometheus client. Pure.

 prometheus.io/scrape   "true" on the pod: `http_request_duration_seconds{method,path,status}` at /metrics
 prometheus.io/path     another path than /metrics

These are the names and buckets that Flagger's builtin queries of Gateway API read (podinfo has them). Probes and
scrapes are not counted. A pod without the annotation never imports this.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping
from itertools import accumulate

from meshtest_envoy.pods.http1 import Request
from meshtest_envoy.pods.service import Answer

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: the defaults of Prometheus' client libraries."""
MOST_PATHS = 50
"""Others are counted as OTHER: a series a path would let a crawler fill the memory."""
OTHER = "other"
CONTENT_TYPE = ("content-type", "text/plain; version=0.0.4; charset=utf-8")

_NAME = "http_request_duration_seconds"
_HEAD = f"# HELP {_NAME} Seconds spent serving HTTP requests.\n# TYPE {_NAME} histogram\n"

Key = tuple[str, str, int]
"""Method, path, status."""


class AppMetrics:
    """Those of one pod."""

    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._path = annotations.get("prometheus.io/path", "/metrics")
        self._paths: set[str] = set()
        self._counts: dict[Key, list[int]] = {}
        """Of each series, how many fell into each bucket; the last is for what is slower than all."""
        self._sums: dict[Key, float] = {}

    def answer(
        self, request: Request, serve: Callable[[Request], Answer | Awaitable[Answer]]
    ) -> Answer | Awaitable[Answer]:
        """What `serve` answers, measured; or the metrics, where they are asked for."""
        path = request.target.partition("?")[0]
        if path == self._path and request.method in ("GET", "HEAD"):
            return Answer(200, self.text().encode(), (CONTENT_TYPE,))
        began = time.perf_counter()
        answer = serve(request)
        if not isinstance(answer, Answer):
            return self._later(request.method, path, began, answer)
        self._observe(request.method, path, answer.status, time.perf_counter() - began)
        return answer

    async def _later(self, method: str, path: str, began: float, answer: Awaitable[Answer]) -> Answer:
        answered = await answer
        self._observe(method, path, answered.status, time.perf_counter() - began)
        return answered

    def _observe(self, method: str, path: str, status: int, seconds: float) -> None:
        if path not in self._paths:
            if len(self._paths) >= MOST_PATHS:
                path = OTHER
            self._paths.add(path)
        key = (method, path, status)
        if key not in self._counts:
            self._counts[key], self._sums[key] = [0] * (len(BUCKETS) + 1), 0.0
        self._counts[key][bisect_left(BUCKETS, seconds)] += 1
        self._sums[key] += seconds

    def text(self) -> str:
        """In the Prometheus text format, version 0.0.4."""
        return _HEAD + "".join(map(self._series, sorted(self._counts)))

    def _series(self, key: Key) -> str:
        method, path, status = key
        labels = f'method="{method}",path="{_escaped(path)}",status="{status}"'
        totals = list(accumulate(self._counts[key]))
        bounds = [*(f"{bound:g}" for bound in BUCKETS), "+Inf"]
        lines = [f'{_NAME}_bucket{{{labels},le="{le}"}} {n}\n' for le, n in zip(bounds, totals, strict=True)]
        lines.append(f"{_NAME}_sum{{{labels}}} {self._sums[key]:.9g}\n")
        lines.append(f"{_NAME}_count{{{labels}}} {totals[-1]}\n")
        return "".join(lines)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
