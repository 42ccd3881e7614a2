"""The way in: gateways, in plain text and with TLS."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from meshtest.loads.ask import TlsAsk
from meshtest.model.feature import Feature
from meshtest.testing.conformance.case import Cases
from meshtest.testing.conformance.manifests import WEB

if TYPE_CHECKING:
    from meshtest.mesh import Mesh
    from meshtest.testing.certificates import CertificateAuthority

CASES = cases = Cases()

HOST = "shop.example.com"


def gateway(server: str) -> str:
    return f"""\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: front}}
spec:
  selector: {{istio: ingressgateway}}
  servers: [{server}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop}}
spec:
  hosts: [{HOST}]
  gateways: [front]
  http: [{{route: [{{destination: {{host: web, subset: v2}}}}]}}]
---
"""


PLAIN = "{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}"


@cases(Feature.INGRESS, WEB + gateway(PLAIN))
def users_outside_come_in_by_host(mesh: Mesh) -> None:
    assert mesh.ask(f"GET http://{HOST}/", source="ingress").server.version == "v2"
    assert mesh.ask("GET http://other.example/", source="ingress").status == 404


@cache
def authority() -> CertificateAuthority:
    from meshtest.testing.certificates import CertificateAuthority

    return CertificateAuthority()


def with_tls() -> str:
    tls = "tls: {mode: SIMPLE, credentialName: shop-cert}"
    secret = authority().secret("shop-cert", HOST)
    return WEB + secret + gateway(f"{{port: {{number: 443, name: https, protocol: HTTPS}}, hosts: ['*'], {tls}}}")


@cases(Feature.TLS, with_tls)
def the_gateway_shows_its_certificate_and_ends_tls(mesh: Mesh) -> None:
    reply = mesh.ask(f"GET https://{HOST}/", source="ingress/443", tls=TlsAsk(ca=authority().root))
    assert (reply.status, reply.server.version) == (200, "v2")
    stranger = mesh.ask(f"GET https://{HOST}/", source="ingress/443", tls=TlsAsk(ca=other_root()))
    assert stranger.fate == "tls"


def other_root() -> str:
    from meshtest.testing.certificates import CertificateAuthority

    return CertificateAuthority().root
