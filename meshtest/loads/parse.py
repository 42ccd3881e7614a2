"""`GET http://web/path`, headers and bodies, as people write them: taken apart, or refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from meshtest.errors import UsageError

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Headers = Mapping[str, str] | Sequence[str]
"""`{"x-user": "7"}` or `["x-user: 7"]`."""

SCHEMES: dict[str, tuple[Literal["http1", "websocket", "grpc", "tcp"], bool, int]] = {
    "http": ("http1", False, 80), "https": ("http1", True, 443),
    "ws": ("websocket", False, 80), "wss": ("websocket", True, 443),
    "grpc": ("grpc", False, 80), "grpcs": ("grpc", True, 443),
    "tcp": ("tcp", False, 0), "tls": ("tcp", True, 443),
}  # fmt: skip
"""URL scheme: the protocol unless another is asked for, whether inside TLS, and the port (0: it must be written)."""


def parse_request(text: str) -> tuple[str, str, str, str]:
    """(method, scheme, authority, path and query)."""
    method, url = split_request(text)
    if not TOKEN.fullmatch(method or "GET") or "://" not in url:
        raise UsageError(f"request {text!r}: write `GET http://host:port/path`; the method may be left out")
    parts = split_url(url, text)
    if parts.scheme not in SCHEMES:
        raise UsageError(f"request {text!r}: scheme {parts.scheme!r} is none of {', '.join(SCHEMES)}")
    if not parts.hostname or parts.username is not None or not url.isascii() or not url.isprintable():
        raise UsageError(f"request {text!r}: a URL has a host, no user, and only printable ASCII (quote the rest)")
    protocol, _, _ = SCHEMES[parts.scheme]
    return "POST" if protocol == "grpc" else method or "GET", parts.scheme, *destination(parts, text)


def split_request(text: str) -> tuple[str, str]:
    """The method in capitals, "" if there is none; and the URL, "" if there are other than one or two words."""
    match text.split():
        case [url]:
            return "", url
        case [method, url]:
            return method.upper(), url
    return "", ""


def split_url(url: str, text: str) -> SplitResult:
    """With a port, if any, that can be one. `text` is what the complaint quotes."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"request {text!r}: {error}") from None
    return parts


def destination(parts: SplitResult, text: str) -> tuple[str, str]:
    """(authority, path and query): a port that is the scheme's own is left out."""
    default = SCHEMES[parts.scheme][2]
    if not default and parts.port is None:
        wanted = f"{parts.scheme}://{parts.hostname}:PORT"
        raise UsageError(f"request {text!r}: {parts.scheme} has no usual port; write {wanted}")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{host}:{parts.port}" if parts.port not in (None, default) else host, path


def parse_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    if isinstance(headers, str):
        raise UsageError(f"headers {headers!r}: give a mapping, or a list of `name: value`")
    pairs = headers.items() if isinstance(headers, Mapping) else [_header(line) for line in headers]
    for name, value in pairs:
        if not TOKEN.fullmatch(name):
            raise UsageError(f"header {name!r}: not a valid name")
        if any(c in value for c in "\r\n\0"):
            raise UsageError(f"header {name!r}: a value has no line break")
    return tuple((name, value.strip()) for name, value in pairs)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise UsageError(f"header {line!r}: write `name: value`")
    return name.strip(), value.strip()


def read_body(body: bytes | str) -> bytes:
    """`@FILE` is what the file holds."""
    if isinstance(body, bytes):
        return body
    if not body.startswith("@"):
        return body.encode()
    try:
        return Path(body[1:]).expanduser().read_bytes()
    except OSError as error:
        where = Path(body[1:]).expanduser().absolute()
        why = f"{error.strerror} ({where})"
        raise UsageError(f"body {body!r}: {why}; `@` names a file, give bytes if the body begins with it") from None
