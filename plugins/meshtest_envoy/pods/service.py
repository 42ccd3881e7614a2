"""What a stand-in answers: itself and the request, as JSON, after what its behaviour says.

 {service, version, pod, method, path, host, headers, body, calls}      and `error` when it is not 200

Not here: bytes and connections (http1.py, standin.py), the end of its life (drain.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable
from typing import Any

from meshtest_envoy.pods import behaviour
from meshtest_envoy.pods.behaviour import Behaviour
from meshtest_envoy.pods.calls import Caller, failed, passed_on
from meshtest_envoy.pods.http1 import BadRequest, Request, render
from meshtest_envoy.pods.order import Order

Answer = tuple[int, dict[str, Any]]
"""Status and body."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


class Service:
    """The state all connections of one stand-in share."""

    def __init__(self, order: Order, behave: Behaviour) -> None:
        self._order = order
        self._behave = behave
        self._who = {"service": order.service, "version": order.version, "pod": order.name}
        self._ready_at = time.monotonic() + behave.ready_after
        self._caller = Caller(order.http_proxy)
        self._requests = 0
        self.active = 0
        """Requests that are not answered yet."""
        self.last = time.monotonic()
        """When the latest request came in."""
        self.draining = False

    def answer(self, request: Request) -> bytes | Awaitable[bytes]:
        """The answer at once if it takes no time; else something to wait for."""
        self.last = time.monotonic()
        try:
            wait, status = self._decide(request)
        except behaviour.BadAnnotation as error:
            return self.render(request, 400, self._body(request, error=str(error)))
        calls = status == 200 and self._behave.calls and not _is_probe(request)
        if not wait and not calls:
            return self.render(request, status, self._body(request, error=_reason(status)))
        return self._later(request, wait, status)

    def refuse(self, error: BadRequest) -> bytes:
        """The answer to what is not a request."""
        return render(error.status, _bytes({**self._who, "error": str(error)}), close=True)

    def render(self, request: Request, status: int, body: dict[str, Any]) -> bytes:
        """An answer as bytes; while draining it also ends the connection."""
        request.close = request.close or self.draining
        return render(status, _bytes(body), close=request.close, head_only=request.method == "HEAD")

    async def _later(self, request: Request, wait: float, status: int) -> bytes:
        self.active += 1
        try:
            await asyncio.sleep(wait)
            if status != 200:
                return self.render(request, status, self._body(request, error=_reason(status)))
            status, body = await self._with_calls(request)
            return self.render(request, status, body)
        finally:
            self.active -= 1

    async def _with_calls(self, request: Request) -> Answer:
        """Call one after the other; the first that fails decides, unless calls may fail."""
        headers = passed_on(request.headers) if self._behave.propagate else {}
        made: list[dict[str, Any]] = []
        for url in () if _is_probe(request) else self._behave.calls:
            made.append(await self._caller.get(url, headers))
            if self._behave.calls_required and (why := failed(made[-1])):
                return 502, self._body(request, calls=made, error=why)
        return 200, self._body(request, calls=made)

    def _decide(self, request: Request) -> tuple[float, int]:
        """Seconds to wait, and the status before any call is made."""
        if time.monotonic() < self._ready_at:
            return 0.0, 503
        if _is_probe(request):
            return 0.0, 200
        self._count()
        wait, errors, total = self._behave.delay, self._behave.errors, 100.0 if self._behave.errors else None
        if "?" in request.target:
            wanted = _query(request.target)
            wait = behaviour.delay(wanted["delay"]) if "delay" in wanted else wait
            if "codes" in wanted:
                errors, total = behaviour.weights(wanted["codes"]), None
        seconds = wait.at(self._chance("delay", request)) if wait.seconds or wait.spread else 0.0
        return seconds, behaviour.pick(errors, self._chance("errors", request), total) if errors else 200

    def _chance(self, purpose: str, request: Request) -> float:
        """The same for the same request in each run. A retry of a request is a new chance: x-envoy-attempt-count."""
        order, told = self._order, request.headers.get("x-meshtest-id")
        if told is None:
            return behaviour.chance(order.seed, purpose, order.workload, order.name, str(self._requests))
        attempt = request.headers.get("x-envoy-attempt-count", "1")
        return behaviour.chance(order.seed, purpose, order.workload, told, attempt)

    def _count(self) -> None:
        limit = self._behave.crash_after
        if limit is not None and self._requests >= limit:
            print(f"crash-after: ends after {limit} requests", file=sys.stderr, flush=True)  # noqa: T201
            os._exit(1)
        self._requests += 1

    def _body(self, request: Request, *, calls: list[dict[str, Any]] | None = None, error: str = "") -> dict[str, Any]:
        body = {
            **self._who,
            "method": request.method,
            "path": request.target,
            "host": request.headers.get("host", ""),
            "headers": request.headers,
            "body": request.body.decode("utf-8", "replace"),
            "calls": calls or [],
        }
        return body | {"error": error} if error else body


def _bytes(body: dict[str, Any]) -> bytes:
    return _encode(body).encode("utf-8", "replace")


def _is_probe(request: Request) -> bool:
    return request.headers.get("user-agent", "").startswith("kube-probe/")


def _reason(status: int) -> str:
    return "" if status < 400 else f"the stand-in was told to answer {status}"


def _query(target: str) -> dict[str, str]:
    """The last value of each parameter. Percent-encoding matters for `:`, `,` and `±` only."""
    pairs = (part.partition("=") for part in target.partition("?")[2].split("&"))
    return {name: _unquote(value) for name, _, value in pairs}


def _unquote(text: str) -> str:
    if "%" not in text:
        return text
    first, *rest = text.encode("latin-1").split(b"%")
    try:
        return (first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in rest)).decode("utf-8", "replace")
    except ValueError:
        return text
