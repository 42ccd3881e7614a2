"""The Secrets and ConfigMaps that upstream's suite makes before its tests (conformance/utils/suite/suite.go)."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from meshtest.manifests.reader import read_text
from meshtest.model.document import Documents
from meshtest.testing.certificates import CertificateAuthority, Pair
from tests.conformance.cases import INFRA

APP = "gateway-conformance-app-backend"


@dataclass(frozen=True)
class Certificates:
    """What clients need of them, and all of it as documents."""

    documents: Documents
    server: str
    """Trusted by those who ask HTTPS listeners."""
    client: Pair
    client_of_port: Pair
    backend_authority: str
    backend_client: Pair


def made() -> Certificates:
    listeners, clients, clients_of_port, backends, other = (
        CertificateAuthority(name) for name in ("listeners", "clients", "port", "backends", "mismatch")
    )
    # upstream's names are `*` and `*.org`, which OpenSSL takes for no host at all
    hosts = ("example.org", "second-example.org", "unknown-example.org", "https-listener.org", "*.wildcard.org")
    listener = listeners.pair(*hosts)
    backend = backends.pair("abc.example.com", "other.example.com", "spiffe://abc.example.com/test-identity")
    passed = backends.pair("abc.example.com")
    client, of_port, to_backends = clients.pair("client"), clients_of_port.pair("client"), backends.pair("client")
    texts = [
        secret("tls-validity-checks-certificate", listener),
        secret("tls-validity-checks-client-certificate", client),
        secret("tls-validity-checks-per-port-client-certificate", of_port),
        secret("tls-checks-certificate", backend),
        secret("tls-checks-client-certificate", to_backends),
        secret("tls-passthrough-checks-certificate", passed),
        secret("tls-passthrough-checks-certificate", passed, APP),
        secret("tls-terminate-checks-certificate", backends.pair("tls.example.com")),
        authority("tls-validity-checks-ca-certificate", clients),
        authority("tls-validity-checks-per-port-ca-certificate", clients_of_port),
        authority("tls-checks-ca-certificate", backends),
        authority("mismatch-ca-certificate", other),
    ]
    return Certificates(
        documents=read_text("---\n".join(texts), "certificates.yaml"),
        server=listeners.root,
        client=client,
        client_of_port=of_port,
        backend_authority=backends.root,
        backend_client=to_backends,
    )


def secret(name: str, leaf: Pair, namespace: str = INFRA) -> str:
    certificate, key = (base64.b64encode(text.encode()).decode() for text in (leaf.certificate, leaf.key))
    return f"""\
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: {{name: {name}, namespace: {namespace}}}
data: {{tls.crt: {certificate}, tls.key: {key}}}
"""


def authority(name: str, found: CertificateAuthority, namespace: str = INFRA) -> str:
    indented = found.root.replace("\n", "\n    ").rstrip()
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}, namespace: {namespace}}}
data:
  ca.crt: |
    {indented}
"""
