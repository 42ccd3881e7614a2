"""Histories made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from meshtest.model.history import Event, History, Hop
from meshtest.model.request import UNKNOWN_SERVER, Fate, Lane, Request, Requests, Server

V1, V2, V3 = (Server("web", f"v{i}", f"web-v{i}-1") for i in (1, 2, 3))


def request(
    index: int, at: float, server: Server = V1, *, fate: Fate = Fate.ANSWERED, status: int = 200, **more: Any
) -> Request:
    """Answered by `server` after 1 ms; or not, then nobody knows by whom."""
    lost = fate is not Fate.ANSWERED
    values: dict[str, Any] = {
        "load": "load", "late": None if fate is Fate.NOT_SENT else 0.0, "first_byte": None if lost else 0.001,
        "latency": 0.001, "lane": Lane.KEEPALIVE, "attempts": 1, "status": 0 if lost else status,
        "server": UNKNOWN_SERVER if lost else server,
    }  # fmt: skip
    return Request(index=index, at=at, fate=fate, **(values | more))


def every(period: float, servers: Iterable[Server], start: float = 0.0) -> list[Request]:
    """A request every so often, each answered by the next server."""
    return [request(i, start + i * period, server) for i, server in enumerate(servers)]


def mixed(v2: int, v1: int) -> list[Server]:
    """So many of each, evenly mixed."""
    total = v1 + v2
    return [V2 if (i + 1) * v2 // total > i * v2 // total else V1 for i in range(total)]


def history(
    requests: Iterable[Request] = (), events: Sequence[Event] = (), hops: Sequence[Hop] = (), **more: Any
) -> History:
    return History(sorted(events, key=lambda e: e.at), Requests.of(requests), hops, **more)


def config(number: int, at: float, shares: dict[str, float], *, took: float = 0.01) -> list[Event]:
    """A change of the shares of web, asked for at `at` and in force `took` later."""
    data = {"number": number, "shares": {"web.default.svc.cluster.local": shares}}
    return [Event(at, "config.apply", data=data), Event(at + took, "config.ack", data={"number": number})]


def hop(index: int, at: float, server: Server, direction: str = "outbound", **more: Any) -> Hop:
    values: dict[str, Any] = {
        "proxy": "default/client", "request_id": f"load-{index}", "method": "GET", "authority": "web", "path": "/",
        "status": 200, "flags": "-", "cluster": "c", "attempts": 1, "seconds": 0.001, "bytes_sent": 2,
    }  # fmt: skip
    return Hop(at=at, direction=direction, server=server, **(values | more))
