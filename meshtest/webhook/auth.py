"""Who may ask: a token, or a signature that is good for one address and one canary. Namespaces are rules of their own.

Flagger can send no header of its own (fluxcd/flagger issue #1192), so there are four places for a credential:

    Authorization: Bearer TOKEN               programs
    Authorization: Basic ANY:TOKEN            a browser asks for it; Go sends it for http://any:TOKEN@host/hooks/...
    metadata: {token: TOKEN}                  of a hook, where an address would end up in too many logs
    ?signature=HEX  or metadata.signature     HMAC-SHA256 of the path, the namespace and the name, each on a line

A signature is a capability: who finds one in a log can call that hook of that canary, and nothing else. It does not
expire; change the key. Every comparison takes the same time whatever is right of it, and nothing of this is logged.

A browser sends a password it knows to whoever asks it to (CSRF), so what changes something is refused if it comes from
a page of another origin: Flagger, Argo and curl send no Origin.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from meshtest.errors import UsageError
from meshtest.lib import regex
from meshtest.lib.dataclass import dataclass
from meshtest.webhook.payload import Payload
from meshtest.webhook.refusal import Refusal

SHORTEST = 16
"""Characters of a token or key: 64 bits if they are hexadecimal digits."""
CREDENTIALS = frozenset({"token", "signature"})
"""Keys of the metadata that are no parameter of a suite."""
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="meshtest", Basic realm="meshtest", charset="UTF-8"'}


def signature(key: bytes, path: str, namespace: str, name: str) -> str:
    """For a hook of one canary; `namespace` and `name` are empty for what is about none."""
    return hmac.new(key, f"{path}\n{namespace}\n{name}".encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What the endpoint was told to admit. Without token and key it admits everybody who reaches it."""

    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    key: bytes = field(default=b"", repr=False)
    namespaces: tuple[str, ...] = ()
    """Regular expressions (RE2)."""

    @property
    def is_open(self) -> bool:
        return not self.tokens and not self.key

    def check_header(self, headers: Mapping[str, str]) -> bool:
        """True: admitted by the header; False: there is none, the payload may say more. A wrong one is refused."""
        given = headers.get("authorization")
        if given is None or self.is_open:
            return self.is_open
        if not self._is_token(_credential(given)):
            raise Refusal(401, "wrong token", CHALLENGE)
        return True

    def check_payload(self, path: str, query: Mapping[str, str], asked: Payload | None) -> None:
        """Of a call without a header."""
        metadata = asked.metadata if asked else {}
        if "token" in metadata and self._is_token(metadata["token"].encode()):
            return
        signed = query.get("signature") or metadata.get("signature", "")
        namespace, name = asked.canary if asked else ("", "")
        if self.key and signed and _same(signed.encode(), signature(self.key, path, namespace, name).encode()):
            return
        wrong = "token" in metadata or signed
        raise Refusal(401, "wrong token or signature" if wrong else "a token is needed", CHALLENGE)

    def check_namespace(self, namespace: str) -> None:
        """All of it must match; flagger-loadtester looks for a match anywhere, so that `prod` admits `nonprod`."""
        if self.namespaces and not any(regex.matches(rule, namespace) for rule in self.namespaces):
            raise Refusal(403, f"namespace {namespace!r} is not admitted here")

    def _is_token(self, given: bytes) -> bool:
        """Every one is compared, so that the time does not tell which is nearly right."""
        return any([_same(given, token) for token in self.tokens])  # noqa: C419


def _same(given: bytes, wanted: bytes) -> bool:
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(wanted).digest())


def _credential(header: str) -> bytes:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode("latin-1")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def check_origin(headers: Mapping[str, str]) -> None:
    """Not from somebody else's page."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        raise Refusal(403, "pages of other origins may not ask this")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Refusal(403, "pages of other sites may not ask this")


def guard(token_file: Path | None, key_file: Path | None, namespaces: Sequence[str]) -> Guard:
    """From the files and rules of the command line."""
    tokens = tuple(_secrets(token_file, "--token-file")) if token_file else ()
    key = _secrets(key_file, "--hmac-key-file")[0] if key_file else b""
    return Guard(tokens=tokens, key=key, namespaces=tuple(map(_rule, namespaces)))


def _secrets(path: Path, option: str) -> list[bytes]:
    """One a line, so that an old token is good while the new one is handed out."""
    try:
        lines = [line.strip() for line in path.read_bytes().splitlines()]
    except OSError as error:
        raise UsageError(f"{option}: {path}: {error.strerror}") from None
    found = [line for line in lines if line and not line.startswith(b"#")]
    if not found:
        raise UsageError(f"{option}: {path} holds none; write one a line (openssl rand -hex 32)")
    if any(len(one) < SHORTEST for one in found):
        raise UsageError(f"{option}: {path} holds one of less than {SHORTEST} characters (openssl rand -hex 32)")
    return found


def _rule(text: str) -> str:
    if why := regex.refusal(text):
        raise UsageError(f"--namespace: {text!r} is no regular expression: {why}")
    return text
