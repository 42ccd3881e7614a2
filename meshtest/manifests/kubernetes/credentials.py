"""Secret and ConfigMap: the certificates and keys in them, checked.

Names of the keys: Kubernetes' (`tls.crt`, `tls.key`, `ca.crt`) and Istio's (`cert`, `key`, `cacert`; source:
pilot/pkg/credentials/kube). Not here: who uses them. A Secret without any of these keys has no effect on requests.
"""

from __future__ import annotations

import base64
import binascii
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from meshtest.lib.words import listed
from meshtest.manifests.kubernetes.fields import CONFIG_MAP, SECRET
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.credential import Credential
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

TLS = "kubernetes.io/tls"
KEYS = {
    "certificate": ("tls.crt", "cert"),
    "private_key": ("tls.key", "key"),
    "ca": ("ca.crt", "cacert"),
    "crl": ("ca.crl", "crl"),
}
"""Fields of a Credential, and the keys a Secret may hold them under; the first that is there counts."""

AMBIGUOUS = frozenset({"cert", "key", "cacert", "crl"})
"""Keys that a Secret may well use for something else: they count if a PEM text stands there."""

CERTIFICATES = ("certificate", "ca")
BEGIN = "-----BEGIN "

Found = dict[str, tuple[str, tuple[str, str]]]
"""By field of a Credential: the text, and where it stands in the document."""


@per_document
def secret(document: Document, notes: list[Diagnostic]) -> Credential | None:
    """None if there is no certificate in it, or if what is there is broken."""
    view = View.of(document, SECRET, notes)
    metadata(view)
    found = _find({**_decoded(view), **_plain(view, "stringData")})
    if view.string("type") == TLS and not {"certificate", "private_key"} <= found.keys():
        view.error("missing-field", f"a Secret of type {TLS} needs `tls.crt` and `tls.key` in {view.name('data')}")
        return None
    return _credential(view, "Secret", found)


@per_document
def config_map(document: Document, notes: list[Diagnostic]) -> Credential | None:
    """CA certificates under `ca.crt` (Gateway API: BackendTLSPolicy, client validation)."""
    view = View.of(document, CONFIG_MAP, notes)
    metadata(view)
    texts = {key: at for key, at in _plain(view, "data").items() if key in ("ca.crt", "ca.crl")}
    return _credential(view, "ConfigMap", _find(texts))


def _plain(view: View, field: str) -> dict[str, tuple[str, tuple[str, str]]]:
    return {key: (text, (field, key)) for key, text in view.string_map(field).items()}


def _decoded(view: View) -> dict[str, tuple[str, tuple[str, str]]]:
    """`data` is base64."""
    known = {key for keys in KEYS.values() for key in keys}
    result = {}
    for key, text in view.string_map("data").items():
        if key in known:
            try:
                plain = base64.b64decode("".join(text.split()), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError, ValueError):
                if key not in AMBIGUOUS:
                    advice = "encode the PEM text with `base64`, or write it under `stringData`"
                    view.error("bad-value", f"{view.name('data', key)} is not base64 of a text; {advice}", "data", key)
                continue
            result[key] = (plain, ("data", key))
    return result


def _find(texts: dict[str, tuple[str, tuple[str, str]]]) -> Found:
    found: Found = {}
    for field, keys in KEYS.items():
        there = [k for k in keys if k in texts and (k not in AMBIGUOUS or BEGIN in texts[k][0])]
        if there:
            found[field] = texts[there[0]]
    return found


def _credential(view: View, kind: str, found: Found) -> Credential | None:
    if not found:
        if not any(note.severity is Severity.ERROR for note in view.notes):
            text = f"{kind} `{view.document.name}` has no effect here"
            view.note(Severity.INFO, "unused", text)
        return None
    if not _checked(view, found):
        return None
    texts = {field: text for field, (text, _) in found.items()}
    document = view.document
    return Credential(
        name=document.name, namespace=document.namespace, kind=kind, source=document.where(), **texts
    )  # fmt: skip


def _checked(view: View, found: Found) -> bool:
    """Nothing is wrong with any of it; what is wrong is told at its line."""
    before = len(view.notes)
    chains = {field: _certificates(view, *found[field]) for field in CERTIFICATES if field in found}
    for field, chain in chains.items():
        for certificate in chain:
            _in_time(view, found[field][1], certificate)
    if "private_key" in found:
        _check_key(view, found, chains.get("certificate", []))
    elif "certificate" in found and "ca" not in found:
        view.error("missing-field", f"{view.name(*found['certificate'][1])} has no private key beside it")
    return len(view.notes) == before


def _certificates(view: View, text: str, path: tuple[str, str]) -> list[Certificate]:
    from cryptography import x509  # 40 ms that manifests without certificates need not pay

    try:
        with warnings.catch_warnings():
            # what a certificate does not follow of RFC 5280 is Envoy's to judge
            warnings.simplefilter("ignore")
            return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        kinds = "the PEM text of one or more certificates (-----BEGIN CERTIFICATE-----)"
        view.error("bad-certificate", f"{view.name(*path)} must be {kinds}", *path)
        return []


def _in_time(view: View, path: tuple[str, str], certificate: Certificate) -> None:
    now, start, end = datetime.now(UTC), certificate.not_valid_before_utc, certificate.not_valid_after_utc
    who = f"{view.name(*path)}: the certificate of {_subject(certificate)}"
    if now > end:
        view.error("expired-certificate", f"{who} expired on {end:%Y-%m-%d}; issue a new one", *path)
    elif now < start:
        view.error("expired-certificate", f"{who} is not valid before {start:%Y-%m-%d %H:%M} UTC", *path)


def _subject(certificate: Certificate) -> str:
    """Its common name, or the first names it is for."""
    from cryptography import x509

    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if common:
        return f"{str(common[0].value)!r}"
    try:
        alternatives: Any = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return listed([repr(str(name.value)) for name in alternatives], most=3)
    except x509.ExtensionNotFound:
        return "no name"


def _check_key(view: View, found: Found, chain: list[Certificate]) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text, path = found["private_key"]
    try:
        public = load_pem_private_key(text.encode(), password=None).public_key()
    except (ValueError, TypeError):
        view.error("bad-key", f"{view.name(*path)} must be the PEM text of a private key without a password", *path)
        return
    if "certificate" not in found:
        view.error("missing-field", f"{view.name(*path)} has no certificate beside it", *path)
    elif chain and chain[0].public_key() != public:
        leaf = view.name(*found["certificate"][1])
        advice = "put the pair that was made together"
        text = f"{view.name(*path)} is not the key of the first certificate in {leaf}; {advice}"
        view.error("key-mismatch", text, *path)
