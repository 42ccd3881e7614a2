"""A tunnel through a forward proxy (CONNECT; RFC 9110, 9.3.6), for what a proxy cannot be asked in absolute form.

Like every link it has the methods of a non-blocking socket; the asking is done inside `send` and `recv`, as far as it
goes. A proxy that refuses has refused the connection.
"""

from __future__ import annotations

import errno

from meshtest.loads.sockets import Peer, WantRead
from meshtest.loads.wire import LONGEST_HEAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from meshtest.loads.exchange import TargetOrder

_CHUNK = 65_536


class TunnelPeer:
    """Connects like sockets.Peer, through a proxy that is asked to CONNECT."""

    def __init__(self, target: TargetOrder) -> None:
        self._lower = Peer(target["address"], target["port"])
        self._authority = target["authority"]
        if ":" not in self._authority.rpartition("]")[2]:
            self._authority += ":443" if target["tls"] else ":80"

    def connect(self, *, fresh: bool) -> Tunnel:
        return Tunnel(self._lower.connect(fresh=fresh), self._authority)


class Tunnel:
    """A link through a proxy: CONNECT first, then whatever the peer behind it speaks."""

    def __init__(self, sock: Any, authority: str) -> None:
        self._sock = sock
        self._unsent = f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n\r\n".encode("latin-1")
        self._head = b""
        self._rest = b""
        self._open = False
        self.fileno, self.close, self.getsockopt = sock.fileno, sock.close, sock.getsockopt

    def send(self, data: bytes) -> int:
        if not self._open:
            self._ask()
            try:
                self._hear()
            except BlockingIOError:
                raise WantRead from None
        return int(self._sock.send(data))

    def recv(self, size: int) -> bytes:
        if not self._open:
            self._ask()
            self._hear()
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        return bytes(self._sock.recv(size))

    def _ask(self) -> None:
        while self._unsent:
            self._unsent = self._unsent[self._sock.send(self._unsent) :]

    def _hear(self) -> None:
        """Until the end of the proxy's head; what comes behind it is the peer's."""
        while b"\r\n\r\n" not in self._head:
            data = self._sock.recv(_CHUNK)
            self._head += data
            if not data or len(self._head) > LONGEST_HEAD:
                raise OSError(errno.ECONNREFUSED, "the proxy's answer to CONNECT has no end")
        head, _, self._rest = self._head.partition(b"\r\n\r\n")
        words = head.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or words[1][:1] != b"2":
            raise OSError(errno.ECONNREFUSED, f"the proxy refused CONNECT: {head[:60].decode('latin-1')}")
        self._open, self._head = True, b""
