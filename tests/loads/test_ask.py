"""One request and its whole answer, against servers that misbehave; what is refused before anything is sent."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived, StreamEnded
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, TextMessage

from meshtest.errors import UsageError
from meshtest.loads import grpc_frames
from meshtest.loads.ask import Ask, Reply, TlsAsk, ask
from meshtest.loads.ask_stream import _accept
from meshtest.model.request import Fate, Server
from meshtest.spi.provider import Entrance
from meshtest.testing.certificates import CertificateAuthority
from tests.loads import hostile
from tests.loads.hostile import FATES, HostileServer

SHORT = 0.3
"""Seconds; what does not stall here takes a hundredth of that."""

Serve = Callable[[socket.socket], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Serve], int]]:
    """A server for one connection; its port."""
    threads: list[threading.Thread] = []
    opened: list[socket.socket] = []

    def start(act: Serve) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)

        def run() -> None:
            with contextlib.suppress(OSError):
                sock, _ = listener.accept()
                with sock:
                    sock.settimeout(5)
                    act(sock)
                    # closed with something unread, it would be reset, and what was sent might never be seen
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for thread in threads:
        thread.join(5)
    for one in opened:
        one.close()


def put(port: int, request: str, *, proxy: bool = False, timeout: float = 5.0, **more: Any) -> Reply:
    return ask(Entrance("127.0.0.1", port, proxy), Ask.of(request, timeout=timeout, **more))


def read_head(sock: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    return head


class TestHttp1:
    @pytest.mark.parametrize("act", FATES, ids=lambda act: act.__name__)
    def test_every_misbehaviour_has_its_fate(self, act: hostile.Act) -> None:
        fate, status = FATES[act]
        with HostileServer([act]) as server:
            reply = put(server.port, "http://web/", id="ask-1", timeout=SHORT if fate is Fate.TIMEOUT else 5.0)
        assert (reply.fate, bool(reply.error)) == (fate.name.lower(), fate is not Fate.ANSWERED), reply
        if reply.answered:
            assert reply.status == status

    def test_nothing_is_sent_twice(self) -> None:
        with HostileServer([hostile.resets]) as server:
            put(server.port, "http://web/", id="ask-1")
            assert (server.connections, len(server.log)) == (1, 1)

    def test_nobody_there_is_refused(self, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        listener.close()
        assert put(port, "http://web/").fate == "refused"

    def test_chunks_trailers_and_repeated_headers_are_whole(self) -> None:
        with HostileServer([hostile.drip]) as server:
            reply = put(server.port, "http://web/", id="ask-1")
        assert reply.body == b"hello 0123456789"
        assert reply.trailers == (("x-trailer", "1"),)
        assert reply.header("X-Envoy-Attempt-Count") == "2"
        assert reply.server == Server("web", "v1", "web-1")

    def test_what_came_before_the_cut_is_there(self) -> None:
        with HostileServer([hostile.closes_in_body]) as server:
            reply = put(server.port, "http://web/", id="ask-1")
        assert (reply.fate, reply.status, reply.body) == ("closed", 200, b"hello")

    def test_an_answer_that_comes_before_the_body_was_read_counts(self, serve: Callable[[Serve], int]) -> None:
        def act(sock: socket.socket) -> None:
            read_head(sock)
            sock.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

        assert put(serve(act), "POST http://web/", body=b"x" * 1_000_000).status == 413

    @pytest.mark.parametrize(
        ("proxy", "line"), [(False, b"PUT /a?b=c HTTP/1.1"), (True, b"PUT http://web:81/a?b=c HTTP/1.1")]
    )
    def test_a_proxy_is_asked_in_absolute_form(self, proxy: bool, line: bytes) -> None:
        with HostileServer() as server:
            put(server.port, "put http://web:81/a?b=c", proxy=proxy, body="x", id="ask-1", headers={"X-A": "1"})
            (head,) = server.heads
        assert head.split(b"\r\n")[:2] == [line, b"host: web:81"]
        assert b"\r\nX-A: 1\r\n" in head

    def test_the_host_header_can_differ_from_the_url(self) -> None:
        with HostileServer() as server:
            put(server.port, "http://web/", headers={"Host": "other"}, id="ask-1")
            assert server.heads[0].count(b"ost: ") == 1
            assert b"Host: other" in server.heads[0]


class TestHttp2:
    def test_a_reset_stream_says_why(self, serve: Callable[[Serve], int]) -> None:
        reply = put(serve(http2(lambda h2: h2.reset_stream(1, ErrorCodes.REFUSED_STREAM))), "grpc://web/a.B/C")
        assert (reply.fate, reply.error) == ("reset", "the peer reset the stream: REFUSED_STREAM")

    def test_a_connection_ended_with_an_error_is_a_reset(self, serve: Callable[[Serve], int]) -> None:
        reply = put(
            serve(http2(lambda h2: h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM))), "http://web/", protocol="http2"
        )
        assert (reply.fate, reply.error) == ("reset", "the peer ended the connection: ENHANCE_YOUR_CALM")

    def test_a_farewell_that_serves_this_request_is_no_trouble(self, serve: Callable[[Serve], int]) -> None:
        def act(sock: socket.socket) -> None:
            await_request(sock, h2 := H2Connection(H2Configuration(client_side=False)))
            sock.sendall(b"\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\0")
            h2.send_headers(1, [(":status", "200")])
            h2.send_data(1, b"all the same", end_stream=True)
            sock.sendall(h2.data_to_send())

        assert put(serve(act), "http://web/", protocol="http2").body == b"all the same"

    def test_who_answers_http1_is_garbled(self, serve: Callable[[Serve], int]) -> None:
        def act(sock: socket.socket) -> None:
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            sock.recv(65536)

        reply = put(serve(act), "http://web/", protocol="http2")
        assert (reply.fate, reply.error) == ("garbled", "the answer is not HTTP/2: it is HTTP/1")

    def test_headers_and_trailers_are_apart_and_grpc_status_understood(self, serve: Callable[[Serve], int]) -> None:
        def act(h2: H2Connection) -> None:
            h2.send_headers(1, [(":status", "200"), ("content-type", "application/grpc+proto"), ("x", "1"), ("x", "2")])
            h2.send_data(1, grpc_frames.frame(b"one") + grpc_frames.frame(b"two"))
            h2.send_headers(1, [("grpc-status", "5"), ("grpc-message", "not%20here")], end_stream=True)

        reply = put(serve(http2(act)), "grpc://web/a.B/C")
        assert (reply.grpc_status, reply.grpc_message, reply.ok) == (5, "not here", False)
        assert (reply.messages, reply.body, reply.header("x")) == ((b"one", b"two"), b"one", "1, 2")
        assert dict(reply.trailers)["grpc-status"] == "5"

    def test_a_peer_that_stalls_is_a_timeout(self, serve: Callable[[Serve], int]) -> None:
        gate = threading.Event()
        reply = put(serve(lambda _: gate.wait(5) and None), "http://web/", protocol="http2", timeout=SHORT)
        gate.set()
        assert reply.fate == "timeout"


class TestWebSocket:
    def test_a_peer_that_leaves_before_the_echo_is_closed(self, serve: Callable[[Serve], int]) -> None:
        def act(sock: socket.socket) -> None:
            frames = upgrade(sock)
            sock.sendall(frames.send(TextMessage("hello")) + frames.send(CloseConnection(1001, "going")))
            sock.recv(65536)

        reply = put(serve(act), "ws://web/", body="never comes back")
        assert (reply.fate, reply.close_code, reply.messages) == ("closed", 1001, (b"hello",))

    def test_a_wrong_accept_is_garbled(self, serve: Callable[[Serve], int]) -> None:
        def act(sock: socket.socket) -> None:
            read_head(sock)
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: nonsense\r\n\r\n")

        assert put(serve(act), "ws://web/").fate == "garbled"

    def test_a_refusal_is_an_answer(self) -> None:
        with HostileServer([hostile.unavailable]) as server:
            reply = put(server.port, "ws://web/", id="ask-1", proxy=True)
            assert server.heads[0].startswith(b"GET http://web/ HTTP/1.1\r\n")
        assert (reply.answered, reply.status) == (True, 503)


class TestTcp:
    def test_through_a_proxy_it_connects(self, serve: Callable[[Serve], int]) -> None:
        heads = []

        def act(sock: socket.socket) -> None:
            heads.append(read_head(sock))
            sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            sock.sendall(sock.recv(100))

        assert put(serve(act), "tcp://db:5432", proxy=True, body=b"ping").body == b"ping"
        assert heads == [b"CONNECT db:5432 HTTP/1.1\r\nhost: db:5432\r\n\r\n"]

    def test_a_proxy_that_refuses_is_an_answer_with_its_status(self, serve: Callable[[Serve], int]) -> None:
        def act(sock: socket.socket) -> None:
            read_head(sock)
            sock.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

        reply = put(serve(act), "tcp://db:5432", proxy=True)
        assert (reply.answered, reply.status, reply.error) == (True, 404, "the proxy refused CONNECT")

    def test_a_peer_that_leaves_without_a_word_is_closed(self, serve: Callable[[Serve], int]) -> None:
        assert put(serve(lambda sock: sock.recv(100) and None), "tcp://db:5432").fate == "closed"


class TestTls:
    @pytest.fixture
    def authority(self) -> CertificateAuthority:
        return CertificateAuthority()

    @pytest.fixture
    def port(self, serve: Callable[[Serve], int], authority: CertificateAuthority, tmp_path: Path) -> int:
        leaf = authority.pair("web.example.com")
        (tmp_path / "pem").write_text(leaf.key + leaf.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "pem")

        def act(sock: socket.socket) -> None:
            with contextlib.suppress(ssl.SSLError), context.wrap_socket(sock, server_side=True) as secured:
                read_head(secured)
                secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        return serve(act)

    def test_a_certificate_of_the_right_name_and_authority_is_taken(
        self, port: int, authority: CertificateAuthority
    ) -> None:
        reply = put(port, "https://web.example.com/", tls=TlsAsk(ca=authority.root))
        assert (reply.status, reply.tls and reply.tls.version) == (204, "TLSv1.3")
        assert reply.tls
        assert reply.tls.certificate_pem().startswith("-----BEGIN CERTIFICATE-----")

    def test_one_of_another_name_is_not(self, port: int, authority: CertificateAuthority) -> None:
        reply = put(port, "https://other.example.com/", tls=TlsAsk(ca=authority.root))
        assert reply.fate == "tls"
        assert reply.error.startswith("certificate verify failed: Hostname mismatch")

    def test_one_of_another_authority_is_not(self, port: int) -> None:
        reply = put(port, "https://web.example.com/", tls=TlsAsk(ca=CertificateAuthority("someone else").root))
        assert (reply.fate, reply.error) == ("tls", "certificate verify failed: unable to get local issuer certificate")

    def test_without_an_authority_any_is_taken_by_any_name(self, port: int) -> None:
        assert put(port, "https://other/", tls=TlsAsk(sni="-")).status == 204

    def test_a_server_in_the_clear_fails_the_handshake(self, serve: Callable[[Serve], int]) -> None:
        assert put(serve(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")), "https://web/").fate == "tls"

    def test_what_is_no_pem_is_the_callers_mistake(self) -> None:
        with pytest.raises(UsageError, match="give PEM texts"):
            put(1, "https://web/", tls=TlsAsk(ca="nonsense"))
        with pytest.raises(UsageError, match="needs its key"):
            put(1, "https://web/", tls=TlsAsk(certificate="x"))


@pytest.mark.parametrize(
    ("request_", "more", "message"),
    [
        ("web", {}, r"request 'web': write `\[METHOD\] SCHEME://host:port/path`, the scheme one of http, https, ws"),
        ("ftp://web/", {}, "the scheme one of http, https"),
        ("GET http://web/ now", {}, "write `"),
        ("http://web:x/", {}, "Port could not be cast"),
        ("tcp://db", {}, "tcp has no usual port; write tcp://db:PORT"),
        ("http://user@web/", {}, "write `"),
        ("http://wéb/", {}, "printable ASCII"),
        ("http://web/ä", {}, "printable ASCII"),
        ("http://web/", {"protocol": "http3"}, "protocol 'http3': one of http1, http2, grpc, websocket, tcp"),
        ("http://web/", {"timeout": 0}, "timeout is 0"),
        ("http://web/", {"headers": ["x"]}, "write `name: value`"),
        ("http://web/", {"headers": {"a b": "c"}}, "not a valid name"),
        ("http://web/", {"headers": {"te": "gzip"}, "protocol": "http2"}, "cannot be sent by HTTP/2"),
    ],
)
def test_a_bad_question_is_refused_with_a_reason(
    request_: str, more: dict[str, Any], message: str, listener: socket.socket
) -> None:
    with pytest.raises(UsageError, match=message):
        put(listener.getsockname()[1], request_, **more)


@pytest.mark.parametrize(
    ("request_", "spoken", "authority", "port", "secure"),
    [
        ("http://web:80/", "http1", "web", 80, False),
        ("https://web:443/", "http1", "web", 443, True),
        ("https://web:8443/", "http1", "web:8443", 8443, True),
        ("ws://web/", "websocket", "web", 80, False),
        ("grpcs://web:90/a.B/C", "grpc", "web:90", 90, True),
        ("tcp://[::1]:5432", "tcp", "[::1]:5432", 5432, False),
    ],
)
def test_the_scheme_says_protocol_port_and_tls(
    request_: str, spoken: str, authority: str, port: int, secure: bool
) -> None:
    what = Ask.of(request_)
    assert (what.protocol, what.authority, what.port, what.tls is not None) == (spoken, authority, port, secure)


def http2(act: Callable[[H2Connection], None]) -> Serve:
    """A server of HTTP/2 that does this once stream 1 was asked, and then reads until the client leaves."""

    def run(sock: socket.socket) -> None:
        h2 = H2Connection(H2Configuration(client_side=False))
        await_request(sock, h2)
        act(h2)
        sock.sendall(h2.data_to_send())
        while sock.recv(65536):
            pass

    return run


def await_request(sock: socket.socket, h2: H2Connection) -> None:
    h2.initiate_connection()
    sock.sendall(h2.data_to_send())
    asked = ended = False
    while not (asked and ended):
        for event in h2.receive_data(sock.recv(65536)):
            asked = asked or isinstance(event, RequestReceived)
            ended = ended or isinstance(event, StreamEnded)
    sock.sendall(h2.data_to_send())


def upgrade(sock: socket.socket) -> Connection:
    head = read_head(sock).decode()
    key = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("sec-websocket-key"))
    told = f"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: {_accept(key)}\r\n\r\n"
    sock.sendall(told.encode())
    return Connection(ConnectionType.SERVER)
