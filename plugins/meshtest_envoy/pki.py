"""The mesh's certificate authority: one root a run, a certificate with a SPIFFE identity for whoever calls or serves.

It lives in memory and dies with the run. Like Istio's: EC P-256, the identity as the only (URI) name, 24 hours. Not
here: who has which identity (meshtest.model.identity), how Envoy gets it (xds/tls.py).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from meshtest.lib.dataclass import dataclass

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder

ORGANIZATION = "cluster.local"
VALID = timedelta(hours=24)
"""Istio's default lifetime of a workload's certificate."""
SKEW = timedelta(minutes=2)
"""Certificates are valid from a little before now, as Istio's are: clocks differ."""


@dataclass(frozen=True)
class KeyPair:
    """PEM texts."""

    certificate: str
    private_key: str


class Authority:
    """Issues each identity once, and anew after `rotate`. About 0.3 ms a certificate."""

    def __init__(self) -> None:
        self.generation = 0
        """Grows with every rotation."""
        self._issued: dict[str, KeyPair] = {}

    @cached_property
    def root(self) -> str:
        """The root certificate, PEM."""
        return _pem(self._root[0])

    def of(self, identity: str) -> KeyPair:
        """The certificate that is valid now."""
        if identity not in self._issued:
            self._issued[identity] = self._issue(identity)
        return self._issued[identity]

    def rotate(self) -> int:
        """Every identity gets a new certificate and key under the same root; returns how many there are."""
        known = len(self._issued)
        self._issued.clear()
        self.generation += 1
        return known

    @cached_property
    def _root(self) -> tuple[Certificate, EllipticCurvePrivateKey]:
        # imported where the first certificate is made: a mesh in plain text does not pay the 40 ms
        from cryptography import x509

        key = _key()
        name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, ORGANIZATION)])
        builder = _dated(x509.CertificateBuilder()).subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return _signed(builder, key), key

    def _issue(self, identity: str) -> KeyPair:
        from cryptography import x509

        (root, root_key), key = self._root, _key()
        builder = _dated(x509.CertificateBuilder()).subject_name(x509.Name([])).issuer_name(root.subject)
        builder = builder.public_key(key.public_key())
        # critical, because there is no subject (SPIFFE X.509-SVID, section 2)
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=True
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        return KeyPair(_pem(_signed(builder, root_key)), _private(key))


def _key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _dated(builder: CertificateBuilder) -> CertificateBuilder:
    now = datetime.now(UTC)
    return builder.not_valid_before(now - SKEW).not_valid_after(now + VALID)


def _signed(builder: CertificateBuilder, key: EllipticCurvePrivateKey) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    return builder.serial_number(x509.random_serial_number()).sign(key, hashes.SHA256())


def _pem(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _private(key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
