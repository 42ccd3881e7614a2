"""Every transport of the prober against servers that misbehave: each request has exactly the fate that is in the
server's book, and none is sent twice."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import UsageError
from meshtest.loads import Load, LoadSpec, Summary
from meshtest.loads.ask import TlsAsk
from meshtest.model.request import Fate, Lane, Request, Requests, Transport
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from meshtest.testing.certificates import CertificateAuthority, Pair
from tests.loads import hostile_http2 as http2
from tests.loads import hostile_stream as held
from tests.loads.hostile_http2 import Http2Server
from tests.loads.hostile_stream import GrpcStreamServer, StreamServer, TcpServer, WebSocketServer
from tests.loads.listening import Server

SHORT = 0.3
"""Seconds; long for these servers even on a busy machine, short for a test that must wait for it."""
AUTHORITY, STRANGER = CertificateAuthority(), CertificateAuthority("a stranger")
TRUSTED = TlsAsk(ca=AUTHORITY.root)
HTTP2_URL, GRPC_URL, STREAM_URL = "GET http://web/", "grpc://web/shop.Cart/Add", "grpc://web/shop.Cart/AddStream"


def run(server: Server, folder: Path, url: str, *, proxy: bool = False, **more: Any) -> tuple[Summary, list[Request]]:
    """A load to its end, and its requests in order."""
    place = Place(name="load", entrance=Entrance("127.0.0.1", server.port, proxy), directory=folder)
    options = {"rate": 500, "timeout": SHORT, "unreachable": "record", **more}
    with Load(LoadSpec.of(url, **options), place) as load:
        load.wait(requests=options["requests"], after=0)
        summary = load.stop()
    names = (folder / "requests" / "load.names").read_text().splitlines()
    raw = (folder / "requests" / "load.bin").read_bytes()
    found = sorted(Requests.of_loads([("load", raw, names)]), key=lambda r: r.index)
    assert len(found) == len({r.index for r in found}) == options["requests"]
    assert summary.fates == Counter(r.fate for r in found)
    return summary, found


def differences(book: dict[int, tuple[Fate, int]], found: list[Request], echo: int = 200) -> list[str]:
    """What the two sides say differently."""
    return [f"{r.index}: {book.get(r.index)}, but {r}" for r in found if not agreed(book.get(r.index), r, echo)]


def agreed(dealt: tuple[Fate, int] | None, r: Request, echo: int) -> bool:
    """What never arrived was on a connection that the server just then ended, or had refused to open."""
    if dealt is None:
        return r.fate in (Fate.RESET, Fate.CLOSED, Fate.GARBLED) or r.status == 503
    fate, status = dealt
    return r.fate is fate and r.status == (status or (echo if fate is Fate.ANSWERED else 0))


def secured(
    folder: Path, pair: Pair | None = None, *, client_ca: str = "", most: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Of a server named `web`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = pair or AUTHORITY.pair("web")
    for name, text in (("crt", pair.certificate), ("key", pair.key)):
        (folder / name).write_text(text)
    context.load_cert_chain(folder / "crt", folder / "key")
    context.set_alpn_protocols(["h2", "http/1.1"])
    if client_ca:
        context.load_verify_locations(cadata=client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if most:
        context.maximum_version = most
    return context


# HTTP/2 and gRPC.


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("protocol", ["http2", "grpc"])
def test_each_stream_has_the_fate_that_the_server_dealt_it(tmp_path: Path, protocol: str, secure: bool) -> None:
    script = list(http2.HTTP2 if protocol == "http2" else http2.GRPC)
    url = HTTP2_URL if protocol == "http2" else GRPC_URL
    more = {"tls": TRUSTED} if secure else {}
    with Http2Server(script, tls=secured(tmp_path) if secure else None) as server:
        _, found = run(server, tmp_path, url, protocol=protocol, requests=3 * len(script), connections=4, **more)
    assert differences(server.book, found) == []
    assert len(server.received) == len(set(server.received))
    assert {r.lane for r in found} == {Lane.KEEPALIVE, Lane.FRESH}
    assert {r.transport for r in found} == {Transport.HTTP2 if protocol == "http2" else Transport.GRPC}


def test_who_served_and_the_status_of_a_call_are_read(tmp_path: Path) -> None:
    script = [http2.call_ok, http2.call_fails, http2.call_fails_late, http2.call_meets_http]
    with Http2Server(script) as server:
        _, found = run(server, tmp_path, GRPC_URL, requests=4, lanes=["keepalive"])
    assert [(r.status, r.code, r.size) for r in found] == [(200, 0, 10), (503, 14, 0), (404, 5, 0), (503, 14, 19)]
    assert (found[0].version, found[0].attempts) == ("v1", 2)


def test_many_streams_share_a_connection_and_another_is_opened_rather_than_wait(tmp_path: Path) -> None:
    with Http2Server([http2.stalls]) as server:
        run(server, tmp_path, HTTP2_URL, protocol="http2", requests=100, lanes=["keepalive"], connections=1, rate=1000)
    assert len(server.received) == 100
    assert server.connections == 2  # 64 at a time on each


def test_bodies_larger_than_every_window_pass_in_both_directions(tmp_path: Path) -> None:
    body = bytes(300_000)
    with Http2Server([http2.big_after_all]) as server:
        _, found = run(server, tmp_path, "POST http://web/", protocol="http2", requests=2, body=body, timeout=5.0)
    assert [(r.fate, r.size) for r in found] == [(Fate.ANSWERED, http2.BIG)] * 2
    assert sum(server.sizes) == 2 * len(body)


def test_an_answer_before_the_body_has_left_is_an_answer(tmp_path: Path) -> None:
    with Http2Server([http2.early_ok], reads_bodies=False) as server:
        _, found = run(server, tmp_path, "POST http://web/", protocol="http2", requests=4, body=bytes(300_000))
    assert {(r.fate, r.status) for r in found} == {(Fate.ANSWERED, 200)}


# Held connections.

HELD = {
    "tcp": (TcpServer, "tcp://web:1/", 200, {"body": "{id};"}),
    "tls": (TcpServer, "tls://web:1/", 200, {"body": "{id};"}),
    "websocket": (WebSocketServer, "ws://web/", 101, {}),
    "grpc_stream": (GrpcStreamServer, STREAM_URL, 200, {"protocol": "grpc_stream"}),
}


@pytest.mark.parametrize("kind", HELD)
def test_each_message_has_the_fate_that_the_server_dealt_it(tmp_path: Path, kind: str) -> None:
    make, url, echo, more = HELD[kind]
    script = [act for act in held.ACTS if act is not held.stalls] * 4 + [held.stalls]
    context = secured(tmp_path) if kind == "tls" else None
    if context:
        more = {**more, "tls": TRUSTED}
    with make(script, tls=context) as server:
        _, found = run(server, tmp_path, url, requests=2 * len(script), connections=12, **more)
    assert differences(server.book, found, echo) == []
    assert len(server.received) == len(set(server.received))
    assert {r.lane for r in found} == {Lane.HELD}


@pytest.mark.parametrize("kind", ["tcp", "websocket", "grpc_stream"])
def test_a_message_on_a_connection_that_ended_while_idle_is_lost_and_the_next_opens_another(
    tmp_path: Path, kind: str
) -> None:
    make, url, _, more = HELD[kind]
    with make([held.echoes, held.leaves, held.echoes]) as server:
        _, found = run(server, tmp_path, url, requests=6, connections=1, rate=20, timeout=2.0, **more)
    code = {"tcp": None, "websocket": 1, "grpc_stream": 14}[kind]
    assert [(r.fate, r.code) for r in found] == [
        (Fate.ANSWERED, None), (Fate.ANSWERED, None), (Fate.CLOSED, code),
        (Fate.ANSWERED, None), (Fate.ANSWERED, None), (Fate.CLOSED, code),
    ]  # fmt: skip
    assert server.received == [0, 1, 3, 4]
    assert [r.reused for r in found] == [False, True, True, False, True, True]


def test_who_answers_on_plain_tcp_is_asked_if_nothing_else_is_to_be_said(tmp_path: Path) -> None:
    class StandIn(Server):
        def serve(self, sock: socket.socket) -> None:
            while asked := sock.recv(100):
                sock.sendall(asked.replace(b"meshtest", b'{"service": "db", "version": "v2", "pod": "db-1"}'))

    with StandIn() as server:
        _, found = run(server, tmp_path, "tcp://db:1/", requests=4, connections=2)
    assert {(r.fate, r.server.service, r.version) for r in found} == {(Fate.ANSWERED, "db", "v2")}


# TLS.


def greets(sock: socket.socket) -> None:
    while sock.recv(65_536):
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


class Http1Server(Server):
    """Enough of one."""

    def serve(self, sock: socket.socket) -> None:
        greets(sock)


SPEAKERS: dict[str, tuple[Callable[..., Server], str, dict[str, Any]]] = {
    "http1": (Http1Server, "https://web/", {}),
    "http2": (partial(Http2Server, [http2.ok]), "https://web/", {"protocol": "http2"}),
    "websocket": (partial(StreamServer, held.Frames, [held.echoes]), "wss://web/", {}),
}


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_both_sides_show_their_certificates(tmp_path: Path, speaker: str) -> None:
    make, url, more = SPEAKERS[speaker]
    mine = AUTHORITY.pair("me")
    tls = TlsAsk(ca=AUTHORITY.root, certificate=mine.certificate, key=mine.key)
    with make(tls=secured(tmp_path, client_ca=AUTHORITY.root)) as server:
        summary, _ = run(server, tmp_path, url, tls=tls, requests=10, **more)
    assert summary.fates == {Fate.ANSWERED: 10}
    assert summary.troubles == {}


def refusal(folder: Path, which: str) -> tuple[ssl.SSLContext | None, TlsAsk, str]:
    """What the server has, what the client asks for, and what is said of it."""
    strange = STRANGER.pair("me")
    known = TlsAsk(ca=AUTHORITY.root, certificate=strange.certificate, key=strange.key)
    old = ssl.TLSVersion.TLSv1_2
    return {
        "authority": (secured(folder), TlsAsk(ca=STRANGER.root), "certificate verify failed: "),
        "expired": (secured(folder, AUTHORITY.pair("web", hours=-1)), TRUSTED, "certificate has expired"),
        "name": (secured(folder, AUTHORITY.pair("shop")), TRUSTED, "Hostname mismatch"),
        "none-1.2": (secured(folder, client_ca=AUTHORITY.root, most=old), TRUSTED, "alert handshake failure"),
        "none-1.3": (secured(folder, client_ca=AUTHORITY.root), TRUSTED, "alert certificate required"),
        "stranger": (secured(folder, client_ca=AUTHORITY.root), known, "alert unknown ca"),
        "plain": (None, TRUSTED, ""),
    }[which]


@pytest.mark.parametrize("which", ["authority", "expired", "name", "none-1.2", "none-1.3", "stranger", "plain"])
def test_a_handshake_that_fails_is_a_fate_of_its_own_and_tells_why(tmp_path: Path, which: str) -> None:
    speaker = {"none-1.3": "http2", "stranger": "websocket"}.get(which, "http1")
    make, url, more = SPEAKERS[speaker]
    context, tls, words = refusal(tmp_path, which)
    with make(tls=context) as server:
        summary, _ = run(server, tmp_path, url, tls=tls, requests=6, **more)
    assert summary.fates == {Fate.TLS: 6}
    assert any(words in told for told in summary.troubles), summary.troubles


@pytest.mark.parametrize(
    ("act", "fate"), [(held.resets, Fate.RESET), (held.closes, Fate.TLS), (held.stalls, Fate.TIMEOUT)]
)
def test_a_peer_that_ends_in_the_handshake(tmp_path: Path, act: held.Act, fate: Fate) -> None:
    class Hasty(Server):
        def serve(self, sock: socket.socket) -> None:
            sock.recv(65_536)
            act(held.Bytes(sock), b"")
            sock.recv(65_536)

    with Hasty() as server:
        summary, _ = run(server, tmp_path, "https://web/", tls=TRUSTED, requests=4, timeout=0.2)
    assert summary.fates == {fate: 4}


# Through a proxy.


def test_what_is_not_plain_http_goes_through_a_proxy_by_connect(tmp_path: Path) -> None:
    context = secured(tmp_path)
    asked: list[bytes] = []

    class Proxy(Server):
        def serve(self, sock: socket.socket) -> None:
            asked.append(sock.recv(65_536))
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with context.wrap_socket(sock, server_side=True) as secure:
                greets(secure)

    with Proxy() as server:
        summary, _ = run(server, tmp_path, "https://web/", proxy=True, tls=TRUSTED, requests=4)
    assert summary.fates == {Fate.ANSWERED: 4}
    assert set(asked) == {b"CONNECT web:443 HTTP/1.1\r\nhost: web:443\r\n\r\n"}


def test_a_proxy_that_refuses_to_connect_refuses(tmp_path: Path) -> None:
    class Proxy(Server):
        def serve(self, sock: socket.socket) -> None:
            sock.recv(65_536)
            sock.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")

    with Proxy() as server:
        summary, _ = run(server, tmp_path, "tcp://db:5432/", proxy=True, requests=4)
    assert summary.fates == {Fate.REFUSED: 4}


def test_a_certificate_that_is_none_is_said_before_anything_starts() -> None:
    with pytest.raises(UsageError, match="tls: certificate, key or CA cannot be used"):
        LoadSpec.of("https://web/", tls=TlsAsk(ca="no PEM"))
