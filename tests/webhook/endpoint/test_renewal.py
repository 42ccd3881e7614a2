"""Tokens and certificates that change while the endpoint serves."""

from __future__ import annotations

import argparse
import ssl
from pathlib import Path

import pytest

from meshtest.cli import webhook_serve
from meshtest.testing.certificates import CertificateAuthority
from meshtest.webhook.renewal import Renewed
from meshtest.webhook.server import Tls, context
from tests.webhook.endpoint.site import Site

OLD, NEW = "0123456789abcdef", "fedcba9876543210"


def replace(file: Path, text: str) -> None:
    """As a mounted Secret is: whole, by another file in its place."""
    other = file.with_name("..new")
    other.write_text(text)
    other.replace(file)


def options(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    webhook_serve.arguments(parser)
    return parser.parse_args(["--suites", "x", *map(str, words)])


def test_a_token_is_replaced(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    token = tmp_path / "token"
    token.write_text(OLD)
    arguments = options("--token-file", token)
    site.endpoint.guard = webhook_serve._guard(arguments)
    (renewed,) = webhook_serve._renewed(arguments, site.endpoint, None, None)

    def admitted(word: str) -> bool:
        return site.get("/runs", authorization=f"Bearer {word}").status == 200

    renewed.look()
    assert not caplog.records, "nothing has changed"
    replace(token, NEW)
    renewed.look()
    assert (admitted(OLD), admitted(NEW)) == (False, True)
    for text in ("short", ""):
        replace(token, text)
        renewed.look()
        assert admitted(NEW), "what cannot be read changes nothing"
    token.unlink()
    renewed.look()
    renewed.look()
    assert admitted(NEW)
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == f"{token}: read anew"
    assert [line.endswith("; what was read before stays in force") for line in told[1:]] == [True] * 3
    assert OLD not in caplog.text
    assert NEW not in caplog.text


def served(by: ssl.SSLContext) -> bytes:
    """The certificate that a client is shown."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(back, there)
    server = by.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.getpeercert(binary_form=True) or b""


def test_a_certificate_is_renewed(site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority, pem = CertificateAuthority(), tmp_path / "gate.pem"
    first, second = authority.pair("localhost"), authority.pair("localhost")
    pem.write_text(first.certificate + first.key)
    tls = Tls(certificate=pem)
    secured = context(tls)
    *_, renewed = webhook_serve._renewed(options("--tls-cert", pem), site.endpoint, tls, secured)
    before = served(secured)
    replace(pem, first.certificate + second.key)
    renewed.look()
    assert "--tls-cert" in caplog.text
    assert served(secured) == before, "a pair that does not fit changes nothing"
    replace(pem, second.certificate + second.key)
    renewed.look()
    assert before != served(secured) == ssl.PEM_cert_to_DER_cert(second.certificate)


def test_nothing_is_looked_at_where_there_is_nothing() -> None:
    Renewed([None], lambda: pytest.fail("read")).look()
