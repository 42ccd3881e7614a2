"""Istio's Gateway: its servers, their TLS, and who of several on one port is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.route import Gateway, Server, ServerTls


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


def https(tls: str, *, name: str = "a", protocol: str = "HTTPS") -> str:
    return f"  - {{port: {{number: 443, name: {name}, protocol: {protocol}}}, hosts: ['*'], tls: {{{tls}}}}}"


def the_tls(tls: str, more: str = "") -> ServerTls:
    found = the_gateway(gateway(https(tls)) + more).servers[0].tls
    assert found is not None
    return found


def secret(name: str, namespace: str = "infra", data: str = "tls.crt: YQ==, tls.key: YQ==") -> str:
    head = f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return f"{head}data: {{{data}}}\n"


class TestTls:
    def test_everything(self) -> None:
        found = the_tls(
            "mode: MUTUAL, credentialName: web, subjectAltNames: [a], minProtocolVersion: TLSV1_2, "
            "maxProtocolVersion: TLSV1_3, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256]"
        )
        assert found == ServerTls(
            mode="MUTUAL",
            certificates=("infra/web",),
            client_ca=("infra/web",),
            subject_alt_names=("a",),
            min_version="TLSV1_2",
            max_version="TLSV1_3",
            cipher_suites=("ECDHE-RSA-AES128-GCM-SHA256",),
        )

    def test_several_certificates(self) -> None:
        assert the_tls("mode: SIMPLE, credentialNames: [a, b]").certificates == ("infra/a", "infra/b")

    def test_a_redirect_to_https(self) -> None:
        text = "  - {port: {number: 80, protocol: HTTP}, hosts: ['*'], tls: {httpsRedirect: true}}"
        (server,) = the_gateway(gateway(text)).servers
        assert (server.https_redirect, server.tls) == (True, None)
        assert said(gateway(text)) == []

    @pytest.mark.parametrize("mode", ["PASSTHROUGH", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL"])
    def test_modes_without_a_certificate_of_their_own(self, mode: str) -> None:
        text = gateway(https(f"mode: {mode}", protocol="TLS"))
        assert the_gateway(text).servers[0].tls == ServerTls(mode=mode)  # type: ignore[arg-type]
        assert said(text) == []

    def test_a_missing_secret_is_told_where_it_is_used(self) -> None:
        assert said(gateway(https("mode: SIMPLE, credentialName: web"))) == [
            "m.yaml:7: warning: there is no Secret `web` with a certificate and its key in namespace `infra` or "
            "`istio-system`: its TLS connections will fail [unknown-credential]"
        ]

    def test_files_are_read_as_credentials(self, tmp_path: Path) -> None:
        for name in ("cert", "key", "ca"):
            (tmp_path / name).write_text(name)
        files = f"serverCertificate: {tmp_path}/cert, privateKey: {tmp_path}/key, caCertificates: {tmp_path}/ca"
        text = gateway(https(f"mode: MUTUAL, {files}"))
        topology = compile(read_text(text)).topology
        tls = topology.gateways[0].servers[0].tls
        assert tls is not None
        own, ca = (topology.credentials[keys[0]] for keys in (tls.certificates, tls.client_ca))
        assert (own.certificate, own.private_key, ca.ca) == ("cert", "key", "ca")
        assert said(text) == []

    def test_files_that_are_not_there_are_told(self) -> None:
        files = "serverCertificate: /no/cert, privateKey: /no/key"
        assert [text.partition(": ")[2] for text in said(gateway(https(f"mode: SIMPLE, {files}")))] == [
            f"warning: cannot read {path} (No such file or directory), which is a file of the proxy's container on a "
            "cluster; a Secret and `credentialName` work in both places [unreadable-file]"
            for path in ("/no/cert", "/no/key")
        ]

    @pytest.mark.parametrize(
        ("tls", "message"),
        [
            ("mode: SIMPLE", "`spec.servers[0].tls` needs credentialName: mode SIMPLE shows a certificate"),
            (
                "mode: SIMPLE, serverCertificate: /a",
                "`spec.servers[0].tls.privateKey` is required beside `spec.servers[0].tls.serverCertificate`",
            ),
            ("mode: SIMPEL, credentialName: a", "did you mean 'SIMPLE'?"),
            (
                "mode: MUTUAL, serverCertificate: /a, privateKey: /b",
                "`spec.servers[0].tls` needs caCertificates or credentialName: mode MUTUAL checks clients'",
            ),
            ("mode: PASSTHROUGH, credentialName: a", "credentialName` has no effect with mode PASSTHROUGH"),
        ],
    )
    def test_what_does_not_go_together(self, tls: str, message: str) -> None:
        assert any(message in text for text in said(gateway(https(tls))))


@pytest.mark.parametrize(
    ("selector", "address"),
    [
        ("{istio: ingressgateway}", ""),
        ("{app: istio-ingressgateway, istio: ingressgateway}", ""),
        ("{istio: ingress}", ""),
        ("{}", ""),
        ("{istio: egressgateway}", "istio=egressgateway"),
        ("{b: c, a: b}", "a=b,b=c"),
    ],
)
def test_gateways_of_the_same_pods_share_ports(selector: str, address: str) -> None:
    text = gateway("  - {port: {number: 80, protocol: HTTP}, hosts: ['*']}").replace("{istio: ingress}", selector)
    assert the_gateway(text).address == address


class TestServersOfOnePort:
    def test_http_beside_tcp_is_left_out(self) -> None:
        text = gateway(
            "  - {port: {number: 80, name: a, protocol: TCP}, hosts: ['*']}\n"
            "  - {port: {number: 80, name: b, protocol: HTTP}, hosts: ['*']}"
        )
        assert [server.protocol for server in the_gateway(text).servers] == ["TCP"]
        assert said(text) == [
            "m.yaml:8: warning: this server of Gateway `edge` is left out: port 80 cannot speak HTTP too (the server "
            "at m.yaml:7 speaks TCP) [conflicting-server]"
        ]

    def test_two_tls_servers_with_one_host(self) -> None:
        text = gateway(https("mode: PASSTHROUGH") + "\n" + https("mode: PASSTHROUGH", name="b"))
        assert [server.name for server in the_gateway(text).servers] == ["a"]
        assert said(text) == [
            "m.yaml:8: warning: this server of Gateway `edge` is left out: its host `*` is that of the server at "
            "m.yaml:7 [conflicting-server]"
        ]

    def test_names_of_ports_differ(self) -> None:
        text = gateway(https("mode: PASSTHROUGH") + "\n" + https("mode: PASSTHROUGH").replace("'*'", "a.b"))
        assert said(text) == [
            "m.yaml:8: error: `spec.servers[1].port.name`: `a` is the name of another server (m.yaml:7); they must "
            "differ [duplicate-name]"
        ]


@pytest.mark.parametrize(
    ("server", "message"),
    [
        (
            "  - {port: {number: 443, protocol: HTTPS}, hosts: ['*']}",
            "m.yaml:7: error: `spec.servers[0].tls` is required: the server speaks HTTPS [missing-field]",
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
