"""One attempt to deliver a payload, as Go's net/http client makes it: POST, redirects, one deadline for all of it.

    301, 302, 303  followed with GET, without the payload; 307, 308 with POST and the payload; at most 10
    no Location    the redirect itself is the reply
    gzip           asked for and unpacked; a user in the URL becomes basic authentication
    the deadline   from the first byte of the connection to the last one of the body

Errors carry the words of Go, since they end up in Flagger's events. Not here: whether to try again, and what a status
means (client.py); HTTP/2, which Go speaks over TLS where the server offers it; early hints; proxies of the environment.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import io
import re
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urldefrag, urljoin, urlsplit

from meshtest.lib.dataclass import dataclass

USER_AGENT = "Go-http-client/1.1"
MOST_REDIRECTS = 10
AS_GET, AS_POST = (301, 302, 303), (307, 308)
LARGEST = 1 << 20
"""Bytes of a body that are read. Flagger reads all of it; no event needs more."""

WAITED = "(Client.Timeout exceeded while awaiting headers)"
READING = "context deadline exceeded (Client.Timeout or context cancellation while reading body)"


class NoReply(Exception):
    """An attempt that led to no status; the text is what Go says. `final`: trying again is pointless, says Go."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


class BodyLost(Exception):
    """The status came, the body did not, or not all of it."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is delivered; the same at every attempt."""

    url: str
    body: bytes
    method: str = "POST"
    timeout: float = 10.0
    """Seconds of each attempt; 0: no limit, as Go reads it."""
    insecure: bool = False
    """The certificate is not verified."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of our own, such as Authorization: Flagger itself sends none."""


class Reply:
    """A status with headers; the body is yet to be read, within the deadline of the attempt."""

    def __init__(self, response: http.client.HTTPResponse, hops: tuple[str, ...]) -> None:
        self._response = response
        self.status = response.status
        self.hops = hops
        """`GET http://...` for each redirect that was followed."""

    def header(self, name: str) -> str:
        return self._response.headers.get(name, "")

    def body(self) -> str:
        """Raises BodyLost."""
        try:
            data = self._response.read(LARGEST)
            if self._response.length and len(data) < LARGEST:  # a short read is no error to http.client
                raise BodyLost("unexpected EOF")
            return _unpacked(data, self.header("Content-Encoding")).decode(errors="replace")
        except TimeoutError:
            raise BodyLost(READING) from None
        except (http.client.HTTPException, EOFError, zlib.error, gzip.BadGzipFile):
            raise BodyLost("unexpected EOF") from None
        except OSError as error:
            raise BodyLost(_words(error)) from None

    def drain(self, limit: int = 4096) -> None:
        """Read on, as far as it is worth for the sake of the connection."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._response.read(limit)


def _unpacked(data: bytes, encoding: str) -> bytes:
    return gzip.decompress(data) if encoding == "gzip" and data else data


@contextlib.contextmanager
def deliver(request: Request, *, now: Callable[[], float] = time.monotonic) -> Iterator[Reply]:
    """The reply to one attempt. Raises NoReply."""
    deadline = _Deadline(now() + request.timeout if request.timeout else None, now)
    with contextlib.ExitStack() as opened:
        yield _follow(request, deadline, opened)


def _follow(request: Request, deadline: _Deadline, opened: contextlib.ExitStack) -> Reply:
    hop = _Hop(request, request.method, request.url)
    hops: tuple[str, ...] = ()
    for _ in range(MOST_REDIRECTS):
        reply = Reply(_send(hop, deadline, opened), hops)
        target = reply.header("Location")
        if not target or reply.status not in (*AS_GET, *AS_POST):
            return reply
        reply.drain(2048)
        hop = hop.next(target, reply.status)
        hops = (*hops, f"{hop.method} {hop.url}")
    raise NoReply(f'Post "{target}": stopped after {MOST_REDIRECTS} redirects', final=True)


class _Hop(NamedTuple):
    """One request of an attempt."""

    request: Request
    method: str
    url: str
    referer: str = ""

    def next(self, target: str, status: int) -> _Hop:
        method = "GET" if status in AS_GET else self.method
        return self._replace(method=method, url=urldefrag(urljoin(self.url, target)).url, referer=_anonymous(self.url))

    @property
    def target(self) -> str:
        """Path and query; escapes are left as they are."""
        parts = urlsplit(self.url)
        query = f"?{parts.query}" if parts.query else ""
        return quote((parts.path or "/") + query, safe="%/:?@!$&'()*+,;=~[]")

    @property
    def body(self) -> bytes | None:
        return self.request.body if self.method == "POST" else None

    def headers(self) -> dict[str, str]:
        asked = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
        if self.body is not None:
            asked["Content-Type"] = "application/json"
        if self.referer:
            asked["Referer"] = self.referer
        return {**asked, **_basic(urlsplit(self.url)), **self.request.headers}


def _basic(parts: SplitResult) -> dict[str, str]:
    """The only way in which Flagger can prove who it is: `http://user:password@host`."""
    if parts.username is None:
        return {}
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"}


def _send(hop: _Hop, deadline: _Deadline, opened: contextlib.ExitStack) -> http.client.HTTPResponse:
    connection = _connection(hop.url, hop.request.insecure, deadline)
    opened.callback(connection.end)
    try:
        connection.request(hop.method, hop.target, hop.body, hop.headers())
        return connection.getresponse()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _no_reply(error, hop.url) from None


def _connection(url: str, insecure: bool, deadline: _Deadline) -> _Plain:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise NoReply(f'Post "{url}": unsupported protocol scheme "{parts.scheme}"', final=True)
    if not parts.hostname:
        raise NoReply(f'Post "{url}": http: no Host in request URL')
    if parts.scheme == "http":
        return _Plain(parts.hostname, parts.port, deadline)
    return _Tls(parts.hostname, parts.port, deadline, _trust(insecure))


def unparsable(url: str) -> str:
    """Why Go cannot read a URL at all; empty: it can."""
    try:
        _ = urlsplit(url).port
    except ValueError as error:
        port = re.match(r"\w+://[^/?#]*(:[^/?#:]*)", url)
        why = f'invalid port "{port[1]}" after host' if port and "ort" in str(error) else str(error)
        return f'parse "{_hidden(url)}": {why}'
    return ""


def _trust(insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


# -- connections that keep a deadline


class _Deadline:
    """A moment for everything, where sockets know a limit for each step only."""

    def __init__(self, at: float | None, now: Callable[[], float]) -> None:
        self._at, self._now = at, now

    def left(self) -> float | None:
        """Seconds; None: there is no limit. Raises TimeoutError when there are none."""
        if self._at is None:
            return None
        left = self._at - self._now()
        if left <= 0:
            raise TimeoutError
        return left


class _Stream(io.RawIOBase):
    """What comes in, as long as the deadline has not passed."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._deadline.left())
        return self._sock.recv_into(buffer)


class _Socket:
    """The part of a socket that http.client uses."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._deadline.left())
        self._sock.sendall(data)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Stream(self._sock, self._deadline))

    def close(self) -> None:
        """Not yet: http.client drops a connection that will be closed while its reply is still read."""

    def end(self) -> None:
        self._sock.close()


class _Plain(http.client.HTTPConnection):
    def __init__(self, host: str, port: int | None, deadline: _Deadline) -> None:
        super().__init__(host, port)
        self._deadline = deadline

        self._ends: list[Callable[[], None]] = []

    def connect(self) -> None:
        self.sock = opened = _Socket(self._connected(), self._deadline)
        self._ends.append(opened.end)

    def end(self) -> None:
        for end in self._ends:
            end()

    def _connected(self) -> socket.socket:
        """One that fails leaves nothing open."""
        sock = socket.create_connection((self.host, self.port), self._deadline.left())
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._secured(sock)
        except BaseException:
            sock.close()
            raise

    def _secured(self, sock: socket.socket) -> socket.socket:
        return sock


class _Tls(_Plain):
    default_port = http.client.HTTPS_PORT

    def __init__(self, host: str, port: int | None, deadline: _Deadline, trust: ssl.SSLContext) -> None:
        super().__init__(host, port, deadline)
        self._trust = trust

    def _secured(self, sock: socket.socket) -> socket.socket:
        sock.settimeout(self._deadline.left())
        return self._trust.wrap_socket(sock, server_hostname=self.host)


# -- the words of Go

_UNTRUSTED = {10: "certificate has expired or is not yet valid", 62: "certificate is not valid for this name"}
"""By the code of OpenSSL; the rest is an unknown authority."""


def _no_reply(error: Exception, url: str) -> NoReply:
    """Go gives up at once only where the certificate is not trusted."""
    if isinstance(error, http.client.BadStatusLine) and _STATUS_0.match(str(error)):
        return NoReply("")
    final = isinstance(error, ssl.SSLCertVerificationError)
    return NoReply(f'Post "{_hidden(url)}": {_words(error, urlsplit(url))}', final=final)


_STATUS_0 = re.compile(r"HTTP/1\.\d 000\b")
"""A status to Go, none to http.client."""


def _words(error: Exception, url: SplitResult | None = None) -> str:
    match error:
        case TimeoutError():
            return f"context deadline exceeded {WAITED}"
        case ssl.SSLCertVerificationError():
            why = _UNTRUSTED.get(error.verify_code, "certificate signed by unknown authority")
            return f"tls: failed to verify certificate: x509: {why}"
        case ssl.SSLError() if "WRONG_VERSION_NUMBER" in str(error):
            return "http: server gave HTTP response to HTTPS client"
        case socket.gaierror() if url:
            return f"dial tcp: lookup {url.hostname}: no such host"
        case ConnectionRefusedError() if url:
            port = url.port or (443 if url.scheme == "https" else 80)
            return f"dial tcp {url.hostname}:{port}: connect: connection refused"
        case http.client.RemoteDisconnected():
            return "EOF"
        case ConnectionResetError():
            return "read: connection reset by peer"
        case http.client.BadStatusLine():
            return f"net/http: HTTP/1.x transport connection broken: {_malformed(str(error).strip())}"
        case _:
            return str(error) or type(error).__name__


def _malformed(line: str) -> str:
    version, _, rest = line.partition(" ")
    if version.startswith("HTTP/") and rest:
        return f'malformed HTTP status code "{rest.split()[0]}"'
    return f'malformed HTTP response "{line}"'


_USER = re.compile(r"(?<=://)([^/@:]*)(:[^/@]*)?@")


def _anonymous(url: str) -> str:
    return _USER.sub("", url)


def _hidden(url: str) -> str:
    """As Go hides a password in its errors."""
    return _USER.sub(lambda found: f"{found[1]}:***@" if found[2] else found[0], url)


def redacted(url: str) -> str:
    """As Flagger's retry library does."""
    return _USER.sub(lambda found: f"{found[1]}:xxxxx@" if found[2] else found[0], url)
