"""Policies that name callers, on the real Envoy: the certificate of mutual TLS says who calls, a header never does.

buyer, seller (namespace default), client ──mutual TLS──► web
outside ──plain text──► web
"""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from meshtest import Mesh
from meshtest.manifests.istio_security.decide import Facts, decide
from meshtest.model.identity import identity
from meshtest.model.security import sidecar
from tests.web import SERVICE, UNVERSIONED, caller, joined

CALLERS = {"buyer": "default", "seller": "default", "auditor": "audit"}
EVERYONE = joined(SERVICE, UNVERSIONED, *(caller(name, namespace) for name, namespace in CALLERS.items()))


def policy(source: str, action: str = "ALLOW") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: web}}
spec: {{selector: {{matchLabels: {{app: web}}}}, action: {action}, rules: [{{from: [{{source: {source}}}]}}]}}
"""


def status(mesh: Mesh, source: str) -> int:
    return mesh.ask("GET http://web.default/", source=source).status


def let_in(mesh: Mesh) -> set[str]:
    """Who is let in by Envoy; and the decision function says the same."""
    found = {source for source in (*CALLERS, "outside") if status(mesh, source) == 200}
    web = next(w for w in mesh.topology.workloads if w.name == "web")
    for workload in mesh.topology.workloads:
        if workload.name in CALLERS:
            facts = Facts(identity=identity(workload).removeprefix("spiffe://"), host="web.default", port=8080)
            assert decide(mesh.topology, sidecar(web), facts).allowed == (workload.name in found), workload.name
    assert decide(mesh.topology, sidecar(web), Facts(host="web.default", port=8080)).allowed == ("outside" in found)
    return found


@pytest.mark.parametrize(
    ("source", "action", "expected"),
    [
        ('{principals: ["cluster.local/ns/default/sa/buyer"]}', "ALLOW", {"buyer"}),
        ('{principals: ["*/sa/seller"]}', "ALLOW", {"seller"}),
        ('{principals: ["*"]}', "ALLOW", {"buyer", "seller", "auditor"}),
        ("{namespaces: [audit]}", "ALLOW", {"auditor"}),
        ("{namespaces: [default]}", "DENY", {"auditor", "outside"}),
        ("{serviceAccounts: [buyer, audit/auditor]}", "ALLOW", {"buyer", "auditor"}),
        ("{notServiceAccounts: [buyer]}", "DENY", {"buyer"}),
        ('{trustDomains: ["cluster.local"]}', "DENY", {"outside"}),
    ],
)
def test_a_caller_is_known_by_its_certificate(mesh: Mesh, source: str, action: str, expected: set[str]) -> None:
    mesh.apply(text=f"{EVERYONE}---{policy(source, action)}")
    assert mesh.topology.identified.startswith("AuthorizationPolicy default/web (<text>:")
    assert let_in(mesh) == expected


def test_an_identity_that_is_only_claimed_does_not_count(mesh: Mesh) -> None:
    mesh.apply(text=f"{EVERYONE}---{policy('{namespaces: [audit]}')}")
    forged = {"x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/audit/sa/auditor"}
    assert mesh.ask("GET http://web.default/", source="outside", headers=forged).status == 403


ECHO = """
import os, socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline())
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
"""
BANK = """
apiVersion: v1
kind: Service
metadata: {name: bank}
spec: {selector: {app: bank}, ports: [{name: tcp-bank, port: 900, targetPort: 9000}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: bank}
spec:
  selector: {matchLabels: {app: bank}}
  template:
    metadata: {labels: {app: bank}}
    spec:
      containers:
      - name: bank
        image: example/echo:1
        ports: [{containerPort: 9000}]
        readinessProbe: {tcpSocket: {port: 9000}, periodSeconds: 1}
"""


def tunnel(mesh: Mesh, source: str) -> bytes:
    """What comes back from the bank on a connection through the caller's proxy."""
    entrance = mesh.provider.entrance(source)
    with socket.create_connection((entrance.address, entrance.port), timeout=10) as client:
        client.sendall(b"CONNECT bank.default:900 HTTP/1.1\r\nhost: bank.default:900\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head and (got := client.recv(1)):
            head += got
        assert b" 200 " in head.partition(b"\r\n")[0], head
        client.sendall(b"hello\n")
        try:
            return client.recv(64)
        except ConnectionError:
            return b""


def through(mesh: Mesh) -> set[str]:
    """The callers that get an answer; asked at once, as Envoy takes a second to close on one that gets none."""
    with ThreadPoolExecutor(len(CALLERS)) as askers:
        answers = askers.map(lambda source: tunnel(mesh, source), CALLERS)
        return {source for source, answer in zip(CALLERS, answers, strict=True) if answer == b"hello\n"}


@pytest.mark.mesh(images={"example/echo": f'{sys.executable} -c "{ECHO}"'})
def test_tcp_connections_are_guarded_too_and_http_attributes_make_a_deny_wider(mesh: Mesh) -> None:
    guard = policy("{namespaces: [default]}", "DENY").replace("web", "bank")
    callers = (caller(name, namespace) for name, namespace in CALLERS.items())
    mesh.apply(text=joined(BANK, *callers, guard))
    assert through(mesh) == {"auditor"}
    by_path = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: bank}
spec: {action: DENY, rules: [{to: [{operation: {paths: ["/never"], ports: ["9000"]}}]}]}
"""
    mesh.apply(text=by_path)
    assert through(mesh) == set()
    mesh.apply(text=by_path.replace("9000", "9001"))
    assert through(mesh) == set(CALLERS)
