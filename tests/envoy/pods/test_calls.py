"""A stand-in that calls others, through the proxy it was given."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .conftest import Watched, Wire

Connect = Callable[[int], Wire]


class Proxy:
    """Remembers what it was asked for, and answers by path: /STATUS/WAY."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.peers: set[tuple[str, int]] = set()
        self.closed = threading.Event()
        """A connection was closed without a word, as an idle one is."""
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                proxy.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                proxy.peers.add(self.client_address)
                proxy.answer(self)

            def finish(self) -> None:
                super().finish()
                self.connection.close()
                proxy.closed.set()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        _, status, way = request.path.removeprefix("http://reviews:9080").split("/")
        if way == "cut":
            request.close_connection = True
            return
        request.close_connection = way == "last"
        body = b'{"service": "reviews", "version": "v2", "pod": "reviews-0"}'
        request.send_response(int(status))
        if way == "chunked":
            request.send_header("transfer-encoding", "chunked")
            body = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (5, body[:5], len(body) - 5, body[5:])
        else:
            request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


@pytest.fixture
def caller(mesh: Watched, connect: Connect, proxy: Proxy) -> Callable[..., Wire]:
    def start(calls: str, **annotations: str) -> Wire:
        told = {"meshtest.dev/calls": calls} | {f"meshtest.dev/{k}": v for k, v in annotations.items()}
        return connect(mesh.ready(annotations=told, http_proxy=proxy.url).ports[8080])

    return start


def test_calls_go_through_the_proxy_and_their_answers_are_told(caller: Callable[..., Wire], proxy: Proxy) -> None:
    wire = caller("http://reviews:9080/200/plain http://reviews:9080/200/chunked")
    status, _, told = wire.get().answer()
    who = {"status": 200, "service": "reviews", "version": "v2", "pod": "reviews-0"}
    assert status == 200
    assert told["calls"] == [{"url": f"http://reviews:9080/200/{way}", **who} for way in ("plain", "chunked")]
    assert [path for path, _ in proxy.asked] == ["http://reviews:9080/200/plain", "http://reviews:9080/200/chunked"]
    assert proxy.asked[0][1]["host"] == "reviews:9080"


def test_connections_are_kept(caller: Callable[..., Wire], proxy: Proxy) -> None:
    wire = caller("http://reviews:9080/200/plain")
    assert [wire.get().answer()[0] for _ in range(20)] == [200] * 20
    assert (len(proxy.asked), len(proxy.peers)) == (20, 1)


def test_a_connection_the_proxy_closed_is_not_used_again(caller: Callable[..., Wire], proxy: Proxy) -> None:
    wire = caller("http://reviews:9080/200/last")
    assert wire.get().answer()[0] == 200
    assert proxy.closed.wait(5)
    assert wire.get().answer()[0] == 200
    assert (len(proxy.asked), len(proxy.peers)) == (2, 2)


def test_tracing_and_x_headers_go_along_but_not_the_proxys_own(caller: Callable[..., Wire], proxy: Proxy) -> None:
    passed = {
        "x-request-id": "1", "x-meshtest-id": "load-1", "traceparent": "00-a-b-01", "baggage": "k=v", "b3": "0",
        "x-b3-traceid": "2", "end-user": "jason", "cookie": "s=1", "x-tenant": "t", "user-agent": "curl",
    }  # fmt: skip
    dropped = {"x-envoy-attempt-count": "1", "x-forwarded-for": "1.2.3.4", "accept-language": "de"}
    wire = caller("http://reviews:9080/200/plain")
    assert wire.get(**{k.replace("-", "_"): v for k, v in (passed | dropped).items()}).answer()[0] == 200
    assert proxy.asked[0][1] == {"host": "reviews:9080"} | passed


def test_propagation_can_be_forgotten_as_real_services_do(caller: Callable[..., Wire], proxy: Proxy) -> None:
    wire = caller("http://reviews:9080/200/plain", propagate="false")
    wire.get(x_request_id="1").answer()
    assert proxy.asked[0][1] == {"host": "reviews:9080"}


def test_one_header_can_be_forgotten(caller: Callable[..., Wire], proxy: Proxy) -> None:
    wire = caller("http://reviews:9080/200/plain", **{"drop-headers": "traceparent"})
    wire.get(x_request_id="1", traceparent="00-a-b-01", tracestate="k=v").answer()
    assert proxy.asked[0][1] == {"host": "reviews:9080", "x-request-id": "1", "tracestate": "k=v"}


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://reviews:9080/503/plain", "was answered 503"),
        ("http://reviews:9080/200/cut", "failed: the connection was closed before the answer was complete"),
    ],
)
def test_a_failed_call_fails_the_request_and_ends_the_chain(
    caller: Callable[..., Wire], proxy: Proxy, url: str, why: str
) -> None:
    status, _, told = caller(f"{url} http://reviews:9080/200/plain").get().answer()
    assert (status, told["error"]) == (502, f"call to {url} {why}")
    assert len(told["calls"]) == len(proxy.asked) == 1, "neither retried nor followed by the next call"


def test_a_call_that_is_not_required_is_told_and_forgiven(caller: Callable[..., Wire], proxy: Proxy) -> None:
    urls = "http://reviews:9080/503/plain,http://reviews:9080/404/plain"
    status, _, told = caller(urls, **{"calls-required": "false"}).get().answer()
    assert (status, [call["status"] for call in told["calls"]]) == (200, [503, 404])


def test_without_a_proxy_calls_go_directly_and_a_refused_one_says_so(mesh: Watched, connect: Connect) -> None:
    callee = mesh.ready("db-0").ports[8080]
    url = f"http://127.0.0.1:{callee}/x"
    port = mesh.ready(calls=(url,)).ports[8080]
    assert connect(port).get().answer()[2]["calls"][0]["pod"] == "db-0"
    mesh.supervisor.stop_pod("db-0", grace=0)
    mesh.wait("db-0", "exited", final=True)
    status, _, told = connect(port).get().answer()
    assert status == 502
    assert "refused" in told["error"] or "Connect call failed" in told["error"]
