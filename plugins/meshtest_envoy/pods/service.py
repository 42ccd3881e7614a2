"""What a stand-in answers: itself and the request, as JSON, after what its behaviour says.

 {service, version, pod, namespace, protocol, method, scheme, path, host, headers, body, calls, tls}
 and `error` when it is not 200; tls is null, or {sni, alpn, version, client: {subject, uris} or null}

Not here: bytes and connections (standin.py and what it leads to), the end of its life (drain.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from meshtest_envoy.pods import behaviour
from meshtest_envoy.pods.behaviour import Behaviour, Wish
from meshtest_envoy.pods.calls import Caller, failed, passed_on
from meshtest_envoy.pods.http1 import BadRequest, Headers, Request
from meshtest_envoy.pods.order import Order

if TYPE_CHECKING:
    from meshtest_envoy.pods.app_metrics import AppMetrics
    from meshtest_envoy.pods.limits import Limits
    from meshtest_envoy.pods.telling import Teller

ATTEMPTS_KEPT = 1000
"""Requests with `succeedAfter` whose attempts are remembered."""
_SET_HEADER = "x-echo-set-header"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
_NO_WISH = Wish()
_WRONG = _encode({"content": "not what was asked for"}).encode()


class Answer(NamedTuple):
    """What any protocol can carry."""

    status: int
    body: bytes
    headers: Headers = ()


class Drains(Protocol):
    """A connection that has to be told when the process is to end; one of HTTP/1.1 is told by its next answer."""

    def drain(self) -> None: ...


class Service:
    """The state all connections of one stand-in share."""

    def __init__(self, order: Order, behave: Behaviour) -> None:
        self._order = order
        self._behave = behave
        self._who = {
            "service": order.service, "version": order.version, "pod": order.name, "namespace": order.namespace,
        }  # fmt: skip
        self._ready_at = time.monotonic() + behave.ready_after
        self._caller = Caller(order.http_proxy)
        self._teller: Teller | None = None
        if behave.spans is not None:
            from meshtest_envoy.pods.telling import Teller

            self._teller = Teller(order, behave.spans)
        self._requests = 0
        self._attempts: dict[str, int] = {}
        self.active = 0
        """Requests that are not answered yet."""
        self.last = time.monotonic()
        """When the latest request came in."""
        self.draining = False
        self.connections: set[Drains] = set()
        self._metrics = _metrics(order)
        self._limits: Limits | None = None
        if behave.leak is not None or behave.capacity is not None:
            from meshtest_envoy.pods.limits import Limits

            self._limits = Limits(behave)

    @property
    def lost(self) -> tuple[str, ...]:
        """Headers that no answer has."""
        return self._behave.lose_headers

    @property
    def ready(self) -> bool:
        return time.monotonic() >= self._ready_at

    @property
    def server_first(self) -> bool:
        return self._behave.server_first

    def drain(self) -> None:
        """Begin to end: whoever holds a connection is told."""
        self.draining = True
        for connection in tuple(self.connections):
            connection.drain()

    def answer(self, request: Request) -> Answer | Awaitable[Answer]:
        """The answer at once if it takes no time; else something to wait for."""
        if self._metrics is None or _is_probe(request):
            return self._serve(request)
        return self._metrics.answer(request, self._serve)

    def _serve(self, request: Request) -> Answer | Awaitable[Answer]:
        self.last = time.monotonic()
        if self._behave.log:
            self._log(request)
        try:
            wish = self._wish(request)
            wait, status = self._decide(request, wish)
        except behaviour.BadAnnotation as error:
            return Answer(400, self._body(request, error=str(error)))
        calls = status == 200 and self._behave.calls and not _is_probe(request)
        if self._teller is not None and request.headers and not _is_probe(request):
            return self._told(self._teller, request, wait, status, wish.headers)
        if not wait and not calls:
            return Answer(status, self._body(request, error=_reason(status)), wish.headers)
        return self._later(request, wait, status, wish.headers)

    def refuse(self, error: BadRequest) -> Answer:
        """The answer to what is not a request."""
        return Answer(error.status, _bytes({**self._who, "error": str(error)}))

    async def close(self) -> None:
        """The last answer is given."""
        if self._teller is not None:
            await self._teller.close()

    async def _told(self, teller: Teller, request: Request, wait: float, status: int, headers: Headers) -> Answer:
        """An answer with spans of our own around it."""
        self.active += 1
        telling = teller.begin(request)
        try:
            await teller.works(telling, request)
            answer = await self._later(request, wait, status, headers, telling.headers)
            telling.end(answer.status)
            return answer
        finally:
            self.active -= 1

    async def _later(
        self, request: Request, wait: float, status: int, headers: Headers, trace: dict[str, str] | None = None
    ) -> Answer:
        """`trace`: what calls carry in place of the trace that the request came with."""
        self.active += 1
        try:
            await asyncio.sleep(wait)
            if status != 200:
                return Answer(status, self._body(request, error=_reason(status)), headers)
            return (await self._with_calls(request, trace or {}))._replace(headers=headers)
        finally:
            self.active -= 1

    async def _with_calls(self, request: Request, trace: dict[str, str]) -> Answer:
        """Call one after the other; the first that fails decides, unless calls may fail."""
        dropped = self._behave.drop_headers
        headers = passed_on(request.headers | trace, dropped) if self._behave.propagate else {}
        made: list[dict[str, Any]] = []
        for call in () if _is_probe(request) else self._behave.calls * self._behave.calls_times:
            made.append(await self._call(call, headers))
            if self._behave.calls_required and (why := failed(made[-1])):
                return Answer(502, self._body(request, calls=made, error=why))
        return Answer(200, self._body(request, calls=made))

    async def _call(self, call: str, headers: dict[str, str]) -> dict[str, Any]:
        """Made again where it failed, as often as the behaviour says: this is what overloads a service that is ill."""
        made = await self._caller.make(call, headers)
        for attempt in range(self._behave.calls_retries):
            if not failed(made):
                break
            made = await self._caller.make(call, headers) | {"attempts": attempt + 2}
        return made

    def _wish(self, request: Request) -> Wish:
        wish = behaviour.wish(request.target) if "?" in request.target else _NO_WISH
        if _SET_HEADER in request.headers:
            wish = wish._replace(headers=wish.headers + behaviour.headers(request.headers[_SET_HEADER]))
        return wish

    def _decide(self, request: Request, wish: Wish) -> tuple[float, int]:
        """Seconds to wait, and the status before any call is made."""
        if not self.ready:
            return 0.0, 503
        if _is_probe(request):
            return 0.0, 200
        self._count()
        if self._limits is not None and not self._limits.take():
            return 0.0, 503
        seconds = self._delay(request, wish)
        if wish.fail_first and self._attempt(request, wish.uuid) <= wish.fail_first:
            return seconds, wish.fail_status
        if wish.codes is not None:
            return seconds, behaviour.pick(wish.codes, self._chance("errors", request))
        for errors in self._behave.errors:
            if errors.fit(request.target, request.headers):
                return seconds, behaviour.pick(errors.statuses, self._chance("errors", request), 100.0)
        return seconds, 200

    def _delay(self, request: Request, wish: Wish) -> float:
        """The sum of the delays that this request falls under."""
        total = 0.0
        for number, one in enumerate(self._behave.delays if wish.delay is None else (wish.delay,)):
            place = str(number or "")
            if one.percent >= 100 or 100 * self._chance(f"slow{place}", request) < one.percent:
                total += one.at(self._chance(f"delay{place}", request))
        return total

    def _attempt(self, request: Request, uuid: str) -> int:
        """The proxy's count if it tells, since a retry may go to another pod; else our own."""
        told = request.headers.get("x-envoy-attempt-count", "")
        if told.isdigit():
            return int(told)
        if len(self._attempts) >= ATTEMPTS_KEPT and uuid not in self._attempts:
            del self._attempts[next(iter(self._attempts))]
        self._attempts[uuid] = self._attempts.get(uuid, 0) + 1
        return self._attempts[uuid]

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

    def _log(self, request: Request) -> None:
        told = {
            "protocol": request.protocol, "method": request.method, "path": request.target,
            "host": request.headers.get("host", ""), "id": request.headers.get("x-meshtest-id", ""),
        }  # fmt: skip
        print(_encode(told), flush=True)  # noqa: T201

    def _body(self, request: Request, *, calls: list[dict[str, Any]] | None = None, error: str = "") -> bytes:
        if self._behave.wrong_content and not error and self._is_wrong(request):
            return _WRONG
        body = {
            **self._who,
            "protocol": request.protocol,
            "method": request.method,
            "scheme": request.scheme,
            "path": request.target,
            "host": request.headers.get("host", ""),
            "headers": request.headers,
            "body": request.body.decode("utf-8", "replace"),
            "calls": calls or [],
            "tls": request.tls,
        }
        return _bytes(body | {"error": error} if error else body)

    def _is_wrong(self, request: Request) -> bool:
        return not _is_probe(request) and 100 * self._chance("content", request) < self._behave.wrong_content


def _metrics(order: Order) -> AppMetrics | None:
    """Its own metrics, if the pod is annotated as one that is scraped."""
    if order.annotations.get("prometheus.io/scrape", "").lower() != "true":
        return None
    from meshtest_envoy.pods.app_metrics import AppMetrics

    return AppMetrics(order.annotations)


def _bytes(body: dict[str, Any]) -> bytes:
    return _encode(body).encode("utf-8", "replace")


def _is_probe(request: Request) -> bool:
    return request.headers.get("user-agent", "").startswith("kube-probe/")


def _reason(status: int) -> str:
    return "" if status < 400 else f"the stand-in was told to answer {status}"
