"""Which credentials TLS settings mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.istio import certificates
from meshtest.manifests.istio.certificates import Credentials
from meshtest.manifests.reader import read_text
from meshtest.model.credential import Credential
from meshtest.model.diagnostic import Severity, Source
from meshtest.model.policy import UpstreamTls

HERE = Source("m.yaml", 1)


def known(*held: Credential) -> Credentials:
    return Credentials({credential.key: credential for credential in held})


@pytest.mark.parametrize(
    ("held", "part", "key"),
    [
        (Credential(name="a", namespace="shop", certificate="c", private_key="k"), "certificate", "shop/a"),
        (
            Credential(name="a", namespace="istio-system", certificate="c", private_key="k"),
            "certificate",
            "istio-system/a",
        ),
        (Credential(name="a", namespace="shop", ca="c"), "ca", "shop/a"),
        (Credential(name="a-cacert", namespace="shop", ca="c"), "ca", "shop/a-cacert"),
    ],
)
def test_a_secret_is_looked_for_beside_the_object_and_beside_the_gateways(
    held: Credential, part: certificates.Part, key: str
) -> None:
    found = known(held)
    assert found.settle([certificates.secret("a", "shop")], part, HERE) == (key,)
    assert found.notes == []


def test_a_secret_without_what_is_needed_is_told() -> None:
    found = known(Credential(name="a", namespace="shop", ca="c"))
    assert found.settle([certificates.secret("kubernetes://a", "shop")], "certificate", HERE) == ("shop/a",)
    assert [str(note) for note in found.notes] == [
        "m.yaml:1: warning: there is no Secret `a` with a certificate and its key in namespace `shop` or "
        "`istio-system`: its TLS connections will fail [unknown-credential]"
    ]


def test_files_become_a_credential(tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).write_text(name)
    found = known()
    (key,) = found.settle([certificates.files(f"{tmp_path}/cert", f"{tmp_path}/key")], "certificate", HERE)
    assert (found.all[key].certificate, found.all[key].private_key) == ("cert", "key")


SERVICE = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 443}], selector: {app: web}}\n---\n"
)


def upstream(tls: str) -> tuple[UpstreamTls | None, list[str]]:
    rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web}\n"
    compiled = compile(read_text(f"{SERVICE}{rule}spec: {{host: web, trafficPolicy: {{tls: {{{tls}}}}}}}", "m.yaml"))
    notes = [str(d).partition(": ")[2] for d in compiled.diagnostics if d.severity >= Severity.WARNING]
    return compiled.topology.policies["web.default.svc.cluster.local"].policy.tls, notes


def test_tls_to_endpoints() -> None:
    found, notes = upstream("mode: SIMPLE, sni: a.example, subjectAltNames: [a], insecureSkipVerify: false")
    assert found == UpstreamTls(mode="SIMPLE", sni="a.example", subject_alt_names=("a",), system_ca=True)
    assert notes == []


def test_mutual_tls_to_endpoints() -> None:
    found, _ = upstream("mode: MUTUAL, credentialName: web")
    assert found is not None
    assert (found.ca, found.credential, found.system_ca) == (("default/web",), "default/web", False)
    assert upstream("mode: ISTIO_MUTUAL") == (UpstreamTls(mode="ISTIO_MUTUAL"), [])
    assert upstream("mode: DISABLE") == (UpstreamTls(mode="DISABLE"), [])


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        ("mode: MUTUAL", "error: `spec.trafficPolicy.tls.clientCertificate` (or credentialName) is required"),
        ("mode: SIMPLE, credentialName: a, caCertificates: /b", "caCertificates` cannot stand beside credentialName"),
        ("mode: ISTIO_MUTUAL, credentialName: a", "credentialName` has no effect with mode ISTIO_MUTUAL"),
        ("mode: SIMPEL", "did you mean 'SIMPLE'?"),
        ("mode: SIMPLE, caCertificates: /no/such", "cannot read /no/such (No such file or directory)"),
        ("mode: SIMPLE, caCrl: /a", "`spec.trafficPolicy.tls.caCrl` is not supported"),
    ],
)
def test_each_complaint_has_its_place(tls: str, message: str) -> None:
    assert any(message in text for text in upstream(tls)[1])
