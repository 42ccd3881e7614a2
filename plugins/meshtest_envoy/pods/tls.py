"""TLS in a pod that was given a certificate: bytes of the network on one side, an Entry with plain bytes on the other.

asyncio's own TLS is not used: it wants to be told before the first byte, and its module must be imported to be found
(see libraries.py). A rotated certificate is read with the next connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable
from typing import Any

from meshtest_envoy.pods.order import PodTls

CHUNK = 64 * 1024
ALPN = ("h2", "http/1.1")

_contexts: dict[PodTls, tuple[tuple[float, ...], ssl.SSLContext]] = {}


class _Named(ssl.SSLObject):
    """Remembers the name that the client asked for."""

    sni = ""


def context(tls: PodTls) -> ssl.SSLContext:
    """Of these files as they are now."""
    stamp = tuple(os.stat(path).st_mtime for path in tls if path)
    known = _contexts.get(tls)
    if known is None or known[0] != stamp:
        _contexts[tls] = known = (stamp, _load(tls))
    return known[1]


def _load(tls: PodTls) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(tls.certificate, tls.key)
    made.set_alpn_protocols(ALPN)
    made.sslobject_class = _Named
    made.sni_callback = _note_name
    if tls.client_ca:
        made.load_verify_locations(tls.client_ca)
        made.verify_mode = ssl.CERT_OPTIONAL
    return made


def _note_name(found: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
    if isinstance(found, _Named):
        found.sni = name or ""


def described(session: ssl.SSLObject) -> dict[str, Any]:
    """For the reflection."""
    return {
        "sni": getattr(session, "sni", ""),
        "alpn": session.selected_alpn_protocol() or "",
        "version": session.version() or "",
        "client": _client(session.getpeercert() or {}),
    }


def _client(certificate: Any) -> dict[str, Any] | None:
    if not certificate:
        return None
    subject = ", ".join(f"{name}={value}" for part in certificate.get("subject", ()) for name, value in part)
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    return {"subject": subject, "uris": uris}


class Session(asyncio.Protocol):
    """The network's side of one connection."""

    def __init__(self, tls: PodTls, make: Callable[[dict[str, Any]], asyncio.Protocol]) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context(tls).wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._make = make
        self._inner: Plain | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._inner is not None:
            self._inner.protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            if self._inner is None:
                self._shake_hands()
            while self._inner is not None and (plain := self._session.read(CHUNK)):
                self._inner.protocol.data_received(plain)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # the alert that says why is in `_outgoing`
            self._flush()
            self._transport.close()
            return
        self._flush()

    def eof_received(self) -> bool | None:
        return self._inner.protocol.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.protocol.resume_writing()

    def write(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self._session.write(data)
            self._flush()

    def _shake_hands(self) -> None:
        self._session.do_handshake()
        protocol = self._make(described(self._session))
        self._inner = Plain(self, self._transport, protocol)
        protocol.connection_made(self._inner)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def close(self) -> None:
        """With a close_notify, but without waiting for the peer's."""
        with contextlib.suppress(ssl.SSLError):
            self._session.unwrap()
        self._flush()
        self._transport.close()


class Plain(asyncio.Transport):
    """The transport that the protocol inside writes to."""

    def __init__(self, session: Session, transport: asyncio.Transport, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._session, self._transport = session, transport
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._session.write(bytes(data))

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def close(self) -> None:
        self._session.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def can_write_eof(self) -> bool:
        """TLS cannot end one direction alone (before 1.3, and in Python)."""
        return False

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
