"""Every transport of the prober against servers that misbehave: each request has exactly the fate that the server's book
says, and none is sent twice."""

from __future__ import annotations

import ssl
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meshtest.loads import Load, LoadSpec, Summary
from meshtest.loads.ask import TlsAsk
from meshtest.model.request import Fate, Lane, Request, Requests, Transport
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from meshtest.testing.certificates import CertificateAuthority, Pair
from tests.loads import hostile_http2 as http2
from tests.loads import hostile_stream as stream
from tests.loads.hostile_http2 import Http2Server
from tests.loads.hostile_stream import GrpcStreamServer, TcpServer, WebSocketServer
from tests.loads.listening import Server

SHORT = 0.4
"""Seconds; long for these servers even on a busy machine, short for a test that must wait for it."""


def run(server: Server, folder: Path, url: str, **more: Any) -> tuple[Summary, list[Request]]:
    """A load to its end, and its requests in order."""
    place = Place(name="load", entrance=Entrance("127.0.0.1", server.port, proxy=False), directory=folder)
    options = {"rate": 300, "timeout": SHORT, "unreachable": "record", **more}
    with Load(LoadSpec.of(url, **options), place) as load:
        load.wait(requests=options["requests"], after=0)
        summary = load.stop()
    names = (folder / "requests" / "load.names").read_text().splitlines()
    raw = (folder / "requests" / "load.bin").read_bytes()
    found = sorted(Requests.of_loads([("load", raw, names)]), key=lambda r: r.index)
    assert len(found) == len({r.index for r in found}) == options["requests"]
    assert summary.fates == Counter(r.fate for r in found)
    return summary, found


def against(book: dict[int, tuple[Fate, int]], found: list[Request], echo: int = 200) -> list[str]:
    """What the two sides say differently. What never arrived was on a connection that the server just then ended, or
    refused to open."""
    wrong = []
    for r in found:
        fate, status = book.get(r.index, (None, 0))
        if fate is None:
            agreed = r.fate in (Fate.RESET, Fate.CLOSED) or r.status == 503
        else:
            agreed = r.fate is fate and r.status == (status or (echo if fate is Fate.ANSWERED else 0))
        if not agreed:
            wrong.append(f"{r.index}: {fate} {status}, recorded {r.fate!r} {r.status} code {r.code} lane {r.lane!r}")
    return wrong
