"""`meshtest webhook call URL`: one call as Flagger would make it, its attempts, and what Flagger would make of it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from meshtest.cli import FAILED, OK, TROUBLE
from meshtest.cli.options import add_json, pairs
from meshtest.errors import UsageError

if TYPE_CHECKING:
    from meshtest.rollouts.canary.spec import HookType
    from meshtest.webhook.client import Attempt, Exchange

TYPES = (
    "confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "post-rollout",
    "rollback", "event",
)  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL", help="as in the Canary's webhooks")
    text = f"{', '.join(TYPES)} (default: that of a URL with /hooks/TYPE/, else pre-rollout)"
    parser.add_argument("--type", choices=TYPES, default="", metavar="TYPE", help=text)
    parser.add_argument("--name", default="podinfo", help="of the Canary (default: %(default)s)")
    parser.add_argument("--namespace", default="test", help="of the Canary (default: %(default)s)")
    parser.add_argument("--phase", help="of the Canary (default: what Flagger sends for the type)")
    parser.add_argument("--checksum", default="meshtest", help="of the revision (default: %(default)s)")
    add_calling(parser)
    add_json(parser)


def add_calling(parser: argparse.ArgumentParser) -> None:
    """Fields of a webhook, shared with `check`."""
    parser.add_argument("--metadata", action="append", default=[], metavar="K=V", help="repeatable")
    parser.add_argument("--timeout", default="10s", metavar="T", help="of each attempt, as 10s (default) or 500ms")
    parser.add_argument("--retries", type=int, default=0, metavar="N", help="as in the Canary (default: 0)")
    parser.add_argument("--disable-tls", action="store_true", help="do not verify the certificate (disableTLS)")
    text = "a token, sent as the password of the URL: the only header that Flagger can be made to send"
    parser.add_argument("--token-file", type=Path, metavar="FILE", help=text)


def go(arguments: argparse.Namespace) -> int:
    from meshtest.rollouts.canary.spec import HookType
    from meshtest.webhook.client import Caller
    from meshtest.webhook.effects import effect, findings, phase_of

    type, timeout = HookType(arguments.type or type_of(arguments.url)), seconds_of(arguments.timeout)
    payload = {
        "name": arguments.name, "namespace": arguments.namespace, "checksum": arguments.checksum,
        "phase": phase_of(type) if arguments.phase is None else arguments.phase,
        "metadata": pairs(arguments.metadata, "--metadata"),
    }  # fmt: skip
    exchange = Caller().call(
        url_of(arguments), payload, timeout=timeout, retries=arguments.retries, insecure=arguments.disable_tls
    )
    found = list(findings(type, exchange, timeout=timeout))
    if arguments.json:
        data = {"type": type, "would": effect(type, exchange), "findings": [dataclasses.asdict(one) for one in found]}
        print(json.dumps(as_data(exchange) | data, indent=2))
    else:
        _tell(type, exchange)
        for one in found:
            print(one)
    return code_of(exchange)


def type_of(url: str) -> str:
    """As meshtest's own endpoint has it in its addresses."""
    words = url.partition("?")[0].split("/")
    following = words[words.index("hooks") + 1 :][:1] if "hooks" in words else []
    return following[0] if following and following[0] in TYPES else "pre-rollout"


def _tell(type: HookType, exchange: Exchange) -> None:
    from meshtest.webhook.effects import effect
    from meshtest.webhook.wire import redacted

    print(f"POST {redacted(exchange.url)} as {type}")
    for number, attempt in enumerate(exchange.attempts, 1):
        print(f"  {number}. at {attempt.at:.1f} s: {told(attempt)}")
        for hop in attempt.hops:
            print(f"     redirected: {hop}")
    print(f"{'yes' if exchange.ok else 'no'}: {effect(type, exchange)}")
    if not exchange.ok:
        print(f"Flagger's event says: {exchange.reason.strip() or '(nothing)'}")


def told(attempt: Attempt) -> str:
    said = attempt.error if attempt.status is None else f"{attempt.status} {attempt.error or _first(attempt.body)}"
    return f"{said.strip()} ({attempt.seconds * 1e3:.0f} ms)"


def _first(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 100 else f"{line[:97]}..."


def as_data(exchange: Exchange) -> dict[str, Any]:
    from meshtest.webhook.wire import redacted

    return dataclasses.asdict(exchange) | {"url": redacted(exchange.url), "seconds": exchange.seconds}


def code_of(exchange: Exchange) -> int:
    """0 yes, 1 no, 3 nobody has answered."""
    if exchange.ok:
        return OK
    return FAILED if any(one.status is not None for one in exchange.attempts) else TROUBLE


def url_of(arguments: argparse.Namespace) -> str:
    """Checked, and with the token."""
    url: str = arguments.url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"URL {url!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"URL {url!r}: write http://HOST:PORT/PATH or https://...")
    if arguments.retries < 0:
        raise UsageError("--retries: a number from 0 on")
    if arguments.token_file is None:
        return url
    if parts.username is not None:
        raise UsageError("either --token-file or a user in the URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = f"flagger:{quote(_token(arguments.token_file), safe='')}@{host}" + (f":{port}" if port else "")
    return parts._replace(netloc=netloc).geturl()


def _token(path: Path) -> str:
    try:
        lines = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file {path}: {error}") from None
    if not lines:
        raise UsageError(f"--token-file {path}: it is empty")
    return lines[0]


def seconds_of(text: str) -> float:
    """As Go reads a duration. `-1`: the schema of the CRD takes it, Go does not."""
    from meshtest.manifests.quantities import seconds
    from meshtest.rollouts.canary.reading_analysis import DURATION, NEVER

    if not DURATION.match(text):
        raise UsageError(f"--timeout {text!r}: begin like 10s, 1m or 500ms, as in a Canary")
    found = seconds(text)
    return NEVER if found is None else found
