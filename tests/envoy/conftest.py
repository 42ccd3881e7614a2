"""Certificates for servers and clients of the tests: made in memory, of one authority a test."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from meshtest.testing.certificates import CertificateAuthority, Pair


class Contexts(CertificateAuthority):
    """An authority, and what python's ssl needs of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def client(self, own: Pair | None = None, *, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """Trusts what this authority has signed."""
        context = ssl.create_default_context(cadata=self.root)
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
            context.load_verify_locations(cadata=self.root)
        return context

    def _files(self, pair: Pair) -> tuple[str, str]:
        stem = f"{abs(hash(pair)):x}"
        paths = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        for path, text in zip(paths, (pair.certificate, pair.key), strict=True):
            path.write_text(text)
        return str(paths[0]), str(paths[1])


@pytest.fixture
def authority(tmp_path: Path) -> Contexts:
    return Contexts(tmp_path)
