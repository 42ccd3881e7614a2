"""Certificates change under load: no request is lost, no listener is touched, and new connections show the new ones."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from typing import Any

from meshtest import Mesh, no_downtime
from meshtest.model.credential import Credential
from meshtest.model.route import Gateway, Server, ServerTls

SHOP = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {serviceAccountName: web, containers: [{name: web, image: "example/web:1", ports: [{containerPort: 8080}]}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""


def serials(mesh: Mesh) -> dict[str, str]:
    """By identity, the serial number of the certificate that Envoy holds."""
    import json

    found = {}
    for entry in json.loads(mesh.provider._plane.admin.request("GET", "/certs"))["certificates"]:  # type: ignore[attr-defined]
        for certificate in entry.get("cert_chain", []):
            for name in certificate.get("subject_alt_names", []):
                if "uri" in name:
                    found[name["uri"]] = certificate["serial_number"]
    return found


def test_identities_rotate_under_load_without_a_lost_request(mesh: Mesh) -> None:
    mesh.apply(text=SHOP)
    with mesh.load("GET http://web/", rps=60) as load:
        load.until(requests=20)
        before = serials(mesh)
        listeners = mesh.provider.counters(r"^listener_manager\.listener_(added|modified|in_place_updated)$")
        clusters = mesh.provider.counters(r"^cluster_manager\.cluster_(added|modified)$")
        for _ in range(10):
            assert mesh.rotate_certificates() == 2  # the client and web
            load.until(seconds=0.1)
        assert mesh.provider.counters(r"^listener_manager\.listener_(added|modified|in_place_updated)$") == listeners
        assert mesh.provider.counters(r"^cluster_manager\.cluster_(added|modified)$") == clusters
    mesh.verify(no_downtime())
    after = serials(mesh)
    own = {f"spiffe://cluster.local/ns/default/sa/{name}" for name in ("web", "meshtest-client")}
    assert own <= before.keys() & after.keys()
    assert all(before[name] != after[name] for name in own)
    told = mesh.history().of("certificates.rotated")
    assert [event.data["identities"] for event in told] == [2] * 10
    assert max(event.data["seconds"] for event in told) < 2


def test_a_new_secret_is_what_the_next_handshake_shows(mesh: Mesh, authority: Any) -> None:
    mesh.apply(text=SHOP)
    tls = ServerTls(certificates=("default/own",))
    server = Server(port=443, protocol="HTTPS", name="https", tls=tls)
    base = replace(mesh.topology, gateways=(Gateway(name="gw", namespace="default", servers=(server,)),))

    def shown(pair: Any) -> tuple[bytes, bytes]:
        own = Credential(name="own", namespace="default", certificate=pair.certificate, private_key=pair.key)
        mesh.provider.apply(replace(base, credentials={"default/own": own}))
        entrance = mesh.provider.entrance("ingress/443")
        raw = socket.create_connection((entrance.address, entrance.port), timeout=10)
        with authority.client().wrap_socket(raw, server_hostname="one.example.com") as wrapped:
            return ssl.PEM_cert_to_DER_cert(pair.certificate), wrapped.getpeercert(binary_form=True) or b""

    first, second = shown(authority.pair("one.example.com")), shown(authority.pair("one.example.com"))
    assert first[0] == first[1]
    assert second[0] == second[1]
    assert first != second
