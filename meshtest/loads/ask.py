"""One request of any protocol, one answer: `ask(entrance, Ask.of("GET http://web/"))`. Blocking, with a deadline.

 ask.py ─► line.py (connect, CONNECT, TLS) ─► ask_http1.py │ ask_http2.py (gRPC too) │ ask_stream.py (WebSocket, TCP)

Nothing is retried, redirected or kept alive: what the Reply says is what happened once. A bad question is a UsageError;
whatever the network does is a Reply with a fate, never an exception. Not here: many requests (load.py, prober.py).
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.loads import grpc_frames
from meshtest.loads.line import Fated, Heard, Line, Trouble, fate_of, tls_context
from meshtest.loads.parse import SCHEMES, TOKEN, Headers, destination, parse_headers, split_request, split_url
from meshtest.model.record import REQUEST_ID, SERVED_BY
from meshtest.model.request import Server
from meshtest.spi.provider import Entrance

Spoken = Literal["http1", "http2", "grpc", "websocket", "tcp"]

Pairs = tuple[tuple[str, str], ...]

_SPEAKERS: dict[str, tuple[str, str]] = {
    "http1": ("ask_http1", "HTTP/1.1"), "http2": ("ask_http2", "HTTP/2"), "grpc": ("ask_http2", "gRPC"),
    "websocket": ("ask_stream", "WebSocket"), "tcp": ("ask_stream", "TCP"),
}  # fmt: skip
_ALPN = {"http1": ("http/1.1",), "http2": ("h2",), "grpc": ("h2",), "websocket": ("http/1.1",), "tcp": ()}


@dataclass(frozen=True, kw_only=True)
class TlsAsk:
    """How a client speaks TLS; certificates and keys are PEM texts."""

    sni: str = ""
    """"" is the host of the URL; "-" is none."""
    ca: str = ""
    """What the server's certificate must be signed by, and must name the SNI; "" does not verify it."""
    certificate: str = ""
    """The client's chain, the leaf first; with `key`."""
    key: str = ""
    alpn: tuple[str, ...] | None = None
    """None is what the protocol needs."""
    max_version: Literal["", "1.2", "1.3"] = ""


@dataclass(frozen=True, kw_only=True)
class TlsReply:
    """What the handshake agreed on, and the server's certificate."""

    version: str
    alpn: str
    certificate: bytes
    """DER."""

    def certificate_pem(self) -> str:
        import ssl

        return ssl.DER_cert_to_PEM_cert(self.certificate) if self.certificate else ""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request. Ask.of() makes one from what a person writes."""

    method: str = "GET"
    scheme: str = "http"
    authority: str
    """The Host header: host, and port unless it is the scheme's own."""
    path: str = "/"
    """With the query. Of gRPC `/package.Service/Method`; of TCP it has no meaning."""
    headers: Pairs = ()
    body: bytes = b""
    """Of gRPC one message, of a WebSocket the message to send, of TCP the bytes (default: the stand-in's question)."""
    protocol: Spoken = "http1"
    tls: TlsAsk | None = None
    timeout: float = 5.0
    """Seconds for everything, from connecting to the last byte."""
    id: str = ""
    """Sent as `x-meshtest-id`, by which hops are found."""

    def __post_init__(self) -> None:
        if not TOKEN.fullmatch(self.method):
            raise UsageError(f"method {self.method!r}: letters, as in GET")
        if self.protocol not in get_args(Spoken):
            raise UsageError(f"protocol {self.protocol!r}: one of {', '.join(get_args(Spoken))}")
        if not self.authority or not _plain(self.authority) or not _plain(self.path) or self.path[:1] not in ("/", "*"):
            raise UsageError(f"{self.authority}{self.path}: a host and a path of printable ASCII (quote the rest)")
        if not 0 < self.timeout < float("inf"):
            raise UsageError(f"timeout is {self.timeout!r}; it must be above 0")
        parse_headers(dict(self.headers))
        if self.tls and bool(self.tls.certificate) != bool(self.tls.key):
            raise UsageError("a client certificate needs its key, and the key its certificate")

    @classmethod
    def of(
        cls,
        request: str,
        *,
        headers: Headers = (),
        body: bytes | str = b"",
        protocol: Spoken | Literal[""] = "",
        tls: TlsAsk | None = None,
        timeout: float = 5.0,
        id: str = "",
    ) -> Ask:
        """`GET http://web/path`, `grpc://web:9000/pkg.Service/Method`, `ws://web/`, `tcp://db:5432`; with TLS `https`,
        `grpcs`, `wss`, `tls`. `protocol="http2"` makes an http URL one of HTTP/2."""
        method, scheme, authority, path = _parse(request)
        spoken, secure, _ = SCHEMES[scheme]
        return cls(
            method="POST" if (protocol or spoken) == "grpc" else method or "GET",
            scheme=scheme,
            authority=authority,
            path=path,
            headers=parse_headers(headers),
            body=body.encode() if isinstance(body, str) else body,
            protocol=protocol or spoken,
            tls=tls or (TlsAsk() if secure else None),
            timeout=timeout,
            id=id,
        )

    @property
    def host(self) -> str:
        """Without the port."""
        return urlsplit(f"//{self.authority}").hostname or self.authority

    @property
    def port(self) -> int:
        """The URL's, or its scheme's."""
        return urlsplit(f"//{self.authority}").port or SCHEMES[self.scheme][2]

    @property
    def fields(self) -> Pairs:
        """All headers but Host, which may be among them."""
        named = {name.lower() for name, _ in self.headers}
        return self.headers + (((REQUEST_ID, self.id),) if self.id and REQUEST_ID not in named else ())

    def __str__(self) -> str:
        return f"{self.method} {self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What became of it. Everything that was heard before trouble came is there."""

    fate: Fated
    error: str = ""
    """Why it was not answered."""
    protocol: str
    """HTTP/1.1, HTTP/2, gRPC, WebSocket or TCP."""
    status: int = 0
    """Of HTTP; 101 of a WebSocket that was opened. 0 is none."""
    headers: Pairs = ()
    """Names in lower case, in the order they came."""
    body: bytes = b""
    trailers: Pairs = ()
    messages: tuple[bytes, ...] = ()
    """Of gRPC and WebSocket; the first is the body."""
    grpc_status: int | None = None
    grpc_message: str = ""
    close_code: int | None = None
    """With which the peer closed a WebSocket."""
    tls: TlsReply | None = None
    seconds: float = 0.0
    id: str = ""

    @property
    def answered(self) -> bool:
        return self.fate == "answered"

    @property
    def ok(self) -> bool:
        """Answered, and well: below 400, and by gRPC with status 0."""
        return self.answered and self.status < 400 and self.grpc_status in (None, 0)

    def header(self, name: str) -> str:
        """The value; several are joined by `, `, none is ""."""
        return ", ".join(value for known, value in self.headers if known == name.lower())

    @property
    def json(self) -> Any:
        """The body as JSON: what a stand-in tells of itself and of the request, over any protocol. ValueError if it is
        none."""
        text = grpc_frames.text_of(self.body) if self.protocol == "gRPC" else self.body
        return json.loads(text)

    @property
    def server(self) -> Server:
        """Who served it, as the proxy or else the stand-in says."""
        if told := self.header(SERVED_BY):
            return Server.parse(told)
        try:
            found = self.json
            return Server(found["service"], found["version"], found["pod"])
        except (ValueError, KeyError, TypeError):
            return Server()


def ask(to: Entrance | tuple[str, int], what: Ask) -> Reply:
    """Send it to an entrance of the mesh, or to an address; as a proxy's client if the entrance is a proxy."""
    entrance = to if isinstance(to, Entrance) else Entrance(to[0], to[1], proxy=False)
    module, spoken = _SPEAKERS[what.protocol]
    speak: Callable[..., None] = importlib.import_module(f"meshtest.loads.{module}").speak
    context = None
    if what.tls:
        alpn = _ALPN[what.protocol] if what.tls.alpn is None else what.tls.alpn
        context = tls_context(what.tls.ca, what.tls.certificate, what.tls.key, alpn, what.tls.max_version)
    heard, began = Heard(), time.monotonic()
    fate: Fated = "answered"
    error = ""
    try:
        with Line(entrance.address, entrance.port, began + what.timeout) as line:
            through = entrance.proxy
            if through and (context or what.protocol == "tcp"):
                through = False
                if not line.tunnel(f"{what.host}:{what.port}", heard):
                    raise Trouble("answered", "the proxy refused CONNECT")
            if context and what.tls:
                heard.tls = line.secure(context, _sni(what))
            speak(line, what, heard, proxy=through)
    except UsageError:
        raise
    except Exception as trouble:
        fate, error = fate_of(trouble)
    return _reply(what, heard, spoken, fate, error, time.monotonic() - began)


def _sni(what: Ask) -> str:
    wanted = what.tls.sni if what.tls else ""
    return "" if wanted == "-" else wanted or what.host


def _reply(what: Ask, heard: Heard, spoken: str, fate: Fated, error: str, seconds: float) -> Reply:
    version, alpn, certificate = heard.tls or ("", "", b"")
    return Reply(
        fate=fate,
        error=error,
        protocol=spoken,
        status=heard.status,
        headers=tuple(heard.headers),
        body=heard.messages[0] if heard.messages else heard.body,
        trailers=tuple(heard.trailers),
        messages=tuple(heard.messages),
        grpc_status=heard.grpc_status,
        grpc_message=heard.grpc_message,
        close_code=heard.close_code,
        tls=TlsReply(version=version, alpn=alpn, certificate=certificate) if heard.tls else None,
        seconds=seconds,
        id=what.id,
    )


def _parse(text: str) -> tuple[str, str, str, str]:
    """(method or "", scheme, authority, path and query)."""
    method, url = split_request(text)
    parts = split_url(url, text)
    if parts.scheme not in SCHEMES or not parts.hostname or parts.username is not None:
        raise UsageError(
            f"request {text!r}: write `[METHOD] SCHEME://host:port/path`, the scheme one of {', '.join(SCHEMES)}"
        )
    return method, parts.scheme, *destination(parts, text)


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text
