"""Spans made by hand, as the proxies and services of a mesh would send them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

from meshtest.model.span import Span

TRACE = "00000000000000aa00000000000000bb"
CLIENT = TRACE[16:]
"""The span of the request itself, which nobody tells."""


def span(id: str, parent: str, service: str, start: float, end: float, **more: Any) -> Span:
    values: dict[str, Any] = {"trace": TRACE, "name": f"{service} {id}", "source": "proxy"}
    return Span(id=id, parent=parent, service=service, start=start, end=end, **(values | more))


class Maker:
    """Spans of calls, each by its parent's id; ids are told in turn.

    with a gateway:  s = Maker(); g = s.gateway(0, 1); w = s.call(g, "client", "web", "v2", 0.1, 0.9)
    """

    def __init__(self, trace: str = TRACE) -> None:
        self.trace = trace
        self.spans: list[Span] = []
        self._ids = (f"{number:016x}" for number in itertools.count(0x1001))

    def add(self, parent: str, service: str, start: float, end: float, **more: Any) -> str:
        made = span(next(self._ids), parent, service, start, end, trace=self.trace, **more)
        self.spans.append(made)
        return made.id

    def gateway(self, start: float, end: float, *, parent: str | None = None, **more: Any) -> str:
        tags = {"meshtest.direction": "gateway", "http.status_code": "200"} | more.pop("attributes", {})
        parent = self.trace[16:] if parent is None else parent
        return self.add(parent, "shop.default", start, end, kind="server", attributes=tags, **more)

    def outbound(self, parent: str, caller: str, start: float, end: float, *, flags: str = "-", code: int = 200,
                 **more: Any) -> str:  # fmt: skip
        """A caller's proxy: the whole request."""
        tags = {"meshtest.direction": "outbound", "response_flags": flags, "http.status_code": str(code)}
        tags |= more.pop("attributes", {})
        more = {"version": caller.partition("@")[2]} | more
        return self.add(parent, named(caller), start, end, kind="server", attributes=tags, **more)

    def attempt(self, parent: str, caller: str, host: str, start: float, end: float, *, side: str = "outbound",
                flags: str = "-", code: int = 200, retry: int = 0, subset: str = "") -> str:  # fmt: skip
        tags = {
            "meshtest.direction": side, "response_flags": flags, "http.status_code": str(code),
            "upstream_cluster.name": f"outbound|80|{subset}|{host}.default.svc.cluster.local",
            **({"retry.count": str(retry)} if retry else {}),
        }  # fmt: skip
        version = caller.partition("@")[2]
        return self.add(parent, named(caller), start, end, kind="client", version=version, attributes=tags)

    def inbound(self, parent: str, service: str, version: str, start: float, end: float, *, flags: str = "-",
                code: int = 200) -> str:  # fmt: skip
        """The destination's proxy; returns its upstream span, which is the parent of what the service does."""
        tags = {"meshtest.direction": "inbound", "response_flags": flags, "http.status_code": str(code)}
        tags["upstream_cluster.name"] = f"inbound|8080||{service}-{version}-0"
        more: dict[str, Any] = {"version": version, "pod": f"{service}-{version}-0", "attributes": tags}
        entry = self.add(parent, f"{service}.default", start, end, kind="server", **more)
        return self.add(entry, f"{service}.default", start, end, kind="client", **more)

    def call(self, parent: str, caller: str, service: str, version: str, start: float, end: float, *,
             flags: str = "-", code: int = 200) -> str:  # fmt: skip
        """Caller's proxy, one try, destination's proxy; the last one is the parent of further calls."""
        whole = self.outbound(parent, caller, start, end, flags=flags, code=code)
        tried = self.attempt(whole, caller, service, start, end, code=code)
        return self.inbound(tried, service, version, start, end, code=code)

    def shop(self) -> None:
        """gateway > web@v2 > price@v1"""
        gate = self.gateway(0.0, 1.0)
        tried = self.attempt(gate, "shop", "web", 0.0, 1.0, side="gateway")
        web = self.inbound(tried, "web", "v2", 0.1, 0.9)
        self.call(web, "web@v2", "price", "v1", 0.2, 0.8, flags="DI")


def named(caller: str) -> str:
    """`web.default` of `web@v2`."""
    return f"{caller.partition('@')[0]}.default"


def lines(spans: Iterable[Span], wall_start: float = 0.0) -> bytes:
    """As they stand in `spans.jsonl`."""
    texts = []
    for each in spans:
        times = {name: str(round((getattr(each, name) + wall_start) * 1e9)) for name in ("start", "end")}
        texts.append(json.dumps(each._asdict() | times).encode() + b"\n")
    return b"".join(texts)
