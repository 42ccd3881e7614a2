"""Our webhook client against Flagger's: `flagger_client.jsonl` holds what its own callWebhook (fluxcd/flagger 15bd6ad,
hashicorp/go-retryablehttp 0.7.8, Go 1.26) made of each script of replies: verdict, words, requests, and the pauses
between them. Ours is given the same replies, and a clock on which nobody waits.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from meshtest.lib.wait import until
from meshtest.manifests.quantities import seconds
from meshtest.webhook.client import Caller, Exchange, backoff, encoded, retry_after
from meshtest.webhook.wire import Reply
from tests.conftest import deaf
from tests.webhook.stub_hook import Heard, StubHook

RECORDED = [json.loads(line) for line in Path(__file__).with_name("flagger_client.jsonl").read_text().splitlines()]
PAYLOAD = {"name": "podinfo", "namespace": "test", "phase": "Progressing", "checksum": "758df7c9fc"}


class Pauses:
    """A clock that sleep sets forward, and what it was asked for."""

    def __init__(self) -> None:
        self.time, self.asked = 1000.0, list[float]()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.time += seconds

    def caller(self, **more: Any) -> Caller:
        return Caller(now=self.now, sleep=self.sleep, **more)


@functools.cache
def certificate(folder: Path) -> ssl.SSLContext:
    """Of nobody in particular, for 127.0.0.1."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hook")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "hook.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hook.pem")
    return context


class Hooks:
    """The stubs of the record, in plain text and with TLS, and an address where nobody listens."""

    def __init__(self, plain: StubHook, tls: StubHook, nobody: str) -> None:
        self.plain, self.tls = plain, tls
        self._names = {
            "{deaf}": nobody, "{hook}": plain.url, "{tls}": tls.url,
            "{user}": plain.url.replace("//", "//me:s3cret@"), "{address}": f"{plain.host}:{plain.port}",
        }  # fmt: skip

    def url(self, text: str) -> str:
        return functools.reduce(lambda text, pair: text.replace(*pair), self._names.items(), text)

    def heard(self, case: str, number: int) -> list[Heard]:
        """The requests, once there are so many."""

        def so_far() -> list[Heard]:
            return [*self.plain.heard.get(case, []), *self.tls.heard.get(case, [])]

        until(lambda: len(so_far()) >= number, within=60, what=lambda: f"{number} requests, heard {so_far()}")
        return so_far()


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hooks]:
    scripts = {one["name"]: one["script"] for one in RECORDED if one["script"]}
    folder = tmp_path_factory.mktemp("tls")
    with StubHook(scripts) as plain, StubHook(scripts, tls=certificate(folder)) as tls, deaf() as port:
        yield Hooks(plain, tls, f"127.0.0.1:{port}")


def after(pauses: Pauses, read: Callable[..., Any]) -> Callable[..., Any]:
    """The same, a long time later."""

    def late(self: Reply) -> Any:
        pauses.time += 1e6
        return read(self)

    return late


def called(case: dict[str, Any], hooks: Hooks, pauses: Pauses) -> Exchange:
    text = case.get("timeout", "")
    limit = 10.0 if len(text) < 2 else seconds(text)
    if any("silent" in step for step in case["script"]):
        limit = 0.05  # each step of an attempt has all of it, as this clock stands still; so only silence is too long
    if any(step.get("then") == "silent" for step in case["script"]):
        limit = 30.0
    return pauses.caller().call(
        hooks.url(case["url"]),
        PAYLOAD | ({"metadata": case["metadata"]} if "metadata" in case else {}),
        timeout=-1.0 if limit is None else limit,
        retries=case.get("retries", 0),
        insecure=case.get("insecure", False),
    )


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case["name"])
def test_we_make_of_a_reply_what_flagger_makes_of_it(
    case: dict[str, Any], hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses, recorded = Pauses(), case["recorded"]
    for read in ("body", "drain"):  # a body that stops in the middle: the time-out has come once it is read
        if any(step.get("then") == "silent" for step in case["script"]):
            monkeypatch.setattr(Reply, read, after(pauses, getattr(Reply, read)))
    exchange = called(case, hooks, pauses)
    assert exchange.ok is recorded["ok"]
    assert exchange.reason == hooks.url(recorded["reason"])
    assert pauses.asked == recorded["pauses"]
    heard = hooks.heard(case["name"], len(recorded["requests"]))
    assert [f"{one.method} {one.target}" for one in heard] == recorded["requests"]
    assert [_without_ports(one.headers) for one in heard] == recorded.get("headers", [])
    assert [one.body.decode() for one in heard] == recorded.get("bodies", [])


def _without_ports(headers: dict[str, str]) -> dict[str, str]:
    return {name: "" if name in ("Host", "Referer") else value for name, value in headers.items()}


def test_the_record_covers_what_matters() -> None:
    assert len(RECORDED) > 120
    statuses = {step["status"] for case in RECORDED for step in case["script"] if "status" in step}
    assert statuses >= {200, 201, 202, 203, 301, 302, 307, 308, 403, 429, 500, 501, 503, 999}


def test_the_user_of_a_url_is_never_shown_with_his_password() -> None:
    exchange = Pauses().caller().call("http://me:s3cret@127.0.0.1:notaport/", PAYLOAD)
    assert not exchange.attempts
    assert "s3cret" not in exchange.reason


def test_waits_double_up_to_half_a_minute() -> None:
    assert [backoff(number) for number in (0, 1, 2, 3, 4, 5, 6, 5000)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_date_to_wait_for_is_seconds_from_now() -> None:
    assert (
        retry_after(
            "Wed, 21 Oct 2015 07:28:30 GMT", datetime.datetime(2015, 10, 21, 7, 28, tzinfo=datetime.UTC).timestamp()
        )
        == 30
    )
    assert retry_after("Wed, 99 Oct 2015 07:28:30 GMT", 0.0) is None
    assert retry_after("", 0.0) is None


def test_a_payload_is_written_as_go_writes_it() -> None:
    assert (
        encoded({"name": "a&b", "metadata": {"z": "<", "a": "\u2028"}})
        == rb'{"name":"a\u0026b","metadata":{"a":"\u2028","z":"\u003c"}}'
    )
    assert encoded({"name": "x", "metadata": {}}) == b'{"name":"x"}'


def test_what_is_not_known_of_a_reply_is_not_made_up() -> None:
    with deaf() as port:
        exchange = Pauses().caller().call(f"http://127.0.0.1:{port}/", PAYLOAD, retries=2)
    assert [one.status for one in exchange.attempts] == [None] * 3
    assert [one.at for one in exchange.attempts] == [0, 1, 3]
    assert exchange.seconds == 3
    assert not exchange.answer.ok
