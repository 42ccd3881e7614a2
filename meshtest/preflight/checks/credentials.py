"""The Secrets of gateways: there, and with a certificate in them that is valid now.

Upstream: istio/istio pkg/config/analysis/analyzers/gateway/secret.go, pilot/pkg/credentials/kube/secrets.go.
"""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

from meshtest.model.document import Document
from meshtest.preflight.dig import labels, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import GATEWAY, SECRET
from meshtest.preflight.rules import across
from meshtest.preflight.scene import Scene

PAIRS = (("cert", "key"), ("tls.crt", "tls.key"))
"""Where a Secret may hold certificate and key: the generic names first."""


@across(GATEWAY, analyzer="gateway.SecretAnalyzer")
def secrets(scene: Scene) -> Iterator[Hit]:
    """IST0101 for a Secret that is not there, IST0161 for one without a usable certificate."""
    for document in scene.of(GATEWAY):
        selector = labels(document.data, "spec", "selector")
        pods = next(scene.selected(selector), None)
        if pods is None:
            text_ = "no pod has the labels of the selector, so there is no namespace to look for Secrets in"
            yield Hit("IST0101", document, ("spec", "selector"), text_)
            continue
        for index, server in objects(document.data, "spec", "servers"):
            yield from _secret(scene, document, index, text(server, "tls", "credentialName"), pods.namespace)


def _secret(scene: Scene, document: Document, index: int, name: str, namespace: str) -> Iterator[Hit]:
    if not name:
        return
    path = ("spec", "servers", index, "tls", "credentialName")
    home, slash, bare = name.partition("/")
    secret = scene.find(SECRET, home, bare) if slash else scene.find(SECRET, namespace, name)
    if secret is None:
        where = "" if slash else f" in `{namespace}`, the namespace of the gateway's pods"
        yield Hit("IST0101", document, path, f"there is no Secret `{name}`{where}")
    elif problem := trouble(secret):
        yield Hit("IST0161", document, path, f"Secret `{name}` ({secret.where()}) {problem}")


def trouble(secret: Document) -> str:
    """Why the certificate of a Secret cannot be served; "" when it can."""
    data = _data(secret)
    pair = next((pair for pair in PAIRS if all(data.get(name) for name in pair)), None)
    if pair is None:
        empty = any(all(name in data for name in pair) for pair in PAIRS)
        return "has empty values" if empty else f"has none of {' / '.join(' and '.join(pair) for pair in PAIRS)}"
    return _expired(data[pair[0]])


def _data(secret: Document) -> dict[str, bytes]:
    """`data` (base64) under `stringData`; what is no base64 is as good as empty."""
    found: dict[str, bytes] = {}
    for name, value in labels(secret.data, "data").items():
        try:
            found[name] = base64.b64decode("".join(value.split()), validate=True)
        except (binascii.Error, ValueError):
            found[name] = b""
    return found | {name: value.encode() for name, value in labels(secret.data, "stringData").items()}


def _expired(pem: bytes) -> str:
    from cryptography import x509  # 30 ms that only certificates pay for

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # self-made certificates have serial numbers that no CA would give
            certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return "holds no certificate that can be read"
    now = datetime.now(UTC)
    if now > certificate.not_valid_after_utc:
        return f"holds a certificate that expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"holds a certificate that is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}"
    return ""
