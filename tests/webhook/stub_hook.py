"""A webhook that answers by a script: byte by byte, so that it can be as wrong as a real one.

`/CASE/...` is answered by the next step of the case's script, the last step for ever. A step is a mapping:

    status, headers, body        an ordinary reply; length: false sends no Content-Length, chunked: true sends chunks
    raw                          these characters and no others
    close, reset, silent         no reply: the connection ends, is reset, or stays open
    then                         `close` or `silent` in place of the rest of the body
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

Step = Mapping[str, Any]


class Heard(NamedTuple):
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class StubHook:
    """Listens from the moment it is made; closed as a context manager."""

    def __init__(self, scripts: Mapping[str, Sequence[Step]], *, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = scripts
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.heard: dict[str, list[Heard]] = {}
        self.host, self.port = self._listener.getsockname()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
        with self._lock:
            self._open.add(connection)
        with contextlib.suppress(OSError, ValueError):
            self._answer(connection)
        with self._lock:
            self._open.discard(connection)
        connection.close()

    def _answer(self, connection: socket.socket) -> None:
        request = _read(connection)
        case = request.target.partition("?")[0].split("/")[1]
        with self._lock:
            heard = self.heard.setdefault(case, [])
            heard.append(request)
            script = self._scripts.get(case, ({"status": 404},))
            step = script[min(len(heard), len(script)) - 1]
        _perform(step, connection)


def _perform(step: Step, connection: socket.socket) -> None:
    if "reset" in step:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return
    if "silent" not in step and "close" not in step:
        connection.sendall(step["raw"].encode() if "raw" in step else _reply(step))
    if "silent" in step or step.get("then") == "silent":
        connection.recv(1)  # until the other side has had enough


def _read(connection: socket.socket) -> Heard:
    stream = connection.makefile("rb")
    method, target, _ = stream.readline().decode().split()
    headers = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name] = value.strip()
    return Heard(method, target, headers, stream.read(int(headers.get("Content-Length", 0))))


def _reply(step: Step) -> bytes:
    body = step.get("body", "").encode()
    if step.get("gzip"):
        body = gzip.compress(body)
    headers = {"Connection": "close", "Content-Type": "text/plain", **step.get("headers", {})}
    if step.get("gzip"):
        headers["Content-Encoding"] = "gzip"
    if step.get("chunked"):
        headers["Transfer-Encoding"] = "chunked"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    elif step.get("length", True):
        headers["Content-Length"] = str(len(body) + (100 if "then" in step else 0))
    lines = [f"HTTP/1.1 {step['status']} {step.get('phrase', 'Said')}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
