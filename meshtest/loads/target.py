"""Target: one kind of request of a load, checked when it is made, before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.loads.exchange import MODULES
from meshtest.loads.libraries import folders
from meshtest.loads.parse import SCHEMES, Headers, parse_headers, parse_request, read_body
from meshtest.model.request import Transport

if TYPE_CHECKING:
    from meshtest.loads.ask import TlsAsk

Protocol = Literal["", "http1", "http2", "grpc", "grpc_stream", "websocket", "tcp"]
PROTOCOLS = {
    "http1": Transport.HTTP1, "http2": Transport.HTTP2, "grpc": Transport.GRPC, "grpc_stream": Transport.GRPC_STREAM,
    "websocket": Transport.WEBSOCKET, "tcp": Transport.TCP,
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """One kind of request of a load: `Target("POST http://web/cart", weight=2, body="@cart.json")`."""

    request: str
    """`GET http://web:9080/path`; the method may be left out."""
    _: KW_ONLY
    weight: float = 1.0
    """Its share of the requests is its weight over the sum of all."""
    headers: Headers = ()
    body: bytes | str = b""
    """`"@cart.json"` is what that file holds."""
    protocol: Protocol = ""
    """Instead of what the URL's scheme says: `http2` for an http URL, `grpc_stream` for a grpc one."""
    tls: TlsAsk | None = None
    """How to speak TLS; an https URL needs none of it."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise UsageError(f"weight of {self.request!r} is {self.weight!r}; it must be above 0")
        if self.protocol and self.protocol not in PROTOCOLS:
            raise UsageError(f"protocol {self.protocol!r} of {self.request!r}: one of {', '.join(PROTOCOLS)}")
        if self.transport not in MODULES:
            spoken = ", ".join(name for name, transport in PROTOCOLS.items() if transport in MODULES)
            raise UsageError(
                f"request {self.request!r}: a load does not speak {self.transport.name} yet, only {spoken}"
            )
        if self.tls and bool(self.tls.certificate) != bool(self.tls.key):
            raise UsageError("a client certificate needs its key, and the key its certificate")
        if self.tls and (self.tls.ca or self.tls.certificate):
            from meshtest.loads.line import tls_context  # with ssl; and for its UsageError, now and not in the prober

            tls_context(self.tls.ca, self.tls.certificate, self.tls.key, (), "")
        _ = self.payload, self.fields

    @cached_property
    def parts(self) -> tuple[str, str, str, str]:
        """Method, scheme, authority, path and query."""
        return parse_request(self.request)

    @property
    def authority(self) -> str:
        """The Host header: host, and port unless it is the scheme's own."""
        return self.parts[2]

    @property
    def host(self) -> str:
        return urlsplit(f"//{self.authority}").hostname or self.authority

    @property
    def port(self) -> int:
        return urlsplit(f"//{self.authority}").port or SCHEMES[self.parts[1]][2]

    @property
    def transport(self) -> Transport:
        return PROTOCOLS[self.protocol or SCHEMES[self.parts[1]][0]]

    @property
    def secure(self) -> bool:
        """Inside TLS."""
        return self.tls is not None or SCHEMES[self.parts[1]][1]

    @cached_property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The headers."""
        return parse_headers(self.headers)

    @cached_property
    def payload(self) -> bytes:
        """The body."""
        return read_body(self.body)

    def __str__(self) -> str:
        method, scheme, authority, path = self.parts
        return f"{method} {scheme}://{authority}{path}"

    def order(self, address: str, port: int, *, proxy: bool) -> dict[str, Any]:
        """As the prober is told (exchange.TargetOrder)."""
        method, scheme, authority, path = self.parts
        return {
            "transport": int(self.transport),
            "address": address,
            "port": port,
            "proxy": proxy,
            "tls": self._tls() if self.secure else None,
            "scheme": scheme,
            "method": method,
            "authority": authority,
            "host": self.host,
            "path": path,
            "headers": list(self.fields),
            "body": self.payload,
            "libraries": folders(self.transport),
        }

    def _tls(self) -> dict[str, Any]:
        asked = {"sni": "", "ca": "", "certificate": "", "key": "", "alpn": None, "max_version": ""}
        asked |= {name: getattr(self.tls, name) for name in asked} if self.tls else {}
        return asked | {"sni": asked["sni"] or self.host}


def parse_targets(requests: str | Sequence[str], weights: str = "", **more: Any) -> list[Target]:
    """From a command line: requests, and `9,1` as their weights."""
    texts = [requests] if isinstance(requests, str) else list(requests)
    try:
        numbers = [float(word) for word in weights.split(",")] if weights else [1.0] * len(texts)
    except ValueError:
        raise UsageError(f"weights {weights!r}: numbers, as 9,1") from None
    if len(numbers) != len(texts):
        raise UsageError(f"weights {weights!r}: {len(numbers)} for {len(texts)} request(s)")
    return [Target(text, weight=number, **more) for text, number in zip(texts, numbers, strict=True)]
