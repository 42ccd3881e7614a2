from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.route import Gateway, Server


def gateway(servers: str) -> str:
    head = "apiVersion: networking.istio.io/v1beta1\nkind: Gateway\nmetadata: {name: edge, namespace: infra}\nspec:\n"
    return f"{head}  selector: {{istio: ingress}}\n  servers:\n{servers}\n"


def the_gateway(text: str) -> Gateway:
    (found,) = compile(read_text(text)).topology.gateways
    return found


def said(text: str) -> list[str]:
    return [str(d) for d in compile(read_text(text, "m.yaml")).diagnostics if d.severity >= Severity.WARNING]


def test_servers_that_speak_http() -> None:
    found = the_gateway(
        gateway("""\
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*", ./a.example, shop/b.example]}
  - {port: {number: 81, name: h2, protocol: http2}, hosts: ["*.example"], name: second}""")
    )
    assert found.key == "infra/edge"
    assert found.servers == (
        Server(port=80, protocol="HTTP", name="http", hosts=("*", "infra/a.example", "shop/b.example")),
        Server(port=81, protocol="HTTP2", name="second", hosts=("*.example",)),
    )


@pytest.mark.parametrize("protocol", ["HTTPS", "TLS", "TCP"])
def test_other_servers_are_left_out_and_told(protocol: str) -> None:
    text = gateway(f"  - port: {{number: 443, name: s, protocol: {protocol}}}\n    hosts: ['*']")
    assert the_gateway(text).servers == ()
    assert said(text) == [
        f"m.yaml:7: warning: `spec.servers[0].port.protocol` is not supported: this {protocol} server is left out; "
        "gateways speak plain HTTP here [not-supported]"
    ]


@pytest.mark.parametrize(
    ("server", "message"),
    [
        (
            "  - {port: {number: 80, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}",
            "m.yaml:7: warning: `spec.servers[0].tls` is not supported: gateways speak plain HTTP here [not-supported]",
        ),
        ("  - {hosts: ['*']}", "m.yaml:7: error: `spec.servers[0].port` is required [missing-field]"),
        (
            "  - {port: {number: 80, protocol: HTTP}}",
            "m.yaml:7: error: `spec.servers[0].hosts` is required [missing-field]",
        ),
        (
            "  - {port: {number: 80, protocol: HTPP}, hosts: ['*']}",
            "m.yaml:7: error: `spec.servers[0].port.protocol` must be one of HTTP, HTTP2, GRPC, HTTPS, TLS, TCP, "
            "MONGO, not 'HTPP'; did you mean 'HTTP'? [bad-value]",
        ),
    ],
)
def test_each_complaint_has_its_place(server: str, message: str) -> None:
    assert message in said(gateway(server))
