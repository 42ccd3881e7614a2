"""Secrets and ConfigMaps: certificates are found by every convention, and what is wrong is told at its line."""

from __future__ import annotations

import base64
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.credential import Credential
from meshtest.model.diagnostic import Severity


def made(host: str = "a.example.com", *, days: float = 7, begins: float = -60) -> tuple[str, str]:
    """A self-signed certificate and its key, PEM."""
    now, key = datetime.now(UTC), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + timedelta(days=begins)).not_valid_after(now + timedelta(days=days))
    certificate = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    return certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


CERTIFICATE, KEY = made()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def manifest(data: dict[str, str], *, kind: str = "Secret", type_: str = "", plain: bool = False) -> str:
    field = "stringData" if plain else "data"
    lines = [
        f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: own}}",
        *([f"type: {type_}"] if type_ else []),
        f"{field}:",
    ]
    lines += [
        f"  {key}: {value!r}" if "\n" not in value else f"  {key}: {indented(value)}" for key, value in data.items()
    ]
    return "\n".join(lines) + "\n"


def indented(text: str) -> str:
    return "|\n" + "".join(f"    {line}\n" for line in text.splitlines())


def credential(text: str) -> Credential | None:
    compiled = compile(read_text(text, "m.yaml"))
    assert [note for note in compiled.diagnostics if note.severity is Severity.ERROR] == []
    return next(iter(compiled.topology.credentials.values()), None)


def said(text: str) -> list[str]:
    return [str(n) for n in compile(read_text(text, "m.yaml")).diagnostics if n.severity is Severity.ERROR]


@pytest.mark.parametrize("names", [("tls.crt", "tls.key", "ca.crt"), ("cert", "key", "cacert")])
@pytest.mark.parametrize("plain", [False, True])
def test_keys_of_kubernetes_and_of_istio_are_read(names: tuple[str, str, str], plain: bool) -> None:
    texts = [CERTIFICATE, KEY, CERTIFICATE]
    data = {n: t if plain else encoded(t) for n, t in zip(names, texts, strict=True)}
    found = credential(manifest(data, plain=plain))
    assert found is not None
    assert (found.certificate.strip(), found.private_key.strip(), found.ca.strip()) == tuple(t.strip() for t in texts)
    assert (found.key, str(found.source)) == ("default/own", "m.yaml:1")


def test_string_data_replaces_data_as_the_api_server_does() -> None:
    other, key = made("b.example.com")
    text = manifest({"tls.crt": encoded(CERTIFICATE), "tls.key": encoded(key)}, type_="kubernetes.io/tls")
    found = credential(text + f"stringData:\n  tls.crt: {indented(other)}")
    assert found is not None
    assert found.certificate.strip() == other.strip()


def test_a_config_map_holds_authorities_under_a_key_of_its_own() -> None:
    found = credential(manifest({"ca.crt": CERTIFICATE, "other": "x"}, kind="ConfigMap"))
    assert found is not None
    assert (found.key, found.private_key) == ("ConfigMap/default/own", "")


@pytest.mark.parametrize("data", [{"password": encoded("secret")}, {"key": encoded("not a PEM text")}, {}])
def test_a_secret_without_certificates_has_no_effect_and_no_error(data: dict[str, str]) -> None:
    text = manifest(data) if data else "apiVersion: v1\nkind: Secret\nmetadata: {name: own}\n"
    assert credential(text) is None
    notes = compile(read_text(text, "m.yaml")).diagnostics
    assert [str(note) for note in notes] == ["m.yaml:1: info: Secret `own` has no effect here [unused]"]


def test_a_key_is_not_shown_when_a_credential_is() -> None:
    found = credential(manifest({"tls.crt": encoded(CERTIFICATE), "tls.key": encoded(KEY)}))
    assert "PRIVATE KEY" not in repr(found)


EXPIRED = made("old.example.com", days=-1)
EARLY = made("early.example.com", begins=1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"tls.crt": encoded("-----BEGIN CERTIFICATE-----\nHello\n"), "tls.key": encoded(KEY)},
            'm.yaml:6: error: `data["tls.crt"]` must be the PEM text of one or more certificates '
            "(-----BEGIN CERTIFICATE-----) [bad-certificate]",
        ),
        (
            {"tls.crt": encoded(CERTIFICATE), "tls.key": encoded("Hello")},
            'm.yaml:7: error: `data["tls.key"]` must be the PEM text of a private key without a password [bad-key]',
        ),
        (
            {"tls.crt": encoded(CERTIFICATE), "tls.key": encoded(made()[1])},
            'm.yaml:7: error: `data["tls.key"]` is not the key of the first certificate in `data["tls.crt"]`; put the '
            "pair that was made together [key-mismatch]",
        ),
        (
            {"tls.crt": "%%%", "tls.key": encoded(KEY)},
            'm.yaml:6: error: `data["tls.crt"]` is not base64 of a text; encode the PEM text with `base64`, or write '
            "it under `stringData` [bad-value]",
        ),
        (
            {"tls.crt": encoded(EXPIRED[0]), "tls.key": encoded(EXPIRED[1])},
            f"m.yaml:6: error: `data[\"tls.crt\"]`: the certificate of 'old.example.com' expired on "
            f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}; issue a new one [expired-certificate]",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_line(data: dict[str, str], message: str) -> None:
    assert message in said(manifest(data, type_="kubernetes.io/tls"))


def test_a_certificate_of_tomorrow_is_not_taken_today() -> None:
    (text,) = said(manifest({"tls.crt": encoded(EARLY[0]), "tls.key": encoded(EARLY[1])}))
    assert "the certificate of 'early.example.com' is not valid before" in text


def test_a_tls_secret_needs_both_parts() -> None:
    (text,) = said(manifest({"tls.crt": encoded(CERTIFICATE)}, type_="kubernetes.io/tls"))
    assert text == (
        "m.yaml:1: error: a Secret of type kubernetes.io/tls needs `tls.crt` and `tls.key` in `data` [missing-field]"
    )
    (text,) = said(manifest({"tls.key": encoded(KEY)}))
    assert text == 'm.yaml:5: error: `data["tls.key"]` has no certificate beside it [missing-field]'


def test_manifests_without_certificates_do_not_load_the_library() -> None:
    code = (
        "import sys\n"
        "from meshtest.manifests.compiler import compile\n"
        "from meshtest.manifests.reader import read_text\n"
        "compile(read_text('apiVersion: v1\\nkind: Secret\\nmetadata: {name: a}\\n'))\n"
        "sys.exit('cryptography' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0
