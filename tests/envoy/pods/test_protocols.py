"""The stand-in beyond HTTP/1.1, asked directly: no proxy is between."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, DataReceived, Event, StreamEnded, TrailersReceived
from meshtest_envoy.pods.spec import PodTls
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, TextMessage

from meshtest.lib.wait import until
from meshtest.loads import grpc_frames
from meshtest.loads.ask import Ask, Reply, TlsAsk, ask
from meshtest.model.service import Handler, Probe
from meshtest.testing.certificates import CertificateAuthority

from .conftest import PATIENCE, Watched, Wire

PORTS = ((8080, "http"), (8081, "h2c"), (9000, "grpc"), (5432, "db"))
PROTOCOLS = ((8080, "http"), (8081, "http2"), (9000, "grpc"), (5432, "tcp"))
Converse = Callable[[int], "Talk"]
HTTP, H2C, GRPC, TCP = (number for number, _ in PORTS)


@pytest.fixture
def pod(mesh: Watched) -> Callable[..., dict[int, int]]:
    """Start a ready stand-in with these annotations; its ports."""

    def start(name: str = "web-0", tls: PodTls | None = None, **annotations: str) -> dict[int, int]:
        told = {f"meshtest.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
        return dict(mesh.ready(name, ports=PORTS, protocols=PROTOCOLS, tls=tls, annotations=told).ports)

    return start


@pytest.fixture
def converse() -> Iterator[Converse]:
    """Begin a Talk."""
    talks: list[Talk] = []

    def begin(port: int) -> Talk:
        talks.append(Talk(port))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.close()


def put(port: int, request: str, **more: Any) -> Reply:
    return ask(("127.0.0.1", port), Ask.of(request, timeout=PATIENCE, **more))


class TestHttp2:
    def test_it_reflects_what_http1_reflects_and_names_the_protocol(self, pod: Callable[..., dict[int, int]]) -> None:
        ports = pod()
        one, two = (
            put(ports[H2C], "POST http://web:80/a?b=c", protocol=protocol, headers={"x-a": "1"}, body="h")
            for protocol in ("http1", "http2")
        )
        assert (two.status, two.protocol) == (200, "HTTP/2")
        assert one.json | {"protocol": "HTTP/2"} == two.json
        assert (two.header("server"), two.header("content-type")) == ("meshtest-stand-in", "application/json")

    def test_any_port_takes_it(self, pod: Callable[..., dict[int, int]]) -> None:
        told = [put(port, "http://web/", protocol="http2").json["protocol"] for port in pod().values()]
        assert told == ["HTTP/2"] * 4

    def test_an_answer_wider_than_the_window_arrives_whole(self, pod: Callable[..., dict[int, int]]) -> None:
        reply = put(pod()[H2C], "http://web/", protocol="http2", headers={f"x-{n}": "a" * 6000 for n in range(10)})
        assert len(reply.json["headers"]["x-9"]) == 6000

    def test_a_long_body_is_taken_and_its_beginning_kept(self, pod: Callable[..., dict[int, int]]) -> None:
        reply = put(pod()[H2C], "POST http://web/", protocol="http2", body=b"x" * 300_000)
        assert reply.json["body"] == "x" * 4096

    def test_head_and_statuses_without_a_body(self, pod: Callable[..., dict[int, int]]) -> None:
        port = pod()[H2C]
        head = put(port, "HEAD http://web/", protocol="http2")
        assert (head.status, head.body, int(head.header("content-length")) > 0) == (200, b"", True)
        empty = put(port, "http://web/?codes=204", protocol="http2")
        assert (empty.status, empty.body, empty.header("content-length")) == (204, b"", "")

    def test_a_header_is_lost_and_content_wrong_as_in_http1(self, pod: Callable[..., dict[int, int]]) -> None:
        port = pod(lose_headers="content-type, x-a", wrong_content="100")[H2C]
        reply = put(port, "http://web/?headers=x-a:1,x-b:2", protocol="http2")
        assert [reply.header(name) for name in ("content-type", "x-a", "x-b")] == ["", "", "2"]
        assert reply.json == {"content": "not what was asked for"}

    def test_a_slow_stream_holds_up_no_other_of_its_connection(
        self, pod: Callable[..., dict[int, int]], converse: Converse
    ) -> None:
        talk = converse(pod()[H2C])
        talk.request(1, "/?delay=200ms")
        talk.request(3, "/")
        talk.until(lambda: talk.ended == [3, 1])

    def test_nonsense_after_the_preface_ends_the_connection(self, pod: Callable[..., dict[int, int]]) -> None:
        with socket.create_connection(("127.0.0.1", pod()[H2C]), timeout=PATIENCE) as wire:
            wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\x01\x01\x04\0\0\0\0\xff")
            while wire.recv(65536):
                pass


class TestGrpc:
    def test_any_method_answers_a_string_value_with_the_reflection(self, pod: Callable[..., dict[int, int]]) -> None:
        reply = put(pod()[GRPC], "grpc://web/shop.Cart/Add", body=grpc_frames.string_value("milk"))
        assert (reply.status, reply.grpc_status, len(reply.messages)) == (200, 0, 1)
        told = reply.json
        assert (told["protocol"], told["path"], told["service"]) == ("gRPC", "/shop.Cart/Add", "web")
        assert told["body"] == grpc_frames.string_value("milk").decode()

    @pytest.mark.parametrize(("http", "grpc"), [(503, 14), (403, 7), (401, 16), (404, 12), (500, 2)])
    def test_an_error_is_the_status_that_grpc_makes_of_it(
        self, pod: Callable[..., dict[int, int]], http: int, grpc: int
    ) -> None:
        reply = put(pod(errors=f"{http}:100")[GRPC], "grpc://web/a.B/C")
        assert (reply.status, reply.grpc_status, reply.messages) == (200, grpc, ())
        assert str(http) in reply.grpc_message

    def test_one_method_may_fail_and_a_message_may_be_wrong(self, pod: Callable[..., dict[int, int]]) -> None:
        port = pod(errors="503:100 path=/shop.Cart", wrong_content="100", lose_headers="content-type")[GRPC]
        assert put(port, "grpc://web/shop.Cart/Add").grpc_status == 14
        other = put(port, "grpc://web/shop.Carts/Add")
        assert (other.grpc_status, other.json) == (0, {"content": "not what was asked for"})

    def test_a_delay_is_waited(self, pod: Callable[..., dict[int, int]]) -> None:
        assert put(pod(delay="60ms")[GRPC], "grpc://web/a.B/C").seconds >= 0.06

    def test_a_streaming_method_sends_each_message_back_as_it_comes(
        self, pod: Callable[..., dict[int, int]], converse: Converse
    ) -> None:
        talk = converse(pod()[GRPC])
        talk.request(1, "/a.B/EchoStream", {"content-type": "application/grpc"}, end=False)
        for word in (b"one", b"two"):
            talk.say(1, grpc_frames.frame(word))
            talk.until(lambda word=word: grpc_frames.split(talk.bodies.get(1, b""))[0][-1:] == [word])  # type: ignore[misc]
        talk.say(1, b"", end=True)
        talk.until(lambda: talk.ended == [1])
        assert talk.trailers[1]["grpc-status"] == "0"

    def test_health_follows_ready_after_and_is_not_counted(
        self, mesh: Watched, pod: Callable[..., dict[int, int]]
    ) -> None:
        ports = mesh.start(
            ports=PORTS, protocols=PROTOCOLS,
            annotations={"meshtest.dev/ready-after": "300ms", "meshtest.dev/errors": "503:100"},
        ).ports  # fmt: skip
        health = "grpc://web/grpc.health.v1.Health/Check"
        until(lambda: put(ports[GRPC], health).answered, within=PATIENCE, what=lambda: "no answer")
        assert put(ports[GRPC], health).body in (b"\x08\x02", b"\x08\x01")
        until(lambda: put(ports[GRPC], health).body == b"\x08\x01", within=PATIENCE, what=lambda: "not serving")
        assert put(ports[GRPC], "grpc://web/grpc.health.v1.Health/Watch").grpc_status == 12


class TestWebSocket:
    def test_it_says_who_it_is_then_echoes(self, pod: Callable[..., dict[int, int]]) -> None:
        reply = put(pod()[HTTP], "ws://web/chat?a=b", body="hello")
        assert (reply.status, reply.messages[1], reply.close_code) == (101, b"hello", 1000)
        assert (reply.json["protocol"], reply.json["path"]) == ("WebSocket", "/chat?a=b")

    def test_bytes_and_long_messages_come_back_as_they_are(self, pod: Callable[..., dict[int, int]]) -> None:
        body = bytes(range(256)) * 1000
        assert put(pod()[HTTP], "ws://web/", body=body).messages[1] == body

    def test_an_error_is_answered_in_place_of_the_upgrade(self, pod: Callable[..., dict[int, int]]) -> None:
        reply = put(pod(errors="503:100")[HTTP], "ws://web/")
        assert (reply.answered, reply.status, reply.json["protocol"]) == (True, 503, "WebSocket")


class TestTcp:
    def test_a_port_of_tcp_echoes(self, pod: Callable[..., dict[int, int]]) -> None:
        body = os.urandom(200_000) + b"x"
        assert put(pod()[TCP], "tcp://db:5432", body=body).body == body

    def test_it_says_nothing_first_and_tells_who_it_is_when_asked(self, pod: Callable[..., dict[int, int]]) -> None:
        port = pod()[TCP]
        with socket.create_connection(("127.0.0.1", port)) as silent:
            told = put(port, "tcp://db:5432").json
            assert not select.select([silent], [], [], 0)[0]
        assert (told["protocol"], told["pod"], told["version"], told["namespace"]) == ("TCP", "web-0", "v1", "default")

    def test_it_speaks_first_if_annotated(self, pod: Callable[..., dict[int, int]]) -> None:
        address = ("127.0.0.1", pod(server_first="true")[TCP])
        with socket.create_connection(address, timeout=PATIENCE) as wire, wire.makefile("rb") as lines:
            assert json.loads(lines.readline())["pod"] == "web-0"

    def test_an_error_is_a_reset_and_a_delay_comes_before_the_first_answer(
        self, pod: Callable[..., dict[int, int]]
    ) -> None:
        assert put(pod("web-0", errors="503:100")[TCP], "tcp://db:5432").fate == "reset"
        assert put(pod("web-1", delay="60ms")[TCP], "tcp://db:5432").seconds >= 0.06

    def test_half_closed_by_the_client_it_still_echoes_what_it_holds(self, pod: Callable[..., dict[int, int]]) -> None:
        with socket.create_connection(("127.0.0.1", pod(delay="50ms")[TCP]), timeout=PATIENCE) as wire:
            wire.sendall(b"last words")
            wire.shutdown(socket.SHUT_WR)
            assert wire.recv(100) == b"last words"
            assert wire.recv(100) == b""

    def test_http_is_answered_there_too_and_nonsense_elsewhere_refused(
        self, pod: Callable[..., dict[int, int]], connect: Callable[[int], Wire]
    ) -> None:
        ports = pod()
        assert put(ports[TCP], "http://db/").json["protocol"] == "HTTP/1.1"
        assert connect(ports[HTTP]).send(b"hello\r\n\r\n").answer()[0] == 400


class TestTls:
    @pytest.fixture
    def authority(self) -> CertificateAuthority:
        return CertificateAuthority()

    @pytest.fixture
    def secured(
        self, pod: Callable[..., dict[int, int]], authority: CertificateAuthority, tmp_path: Path
    ) -> dict[int, int]:
        leaf = authority.pair("web.example.com")
        paths = {name: tmp_path / name for name in ("crt", "key", "ca")}
        for name, text in {"crt": leaf.certificate, "key": leaf.key, "ca": authority.root}.items():
            paths[name].write_text(text)
        return pod(tls=PodTls(certificate=str(paths["crt"]), key=str(paths["key"]), client_ca=str(paths["ca"])))

    @pytest.mark.parametrize(
        ("url", "alpn", "protocol"),
        [
            ("https://web.example.com/", "http/1.1", "HTTP/1.1"),
            ("grpcs://web.example.com/a.B/C", "h2", "gRPC"),
            ("wss://web.example.com/", "http/1.1", "WebSocket"),
        ],
    )
    def test_every_protocol_inside_it_tells_sni_and_alpn(
        self, secured: dict[int, int], authority: CertificateAuthority, url: str, alpn: str, protocol: str
    ) -> None:
        reply = put(secured[HTTP], url, tls=TlsAsk(ca=authority.root))
        told = reply.json
        assert (told["protocol"], told["tls"]["sni"], told["tls"]["alpn"]) == (protocol, "web.example.com", alpn)
        assert told["tls"]["client"] is None
        assert reply.tls is not None
        assert (reply.tls.version, reply.tls.alpn) == ("TLSv1.3", alpn)

    def test_a_client_certificate_is_told(self, secured: dict[int, int], authority: CertificateAuthority) -> None:
        leaf = authority.pair("spiffe://cluster.local/ns/default/sa/caller", name="caller")
        reply = put(secured[TCP], "tls://web.example.com", tls=TlsAsk(certificate=leaf.certificate, key=leaf.key))
        assert reply.json["tls"]["client"] == {
            "subject": "commonName=caller", "uris": ["spiffe://cluster.local/ns/default/sa/caller"],
        }  # fmt: skip

    def test_a_client_of_another_authority_is_refused(self, secured: dict[int, int]) -> None:
        leaf = CertificateAuthority("someone else").pair("caller")
        reply = put(secured[HTTP], "https://web/", tls=TlsAsk(certificate=leaf.certificate, key=leaf.key))
        assert (reply.fate, reply.error) == ("tls", "tlsv1 alert unknown ca")

    def test_plain_http_is_still_answered(self, secured: dict[int, int]) -> None:
        assert put(secured[HTTP], "http://web/").json["tls"] is None

    def test_a_rotated_certificate_is_served_to_the_next_connection(
        self, secured: dict[int, int], authority: CertificateAuthority, tmp_path: Path
    ) -> None:
        before = put(secured[HTTP], "https://web.example.com/").tls
        leaf = authority.pair("web.example.com")
        later = time.time() + 10
        for name, text in {"key": leaf.key, "crt": leaf.certificate}.items():
            (tmp_path / name).write_text(text)
            os.utime(tmp_path / name, (later, later))
        after = put(secured[HTTP], "https://web.example.com/").tls
        assert before is not None
        assert after is not None
        assert before.certificate != after.certificate


class TestDraining:
    @pytest.fixture
    def terminate(self, mesh: Watched) -> Callable[[], None]:
        return lambda: mesh.supervisor.signal("web-0", signal.SIGTERM)

    def test_http2_says_goaway_and_finishes_its_streams(
        self, mesh: Watched, pod: Callable[..., dict[int, int]], converse: Converse, terminate: Callable[[], None]
    ) -> None:
        talk = converse(pod()[H2C])
        talk.request(1, "/?delay=600ms")
        talk.request(3, "/")
        talk.until(lambda: talk.ended == [3])
        terminate()
        talk.until(lambda: talk.farewell and talk.ended == [3, 1])
        assert mesh.wait("web-0", "exited").detail["code"] == 0

    def test_a_new_connection_of_http2_is_served_and_told(
        self, pod: Callable[..., dict[int, int]], converse: Converse, terminate: Callable[[], None]
    ) -> None:
        port = pod()[H2C]
        terminate()
        talk = converse(port)
        talk.request(1, "/")
        talk.until(lambda: talk.farewell and talk.ended == [1])

    def test_a_websocket_is_closed_with_1001(
        self, mesh: Watched, pod: Callable[..., dict[int, int]], terminate: Callable[[], None], connect: Any
    ) -> None:
        wire = connect(pod()[HTTP])
        wire.get("/", connection="upgrade", upgrade="websocket", sec_websocket_key="x", sec_websocket_version="13")
        assert wire.head()[0] == 101
        terminate()
        frames = Connection(ConnectionType.CLIENT)
        frames.receive_data(wire.rest())
        first, last = [event for event in frames.events() if isinstance(event, TextMessage | CloseConnection)]
        assert isinstance(first, TextMessage)
        assert isinstance(last, CloseConnection)
        assert last.code == 1001
        assert mesh.wait("web-0", "exited").detail["code"] == 0

    def test_tcp_is_half_closed(
        self, mesh: Watched, pod: Callable[..., dict[int, int]], terminate: Callable[[], None]
    ) -> None:
        with socket.create_connection(("127.0.0.1", pod()[TCP]), timeout=PATIENCE) as wire:
            wire.sendall(b"before")
            assert wire.recv(100) == b"before"
            terminate()
            assert wire.recv(100) == b""
            wire.sendall(b"said to nobody, and no reset while it drains")
        assert mesh.wait("web-0", "exited").detail["code"] == 0


def test_requests_are_in_the_log_if_asked_for_mirrored_ones_too(
    mesh: Watched, pod: Callable[..., dict[int, int]]
) -> None:
    ports = pod(log="true")
    put(ports[HTTP], "http://web/a", id="load-1")
    put(ports[GRPC], "grpc://web/b.C/D", id="load-2")
    lines = [json.loads(line) for line in mesh.log("web-0").read_text().splitlines()]
    asked = [(line["protocol"], line["path"], line["id"]) for line in lines if line["id"]]
    assert asked == [("HTTP/1.1", "/a", "load-1"), ("gRPC", "/b.C/D", "load-2")]


def test_a_grpc_probe_finds_a_pod_ready_and_one_that_is_not(mesh: Watched) -> None:
    probe = Probe(handler=Handler(kind="grpc", port=9000), period=0.05)
    mesh.ready(ports=PORTS, protocols=PROTOCOLS, readiness=probe)
    mesh.start("web-1", readiness=probe, annotations={"meshtest.dev/ready-after": "1h"})
    mesh.start("web-2", liveness=Probe(handler=Handler(kind="grpc", port=8080), failure_threshold=1), ports=PORTS,
               annotations={"meshtest.dev/ready-after": "1h"})  # fmt: skip
    died = mesh.wait("web-2", "exited")
    assert died.detail["why"].startswith("liveness probe failed: grpc health (server) (port ")
    assert died.detail["why"].endswith(": NOT_SERVING")
    assert "ready" not in mesh.kinds("web-1")


class Talk:
    """A connection of HTTP/2, stream by stream."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._data = b""
        self.ended: list[int] = []
        self.bodies: dict[int, bytes] = {}
        self.trailers: dict[int, dict[str, str]] = {}
        self.farewell = False

    def request(self, stream: int, path: str, headers: dict[str, str] | None = None, *, end: bool = True) -> None:
        method = "POST" if headers else "GET"
        fields = [(":method", method), (":scheme", "http"), (":authority", "web"), (":path", path)]
        self._h2.send_headers(stream, [*fields, *(headers or {}).items()], end_stream=end)
        self._socket.sendall(self._h2.data_to_send())

    def say(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self._h2.send_data(stream, data, end_stream=end)
        self._socket.sendall(self._h2.data_to_send())

    def close(self) -> None:
        self._socket.close()

    def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            data = self._socket.recv(65536)
            assert data, "the connection was closed"
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Whole frames; h2 would not read on after a GOAWAY."""
        self._data += data
        while len(self._data) >= 9 and len(self._data) >= (end := 9 + int.from_bytes(self._data[:3], "big")):
            frame, self._data = self._data[:end], self._data[end:]
            if frame[3] == 7:
                assert frame[9:] == b"\x7f\xff\xff\xff\0\0\0\0"
                self.farewell = True
            else:
                for event in self._h2.receive_data(frame):
                    self._note(event)

    def _note(self, event: Event) -> None:
        assert not isinstance(event, ConnectionTerminated)
        if isinstance(event, DataReceived):
            self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
        elif isinstance(event, TrailersReceived):
            self.trailers[event.stream_id] = {str(k): str(v) for k, v in event.headers}
        elif isinstance(event, StreamEnded):
            self.ended.append(event.stream_id)
