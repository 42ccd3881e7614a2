"""TLS at gateways and to endpoints, on the real Envoy, with python's ssl as the user and as the server."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshtest import Mesh
from meshtest.model.credential import Credential
from meshtest.model.policy import HostPolicy, TrafficPolicy, UpstreamTls
from meshtest.model.route import Destination, Gateway, Route, RouteTable, Server, ServerTls, StreamMatch, StreamRoute
from meshtest.model.service import Endpoint, Service, ServicePort
from meshtest.model.topology import Topology
from tests.web import SERVICE, UNVERSIONED, joined

SHOP = joined(SERVICE, UNVERSIONED)
WEB = "web.default.svc.cluster.local"


def credential(name: str, pair: Any = None, ca: str = "") -> Credential:
    own = {"certificate": pair.certificate, "private_key": pair.key} if pair else {}
    return Credential(name=name, namespace="default", ca=ca, **own)


def gateway(*servers: Server) -> Gateway:
    return Gateway(name="gw", namespace="default", servers=servers)


def table(*hosts: str, to: str = WEB, **more: Any) -> RouteTable:
    routes = (Route(destinations=(Destination(host=to, port=80),)),)
    return RouteTable(
        **{"name": "t", "namespace": "default", "hosts": hosts, "gateways": ("default/gw",), "routes": routes, **more}
    )


def extend(mesh: Mesh, *gateways: Gateway, credentials: tuple[Credential, ...] = (), **more: Any) -> Topology:
    """Bring the topology of the manifests about, with what their dialects cannot say."""
    topology = replace(mesh.topology, gateways=gateways, credentials={c.key: c for c in credentials}, **more)
    mesh.provider.apply(topology)
    return topology


def https(port: int = 443, name: str = "https", hosts: tuple[str, ...] = ("*",), **tls: Any) -> Server:
    return Server(port=port, protocol="HTTPS", name=name, hosts=hosts, tls=ServerTls(**tls))


def door(mesh: Mesh, port: int = 443) -> tuple[str, int]:
    entrance = mesh.provider.entrance(f"ingress/{port}")
    return entrance.address, entrance.port


def get(mesh: Mesh, host: str, context: ssl.SSLContext, *, sni: str = "", port: int = 443) -> http.client.HTTPResponse:
    """A GET inside TLS to a gateway; `sni` when the handshake names another host."""
    raw = socket.create_connection(door(mesh, port), timeout=10)
    with context.wrap_socket(raw, server_hostname=sni or host) as wrapped:
        connection = http.client.HTTPConnection(host)
        connection.sock = wrapped
        connection.request("GET", "/")
        answer = connection.getresponse()
        answer.read()
        return answer


def test_https_ends_at_the_gateway_and_each_server_shows_its_own_certificate(mesh: Mesh, authority: Any) -> None:
    mesh.apply(text=SHOP)
    one, other = authority.pair("one.example.com"), authority.pair("*.other.com")
    extend(
        mesh,
        gateway(
            https(name="one", hosts=("one.example.com",), certificates=("default/one",)),
            https(name="other", hosts=("*.other.com",), certificates=("default/other",)),
        ),
        credentials=(credential("one", one), credential("other", other)),
        tables=(table("one.example.com", "*.other.com"),),
    )
    client = authority.client()
    assert get(mesh, "one.example.com", client).status == 200
    assert get(mesh, "a.other.com", client).status == 200
    assert get(mesh, "a.other.com", client, sni="one.example.com").status == 404, "each server has its own routes"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get(mesh, "two.example.com", client)


def test_servers_come_and_go_beside_one_that_stays(mesh: Mesh, authority: Any) -> None:
    mesh.apply(text=SHOP)
    own = credential("one", authority.pair("one.example.com", "two.example.com"))
    one, two = (https(name=n, hosts=(f"{n}.example.com",), certificates=("default/one",)) for n in ("one", "two"))
    for servers in ((one,), (one, two), (one,), (two,), (one, two)):
        extend(mesh, gateway(*servers), credentials=(own,), tables=(table("*"),))
        for server in servers:
            assert get(mesh, f"{server.name}.example.com", authority.client()).status == 200
    plain = Server(port=443, protocol="HTTP", name="plain")
    extend(mesh, gateway(plain), tables=(table("*"),))
    connection = http.client.HTTPConnection(*door(mesh), timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_port_may_begin_to_serve_http_while_another_opens(mesh: Mesh) -> None:
    """Its listener changes last of all, and asks for its routes only then."""
    mesh.apply(text=SHOP)
    ports = {port: Server(port=port, protocol="HTTP", name=f"p{port}") for port in (80, 81)}
    extend(mesh, gateway(replace(ports[80], protocol="TCP")), tables=(table("*"),))
    extend(mesh, gateway(*ports.values()), tables=(table("*"),))
    for port in ports:
        with contextlib.closing(http.client.HTTPConnection(*door(mesh, port), timeout=10)) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().status == 200


def test_http2_is_offered_to_browsers(mesh: Mesh, authority: Any) -> None:
    mesh.apply(text=SHOP)
    own = credential("one", authority.pair("one.example.com"))
    extend(mesh, gateway(https(certificates=("default/one",))), credentials=(own,), tables=(table("*"),))
    raw = socket.create_connection(door(mesh), timeout=10)
    with authority.client(alpn=("h2", "http/1.1")).wrap_socket(raw, server_hostname="one.example.com") as wrapped:
        assert wrapped.selected_alpn_protocol() == "h2"


def test_several_certificates_of_one_server_are_chosen_by_name(mesh: Mesh, authority: Any) -> None:
    mesh.apply(text=SHOP)
    names = ("a.example.com", "b.example.com")
    credentials = tuple(credential(name[0], authority.pair(name)) for name in names)
    server = https(certificates=("default/a", "default/b"))
    extend(mesh, gateway(server), credentials=credentials, tables=(table("*"),))
    assert [get(mesh, name, authority.client()).status for name in names] == [200, 200]


def test_mutual_tls_lets_in_only_those_with_a_certificate(mesh: Mesh, authority: Any) -> None:
    mesh.apply(text=SHOP)
    own = credential("one", authority.pair("one.example.com"))
    cas = credential("one-cacert", ca=authority.root)
    server = https(mode="MUTUAL", certificates=("default/one",))
    extend(mesh, gateway(server), credentials=(own, cas), tables=(table("*"),))
    answer = get(mesh, "one.example.com", authority.client(authority.pair("client")))
    assert answer.status == 200
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        get(mesh, "one.example.com", authority.client())
    server = https(mode="OPTIONAL_MUTUAL", certificates=("default/one",), client_ca=("default/one-cacert",))
    extend(mesh, gateway(server), credentials=(own, cas), tables=(table("*"),))
    assert get(mesh, "one.example.com", authority.client()).status == 200
    assert get(mesh, "one.example.com", authority.client(authority.pair("client"))).status == 200


def test_the_least_version_is_tls_1_2_unless_told(mesh: Mesh, authority: Any) -> None:
    mesh.apply(text=SHOP)
    own = credential("one", authority.pair("one.example.com"))
    old = authority.client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    extend(mesh, gateway(https(certificates=("default/one",))), credentials=(own,), tables=(table("*"),))
    assert get(mesh, "one.example.com", old).status == 200
    server = https(certificates=("default/one",), min_version="TLSV1_3")
    extend(mesh, gateway(server), credentials=(own,), tables=(table("*"),))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get(mesh, "one.example.com", old)
    server = https(
        certificates=("default/one",), max_version="TLSV1_2", cipher_suites=("ECDHE-ECDSA-AES128-GCM-SHA256",)
    )
    extend(mesh, gateway(server), credentials=(own,), tables=(table("*"),))
    raw = socket.create_connection(door(mesh), timeout=10)
    with authority.client().wrap_socket(raw, server_hostname="one.example.com") as wrapped:
        assert wrapped.cipher()[0] == "ECDHE-ECDSA-AES128-GCM-SHA256"


def test_plain_http_is_sent_to_https_also_where_there_are_no_routes(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    plain = Server(port=80, protocol="HTTP", name="http", hosts=("one.example.com", "bare.com"), https_redirect=True)
    extend(mesh, gateway(plain), tables=(table("one.example.com"),))
    for host in ("one.example.com", "bare.com"):
        connection = http.client.HTTPConnection(*door(mesh, 80), timeout=10)
        connection.request("GET", "/x?y=1", headers={"host": host})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("location")) == (301, f"https://{host}/x?y=1")
        connection.close()


def test_a_request_for_the_host_of_another_server_is_misdirected(mesh: Mesh, authority: Any) -> None:
    mesh.apply(text=SHOP)
    pair = credential("one", authority.pair("one.example.com", "two.example.com"))
    servers = [https(name=n, hosts=(f"{n}.example.com",), certificates=("default/one",)) for n in ("one", "two")]
    isolated = replace(gateway(*servers), isolated=True)
    extend(mesh, isolated, credentials=(pair,), tables=(table("one.example.com", "two.example.com"),))
    client = authority.client()
    assert get(mesh, "two.example.com", client).status == 200
    assert get(mesh, "two.example.com", client, sni="one.example.com").status == 421


def test_a_server_without_its_certificate_takes_nobody_and_the_others_go_on(mesh: Mesh, authority: Any) -> None:
    mesh.apply(text=SHOP)
    own = credential("one", authority.pair("one.example.com"))
    servers = (
        https(name="one", hosts=("one.example.com",), certificates=("default/one",)),
        https(name="two", hosts=("two.example.com",), certificates=("default/gone",)),
    )
    extend(mesh, gateway(*servers), credentials=(own,), tables=(table("*"),))
    assert get(mesh, "one.example.com", authority.client()).status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        get(mesh, "two.example.com", authority.client())


# -- to endpoints


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        own = self.connection.getpeercert() or {}
        text = f"hello {dict(part[0] for part in own.get('subject', ())).get('commonName', 'nobody')}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A handshake that failed is what some tests want."""


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    server = Quiet(("127.0.0.1", 0), Hello)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def bank(port: int, tls: UpstreamTls | None) -> dict[str, Any]:
    """A host outside the mesh, whose only endpoint is a server of the test."""
    service = Service(
        name="bank",
        host="bank.example.com",
        ports=(ServicePort(number=80, name="http", target=80),),
        selector={},
        external=True,
        resolution="STATIC",
        endpoints=(Endpoint(address="127.0.0.1", ports=(("http", port),)),),
    )
    policy = HostPolicy(host="bank.example.com", policy=TrafficPolicy(tls=tls))
    route = Route(destinations=(Destination(host="bank.example.com", port=80),))
    hosts = RouteTable(name="bank", namespace="default", hosts=("bank.example.com",), routes=(route,))
    return {"services": (service,), "policies": {"bank.example.com": policy}, "tables": (hosts,)}


def ask(mesh: Mesh, host: str) -> tuple[int, str]:
    entrance = mesh.provider.entrance("")
    connection = http.client.HTTPConnection(entrance.address, entrance.port, timeout=10)
    connection.request("GET", "/", headers={"host": host})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_tls_to_an_endpoint_is_verified_by_authority_and_name(mesh: Mesh, authority: Any) -> None:
    mesh.open()
    cas = credential("cas", ca=authority.root)
    trusting: dict[str, Any] = {"mode": "SIMPLE", "ca": ("default/cas",)}
    with tls_server(authority.server(authority.pair("bank.example.com"))) as port:
        cases = {
            UpstreamTls(**trusting, sni="bank.example.com", subject_alt_names=("bank.example.com",)): 200,
            UpstreamTls(**trusting, sni="bank.example.com", subject_alt_names=("shop.example.com",)): 503,
            UpstreamTls(**trusting): 200,
            UpstreamTls(mode="SIMPLE", sni="bank.example.com", system_ca=True): 503,
            UpstreamTls(mode="SIMPLE", insecure=True): 200,
        }
        for tls, status in cases.items():
            extend(mesh, credentials=(cas,), **bank(port, tls))
            assert ask(mesh, "bank.example.com")[0] == status, tls
        extend(mesh, **bank(port, None))
        assert ask(mesh, "bank.example.com")[0] != 200, "plain text to a TLS server"


def test_a_client_certificate_is_shown_to_the_endpoint(mesh: Mesh, authority: Any) -> None:
    mesh.open()
    secrets = credential("cas", ca=authority.root), credential("me", authority.pair("teller"))
    with tls_server(authority.server(authority.pair("bank.example.com"), demand=True)) as port:
        mutual = UpstreamTls(mode="MUTUAL", ca=("default/cas",), sni="bank.example.com", credential="default/me")
        extend(mesh, credentials=secrets, **bank(port, mutual))
        assert ask(mesh, "bank.example.com") == (200, "hello teller")
        simple = UpstreamTls(mode="SIMPLE", ca=("default/cas",), sni="bank.example.com")
        extend(mesh, credentials=secrets, **bank(port, simple))
        assert ask(mesh, "bank.example.com")[0] == 503


class Announced(Quiet):
    """TLS that begins after a line of the PROXY protocol."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Hello if context else Plain)
        self.context, self.lines = context, list[bytes]()

    def get_request(self) -> tuple[Any, Any]:
        client, address = self.socket.accept()
        line = b""
        while not line.endswith(b"\r\n") and (byte := client.recv(1)):
            line += byte
        self.lines.append(line)
        return self.context.wrap_socket(client, server_side=True) if self.context else client, address


class Plain(Hello):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_proxy_header_comes_before_tls(mesh: Mesh, authority: Any, encrypted: bool) -> None:
    mesh.open()
    context = authority.server(authority.pair("bank.example.com")) if encrypted else None
    tls = UpstreamTls(mode="SIMPLE", ca=("default/cas",), sni="bank.example.com") if encrypted else None
    with Announced(context) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        parts = bank(server.server_port, tls)
        parts["policies"] = {"bank.example.com": HostPolicy(host="bank.example.com", policy=proxied(tls))}
        extend(mesh, credentials=(credential("cas", ca=authority.root),), **parts)
        assert ask(mesh, "bank.example.com")[0] == 200
        server.shutdown()
        thread.join()
    assert [line[:11] for line in server.lines] == [b"PROXY TCP4 "]


def proxied(tls: UpstreamTls | None) -> TrafficPolicy:
    return TrafficPolicy(tls=tls, proxy_protocol="V1")


@pytest.mark.parametrize(
    "tls",
    [
        UpstreamTls(mode="SIMPLE", ca=("default/gone",)),
        UpstreamTls(mode="MUTUAL", ca=("default/cas",), credential="default/gone"),
        UpstreamTls(mode="MUTUAL", insecure=True, credential="default/gone"),
        UpstreamTls(mode="MUTUAL", ca=("default/cas",), credential="default/cas"),
    ],
    ids=["no authority", "no certificate", "not verified and no certificate", "authority without a certificate"],
)
def test_tls_that_lacks_what_it_needs_fails_and_the_rest_goes_on(mesh: Mesh, authority: Any, tls: UpstreamTls) -> None:
    mesh.apply(text=SHOP)
    cas = credential("cas", ca=authority.root)
    before = mesh.topology
    with tls_server(authority.server(authority.pair("bank.example.com"))) as port:
        more = bank(port, tls)
        more = {"services": (*before.services, *more["services"]), "policies": more["policies"]}
        extend(mesh, credentials=(cas,), **more)
        assert ask(mesh, "bank.example.com")[0] == 503
        assert ask(mesh, "web")[0] == 200


def test_where_tls_cannot_be_plain_text_is_not_tried(mesh: Mesh) -> None:
    """The endpoint would answer in plain text, and is never asked."""
    mesh.open()
    asked: list[str] = []

    class Plain(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        extend(mesh, **bank(server.server_port, UpstreamTls(mode="SIMPLE", ca=("default/gone",))))
        assert ask(mesh, "bank.example.com")[0] == 503
        server.shutdown()
    assert asked == []


OWN_TLS = """
apiVersion: v1
kind: Service
metadata: {name: safe}
spec: {selector: {app: safe}, ports: [{name: web, port: 443, targetPort: 8443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: safe}
spec:
  selector: {matchLabels: {app: safe}}
  template:
    metadata: {labels: {app: safe}}
    spec:
      containers:
      - name: safe
        image: example/safe:1
        ports: [{containerPort: 8443}]
        readinessProbe: {tcpSocket: {port: 8443}, periodSeconds: 1}
"""
SERVER = (
    "import http.server, ssl\n"
    "class Hello(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200)\n"
    "        self.send_header('content-length', '4')\n"
    "        self.end_headers()\n"
    "        self.wfile.write(b'safe')\n"
    "server = http.server.ThreadingHTTPServer(('127.0.0.1', {{port}}), Hello)\n"
    "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
    "context.load_cert_chain('{certificate}', '{key}')\n"
    "server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)\n"
    "server.serve_forever()\n"
)


def test_a_pod_may_speak_tls_itself_behind_its_proxy(mesh: Mesh, authority: Any, tmp_path: Path) -> None:
    """The gateway encrypts again (BackendTLSPolicy, DestinationRule SIMPLE), or passes through."""
    host = "safe.default.svc.cluster.local"
    certificate, key = authority._files(authority.pair("safe.example.com"))
    program = tmp_path / "server.py"
    program.write_text(
        SERVER.format(certificate=certificate, key=key).replace("{port}", "int(__import__('sys').argv[1])")
    )
    command = f"meshtest.dev/command: '{sys.executable} {program} {{port}}'"
    labelled = "metadata: {labels: {app: safe}, annotations: {" + command + "}}"
    mesh.apply(text=OWN_TLS.replace("metadata: {labels: {app: safe}}", labelled))
    cas = credential("cas", ca=authority.root)
    tls = UpstreamTls(
        mode="SIMPLE", ca=("default/cas",), sni="safe.example.com", subject_alt_names=("safe.example.com",)
    )
    policy = HostPolicy(host=host, policy=TrafficPolicy(tls=tls))
    plain = Server(port=80, protocol="HTTP", name="http")
    passing = Server(port=443, protocol="TLS", name="tls", tls=ServerTls(mode="PASSTHROUGH"))
    http_table = RouteTable(
        name="a",
        namespace="default",
        hosts=("*",),
        gateways=("default/gw/http",),
        routes=(Route(destinations=(Destination(host=host, port=443),)),),
    )
    stream = StreamRoute(
        match=StreamMatch(sni_hosts=("safe.example.com",)), destinations=(Destination(host=host, port=443),)
    )
    tls_table = RouteTable(
        name="b", namespace="default", hosts=("safe.example.com",), gateways=("default/gw/tls",), tls=(stream,)
    )
    extend(mesh, gateway(passing), credentials=(cas,), tables=(tls_table,))
    answer = get(mesh, "safe.example.com", authority.client())
    assert answer.status == 200
    tables = (replace(http_table, gateways=("default/gw",)),)
    extend(mesh, gateway(plain), credentials=(cas,), tables=tables, policies={host: policy})
    connection = http.client.HTTPConnection(*door(mesh, 80), timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"safe")
    connection.close()


def test_tls_passes_through_the_gateway_to_the_server_that_is_named(mesh: Mesh, authority: Any) -> None:
    mesh.open()
    with tls_server(authority.server(authority.pair("bank.example.com"))) as port:
        passing = Server(
            port=443, protocol="TLS", name="tls", hosts=("*.example.com",), tls=ServerTls(mode="PASSTHROUGH")
        )
        more = bank(port, None)
        route = StreamRoute(
            match=StreamMatch(sni_hosts=("bank.example.com",)),
            destinations=(Destination(host="bank.example.com", port=80),),
        )
        own = RouteTable(
            name="tls", namespace="default", hosts=("bank.example.com",), gateways=("default/gw",), tls=(route,)
        )
        extend(mesh, gateway(passing), **{**more, "tables": (own,)})
        raw = socket.create_connection(door(mesh), timeout=10)
        with authority.client().wrap_socket(raw, server_hostname="bank.example.com") as wrapped:
            wrapped.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert b"hello nobody" in b"".join(iter(lambda: wrapped.recv(4096), b""))
        raw = socket.create_connection(door(mesh), timeout=10)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            authority.client().wrap_socket(raw, server_hostname="other.example.com")
