"""Does this k6, as we run it, tell of every reset? Asked of each binary once, before its first load.

Go's net/http sends a GET again, silently, when a reused connection is reset before the first byte: of 341 resets k6
reported 221. With a new connection for each request there is nothing to reuse. That this holds is not assumed: a server
of ours resets every other request, and as many must arrive as were sent, and as many failures be reported as resets.
"""

from __future__ import annotations

import csv
import os
import socket
import struct
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Self

from meshtest.errors import LoadError
from meshtest.spi.provider import Entrance
from meshtest_k6.rows import CODE, HEADER, METRIC
from meshtest_k6.script import Script, said

REQUESTS = 20
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing sends RST."""
_PATIENCE = 30.0

_passed: set[tuple[str, float]] = set()


def honest(binary: str) -> None:
    """LoadError if not every reset is told."""
    known = (binary, os.stat(binary).st_mtime)
    if known in _passed:
        return
    with _Resetting() as server:
        sent, failed = _run(binary, server.port)
    if (sent, server.arrived, failed) != (REQUESTS, REQUESTS, server.resets):
        raise LoadError(
            f"{binary} hides resets: of {REQUESTS} requests {server.arrived} arrived, {server.resets} were reset, and "
            f"k6 reported {sent} requests and {failed} failures; no verdict on such a load would mean anything"
        )
    _passed.add(known)


def _run(binary: str, port: int) -> tuple[int, int]:
    """(requests, failures) by k6's own account."""
    path = Path(__file__).with_name("selftest.js")
    script = Script(
        path=path, load="selftest", entrance=Entrance("127.0.0.1", port, proxy=False), binary=binary, env={}
    )
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "rows.csv"
        command = [binary, "run", "--quiet", "--no-summary", "--address", "", "--log-format", "json"]
        try:
            done = subprocess.run(
                [*command, "--out", f"csv={out}", "-"], input=script.text, capture_output=True, text=True,
                env=script.environment, timeout=_PATIENCE, check=False,
            )  # fmt: skip
            rows = [row for row in csv.reader(out.read_text().splitlines()) if row[METRIC] == "http_reqs"]
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LoadError(f"{binary} does not run: {error}") from None
    if done.returncode:
        raise LoadError(f"{binary} does not run: {said(done.stderr) or done.stderr.strip()}")
    return len(rows), sum(bool(row[CODE]) for row in rows if len(row) == len(HEADER))


class _Resetting:
    """A server that answers every other request, and resets the rest, as well as any that reuses a connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.arrived = self.resets = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5.0)
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        data, answered = b"", False
        while True:
            try:
                more = connection.recv(65536)
            except OSError:
                return
            data += more
            if not more:
                return
            if b"\r\n\r\n" in data:
                self.arrived += 1
                if answered or self.arrived % 2:
                    self.resets += 1
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    return
                connection.sendall(_ANSWER)
                data, answered = b"", True
