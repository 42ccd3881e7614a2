"""Mutual TLS in the mesh on the real Envoy: who is let in, as whom, and that the switch to STRICT loses no request."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

from meshtest import Mesh, no_downtime
from tests.web import SERVICE, caller, joined

KEEPER = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      serviceAccountName: shopkeeper
      containers: [{name: web, image: "example/web:1", ports: [{containerPort: 8080}, {containerPort: 9090}]}]
---
apiVersion: v1
kind: Service
metadata: {name: metrics}
spec: {selector: {app: web}, ports: [{name: http, port: 90, targetPort: 9090}]}
"""
SHOP = joined(SERVICE, KEEPER, caller("buyer"), caller("seller"))


def peers(mode: str, more: str = "") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default}}
spec: {{mtls: {{mode: {mode}}}}}
---
{more}"""


def ask(mesh: Mesh, source: str, host: str = "web") -> tuple[int, dict[str, Any]]:
    """Status, and the headers that the service saw, in lower case."""
    entrance = mesh.provider.entrance(source)
    connection = http.client.HTTPConnection(entrance.address, entrance.port, timeout=10)
    connection.request("GET", "/", headers={"host": host})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    seen = json.loads(body).get("headers", {}) if answer.status == 200 else {}
    return answer.status, {name.lower(): value for name, value in dict(seen).items()}


def caller_of(headers: dict[str, Any]) -> str:
    """The URI of the last certificate in X-Forwarded-Client-Cert."""
    last = str(headers.get("x-forwarded-client-cert", "")).rpartition(",")[2]
    return next((part.removeprefix("URI=") for part in last.split(";") if part.startswith("URI=")), "")


def test_without_any_policy_nothing_is_encrypted_and_nobody_has_a_certificate(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    before = mesh.provider.counters(r"ssl\.handshake$")
    assert ask(mesh, "buyer")[0] == 200
    assert caller_of(ask(mesh, "buyer")[1]) == ""
    assert mesh.provider.counters(r"ssl\.handshake$") == before
    assert mesh.rotate_certificates() == 0


def test_each_caller_shows_its_own_identity_although_they_share_a_cluster(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + "---\n" + peers("STRICT"))
    for _ in range(2):
        for source, name in (("buyer", "buyer"), ("seller", "seller"), ("", "meshtest-client")):
            status, headers = ask(mesh, source)
            assert (status, caller_of(headers)) == (200, f"spiffe://cluster.local/ns/default/sa/{name}")
    by = ask(mesh, "buyer")[1]["x-forwarded-client-cert"]
    assert by.startswith("By=spiffe://cluster.local/ns/default/sa/shopkeeper;Hash=")


def test_a_client_outside_the_mesh_is_refused_under_strict_and_only_there(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + "---\n" + peers("PERMISSIVE"))
    assert ask(mesh, "outside")[0] == 200
    assert caller_of(ask(mesh, "outside")[1]) == ""
    assert caller_of(ask(mesh, "buyer")[1]).endswith("/sa/buyer")
    mesh.apply(text=peers("STRICT"))
    assert ask(mesh, "outside")[0] == 503
    assert ask(mesh, "buyer")[0] == 200
    refused = mesh.load("GET http://web/", source="outside", rps=100, requests=10).run()
    assert len(refused.requests) == 10
    assert all(request.status == 503 for request in refused.requests)
    mesh.apply(text=peers("DISABLE"))
    assert ask(mesh, "outside")[0] == 200
    assert caller_of(ask(mesh, "buyer")[1]) == ""


def test_hops_tell_whose_certificate_a_connection_was_opened_with(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + "---\n" + peers("PERMISSIVE"))
    for source in ("buyer", "outside"):
        assert mesh.ask("GET http://web/", source=source).status == 200
    buyer, outside = (mesh.history(flushed=True).hops_of(f"ask-{n}") for n in (1, 2))
    assert [h.principal for h in buyer] == ["spiffe://cluster.local/ns/default/sa/buyer"] * 2
    assert [h.mutual_tls for h in outside] == [False, False]


def test_a_client_that_claims_an_identity_in_a_header_is_not_believed(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + "---\n" + peers("PERMISSIVE"))
    entrance = mesh.provider.entrance("outside")
    connection = http.client.HTTPConnection(entrance.address, entrance.port, timeout=10)
    forged = "By=x;URI=spiffe://cluster.local/ns/default/sa/admin"
    connection.request("GET", "/", headers={"host": "web", "x-forwarded-client-cert": forged})
    assert b"sa/admin" not in connection.getresponse().read()
    connection.close()


def test_a_port_may_be_left_open_and_the_closest_policy_counts(mesh: Mesh) -> None:
    own = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}, portLevelMtls: {9090: {mode: DISABLE}}}
"""
    mesh.apply(text=SHOP + "---\n" + peers("PERMISSIVE", own))
    assert ask(mesh, "outside")[0] == 503
    assert ask(mesh, "outside", "metrics:90")[0] == 200
    status, headers = ask(mesh, "buyer", "metrics:90")
    assert (status, caller_of(headers)) == (200, ""), "nobody talks TLS to a port that has it disabled"


def test_a_mesh_turns_to_strict_and_back_under_load_without_a_lost_request(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    with mesh.load("GET http://web/", rps=60) as load:
        load.until(requests=20)
        for mode in ("STRICT", "DISABLE", "PERMISSIVE", "STRICT", "PERMISSIVE", "DISABLE", "STRICT"):
            mesh.apply(text=peers(mode))
            load.until(requests=20)
    mesh.verify(no_downtime())
    assert caller_of(ask(mesh, "buyer")[1]).endswith("/sa/buyer")


DOOR = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: ["*"]
  gateways: [door]
  http: [{route: [{destination: {host: web}}]}]
---
"""


def test_the_ingress_shows_istios_identity_to_a_strict_workload(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + "---\n" + DOOR + peers("STRICT"))
    status, headers = ask(mesh, "ingress")
    ingress = "spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account"
    assert (status, caller_of(headers)) == (200, ingress)


def test_a_pod_called_by_its_own_address_is_mutual_tls_too(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + "---\n" + peers("STRICT"))
    (pod,) = mesh.provider.pods("default/web")
    status, headers = ask(mesh, "buyer", f"127.0.0.1:{pod.ports[8080]}")
    assert (status, caller_of(headers)) == (200, "spiffe://cluster.local/ns/default/sa/buyer")


def test_a_rollout_to_another_identity_under_strict_loses_no_request(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + "---\n" + peers("STRICT"))
    with mesh.load("GET http://web/", rps=60) as load:
        load.until(requests=20)
        mesh.apply(text=SHOP.replace("serviceAccountName: shopkeeper", "serviceAccountName: heir"))
        load.until(requests=40)
    mesh.verify(no_downtime())
    assert ask(mesh, "buyer")[1]["x-forwarded-client-cert"].startswith("By=spiffe://cluster.local/ns/default/sa/heir;")


def test_a_pod_without_a_proxy_is_reached_in_plain_text_and_has_no_identity(mesh: Mesh) -> None:
    bare = SHOP.replace("labels: {app: seller}", 'labels: {app: seller, sidecar.istio.io/inject: "false"}', 2)
    mesh.apply(
        text=bare.replace('matchLabels: {app: seller, sidecar.istio.io/inject: "false"}', "matchLabels: {app: seller}")
        + "---\n"
        + peers("STRICT")
    )
    assert ask(mesh, "seller")[0] == 503
    assert ask(mesh, "buyer")[0] == 200


def test_a_caller_that_speaks_plain_text_by_its_rule_is_cut_off_by_strict(mesh: Mesh) -> None:
    rule = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, trafficPolicy: {tls: {mode: %s}}}
"""
    mesh.apply(text=SHOP + "---\n" + peers("STRICT"))
    assert ask(mesh, "buyer")[0] == 200
    mesh.apply(text=rule % "DISABLE")
    assert ask(mesh, "buyer")[0] == 503
    mesh.apply(text=rule % "ISTIO_MUTUAL")
    assert ask(mesh, "buyer")[0] == 200


def test_raw_bytes_of_an_outsider_are_cut_off(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + "---\n" + peers("STRICT"))
    entrance = mesh.provider.entrance("outside")
    with socket.create_connection((entrance.address, entrance.port), timeout=10) as client:
        client.sendall(b"CONNECT web:80 HTTP/1.1\r\nhost: web:80\r\n\r\n")
        assert b" 200 " in client.recv(4096)
        client.sendall(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n")
        assert client.recv(4096) == b""
