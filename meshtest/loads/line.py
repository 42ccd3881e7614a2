"""A blocking connection with one deadline for everything, in the clear or inside TLS, and what was heard on it.

Not here: what is said (ask_*.py).
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, cast

from meshtest.errors import UsageError
from meshtest.loads import sockets, wire
from meshtest.model.request import Fate

Fated = Literal["answered", "refused", "reset", "closed", "timeout", "garbled", "tls", "not_sent"]
"""As model.request.Fate, and `tls`: the handshake failed, or the peer refused our certificate."""

CHUNK = 64 * 1024
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Trouble(Exception):
    """The exchange ended."""

    def __init__(self, fate: Fated, why: str) -> None:
        super().__init__(why)
        self.fate = fate


class Heard:
    """What the peer has said so far; it outlives trouble."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.trailers: list[tuple[str, str]] = []
        self.messages: list[bytes] = []
        self.grpc_status: int | None = None
        self.grpc_message = ""
        self.close_code: int | None = None
        self.tls: tuple[str, str, bytes] | None = None
        """Version, ALPN, the server's certificate (DER)."""


class Line:
    """One connection, used as a context manager. Times are of time.monotonic()."""

    def __init__(self, address: str, port: int, deadline: float) -> None:
        self._deadline = deadline
        self._socket = socket.create_connection((address, port), timeout=self._left())
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._socket.close()

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def send(self, data: bytes) -> None:
        """All of it."""
        while data:
            self._socket.settimeout(self._left())
            data = data[self._socket.send(data) :]

    def receive(self) -> bytes:
        """What has come; b"" at the end."""
        self._socket.settimeout(self._left())
        return self._socket.recv(CHUNK)

    def secure(self, context: ssl.SSLContext, sni: str) -> tuple[str, str, bytes]:
        """Shake hands; version, ALPN and certificate."""
        self._socket.settimeout(self._left())
        if not sni:
            context.check_hostname = False
        secured = context.wrap_socket(self._socket, server_hostname=sni or None)
        self._socket = secured
        return secured.version() or "", secured.selected_alpn_protocol() or "", secured.getpeercert(True) or b""

    def tunnel(self, authority: str, heard: Heard) -> bool:
        """CONNECT through a proxy; if it refuses, its answer is what was heard."""
        self.send(f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode("latin-1"))
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := self.receive()):
                raise Trouble("closed", "the proxy closed the connection after CONNECT")
            head += data
            if len(head) > wire.LONGEST_HEAD:
                raise Trouble("garbled", "the proxy's answer to CONNECT has no end")
        words = head.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise Trouble("garbled", "the proxy's answer to CONNECT is not HTTP")
        if 200 <= int(words[1]) < 300:
            return True
        heard.status, heard.body = int(words[1]), head.partition(b"\r\n\r\n")[2]
        return False


def tls_context(ca: str, certificate: str, key: str, alpn: tuple[str, ...], max_version: str) -> ssl.SSLContext:
    """UsageError for what is no PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not ca:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        if ca:
            context.load_verify_locations(cadata=ca)
        if certificate:
            _load_chain(context, certificate, key)
    except (ssl.SSLError, ValueError) as error:
        raise UsageError(f"tls: certificate, key or CA cannot be used: {error}; give PEM texts") from None
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if max_version:
        context.maximum_version = _VERSIONS[max_version]
    return context


def _load_chain(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Python reads them from files only."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "crt"), Path(folder, "key")
        for path, text in zip(paths, (certificate, key), strict=True):
            path.touch(mode=0o600)
            path.write_text(text)
        context.load_cert_chain(*paths)


def fate_of(trouble: Exception) -> tuple[Fated, str]:
    """What an exception says about the request, and in words. Ours, if it is no trouble of the network, goes on."""
    if isinstance(trouble, Trouble):
        return trouble.fate, str(trouble)
    if isinstance(trouble, wire.Garbled):
        return "garbled", "the answer is not HTTP/1"
    if isinstance(trouble, TimeoutError):
        return "timeout", "no answer in time"
    if isinstance(trouble, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "closed", "the peer closed the connection during the TLS handshake"
    if isinstance(trouble, ssl.SSLError):
        return "tls", _words(trouble)
    if isinstance(trouble, socket.gaierror):
        return "refused", f"the name is not known: {trouble.strerror}"
    if isinstance(trouble, OSError):
        return cast("Fated", Fate(sockets.fate_of(trouble)).name.lower()), trouble.strerror or str(trouble)
    raise trouble


def _words(error: ssl.SSLError) -> str:
    """`certificate verify failed: Hostname mismatch` out of what OpenSSL says."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    return (error.reason or str(error)).replace("_", " ").lower()
