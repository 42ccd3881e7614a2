"""Certificates for tests: an authority made for the occasion, and the Secrets that Gateways refer to.

authority = CertificateAuthority()
mesh.apply(text=authority.secret("shop-cert", "shop.example.com"))
mesh.ask("https://shop.example.com/", tls=TlsAsk(ca=authority.root))
"""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshtest.lib.dataclass import dataclass

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """PEM texts."""

    certificate: str
    key: str


class CertificateAuthority:
    """EC P-256; every certificate is valid from an hour ago, for `hours`."""

    def __init__(self, name: str = "meshtest test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key, 24.0)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.root = _pem(builder.sign(self._key, hashes.SHA256()))
        """PEM, for those who must trust it."""

    def pair(self, *hosts: str, name: str = "", hours: float = 24.0) -> Pair:
        """For these DNS names, or URIs; `name` is the common name, by default the first. Negative hours: run out."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, (name or hosts[0])[:64])])
        names = [x509.UniformResourceIdentifier(h) if "://" in h else x509.DNSName(h) for h in hosts]
        builder = self._builder(subject, key, hours).add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Pair(_pem(certificate), private.decode())

    def secret(self, name: str, *hosts: str, namespace: str = "default", hours: float = 24.0) -> str:
        """A Secret of type kubernetes.io/tls, as YAML that ends a document."""
        pair = self.pair(*hosts, hours=hours)
        data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": self.root}
        lines = "".join(f"  {field}: |\n{textwrap.indent(text, '    ')}" for field, text in data.items())
        head = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        return f"{head}type: kubernetes.io/tls\nstringData:\n{lines}---\n"

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, hours: float) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        begin = min(now, now + timedelta(hours=hours)) - HOUR
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(now + timedelta(hours=hours))
        )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
