"""A server of threads, one a connection, in the clear or inside TLS. Not here: what it does (hostile*.py)."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import ssl
import struct
import sys
import threading
import time
from typing import Any, Self

_UNSENT = 0x894B
"""SIOCOUTQNSD"""


def reset_on_close(sock: socket.socket) -> None:
    """Once all that was said has left: a reset throws away what the kernel still holds (it corks small writes)."""
    while int.from_bytes(fcntl.ioctl(sock, _UNSENT, bytes(4)), sys.byteorder):
        time.sleep(0.0005)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_close(sock: socket.socket) -> None:
    """FIN, and go on reading. An SSLSocket's own shutdown would take the TLS off and read ciphertext."""
    socket.socket.shutdown(sock, socket.SHUT_WR)


class Gone(Exception):
    """What serves a connection has ended it."""


class Server:
    """Subclasses serve one connection; it is closed when they return."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._open: set[Any] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def serve(self, sock: socket.socket) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._open.add(sock)
                thread = threading.Thread(target=self._run, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError, Gone), contextlib.closing(sock):
            if self.tls is None:
                self.serve(sock)
            else:
                with self.tls.wrap_socket(sock, server_side=True, suppress_ragged_eofs=False) as secured:
                    self._open.add(secured)
                    self.serve(secured)
                    self._open.discard(secured)
        self._open.discard(sock)
