"""Certificates for servers and clients of the tests: made in memory, of one authority a test."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass(frozen=True)
class Pair:
    """PEM texts."""

    certificate: str
    key: str


class CertificateAuthority:
    """Signs what it is asked to."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key, days=30)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.certificate = self._signed(builder)

    def pair(self, *hosts: str, days: float = 7) -> Pair:
        """A certificate for DNS names; negative days: it expired then."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hosts[0])])
        alternatives = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = self._builder(subject, key, days=days).add_extension(alternatives, critical=False)
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return Pair(self._signed(builder), plain)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, days: float) -> x509.CertificateBuilder:
        end = datetime.now(UTC) + timedelta(days=days)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name)
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        return builder.not_valid_before(end - timedelta(days=60)).not_valid_after(end)

    def _signed(self, builder: x509.CertificateBuilder) -> str:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    # ---- for python's ssl, which wants files

    def client(self, own: Pair | None = None, *, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """Trusts what this authority has signed."""
        context = ssl.create_default_context(cadata=self.certificate)
        # OpenSSL 3.x asks for key identifiers that a certificate may lack by RFC 5280
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if own:
            context.load_cert_chain(*self._files(own))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def server(self, own: Pair, *, demand: bool = False) -> ssl.SSLContext:
        """Shows a certificate; `demand`: asks for the client's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._files(own))
        if demand:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=self.certificate)
        return context

    def _files(self, pair: Pair) -> tuple[str, str]:
        stem = f"{abs(hash(pair)):x}"
        paths = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        for path, text in zip(paths, (pair.certificate, pair.key), strict=True):
            path.write_text(text)
        return str(paths[0]), str(paths[1])


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)
