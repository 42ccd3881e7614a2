"""An HTTP request over a unix socket."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path


def request(path: Path, method: str, target: str) -> str:
    """The body of the answer, whatever its status; OSError or HTTPException if there is none."""
    connection = _Connection(path)
    try:
        connection.request(method, target)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
