"""Field table of Gateway, compared with Istio's CRD by a test."""

from __future__ import annotations

from meshtest.manifests.fields import Fields, kind, leaves
from meshtest.manifests.istio.fields import NO_CRL

CERTIFICATE_FILES = Fields(
    read=leaves("serverCertificate privateKey"),
    unsupported={"caCertificates": "the server's own caCertificates count"},
)

_NAMES = "clients are checked by their CA and their names only"

SERVER_TLS = Fields(
    read={
        **leaves("httpsRedirect mode serverCertificate privateKey caCertificates subjectAltNames"),
        **leaves("credentialName credentialNames caCertCredentialName"),
        **leaves("minProtocolVersion maxProtocolVersion cipherSuites"),
        "tlsCertificates": CERTIFICATE_FILES,
    },
    unsupported={
        "caCrl": NO_CRL,
        "verifyCertificateSpki": _NAMES,
        "verifyCertificateHash": _NAMES,
        "insecureSkipVerify": "the certificates of clients are always verified",
        "ecdhCurves": "Envoy's own curves count",
    },
)

SERVER_PORT = Fields(read=leaves("number name protocol"), unsupported={"targetPort": "Istio ignores it"})

SERVER = Fields(
    read={**leaves("hosts name"), "port": SERVER_PORT, "tls": SERVER_TLS},
    unsupported={
        "bind": "the address on this host is the provider's choice",
        "defaultEndpoint": "Istio ignores it at gateways",
    },
)

GATEWAY = kind(Fields(read={**leaves("selector"), "servers": SERVER}))
