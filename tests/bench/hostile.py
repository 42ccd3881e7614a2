"""The prober against servers that misbehave: each of 100,000 requests has exactly the fate that the server dealt it.

A case is one transport on one lane. Its server does to request i what its script says, and keeps book; then the load's
records are compared with the book, request by request. What the server never saw must be on record as lost on a
connection that it had ended.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshtest.loads import Load, LoadSpec
from meshtest.model.request import Fate, Lane, Request, Requests, Transport
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from tests.loads import hostile, hostile_http2, hostile_stream

TOTAL = 100_000
CLOSED = {"concurrency": 200, "connections": 200}
"""As fast as the server deals: one of threads must not be asked for more, or it stalls where it was not told to."""
TIMEOUT = 4.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """A server is given a script of acts, has a `port` and a `log` of (number, act), and is a context manager."""

    name: str
    fates: Mapping[Any, tuple[Fate, int]]
    """Act to the fate and status that the client must record."""
    server: Callable[[Sequence[Any]], AbstractContextManager[Any]]
    request: str = "http://web/"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of LoadSpec.of."""
    requests: int = 0
    """0: an even share of TOTAL."""
    script: Sequence[Any] = ()
    """Left out: every act in turn."""
    echo: int = 200
    """Status of what a server of held connections sends back."""


def early(script: Sequence[hostile.Act]) -> hostile.HostileServer:
    return hostile.HostileServer(script, early=True)


Http2 = hostile_http2.Http2Server
HTTP2 = {"protocol": "http2", "rate": 500.0}
_HELD = [act for act in hostile_stream.ACTS if act is not hostile_stream.stalls]
HELD = [*_HELD * 20, hostile_stream.stalls]
"""One in 240: a connection that stalls takes all its messages with it until the first is given up."""


def held(name: str, server: Any, request: str, *, echo: int = 200, **options: Any) -> Case:
    """Connections that stay open; each message contains its request's id."""
    options = {"connections": 64, "rate": 500.0, "timeout": 1.0} | options
    acts = hostile_stream.ACTS
    return Case(name=name, fates=acts, server=server, request=request, options=options, script=HELD, echo=echo)


CASES = [
    Case(
        name="http1 keepalive",
        fates=hostile.FATES,
        server=hostile.HostileServer,
        options={"lanes": ["keepalive"]} | CLOSED,
    ),
    Case(name="http1 fresh", fates=hostile.FATES, server=hostile.HostileServer, options={"lanes": ["fresh"]} | CLOSED),
    Case(
        name="http1 open loop",
        fates=hostile.FATES,
        server=hostile.HostileServer,
        options={"rate": 300.0},
        requests=9_000,
    ),
    Case(
        name="http1 early answer",
        fates=hostile.EARLY,
        server=early,
        request="POST http://web/",
        options={"body": b"x" * 1_000_000, "rate": 50.0},
        requests=1_000,
    ),
    Case(name="http2 streams", fates=hostile_http2.HTTP2, server=Http2, options=HTTP2 | {"lanes": ["keepalive"]}),
    Case(name="http2 fresh", fates=hostile_http2.HTTP2, server=Http2, options=HTTP2 | {"lanes": ["fresh"]}),
    Case(name="grpc", fates=hostile_http2.GRPC, server=Http2, request="grpc://web/a.B/C", options={"rate": 500.0}),
    held("websocket", hostile_stream.WebSocketServer, "ws://web/", echo=101),
    held("tcp", hostile_stream.TcpServer, "tcp://web:1/", body="{id};"),
    held("grpc streams", hostile_stream.GrpcStreamServer, "grpc://web/a.B/C", protocol="grpc_stream"),
]


def judge(case: Case, requests: int) -> tuple[Counter[Fate], list[str]]:
    """How many of each fate there were, and what differs from the server's book."""
    script = list(case.script or case.fates)
    with tempfile.TemporaryDirectory() as directory:
        with case.server(script) as server:
            spec = LoadSpec.of(case.request, requests=requests, **({"timeout": TIMEOUT} | dict(case.options)))
            entrance = Entrance("127.0.0.1", server.port, False)
            load = Load(spec, Place(name="load", entrance=entrance, directory=Path(directory)))
            load.start()
            while load.running:
                time.sleep(0.2)
            load.stop()
        recorded = list(_requests(Path(directory)))
    return Counter(r.fate for r in recorded), differences(script, _book(case, server), recorded, requests)


def _book(case: Case, server: Any) -> Mapping[int, tuple[Fate, int]]:
    """Fate and status of each request that the server saw. A server that ends connections under other requests keeps it
    itself; of one that does not, the acts say it."""
    if not hasattr(server, "book"):
        return {index: case.fates[act] for index, act in server.log}
    echo = (Fate.ANSWERED, case.echo)
    return {index: echo if dealt == hostile_stream.ECHOED else dealt for index, dealt in server.book.items()}


def differences(
    script: Sequence[Any], dealt: Mapping[int, tuple[Fate, int]], recorded: Sequence[Request], requests: int
) -> list[str]:
    found = []
    if sorted(r.index for r in recorded) != list(range(requests)):
        found.append(f"{len(recorded)} records of {requests} requests")
    for r in recorded:
        if r.index not in dealt:
            if not _lost_unseen(r):
                found.append(f"{r.index}: the server never saw it, recorded {r.fate.name}")
        elif (r.fate, r.status) != dealt[r.index]:
            found.append(f"{r.index}: {script[r.index % len(script)].__name__} recorded as {r.fate.name} {r.status}")
    return found


def _lost_unseen(r: Request) -> bool:
    """It was under way, or about to be, on a connection that the server ended; or waited for one that was refused."""
    if r.transport is Transport.HTTP1:
        return r.reused and r.fate in (Fate.RESET, Fate.CLOSED)
    return r.fate in (Fate.RESET, Fate.CLOSED, Fate.GARBLED) or (r.lane is Lane.HELD and r.status == 503)


def _requests(folder: Path) -> Requests:
    file = folder / "requests" / "load.bin"
    return Requests.of_loads([("load", file.read_bytes(), file.with_suffix(".names").read_text().splitlines())])


def main() -> None:
    shared = [case for case in CASES if not case.requests]
    rest = TOTAL - sum(case.requests for case in CASES)
    wrong = 0
    for case in CASES:
        requests = case.requests or rest // len(shared) + (case is shared[0]) * (rest % len(shared))
        fates, found = judge(case, requests)
        wrong += len(found)
        counts = ", ".join(f"{fate.name.lower()} {count}" for fate, count in sorted(fates.items()))
        print(f"{case.name:<22} {requests:>7} requests  {len(found)} wrong  ({counts})", flush=True)
        for line in found[:5]:
            print(f"    {line}")
    print(f"{TOTAL} requests, {wrong} with another fate than they were dealt")
    if wrong:
        sys.exit(1)
