"""TLS on a link, which is a link itself: it has the methods of a non-blocking socket. The handshake happens inside its
`send` and `recv`, as far as it goes.

     http1.py, http2.py ... ─► TlsLink ─► Tunnel (tunnel.py) ─► socket          each but the last only where asked for

`_ssl` and not `ssl`: the latter costs 35 ms to import. TLS is done in memory and not by OpenSSL on the socket: so an
alert that came before a reset is still read, and says why.
"""

from __future__ import annotations

import _ssl
import errno
import os

from meshtest.loads.sockets import Peer, TlsFailed, WantRead
from meshtest.loads.tunnel import TunnelPeer
from meshtest.model.record import GRPC, GRPC_STREAM, HTTP1, HTTP2, TCP, WEBSOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from meshtest.loads.exchange import TargetOrder

_CHUNK = 65_536
_RECORD = 16_384
"""Bytes of plain text in one TLS record, at most."""
_ALPN: dict[int, tuple[str, ...]] = {
    HTTP1: ("http/1.1",), HTTP2: ("h2",), GRPC: ("h2",), GRPC_STREAM: ("h2",), WEBSOCKET: ("http/1.1",), TCP: (),
}  # fmt: skip
_VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}


class TlsPeer:
    """Connects like sockets.Peer, and speaks TLS on what it has connected. One context for all connections; no session
    is resumed: each handshake is a whole one, as for a new user."""

    def __init__(self, target: TargetOrder) -> None:
        assert target["tls"]
        self._lower = TunnelPeer(target) if target["proxy"] else Peer(target["address"], target["port"])
        self._context = context_of(target["tls"], _ALPN[target["transport"]])
        sni = target["tls"]["sni"]
        self._sni = None if sni == "-" else sni or target["host"]
        if self._sni is None:
            self._context.check_hostname = False

    def connect(self, *, fresh: bool) -> TlsLink:
        return TlsLink(self._lower.connect(fresh=fresh), self._context, self._sni)


class TlsLink:
    """TLS on another link. Failures of the handshake, and alerts after it, are TlsFailed."""

    def __init__(self, link: Any, context: Any, sni: str | None) -> None:
        self._link = link
        self._in, self._out = _ssl.MemoryBIO(), _ssl.MemoryBIO()
        self._tls = context._wrap_bio(self._in, self._out, server_side=False, server_hostname=sni)
        self._open = self._ended = False
        self._failed: OSError | None = None
        """Why nothing goes on; asked again, the kernel and OpenSSL would give other reasons."""
        self._cipher = b""
        """What has been encrypted and not sent yet."""
        self._promised = 0
        """Bytes of plain text in it that send() has not yet told as sent."""
        self.fileno, self.close, self.getsockopt = link.fileno, link.close, link.getsockopt

    def send(self, data: bytes) -> int:
        """What is told as sent, the kernel has. After BlockingIOError the same data must come again, as for OpenSSL."""
        if not self._open:
            self._shake_hands(WantRead)
        if not self._promised:
            self._promised = self._encrypt(data[: _RECORD * 4])
        self._flush()
        sent, self._promised = self._promised, 0
        return sent

    def _encrypt(self, data: bytes) -> int:
        try:
            return int(self._tls.write(data))
        except _ssl.SSLError as error:
            raise TlsFailed(errno.EPROTO, words(error)) from None

    def recv(self, size: int) -> bytes:
        """All that can be decrypted of what has come: nothing stays behind where no poller would see it."""
        if not self._open:
            self._shake_hands(BlockingIOError)
        data = self._decrypted()
        while not data and not self._ended:
            self._take(self._link.recv(_CHUNK))
            data = self._decrypted()
        return data

    def _shake_hands(self, wait: type[BlockingIOError]) -> None:
        """As far as it goes; `wait` is raised when it is the peer's turn."""
        if self._failed:
            raise self._failed
        try:
            while not self._open:
                self._step(wait)
            self._flush()
        except BlockingIOError:
            raise
        except OSError as error:
            self._failed = error
            raise

    def _step(self, wait: type[BlockingIOError]) -> None:
        try:
            self._tls.do_handshake()
            self._open = True
        except _ssl.SSLWantReadError:
            self._flush()
            self._hear(wait)
        except _ssl.SSLError as error:
            self._say_why()
            raise TlsFailed(errno.EPROTO, words(error)) from None

    def _hear(self, wait: type[BlockingIOError]) -> None:
        try:
            data = self._link.recv(_CHUNK)
        except BlockingIOError:
            raise wait from None
        if not data:
            raise TlsFailed(errno.EPROTO, "the peer closed the connection during the handshake")
        self._in.write(data)

    def _say_why(self) -> None:
        """The alert for the peer, if it still listens."""
        try:
            self._flush()
        except OSError:
            return

    def _take(self, data: bytes) -> None:
        if data:
            self._in.write(data)
        else:
            self._ended = True

    def _decrypted(self) -> bytes:
        if self._failed:
            raise self._failed
        parts = []
        try:
            while part := self._tls.read(_CHUNK):
                parts.append(part)
            self._ended = True  # close_notify
        except _ssl.SSLWantReadError:
            pass
        except _ssl.SSLZeroReturnError:
            self._ended = True
        except _ssl.SSLError as error:
            self._failed = TlsFailed(errno.EPROTO, words(error))
            if not parts:
                raise self._failed from None
        if self._out.pending:
            self._say_why()
        return b"".join(parts)

    def _flush(self) -> None:
        """To the kernel; BlockingIOError if it does not take all."""
        if self._out.pending:
            self._cipher += self._out.read()
        while self._cipher:
            self._cipher = self._cipher[self._link.send(self._cipher) :]


def context_of(tls: dict[str, Any], alpn: tuple[str, ...]) -> Any:
    """From the fields of ask.TlsAsk."""
    context: Any = _ssl._SSLContext(_ssl.PROTOCOL_TLS_CLIENT)
    if tls["ca"]:
        context.load_verify_locations(None, None, tls["ca"])
    else:
        context.check_hostname = False
        context.verify_mode = _ssl.CERT_NONE
    if tls["certificate"]:
        _load_chain(context, tls["certificate"], tls["key"])
    wanted = alpn if tls["alpn"] is None else tls["alpn"]
    if wanted:
        context._set_alpn_protocols(b"".join(bytes((len(name),)) + name.encode() for name in wanted))
    if tls["max_version"]:
        context.maximum_version = _VERSIONS[tls["max_version"]]
    return context


def _load_chain(context: Any, certificate: str, key: str) -> None:
    """OpenSSL reads them from files only; through a pipe no key touches a disk."""
    ends = [os.pipe() for _ in range(2)]
    for (_, write), text in zip(ends, (certificate, key), strict=True):
        os.write(write, text.encode())
        os.close(write)
    try:
        context.load_cert_chain(*(f"/dev/fd/{read}" for read, _ in ends))
    finally:
        for read, _ in ends:
            os.close(read)


def words(error: Any) -> str:
    """`certificate verify failed: Hostname mismatch` out of what OpenSSL says."""
    if isinstance(error, _ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    return (error.reason or str(error)).replace("_", " ").lower()
