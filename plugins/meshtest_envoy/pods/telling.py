"""Spans of a stand-in's own, as a service with OpenTelemetry's SDK would tell them: OTLP/HTTP in JSON.

    span `GET /cart` (server) ── redis GET (client, 5 ms) ── stripe charge (client, 30 ms, error) ── calls it makes

Imported only where the annotation meshtest.dev/spans asks for it: a plain pod must not pay for it. What cannot be sent
is lost, as with an SDK.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any, NamedTuple

from meshtest_envoy.pods import behaviour
from meshtest_envoy.pods.behaviour import Work
from meshtest_envoy.pods.http1 import Request
from meshtest_envoy.pods.order import Order

EVERY = 0.02
"""Seconds for which spans are gathered."""
TIMEOUT = 2.0
FAILED = "the stand-in was told to fail here"
_SERVER, _CLIENT, _ERROR = 2, 3, 2
"""Numbers of trace.proto."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode
Json = dict[str, Any]


class Context(NamedTuple):
    """Where a request stands in its trace."""

    trace: str
    span: str
    """"": it has none yet."""
    sampled: bool
    b3: bool = False
    """It came in B3's headers."""

    @classmethod
    def of(cls, headers: dict[str, str]) -> Context:
        """B3's headers are there only where they are wanted (setting `trace_headers`); who has none begins a trace."""
        if "x-b3-traceid" in headers:
            trace, span = headers["x-b3-traceid"].rjust(32, "0"), headers.get("x-b3-spanid", "")
            return cls(trace, span, headers.get("x-b3-sampled", "1") in ("1", "true"), b3=True)
        parts = headers.get("traceparent", "").split("-")
        if len(parts) >= 4 and len(parts[1]) == 32 and len(parts[2]) == 16:
            return cls(parts[1], parts[2], parts[3].endswith(("1", "3")))
        return cls(os.urandom(16).hex(), "", True)

    def headers(self, span: str) -> dict[str, str]:
        """For the calls made below this span."""
        if self.b3:
            return {"x-b3-traceid": self.trace, "x-b3-spanid": span, "x-b3-sampled": "01"[self.sampled]}
        return {"traceparent": f"00-{self.trace}-{span}-0{int(self.sampled)}"}


class Teller:
    """Gathers the spans of one stand-in and sends them."""

    def __init__(self, order: Order, works: tuple[Work, ...]) -> None:
        self._order, self._works = order, works
        host, _, port = order.collector.partition("://")[2].rpartition(":")
        self._address = (host, int(port or 0))
        told = {"service.name": order.service, "service.version": order.version, "k8s.pod.name": order.name}
        self._resource = {"attributes": _attributes(told | {"k8s.namespace.name": order.namespace})}
        self._gathered: list[Json] = []
        self._sending: asyncio.Task[None] | None = None
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def begin(self, request: Request) -> Telling:
        return Telling(self, request)

    async def works(self, telling: Telling, request: Request) -> None:
        """What the annotation says is done for each request, one after the other."""
        for number, work in enumerate(self._works):
            began = time.time_ns()
            await asyncio.sleep(work.seconds)
            chance = behaviour.chance(self._order.seed, "spans", str(number), request.headers.get("x-meshtest-id", ""))
            failed = work.errors > 0 and chance * 100 < work.errors
            span = telling.span(os.urandom(8).hex(), telling.id, work.name, _CLIENT, began, FAILED if failed else "")
            telling.add(span)

    def add(self, span: Json) -> None:
        if not self._order.collector:
            return  # the work takes its time all the same
        self._gathered.append(span)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def close(self) -> None:
        """What was gathered is sent."""
        if self._sending is not None:
            await self._sending
        if self._connection is not None:
            self._connection[1].close()

    async def _send(self) -> None:
        while self._gathered:
            await asyncio.sleep(EVERY)
            spans, self._gathered = self._gathered, []
            scope = {"scope": {"name": "meshtest.stand-in"}, "spans": spans}
            body = _encode({"resourceSpans": [{"resource": self._resource, "scopeSpans": [scope]}]}).encode()
            try:
                async with asyncio.timeout(TIMEOUT):
                    await self._post(body)
            except (OSError, EOFError, ValueError, TimeoutError):
                self._connection = None
        self._sending = None

    async def _post(self, body: bytes) -> None:
        if self._connection is None or self._connection[0].at_eof():
            self._connection = await asyncio.open_connection(*self._address)
        reader, writer = self._connection
        head = f"POST /v1/traces HTTP/1.1\r\nhost: {self._address[0]}\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        _, _, rest = answer.partition("content-length:")
        await reader.readexactly(int(rest.partition("\r\n")[0] or 0))


class Telling:
    """The span of one request, while it is answered."""

    def __init__(self, teller: Teller, request: Request) -> None:
        self._teller = teller
        self._context = Context.of(request.headers)
        self._name = f"{request.method} {request.target.partition('?')[0]}"
        self._began = time.time_ns()
        self.id = os.urandom(8).hex()

    @property
    def headers(self) -> dict[str, str]:
        """What calls made for the request carry, in place of what it came with."""
        return self._context.headers(self.id)

    def add(self, span: Json) -> None:
        if self._context.sampled:
            self._teller.add(span)

    def end(self, status: int) -> None:
        why = f"answered {status}" if status >= 500 else ""
        span = self.span(self.id, self._context.span, self._name, _SERVER, self._began, why)
        span["attributes"] = _attributes({"http.response.status_code": status})
        self.add(span)

    def span(self, id: str, parent: str, name: str, kind: int, began: int, why: str) -> Json:
        """`why`: it has failed."""
        times = {"startTimeUnixNano": str(began), "endTimeUnixNano": str(time.time_ns())}
        status = {"status": {"code": _ERROR, "message": why}} if why else {}
        ids = {"traceId": self._context.trace, "spanId": id, **({"parentSpanId": parent} if parent else {})}
        return {**ids, "name": name, "kind": kind, **times, **status}


def _attributes(told: dict[str, Any]) -> list[Json]:
    return [
        {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for name, value in told.items()
    ]
